"""Nearest-neighbor graphs, exact: candidates' distances are computed again in float64.

Of neighbors at the same distance the lower sample numbers are kept.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from strata.errors import StrataError

_SPARE = 8  # candidates beyond the k nearest, so that rounding cannot hide a nearer one


class NeighborGraph(NamedTuple):
    """Undirected graph in compressed rows; an edge wherever either end has the other as neighbor.

    `indptr` (n + 1), `indices` and `weights` (2 edges): the neighbors of each sample and their
    Euclidean distances. `occurrences` (n): how many samples have this one among their k nearest.
    """

    indptr: np.ndarray
    indices: np.ndarray
    weights: np.ndarray
    occurrences: np.ndarray

    @property
    def n(self) -> int:
        return len(self.indptr) - 1


def neighbor_graph(features: np.ndarray, n_neighbors: int = 10) -> NeighborGraph:
    """The symmetric k-nearest-neighbor graph of `features` (samples, dimensions), Euclidean.

    Samples at distance zero are neighbors like any other, joined by an edge of weight zero. The
    distance matrix is never held (scikit-learn works in blocks).

    Raises
    ------
    StrataError
        `features` has not two dimensions, NaN or infinite values, or at most `n_neighbors` samples.
    """
    features = _checked(features, n_neighbors)
    neighbors, distances = _nearest(features, n_neighbors)
    n = len(features)
    rows = np.repeat(np.arange(n), n_neighbors)
    columns, weights = neighbors.ravel(), distances.ravel()
    low, high = np.minimum(rows, columns), np.maximum(rows, columns)
    edges, first = np.unique(low * n + high, return_index=True)
    low, high, weights = edges // n, edges % n, weights[first]
    starts, ends = np.concatenate([low, high]), np.concatenate([high, low])
    order = np.lexsort((ends, starts))
    indptr = np.zeros(n + 1, dtype=np.int64)
    np.cumsum(np.bincount(starts, minlength=n), out=indptr[1:])
    both = np.concatenate([weights, weights])[order]
    occurrences = np.bincount(columns, minlength=n)
    return NeighborGraph(indptr, ends[order].astype(np.int32), both, occurrences)


def _checked(features: np.ndarray, n_neighbors: int) -> np.ndarray:
    """A float64 copy of `features`, centred: distances then lose no digits to a common offset."""
    features = np.asarray(features)
    if features.ndim != 2:
        raise StrataError(f"features must have two dimensions, not shape {features.shape}")
    if not 1 <= n_neighbors < len(features):
        raise StrataError(
            f"n_neighbors is {n_neighbors}, but there are {len(features)} samples; it must lie "
            "between 1 and one less"
        )
    features = features.astype(np.float64)
    bad = ~np.isfinite(features).all(axis=1)
    if bad.any():
        raise StrataError(f"features: sample {int(bad.argmax())} is NaN or infinite")
    return features - features.mean(axis=0)


def _nearest(features: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """The k nearest other samples of each and their distances, by (distance, sample number)."""
    from sklearn.neighbors import NearestNeighbors

    n = len(features)
    wanted = min(n - 1, k + _SPARE)
    search = NearestNeighbors(n_neighbors=wanted, algorithm="brute").fit(features)
    candidates = np.sort(search.kneighbors(return_distance=False), axis=1)
    distances = np.empty(candidates.shape)
    for start in range(0, n, max(1, 2**24 // (wanted * features.shape[1]))):
        rows = slice(start, start + max(1, 2**24 // (wanted * features.shape[1])))
        distances[rows] = _distances(features[rows, None], features[candidates[rows]])
    order = np.argsort(distances, axis=1, kind="stable")
    neighbors = np.take_along_axis(candidates, order, axis=1)
    distances = np.take_along_axis(distances, order, axis=1)
    if wanted < n - 1:  # more samples at the k-th distance than candidates: look at all
        for row in np.flatnonzero(distances[:, k - 1] == distances[:, -1]):
            every = _distances(features[row], features)
            every[row] = np.inf
            neighbors[row, :k] = np.argsort(every, kind="stable")[:k]
            distances[row, :k] = every[neighbors[row, :k]]
    return neighbors[:, :k], distances[:, :k]


def _distances(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.sqrt(((x - y) ** 2).sum(axis=-1))


def component_sizes(graph: NeighborGraph) -> np.ndarray:
    """Number of samples in each connected component."""
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import connected_components

    ones = np.ones(len(graph.indices), dtype=np.int8)  # explicit zero weights are edges too
    shape = (graph.n, graph.n)
    adjacency = csr_array((ones, graph.indices, graph.indptr), shape=shape)
    return np.bincount(connected_components(adjacency, directed=False)[1])
