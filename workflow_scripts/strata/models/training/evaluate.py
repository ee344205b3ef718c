"""What a zoo model has learned, on held-out pictures."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd
import torch

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


def beside_twin(scores: Mapping[str, float], twin: Mapping[str, float]) -> dict[str, float]:
    """Scores of a model, and those of a twin with random weights as `random_...`."""
    return dict(scores) | {f"random_{name}": value for name, value in twin.items()}


def zero_shot(
    images: np.ndarray,
    texts: Callable[[list[str]], np.ndarray],
    factors: pd.DataFrame,
    prompts: Mapping[str, Mapping[str, list[str]]],
) -> dict[str, float]:
    """Zero-shot accuracy by factor: which of its values a picture shows, by the mean of the phrases
    that ask for it (`zero_shot_*`) and by its bare name (`bare_*`).

    `images` are unit embeddings (samples, d) of rows of `factors`, and `texts` makes unit
    embeddings of lines. Pictures that have no value of a factor take no part.
    """
    scores = {}
    for family, asked in prompts.items():
        shown, values = factors[family].notna().to_numpy(), np.array(list(asked))
        truth = factors[family][shown].to_numpy()
        for name, phrases in (("zero_shot", asked.values()), ("bare", [[v] for v in asked])):
            centers = np.stack([texts(list(lines)).mean(axis=0) for lines in phrases])
            centers /= np.linalg.norm(centers, axis=1, keepdims=True)
            guess = values[(images[shown] @ centers.T).argmax(axis=1)]
            scores[f"{name}_{family}"] = float((guess == truth).mean())
    return scores
