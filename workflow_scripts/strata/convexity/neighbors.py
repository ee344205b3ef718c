"""Nearest neighbors, exact and fast: candidates by float32 matrix products, distances in float64.

A row's candidates are taken only if the rounding of float32 provably cannot have hidden a nearer
sample; the others are searched again in float64 by scikit-learn. Importing this module loads numba.
"""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock
from typing import NamedTuple

import numpy as np

from strata.compiled import machine_code
from strata.threads import one_blas_thread, run_parallel

_SPARE = 8  # candidates beyond the k nearest, so that rounding cannot hide a nearer one
_SIDE = 512  # of a tile of the matrix of products
_ROWS = 64  # measured per task
_CHUNK = 16  # products compared with the farthest candidate before any is looked at

_compiled = machine_code(error_model="numpy")

# Probable neighbors (n, wanted) of float32 samples, and the greatest of their |y|^2 / 2 - x.y (n);
# from features (n, dimensions), |y|^2 / 2 (n) and wanted.
Candidates = Callable[[np.ndarray, np.ndarray, int], tuple[np.ndarray, np.ndarray]]


def nearest(
    features: np.ndarray, k: int, candidates: Candidates | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """The k nearest other samples of each and their distances (n, k), by (distance, number).

    `features` (samples, dimensions) is float64, finite and centred; 1 <= k < samples. `candidates`
    finds them another way than `tiled_candidates`, with products of float32 precision.
    """
    found = nearest_and_more(features, k, candidates)
    return found.neighbors[:, :k], found.distances[:, :k]


class Nearest(NamedTuple):
    """Neighbors by (distance, number) and their distances, (n, k or more). A sample that is not
    among them is farther than the k-th; but for the rows of `all_of`, which has all samples at up
    to the k-th distance of them, and their distances.
    """

    neighbors: np.ndarray
    distances: np.ndarray
    all_of: dict[int, tuple[np.ndarray, np.ndarray]]


def nearest_and_more(
    features: np.ndarray,
    k: int,
    candidates: Candidates | None = None,
    skip: np.ndarray | None = None,
) -> Nearest:
    """As `nearest`, with what else is as near; rows of `skip` (n,) are left unsure."""
    n, width = features.shape
    wanted = min(n - 1, k + _SPARE)
    squares = np.einsum("ij,ij->i", features, features)
    # A power of two changes no digit, and keeps squares away from where float32 ends.
    factor = 2.0 ** -float(np.frexp(np.sqrt(squares.max()))[1])
    single = np.empty(features.shape, dtype=np.float32)
    np.multiply(features, factor, out=single, casting="same_kind")
    half = (squares * factor**2 / 2).astype(np.float32)
    found, farthest = (candidates or tiled_candidates)(single, half, wanted)
    neighbors, distances = _by_distance(features, found)
    all_of: dict[int, tuple[np.ndarray, np.ndarray]] = {}
    if wanted == n - 1:
        return Nearest(neighbors, distances, all_of)
    # |fl(x.y) - x.y| <= (d + 2) u |x| |y| (Higham 2002, 3.1), and as much for the other roundings.
    scale = 2 * (width + 8) * (np.sqrt(squares) + np.sqrt(squares.max())) ** 2
    beyond = squares + 2 * farthest.astype(np.float64) / factor**2 - scale * 2.0**-24
    doubtful = ~(distances[:, k - 1] ** 2 < beyond)
    doubtful = np.flatnonzero(doubtful if skip is None else doubtful & ~skip)
    if len(doubtful):
        found = _search_again(features, doubtful, wanted)
        neighbors[doubtful], distances[doubtful] = _by_distance(features, found, doubtful)
        # More samples at about the k-th distance than candidates: only a look at all orders them.
        gaps = distances[doubtful, -1] ** 2 - distances[doubtful, k - 1] ** 2
        for row in doubtful[~(gaps > scale[doubtful] * 2.0**-52)]:
            ordered, lengths = all_by_distance(features, np.setdiff1d(np.arange(n), [row]), row)
            neighbors[row], distances[row] = ordered[:wanted], lengths[:wanted]
            near = lengths <= lengths[k - 1]
            all_of[int(row)] = (ordered[near], lengths[near])
    return Nearest(neighbors, distances, all_of)


def tiled_candidates(
    single: np.ndarray, half: np.ndarray, wanted: int, side: int = _SIDE
) -> tuple[np.ndarray, np.ndarray]:
    """Candidates on the CPU. The matrix of products is symmetric: each tile serves both sides."""
    n = len(single)
    chosen = np.empty((n, wanted), dtype=np.int32)
    kept = np.full((n, wanted), np.inf, dtype=np.float32)
    starts = range(0, n, side)
    locks = [Lock() for _ in starts]

    def work(tile: tuple[int, int]) -> None:
        row, column = (slice(starts[i], starts[i] + side) for i in tile)
        products = single[row] @ single[column].T
        with locks[tile[0]]:
            _keep_rows(products, half[column], row.start, column.start, kept[row], chosen[row])
        if tile[0] != tile[1]:
            with locks[tile[1]]:
                _keep_columns(products, half[row], row.start, kept[column], chosen[column])

    with one_blas_thread():
        run_parallel(work, [(i, j) for i in range(len(starts)) for j in range(i, len(starts))])
    return chosen, kept[:, -1].copy()


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
    neighbors, distances = np.empty_like(candidates), np.empty(candidates.shape)

    def measure(start: int) -> None:
        own = slice(start, start + _ROWS)
        _measure(features, rows[own], candidates[own], neighbors[own], distances[own])

    run_parallel(measure, range(0, len(rows), _ROWS))
    return neighbors, distances


def all_by_distance(
    features: np.ndarray, others: np.ndarray, row: int
) -> tuple[np.ndarray, np.ndarray]:
    """`others` by (distance, number) from sample `row`, and their distances."""
    ordered, lengths = _by_distance(features, others[None], np.array([row]))
    return ordered[0], lengths[0]


# --- compiled -----------------------------------------------------------------------------------


@_compiled
def filtered(neighbors, distances, limits, places, rows, k):
    """The k nearest of `rows` among what was found near each, by place: `places` is -1 elsewhere.

    Neighbors and distances (rows, k), and a state: 0, or 1 where others are as near as the k-th, 2
    where fewer than k are left up to the distance `limits` within which all were found.
    """
    chosen, lengths = np.empty((len(rows), k), np.int32), np.empty((len(rows), k))
    state = np.zeros(len(rows), np.int8)
    for i in range(len(rows)):
        row, count = rows[i], 0
        for j in range(neighbors.shape[1]):
            length, place = distances[row, j], places[neighbors[row, j]]
            if length > limits[row]:
                break
            if place < 0:
                continue
            if count == k:
                state[i] = length == lengths[i, k - 1]
                break
            chosen[i, count], lengths[i, count] = place, length
            count += 1
        if count < k:
            state[i] = 2
    return chosen, lengths, state


@_compiled
def _keep(value, number, kept, chosen):
    """Put a value that is less than the last one kept where it belongs."""
    place = len(kept) - 1
    while place > 0 and kept[place - 1] > value:
        kept[place], chosen[place] = kept[place - 1], chosen[place - 1]
        place -= 1
    kept[place], chosen[place] = value, number


@_compiled
def _keep_rows(products, half, first_row, first_column, kept, chosen):
    """Take in a tile for the samples of its rows, whose `kept` values and `chosen` samples have
    the least |y|^2 / 2 - x.y of the columns so far, ascending.
    """
    height, width = products.shape
    for row in range(height):
        itself = first_row + row - first_column
        line, own = products[row], kept[row]
        for start in range(0, width, _CHUNK):
            stop = min(start + _CHUNK, width)
            if stop == start + _CHUNK:
                worst, less = own[-1], np.int32(0)
                for j in range(start, start + _CHUNK):
                    less |= np.int32(half[j] - line[j] < worst)
                if less == 0:
                    continue
            for j in range(start, stop):
                value = half[j] - line[j]
                if value < own[-1] and j != itself:
                    _keep(value, first_column + j, own, chosen[row])


@_compiled
def _keep_columns(products, half, first_row, kept, chosen):
    """Take in a tile for the samples of its columns."""
    height, width = products.shape
    worst = kept[:, -1].copy()
    for row in range(height):
        line, own = products[row], half[row]
        for start in range(0, width, _CHUNK):
            stop = min(start + _CHUNK, width)
            if stop == start + _CHUNK:
                less = np.int32(0)
                for j in range(start, start + _CHUNK):
                    less |= np.int32(own - line[j] < worst[j])
                if less == 0:
                    continue
            for j in range(start, stop):
                value = own - line[j]
                if value < worst[j]:
                    _keep(value, first_row + row, kept[j], chosen[j])
                    worst[j] = kept[j, -1]


@_compiled
def _measure(features, rows, candidates, neighbors, distances):
    """Candidates of `rows` by (distance, number). Four sums, each in the dimensions' order, go side
    by side: an addition waits for the one before it.
    """
    last = candidates.shape[1] - 1
    for i in range(len(rows)):
        x = features[rows[i]]
        for j in range(0, last + 1, 4):
            j1, j2, j3 = min(j + 1, last), min(j + 2, last), min(j + 3, last)
            y, y1 = features[candidates[i, j]], features[candidates[i, j1]]
            y2, y3 = features[candidates[i, j2]], features[candidates[i, j3]]
            total = total1 = total2 = total3 = 0.0
            for d in range(len(x)):
                total += (x[d] - y[d]) ** 2
                total1 += (x[d] - y1[d]) ** 2
                total2 += (x[d] - y2[d]) ** 2
                total3 += (x[d] - y3[d]) ** 2
            distances[i, j], distances[i, j1] = total, total1
            distances[i, j2], distances[i, j3] = total2, total3
        for j in range(last + 1):
            length, number, place = np.sqrt(distances[i, j]), candidates[i, j], j
            while place > 0 and (
                distances[i, place - 1] > length
                or (distances[i, place - 1] == length and neighbors[i, place - 1] > number)
            ):
                distances[i, place] = distances[i, place - 1]
                neighbors[i, place] = neighbors[i, place - 1]
                place -= 1
            distances[i, place], neighbors[i, place] = length, number


@_compiled
def symmetric_rows(neighbors, distances):
    """indptr, indices and weights of the graph with an edge wherever either end has the other."""
    n, k = neighbors.shape
    starts = np.zeros(n + 1, np.int64)  # of what has each sample among its neighbors
    for other in neighbors.ravel():
        starts[other + 1] += 1
    starts = np.cumsum(starts)
    filled, having = starts[:-1].copy(), np.empty(n * k, np.int64)
    for i in range(n):
        for j in range(k):
            having[filled[neighbors[i, j]]] = i * k + j
            filled[neighbors[i, j]] += 1
    indptr, count = np.zeros(n + 1, np.int64), 0
    indices, weights = np.empty(2 * n * k, np.int32), np.empty(2 * n * k)
    for i in range(n):
        own = np.argsort(neighbors[i])
        a, b = 0, starts[i]  # both ascend: merge them
        while a < k or b < starts[i + 1]:
            mine = neighbors[i, own[a]] if a < k else n
            theirs = having[b] // k if b < starts[i + 1] else n
            if mine <= theirs:
                indices[count], weights[count] = mine, distances[i, own[a]]
                a += 1
            else:
                indices[count], weights[count] = theirs, distances[theirs, having[b] % k]
            b += theirs <= mine
            count += 1
        indptr[i + 1] = count
    return indptr, indices[:count].copy(), weights[:count].copy()
