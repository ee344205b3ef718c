"""Neurons with more equally activating images than there are places among the `top_k`.

Rectified units and sparse autoencoders: `first` images activate the neuron more than the border,
and the places that are left must be shared by all images at the border, often all the others.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from strata.dissect.images import Survey
from strata.dissect.problem import blocks


class Ties(NamedTuple):
    """The neurons `units` of a layer whose last places among the top k are shared.

    `first` images are above the border, `shared` at it. `images[starts[i] : starts[i + 1]]` are
    those at the border, or where `others` says so those above it: then all the rest is at it.
    """

    units: np.ndarray
    first: np.ndarray
    shared: np.ndarray
    others: np.ndarray
    starts: np.ndarray
    images: np.ndarray


def tied_shares(survey: Survey, k: int) -> np.ndarray:
    """Share of each neuron's k places that images at the border share, (neurons,)."""
    values = survey.values
    if values.shape[1] == k:
        return np.zeros(len(values))
    above = (values[:, :k] > values[:, k - 1 : k]).sum(axis=1)
    return np.where(values[:, k - 1] == values[:, k], (k - above) / k, 0.0)


def null_levels(ties: Sequence[Ties], k: int) -> list[int]:
    """How many first images of a draw a null needs, beside all k: 1, 2, 3, 4, 6, 8, 12, ..., of
    these the next that is no less than some neuron's.

    Only where all the rest is tied; images at the border that are few are nearly drawn.
    """
    steps = np.unique([[2**i, 3 * 2**i] for i in range(int(np.log2(k)) + 2)])
    firsts = np.concatenate([[0], *(part.first[part.others] for part in ties)])
    return [int(n) for n in np.unique(steps[np.searchsorted(steps, firsts[firsts > 0])]) if n < k]


def level_of(ties: Ties, n_neurons: int, levels: Sequence[int]) -> np.ndarray:
    """Which null a layer's neurons have, (neurons,): 0 for all k, i for levels[i - 1]."""
    found = np.zeros(n_neurons, dtype=np.int64)
    place = np.searchsorted(levels, ties.first) + 1
    found[ties.units] = np.where(ties.others & (place <= len(levels)), place, 0)
    return found


def ties_of_draws(draws: np.ndarray, first: int, n_images: int) -> Ties:
    """Draws (n, k) of which `first` images are decided, and all the rest is tied."""
    n = len(draws)
    images = np.sort(draws[:, :first], axis=1).ravel()
    every = np.full(n, first), np.full(n, n_images - first), np.ones(n, dtype=bool)
    return Ties(np.arange(n), *every, np.arange(n + 1) * first, images)


def find_ties(activations: np.ndarray, survey: Survey, k: int, memory_mb: float) -> Ties:
    """The ties of a layer's neurons that vary; activations are read again only where the images
    at the border are not simply all that are left."""
    n_images = len(activations)
    units = np.flatnonzero((tied_shares(survey, k) > 0) & ~survey.constant)
    border = survey.values[units, k - 1]
    first = (survey.values[units, :k] > border[:, None]).sum(axis=1)
    shared = n_images - first
    others = border == survey.low[units]
    rows, images = np.nonzero(np.arange(k) < np.where(others, first, 0)[:, None])
    images = survey.top[units[rows], images]
    asked = np.flatnonzero(~others)
    if len(asked):
        found = [(rows, images)]
        for block in blocks(n_images, 8.0 * activations.shape[1], memory_mb):
            values = activations[block][:, units[asked]].astype(border.dtype)
            at = np.nonzero((values == border[asked]).T)
            found.append((asked[at[0]], at[1] + block.start))
        rows, images = (np.concatenate(parts) for parts in zip(*found, strict=True))
        shared[asked] = np.bincount(rows, minlength=len(units))[asked]
    order = np.lexsort((images, rows))
    starts = np.searchsorted(rows[order], np.arange(len(units) + 1))
    return Ties(units, first, shared, others, starts, images[order].astype(np.int32))
