"""Nearest-neighbor graphs, exact: candidates' distances are computed again in float64.

Of more neighbors at the k-th distance than there are places for, each sample draws its own.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from strata.arrays import as_array
from strata.errors import StrataError
from strata.models.inference import pick_device

if TYPE_CHECKING:
    from strata.convexity.ties import Surroundings


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
    return graph_among(surroundings(features, n_neighbors, device), n_neighbors, seed)


def surroundings(
    features: np.ndarray, n_neighbors: int, device: str = "cpu", halves: bool = False
) -> Surroundings:
    """What is near each sample, for `graph_among` all of them, and with `halves` among half of them
    too. Arguments and errors as for `neighbor_graph`.
    """
    from strata.convexity.ties import Surroundings

    features = _checked(features, n_neighbors)
    # Of so many, a half has hardly ever fewer than it needs: then it is searched for that sample.
    most = min(3 * n_neighbors + 8, len(features) - 1) if halves else n_neighbors
    return Surroundings(features, most, _candidates_on(device))


def graph_among(
    near: Surroundings, n_neighbors: int, seed: int, rows: np.ndarray | None = None
) -> NeighborGraph:
    """The graph of the samples `rows` (ascending; all) by themselves, as `neighbor_graph`."""
    from strata.convexity.neighbors import symmetric_rows

    neighbors, distances, drawn = near.nearest(n_neighbors, seed, rows)
    occurrences = np.bincount(neighbors.ravel(), minlength=len(neighbors))
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
