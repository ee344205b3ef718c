"""What each similarity function offers to the pass over the concepts (stream.py)."""

from __future__ import annotations

from typing import NamedTuple, Protocol

import numpy as np

from strata.dissect.images import Survey
from strata.dissect.softmax import SoftmaxSums
from strata.dissect.tiles import Tile


class Keys(NamedTuple):
    """A layer's part of a tile: `keys` (neurons, concepts) order the concepts, and `null` (neurons
    or 1, permutations) are the greatest keys of the tile by chance."""

    keys: np.ndarray
    null: np.ndarray


class Scorer(Protocol):
    """One similarity function with its parameters, for all layers of a model."""

    constant: list[np.ndarray]  # by layer, which neurons have no label
    tied: list[np.ndarray]  # by layer and neuron, the share of top places that images share
    reads: str  # of a tile's P: "nothing", "blocks" of images, or the "whole" of it

    def add(self, activations: np.ndarray, survey: Survey) -> None:
        """Take from a layer what scoring it needs."""

    def images(self) -> np.ndarray:
        """Sample numbers of the images whose cosines with the concepts are needed, ascending."""

    def start(self, needed: np.ndarray, sums: SoftmaxSums | None) -> None:
        """All layers have been added; tiles will hold P of the images `needed`, in this order.

        `sums` are those of the temperatures that some scorer needs."""

    def bytes_per_concept(self) -> float:
        """What scoring holds for each concept of a tile, beside P."""

    def keys(self, tile: Tile) -> list[Keys]:
        """Keys of the tile's concepts by layer."""

    def score(self, layer: int, keys: np.ndarray) -> np.ndarray:
        """Scores of a layer's keys, float64; the greater the key, the greater the score."""
