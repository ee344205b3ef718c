"""Nearest neighbors, exact and fast: candidates by float32 matrix products, distances in float64.

A row's candidates are taken only if the rounding of float32 provably cannot have hidden a nearer
sample; the others are searched again in float64 by scikit-learn. Importing this module loads numba.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numba
import numpy as np

from strata.threads import n_threads

_SPARE = 8  # candidates beyond the k nearest, so that rounding cannot hide a nearer one
_BLOCK = 2**24  # similarities held at a time
_ROWS = 64  # rows per task

_compiled = numba.njit(cache=True, nogil=True, error_model="numpy")


def nearest(features: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """The k nearest other samples of each and their distances (n, k), by (distance, number).

    `features` (samples, dimensions) is float64, finite and centred; 1 <= k < samples.
    """
    n = len(features)
    wanted = min(n - 1, k + _SPARE)
    candidates, beyond = _candidates(features, wanted)
    neighbors, distances = _by_distance(features, candidates)
    doubtful = np.flatnonzero(distances[:, k - 1] ** 2 >= beyond)
    if len(doubtful) and wanted < n - 1:
        found = _search_again(features, doubtful, wanted)
        neighbors[doubtful], distances[doubtful] = _by_distance(features, found, doubtful)
        # More samples at the k-th distance than candidates: only a look at all can order them.
        for row in doubtful[distances[doubtful, k - 1] == distances[doubtful, -1]]:
            every = np.setdiff1d(np.arange(n), [row])[None]
            ordered, lengths = _by_distance(features, every, np.array([row]))
            neighbors[row, :k], distances[row, :k] = ordered[0, :k], lengths[0, :k]
    return neighbors[:, :k], distances[:, :k]


def _candidates(features: np.ndarray, wanted: int) -> tuple[np.ndarray, np.ndarray]:
    """Probable neighbors (n, wanted), and a squared distance below which no other sample can be."""
    n, width = features.shape
    single = features.astype(np.float32)
    squares = np.einsum("ij,ij->i", features, features)
    candidates = np.empty((n, wanted), dtype=np.int32)
    farthest = np.empty(n, dtype=np.float32)
    half = (squares / 2).astype(np.float32)
    step = max(1, _BLOCK // n)
    with ThreadPoolExecutor(n_threads()) as pool:
        for first in range(0, n, step):
            products = single[first : first + step] @ single.T
            rows = range(0, len(products), _ROWS)
            tasks = [(products, half, first, i, i + _ROWS, candidates, farthest) for i in rows]
            list(pool.map(lambda task: _select(*task), tasks))
    # |fl(x.y) - x.y| <= (d + 2) u |x| |y| (Higham 2002, 3.1), and as much for the other roundings.
    largest = np.sqrt(squares.max())
    slack = 2 * (width + 8) * 2.0**-24 * (np.sqrt(squares) + largest) ** 2
    beyond = squares + 2 * farthest.astype(np.float64) - slack
    return candidates, beyond


def _search_again(features: np.ndarray, rows: np.ndarray, wanted: int) -> np.ndarray:
    """Candidates of `rows` in float64."""
    from sklearn.neighbors import NearestNeighbors

    search = NearestNeighbors(n_neighbors=wanted + 1, algorithm="brute").fit(features)
    found = search.kneighbors(features[rows], return_distance=False)
    # Without the sample itself, which need not come first among its duplicates.
    itself = found == rows[:, None]
    itself[~itself.any(axis=1), -1] = True
    return found[~itself].reshape(len(rows), wanted)


def _by_distance(
    features: np.ndarray, candidates: np.ndarray, rows: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Candidates of `rows` (all) by (distance, number), and their distances."""
    rows = np.arange(len(candidates)) if rows is None else rows
    candidates = np.sort(candidates, axis=1)
    distances = np.empty(candidates.shape)
    pieces = [slice(i, i + _ROWS) for i in range(0, len(rows), _ROWS)]
    with ThreadPoolExecutor(n_threads()) as pool:
        tasks = ((features, rows[p], candidates[p], distances[p]) for p in pieces)
        list(pool.map(lambda task: _measure(*task), tasks))
    order = np.argsort(distances, axis=1, kind="stable")
    return np.take_along_axis(candidates, order, 1), np.take_along_axis(distances, order, 1)


# --- compiled -----------------------------------------------------------------------------------


@_compiled
def _select(products, half, first, start, stop, candidates, farthest):
    """The samples with the least |y|^2 / 2 - x.y of rows start..stop of a block of products.

    `farthest` receives the largest of these, half the squared distance less |x|^2 / 2.
    """
    wanted = candidates.shape[1]
    kept = np.empty(wanted, dtype=np.float32)
    for row in range(start, min(stop, len(products))):
        chosen = candidates[first + row]
        count = 0
        for j in range(len(half)):
            value = half[j] - products[row, j]
            if count == wanted and value >= kept[wanted - 1]:
                continue
            if j == first + row:
                continue
            place = count if count < wanted else wanted - 1
            while place > 0 and kept[place - 1] > value:
                kept[place], chosen[place] = kept[place - 1], chosen[place - 1]
                place -= 1
            kept[place], chosen[place] = value, j
            count = min(count + 1, wanted)
        farthest[first + row] = kept[wanted - 1]


@_compiled
def _measure(features, rows, candidates, distances):
    """Euclidean distances of `rows` to their candidates."""
    for i in range(len(rows)):
        x = features[rows[i]]
        for j in range(candidates.shape[1]):
            y = features[candidates[i, j]]
            total = 0.0
            for d in range(len(x)):
                difference = x[d] - y[d]
                total += difference * difference
            distances[i, j] = np.sqrt(total)
