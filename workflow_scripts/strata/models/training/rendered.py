"""Rendered pictures of a world on their way into the training of a zoo model."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from PIL import Image
from torch import nn

from strata.compat import prepare_imports
from strata.data.worlds import World, world_named
from strata.models.training import evaluate
from strata.models.training.pictures import Look
from strata.models.training.recipe import TrainingData

_PROBED = ("object", "background_color", "texture")  # what a card tells of, by linear probes
_RENDERED = 1000  # pictures in full size in memory at a time


class Rendered:
    """Rendered pictures of a world with their factors."""

    def __init__(self, images: np.ndarray, factors: pd.DataFrame, world: World):
        self.images, self.factors, self.world = images, factors, world
        self.rows = list(factors.itertuples(index=False))
        self.look = Look(images.shape[1])

    @classmethod
    def render(
        cls,
        data: TrainingData,
        n: int,
        seed: int,
        shown: Callable[[np.ndarray], None] | None = None,
    ) -> Rendered:
        """`n` pictures of a seed; `shown` is called with them in full size (uint8 n', size, size,
        3), in order and some at a time."""
        world = world_named(data.world)
        factors = world.sample(n, seed)
        look = Look(data.seen or data.size)
        images = np.empty((n, look.size, look.size, 3), dtype=np.uint8)
        for start in range(0, n, _RENDERED):
            part = world.render(factors.iloc[start : start + _RENDERED], data.size, seed)
            if shown:
                shown(part)
            for i, pixels in enumerate(part, start):
                images[i] = look.resized(Image.fromarray(pixels))
        return cls(images, factors, world)

    def classes(self, family: str) -> np.ndarray:
        """Class number of every picture in a factor family; -1 where that does not apply."""
        values = list(self.world.families[family])
        return pd.Categorical(self.factors[family], categories=values).codes.astype(np.int64)

    def probe_scores(self, read: Callable[[torch.Tensor], torch.Tensor]) -> dict[str, float]:
        """Accuracy of linear probes on what `read` makes of pixels, by factor."""
        features = evaluate.in_batches(read, self.look, self.images)
        scores = {}
        for family in _PROBED:
            labels = self.classes(family)
            known = labels >= 0
            accuracy = evaluate.probe_accuracy(features[known], labels[known])
            scores[f"{family}_probe_accuracy"] = accuracy
        return scores


def frozen(folder: str, size: int) -> tuple[nn.Module, Look]:
    """A pretrained network of transformers from a folder, and how it wants pictures of `size`."""
    prepare_imports()
    from transformers import AutoModel

    options = {"local_files_only": True, "use_safetensors": True, "dtype": torch.float32}
    own = Look.of(Path(folder))
    model = AutoModel.from_pretrained(folder, **options).eval()
    return model, Look(size, own.mean, own.std)


def build(architecture: dict, model_class: str, **extra):
    """A model of transformers with random weights: its class, and its configuration's class
    (`config`) with arguments, as a recipe has them."""
    prepare_imports()
    import transformers

    arguments = {key: value for key, value in architecture.items() if key != "config"}
    config = getattr(transformers, architecture["config"])(**arguments, **extra)
    return getattr(transformers, model_class)(config)
