"""Chance: what takes the place of a neuron's images in a null of the best score."""

from __future__ import annotations

import numpy as np


def random_sets(n_images: int, k: int, n: int, seed: int) -> np.ndarray:
    """`n` draws of `k` of the images without repetition, (n, k) sample numbers.

    A neuron whose activations have nothing to do with the images takes its top images at random;
    the same draws serve all neurons of all layers.
    """
    draw = np.random.default_rng(seed)
    sets = [draw.permutation(n_images)[:k] for _ in range(n)]
    return np.array(sets, dtype=np.int32).reshape(n, k)


def shuffles(n_images: int, n: int, seed: int) -> np.ndarray:
    """`n` orders of the images, (n, n_images): the same for all neurons of all layers."""
    return random_sets(n_images, n_images, n, seed)
