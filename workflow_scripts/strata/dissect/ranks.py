"""Rank reorder's errors of a tile: each concept ranks all images once, for all neurons."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

_CONCEPTS = 8  # at a time: their ranks stay in the second-level cache


def errors_of_neurons(
    similar: np.ndarray, rows: np.ndarray, values: np.ndarray, power: int
) -> np.ndarray:
    """mean_k |t_k - t'_k|^power, float32 (neurons, concepts).

    `similar` (images, concepts) is P, `rows` (neurons, k) each neuron's images in it, best first,
    and `values` (neurons, k) their activations.
    """
    from strata.dissect.kernels import rank_errors

    errors = np.empty((len(rows), similar.shape[1]), dtype=np.float32)
    for concepts, ranks in _ranks(similar):
        rank_errors(ranks, rows, values, power, errors[:, concepts])
    return errors


def errors_of_draw(
    similar: np.ndarray, rows: np.ndarray, values: np.ndarray, power: int
) -> np.ndarray:
    """The same when the images `rows` (k) take the place of every neuron's own."""
    from strata.dissect.kernels import drawn_errors

    errors = np.empty((len(values), similar.shape[1]), dtype=np.float32)
    for concepts, ranks in _ranks(similar[np.sort(rows)]):
        order = np.argsort(np.argsort(rows)).astype(np.uint32)
        drawn_errors(ranks, order, values, power, errors[:, concepts])
    return errors


def _ranks(similar: np.ndarray) -> Iterator[tuple[slice, np.ndarray]]:
    """Ranks (concepts, images) of the images by each concept, a few concepts at a time.

    Of equally similar images the earlier one ranks lower. The value's bits, made to sort as
    numbers do, and the image's number behind them are one integer: numpy sorts those fastest.
    """
    n_images, n_concepts = similar.shape
    image = np.arange(n_images, dtype=np.uint64)
    rank = np.arange(n_images, dtype=np.uint16 if n_images <= 2**16 else np.uint32)
    for start in range(0, n_concepts, _CONCEPTS):
        concepts = slice(start, min(start + _CONCEPTS, n_concepts))
        columns = np.ascontiguousarray(similar[:, concepts].T) + np.float32(0)  # no -0
        bits = columns.view(np.int32)
        bits ^= (bits >> 31) & np.int32(2**31 - 1)
        shifted = (bits.view(np.uint32) ^ np.uint32(2**31)).astype(np.uint64) << np.uint64(32)
        shifted |= image
        shifted.sort(axis=1)
        ranks = np.empty(columns.shape, dtype=rank.dtype)
        for row, order in zip(ranks, shifted.astype(np.uint32), strict=True):
            row[order] = rank
        yield concepts, ranks
