"""What shortest paths in a neighbor graph pass through, in parallel. Importing it loads numba."""

from __future__ import annotations

from collections.abc import Callable

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


def score_permuted(graph: NeighborGraph, codes: np.ndarray) -> np.ndarray:
    """Total score of every sample's pairs under each labeling, (n, labelings).

    `codes` (labelings, n) are permutations of one labeling.
    """
    edges, labels = edges_of(graph), np.ascontiguousarray(codes.T)
    sums = np.empty((graph.n, len(codes)))
    sources = np.arange(graph.n)
    in_parallel(lambda piece: _score_null(edges, labels, sources[piece], sums[piece]), graph.n)
    return sums


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
def _score_null(edges, labels, sources, sums):
    """sums[s, b]: total score of the pairs of sources[s] when the labels are labels[:, b].

    The paths do not depend on the labels, so that one search serves all permutations; and how many
    vertices of a path are inside follows from the path to the vertex before. Without a path: 0.
    """
    n, n_labelings = labels.shape
    work = workspace(n, edges.n_buckets)
    everything = np.arange(n).astype(np.int32)
    inside = np.zeros((n, n_labelings), np.int32)  # of the interior vertices on the way
    found = np.zeros(n_labelings, np.int64)
    for s in range(len(sources)):
        source, total = sources[s], sums[s]
        search(edges, source, everything, work)
        own = labels[source]
        inside[source], total[:] = -1, 0.0  # the source is not in the interior
        deepest = 0
        for i in range(work.state[3]):
            deepest = max(deepest, work.hops[work.order[i]])
        for hops in range(1, deepest + 1):
            found[:] = 0
            for i in range(work.state[3]):
                v = work.order[i]
                if work.hops[v] == hops:
                    u = work.before[v]
                    for b in range(n_labelings):
                        count = inside[u, b] + np.int32(labels[u, b] == own[b])
                        inside[v, b] = count
                        found[b] += (1 if hops == 1 else count) * (labels[v, b] == own[b])
            for b in range(n_labelings):
                total[b] += found[b] / max(1, hops - 1)
        end(work)
