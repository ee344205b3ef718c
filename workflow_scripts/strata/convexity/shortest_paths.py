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
    edges, sizes = edges_of(graph), np.bincount(codes[0])
    start = np.concatenate([[0], np.cumsum(sizes)])
    members = np.argsort(codes, axis=1, kind="stable").astype(np.int32)
    sums = np.empty((graph.n, len(codes)))
    sources = np.arange(graph.n)
    in_parallel(
        lambda piece: _score_null(edges, codes, start, members, sources[piece], sums[piece]),
        graph.n,
    )
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
def _score_null(edges, codes, start, members, sources, sums):
    """sums[s, b]: total score of the pairs of sources[s] when labels are codes[b].

    `members[b, start[c] : start[c + 1]]` are the samples of concept c under codes[b]. The paths do
    not depend on the labels, so that one search serves all permutations. Without a path: 0.
    """
    n = len(edges.indptr) - 1
    work = workspace(n, edges.n_buckets)
    everything = np.arange(n).astype(np.int32)
    for s in range(len(sources)):
        source = sources[s]
        search(edges, source, everything, work)
        for b in range(len(codes)):
            concept = codes[b, source]
            total = 0.0
            for i in range(start[concept], start[concept + 1]):
                target = members[b, i]
                if target != source and work.distance[target] < np.inf:
                    total += share_inside(work.before, source, target, codes[b], concept)
            sums[s, b] = total
        end(work)
