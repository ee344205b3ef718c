"""Chance: what takes the place of a neuron's images in a null of the best score."""

from __future__ import annotations

import numpy as np


def random_sets(ranks: np.ndarray, k: int, n: int, seed: int) -> np.ndarray:
    """`n` draws of `k` of the images without repetition, (n, k) sample numbers.

    A neuron whose activations have nothing to do with the images takes its top images at random;
    the same draws serve all neurons of all layers. `ranks` (images,) says which images the numbers
    drawn stand for.
    """
    draw = np.random.default_rng(seed)
    sets = [draw.permutation(len(ranks))[:k] for _ in range(n)]
    return np.argsort(ranks).astype(np.int32)[np.array(sets, dtype=np.int32).reshape(n, k)]


def shuffles(ranks: np.ndarray, n: int, seed: int) -> np.ndarray:
    """`n` orders of the images, (n, images): the same for all neurons of all layers.

    An image has the activations of the one that the order names in its place.
    """
    given = random_sets(ranks, len(ranks), n, seed)
    return given[:, ranks]
