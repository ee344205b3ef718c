"""Nearest-neighbor graphs, exact: candidates' distances are computed again in float64.

Of more neighbors at the k-th distance than there are places for, each sample draws its own.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np

from strata.arrays import as_array
from strata.errors import StrataError
from strata.models.inference import pick_device


class NeighborGraph(NamedTuple):
    """Undirected graph in compressed rows; an edge wherever either end has the other as neighbor.

    `indptr` (n + 1), `indices` and `weights` (2 edges): the neighbors of each sample and their
    Euclidean distances. `occurrences` (n): how many samples have this one among their k nearest.
    `tied`: the share of all samples' k places for neighbors that were drawn among equally near.
    """

    indptr: np.ndarray
    indices: np.ndarray
    weights: np.ndarray
    occurrences: np.ndarray
    tied: float

    @property
    def n(self) -> int:
        return len(self.indptr) - 1


def neighbor_graph(
    features: np.ndarray, n_neighbors: int = 10, device: str = "cpu", seed: int = 0
) -> NeighborGraph:
    """The symmetric k-nearest-neighbor graph of `features` (samples, dimensions), Euclidean.

    Samples at distance zero are neighbors like any other, joined by an edge of weight zero. The
    distance matrix is never held. On `device` "cuda" (with "auto", where there is one) torch finds
    the candidates; the distances are computed here again, so that the graph is the same. `seed`
    draws among neighbors at one distance, by number; `strata.arrays.drawn_order` gives an order of
    the samples in which the numbers, too, are independent of the order given.

    Raises
    ------
    StrataError
        `features` has not two dimensions, NaN or infinite values, or at most `n_neighbors` samples;
        `device` is unknown, or "cuda" without a GPU or torch.
    """
    from strata.convexity.neighbors import symmetric_rows
    from strata.convexity.ties import drawn_nearest

    features = _checked(features, n_neighbors)
    neighbors, distances, drawn = drawn_nearest(features, n_neighbors, seed, _candidates_on(device))
    occurrences = np.bincount(neighbors.ravel(), minlength=len(features))
    graph = symmetric_rows(neighbors, distances)
    return NeighborGraph(*graph, occurrences, float(drawn.mean()))


def _candidates_on(device: str) -> Callable | None:
    """What finds candidates on a GPU; None for the CPU."""
    if pick_device(device) == "cpu":
        return None
    from strata.convexity.gpu import torch_candidates

    return partial(torch_candidates, device="cuda")


def _checked(features: np.ndarray, n_neighbors: int) -> np.ndarray:
    """A float64 copy of `features`, centred: distances then lose no digits to a common offset."""
    features = as_array(features, "features")
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
    return features - _rounded_mean(features)


def _rounded_mean(features: np.ndarray) -> np.ndarray:
    """The mean, to the digits that do not depend on the order in which rows are summed."""
    unit = np.ldexp(1.0, np.frexp(np.abs(features).max(axis=0))[1] - 24)
    return np.round(features.mean(axis=0) / unit) * unit


def component_sizes(graph: NeighborGraph) -> np.ndarray:
    """Number of samples in each connected component."""
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import connected_components

    ones = np.ones(len(graph.indices), dtype=np.int8)  # explicit zero weights are edges too
    shape = (graph.n, graph.n)
    adjacency = csr_array((ones, graph.indices, graph.indptr), shape=shape)
    return np.bincount(connected_components(adjacency, directed=False)[1])
