"""What shortest paths in a neighbor graph pass through, in parallel. Importing it loads numba."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from strata.convexity.graphs import NeighborGraph
from strata.convexity.search import (
    compiled,
    edges_of,
    end,
    search,
    share_inside,
    workspace,
)
from strata.threads import run_parallel

_SOURCES = 16  # searches per task
# Samples up to which paths are kept: 12 bytes for each two, and in a layer whose rows are equal for
# each family, as their order goes by its labels.
_KEPT = 2048


def in_parallel(function: Callable[[slice], None], n_sources: int, step: int = _SOURCES) -> None:
    """`function(slice of sources)` over all sources, on all threads."""
    run_parallel(function, [slice(i, i + step) for i in range(0, n_sources, step)])


def score_paths(
    graph: NeighborGraph,
    codes: np.ndarray,
    sources: np.ndarray,
    start: np.ndarray,
    targets: np.ndarray,
) -> np.ndarray:
    """Share of interior vertices inside the source's concept, for each pair (source, target).

    `targets[start[s] : start[s + 1]]` belong to `sources[s]`; `codes` (n) number the concepts. A
    path without interior vertices scores 1; NaN where there is no path.
    """
    edges, scores = edges_of(graph), np.empty(len(targets))

    def run(piece: slice) -> None:
        own = start[piece.start : piece.stop + 1]
        _score(edges, codes, sources[piece], own, targets, scores)

    in_parallel(run, len(sources))
    return scores


class Trees(NamedTuple):
    """Shortest paths from some sources: vertices reached, by hops, in `order` (sources, n), each
    one's predecessor on its path and its `hops`; `reached` (sources,) counts them."""

    order: np.ndarray
    before: np.ndarray
    hops: np.ndarray
    reached: np.ndarray


def score_permuted(
    graph: NeighborGraph, codes: np.ndarray, kept: dict[int, Trees] | None = None
) -> np.ndarray:
    """Total score of every sample's pairs under each labeling, (n, labelings).

    `codes` (labelings, n) are permutations of one labeling. `kept`, empty at first, holds the paths
    for further labelings of the same graph, where it is small enough.
    """
    edges, labels = edges_of(graph), np.ascontiguousarray(codes.T)
    sums = np.empty((graph.n, len(codes)))
    kept = kept if kept is not None and graph.n <= _KEPT else None

    def run(piece: slice) -> None:
        trees = kept.get(piece.start) if kept else None
        sources = np.arange(piece.start, min(piece.stop, graph.n))
        if trees is None:
            trees = _empty_trees(len(sources), graph.n)
            _grow_trees(edges, sources, trees)
        if kept is not None:
            kept[piece.start] = trees
        _score_null(trees, labels, sources, sums[piece])

    in_parallel(run, graph.n)
    return sums


def _empty_trees(n_sources: int, n: int) -> Trees:
    def numbers() -> np.ndarray:
        return np.empty((n_sources, n), np.int32)

    return Trees(numbers(), numbers(), numbers(), np.empty(n_sources, np.int64))


# --- compiled -----------------------------------------------------------------------------------


@compiled
def _score(edges, codes, sources, start, targets, scores):
    """scores[i] of the pair (sources[s], targets[i]), start[s] <= i < start[s + 1].

    NaN where there is no path. The concept of a pair is that of its source.
    """
    work = workspace(len(edges.indptr) - 1, edges.n_buckets)
    for s in range(len(sources)):
        source = sources[s]
        search(edges, source, targets[start[s] : start[s + 1]], work)
        for i in range(start[s], start[s + 1]):
            target = targets[i]
            if work.distance[target] == np.inf:
                scores[i] = np.nan
            elif target == source:
                scores[i] = 1.0
            else:
                scores[i] = share_inside(work.before, source, target, codes, codes[source])
        end(work)


@compiled
def _grow_trees(edges, sources, trees):
    """Fill in the shortest paths from `sources` to all vertices."""
    n = len(edges.indptr) - 1
    work = workspace(n, edges.n_buckets)
    everything = np.arange(n).astype(np.int32)
    for s in range(len(sources)):
        search(edges, sources[s], everything, work)
        count = trees.reached[s] = work.state[3]
        by_hops = np.argsort(work.hops[work.order[:count]], kind="mergesort")
        for i in range(count):
            v = work.order[by_hops[i]]
            trees.order[s, i], trees.before[s, i], trees.hops[s, i] = (
                v,
                work.before[v],
                work.hops[v],
            )
        end(work)


@compiled
def _score_null(trees, labels, sources, sums):
    """sums[s, b]: total score of the pairs of sources[s] when the labels are labels[:, b].

    The paths do not depend on the labels, so that one search serves all permutations; and how many
    vertices of a path are inside follows from the path to the vertex before. Without a path: 0.
    """
    n, n_labelings = labels.shape
    inside = np.zeros((n, n_labelings), np.int32)  # of the interior vertices on the way
    found = np.zeros(n_labelings, np.int64)
    for s in range(len(sources)):
        source, total = sources[s], sums[s]
        order, before, hops = trees.order[s], trees.before[s], trees.hops[s]
        own = labels[source]
        inside[source], total[:], found[:] = -1, 0.0, 0  # the source is not in the interior
        count = trees.reached[s]
        for i in range(1, count):
            v, u, h = order[i], before[i], hops[i]
            for b in range(n_labelings):
                below = inside[u, b] + np.int32(labels[u, b] == own[b])
                inside[v, b] = below
                found[b] += (1 if h == 1 else below) * (labels[v, b] == own[b])
            if i + 1 == count or hops[i + 1] > h:
                for b in range(n_labelings):
                    total[b] += found[b] / max(1, h - 1)
                found[:] = 0
