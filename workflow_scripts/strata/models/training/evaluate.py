"""What a zoo model has learned, on held-out pictures."""

from __future__ import annotations

import numpy as np
import pandas as pd
import torch

from strata.data.factors import FAMILIES, SIZES, TEXTURES
from strata.models.training.pictures import Look

_BATCH = 256


def in_batches(function, look: Look, images: np.ndarray) -> np.ndarray:
    """Stack `function(tensor)` over batches of uint8 pictures, without gradients."""
    with torch.inference_mode():
        parts = [
            function(look.tensor(images[start : start + _BATCH])).float().numpy()
            for start in range(0, len(images), _BATCH)
        ]
    return np.concatenate(parts)


def classification_accuracy(model, look: Look, images: np.ndarray, targets: np.ndarray) -> float:
    """Share of pictures whose most likely class is the right one."""
    logits = in_batches(lambda x: model(pixel_values=x).logits, look, images)
    return float((logits.argmax(axis=1) == targets).mean())


def probe_accuracy(
    features: np.ndarray, labels: np.ndarray, seed: int = 0, groups: np.ndarray | None = None
) -> float:
    """Held-out accuracy of a linear probe: logistic regression on half of the samples.

    Features are (samples, dimensions); every class should be in both halves. With `groups` (of the
    samples: their speakers, say) no group is in both.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GroupShuffleSplit, StratifiedShuffleSplit
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    halves = StratifiedShuffleSplit if groups is None else GroupShuffleSplit
    split = halves(n_splits=1, test_size=0.5, random_state=seed).split(features, labels, groups)
    train, test = next(split)
    probe = make_pipeline(StandardScaler(), LogisticRegression(max_iter=300, C=0.1))
    return float(probe.fit(features[train], labels[train]).score(features[test], labels[test]))


def text_to_image_factors(
    image_embeddings: np.ndarray, text_embeddings: np.ndarray, factors: pd.DataFrame
) -> dict[str, float]:
    """Retrieval by caption: how far the picture found agrees with the caption.

    Row i of both embeddings belongs to row i of `factors`. For each caption the most similar
    picture among all is taken, and for each factor family the share of captions is reported
    whose picture has the captioned value.
    """
    found = (text_embeddings @ image_embeddings.T).argmax(axis=1)
    return {
        family: float((factors[family].to_numpy()[found] == factors[family].to_numpy()).mean())
        for family in FAMILIES
    }


def zero_shot_prompts() -> dict[str, dict[str, str]]:
    """For each factor family, the bare word or phrase that stands for each value."""
    prompts = {family: {value: value for value in values} for family, values in FAMILIES.items()}
    prompts["background_color"] = {c: f"{c} background" for c in FAMILIES["background_color"]}
    prompts["object_color"] = {
        c: f"{'an' if c == 'orange' else 'a'} {c} object" for c in FAMILIES["object_color"]
    }
    prompts["texture"] = {value: value for value in TEXTURES}
    prompts["size"] = {value: words[0] for value, words in SIZES.items()}
    return prompts
