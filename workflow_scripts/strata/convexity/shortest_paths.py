"""What shortest paths in a neighbor graph pass through: compiled, in parallel, exact.

Of equally short paths (equal as float64 sums) the one with fewer edges is taken; if there are
several, the one whose last differing predecessor has the lowest number. Importing this module loads
numba.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numba
import numpy as np

from strata.convexity.graphs import NeighborGraph
from strata.threads import n_threads

_SOURCES = 16  # searches per task
_BUCKETS_PER_EDGE = 8  # buckets that an edge of middling length spans
_MOST_BUCKETS = 4096

_compiled = numba.njit(cache=True, nogil=True, error_model="numpy")


def _in_parallel(function, n_sources: int) -> None:
    """`function(slice of sources)` over all sources, on all threads."""
    pieces = [slice(i, i + _SOURCES) for i in range(0, n_sources, _SOURCES)]
    with ThreadPoolExecutor(n_threads()) as pool:
        for done in [pool.submit(function, piece) for piece in pieces]:
            done.result()


def _buckets(graph: NeighborGraph) -> tuple[float, int]:
    """Width of a bucket, and how many hold all vertices that can wait at a time."""
    longest = graph.weights.max()
    width = max(np.median(graph.weights) / _BUCKETS_PER_EDGE, longest / _MOST_BUCKETS)
    width = float(width) if width > 0 else 1.0
    return width, int(longest / width) + 3


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
    width, n_buckets = _buckets(graph)
    fixed = (graph.indptr, graph.indices, graph.weights, width, n_buckets, codes)
    scores = np.empty(len(targets))

    def run(piece: slice) -> None:
        own = start[piece.start : piece.stop + 1]
        _score(*fixed, sources[piece], own, targets, scores)

    _in_parallel(run, len(sources))
    return scores


def score_permuted(graph: NeighborGraph, codes: np.ndarray) -> np.ndarray:
    """Total score of every sample's pairs under each labeling, (n, labelings).

    `codes` (labelings, n) are permutations of one labeling.
    """
    width, n_buckets = _buckets(graph)
    sizes = np.bincount(codes[0])
    start = np.concatenate([[0], np.cumsum(sizes)])
    members = np.argsort(codes, axis=1, kind="stable").astype(np.int32)
    fixed = (graph.indptr, graph.indices, graph.weights, width, n_buckets, codes, start, members)
    sums = np.empty((graph.n, len(codes)))
    sources = np.arange(graph.n)
    _in_parallel(lambda piece: _score_null(*fixed, sources[piece], sums[piece]), graph.n)
    return sums


# --- compiled -----------------------------------------------------------------------------------


@_compiled
def _search(indptr, indices, weights, width, source, wanted, n_wanted, work):
    """Shortest paths from `source`, until `n_wanted` vertices v with wanted[v] are settled.

    Vertices wait in buckets of `width` by their distance (delta-stepping, Meyer & Sanders 2003, on
    one thread): a bucket is worked off, and what its own edges put back into it, before the next.
    In high dimensions, where distances are alike, this is several times faster than a heap.
    Returns the number of vertices reached, listed in `touched`.
    """
    distance, hops, before, waiting, settled, head, after, ahead, touched = work
    n_buckets = len(head)
    distance[source], hops[source], before[source] = 0.0, 0, -1
    touched[0], n_touched = source, 1
    head[0], after[source], ahead[source] = source, -1, -1
    waiting[source], n_waiting, current, remaining = True, 1, 0, n_wanted
    while n_waiting > 0 and remaining > 0:
        slot = current % n_buckets
        while head[slot] >= 0:
            u = head[slot]
            head[slot] = after[u]
            if after[u] >= 0:
                ahead[after[u]] = -1
            waiting[u] = False
            n_waiting -= 1
            if not settled[u]:
                settled[u] = True
                remaining -= wanted[u]
            d, h = distance[u], hops[u] + 1
            for i in range(indptr[u], indptr[u + 1]):
                v = indices[i]
                reached = d + weights[i]
                if reached > distance[v]:
                    continue
                if reached == distance[v] and h >= hops[v]:
                    if h == hops[v] and u < before[v]:
                        before[v] = u
                    continue
                if waiting[v]:  # take it out of its bucket
                    if ahead[v] >= 0:
                        after[ahead[v]] = after[v]
                    else:
                        head[int(distance[v] / width) % n_buckets] = after[v]
                    if after[v] >= 0:
                        ahead[after[v]] = ahead[v]
                else:
                    waiting[v] = True
                    n_waiting += 1
                    if distance[v] == np.inf:
                        touched[n_touched] = v
                        n_touched += 1
                distance[v], hops[v], before[v] = reached, h, u
                bucket = int(reached / width) % n_buckets
                after[v], ahead[v] = head[bucket], -1
                if head[bucket] >= 0:
                    ahead[head[bucket]] = v
                head[bucket] = v
        current += 1
    head[:] = -1
    return n_touched


@_compiled
def _workspace(n, n_buckets):
    """Arrays that `_search` works in, as it expects them at its start."""
    return (
        np.full(n, np.inf),  # distance
        np.zeros(n, np.int32),  # hops
        np.full(n, -1, np.int32),  # before
        np.zeros(n, np.bool_),  # waiting
        np.zeros(n, np.bool_),  # settled
        np.full(n_buckets, -1, np.int32),  # head
        np.zeros(n, np.int32),  # after
        np.zeros(n, np.int32),  # ahead
        np.zeros(n, np.int32),  # touched
    )


@_compiled
def _clear(work, n_touched):
    """Make the workspace as new, touching only what a search touched."""
    distance, _, _, waiting, settled, _, _, _, touched = work
    for i in range(n_touched):
        v = touched[i]
        distance[v], waiting[v], settled[v] = np.inf, False, False


@_compiled
def _share_inside(before, source, target, codes, concept):
    """Share of the path's interior vertices that are of the concept; 1 without any."""
    inside = length = 0
    v = before[target]
    while v != source:
        length += 1
        inside += codes[v] == concept
        v = before[v]
    return inside / length if length else 1.0


@_compiled
def _score(indptr, indices, weights, width, n_buckets, codes, sources, start, targets, scores):
    """scores[i] of the pair (sources[s], targets[i]), start[s] <= i < start[s + 1].

    NaN where there is no path. The concept of a pair is that of its source.
    """
    n = len(indptr) - 1
    work = _workspace(n, n_buckets)
    distance, before = work[0], work[2]
    wanted = np.zeros(n, np.bool_)
    for s in range(len(sources)):
        source, n_wanted = sources[s], 0
        for i in range(start[s], start[s + 1]):
            n_wanted += not wanted[targets[i]]
            wanted[targets[i]] = True
        n_touched = _search(indptr, indices, weights, width, source, wanted, n_wanted, work)
        for i in range(start[s], start[s + 1]):
            target = targets[i]
            wanted[target] = False
            if distance[target] == np.inf:
                scores[i] = np.nan
            elif target == source:
                scores[i] = 1.0
            else:
                scores[i] = _share_inside(before, source, target, codes, codes[source])
        _clear(work, n_touched)


@_compiled
def _score_null(indptr, indices, weights, width, n_buckets, codes, start, members, sources, sums):
    """sums[s, b]: total score of the pairs of sources[s] when labels are codes[b].

    `members[b, start[c] : start[c + 1]]` are the samples of concept c under codes[b]. The paths do
    not depend on the labels, so that one search serves all permutations. Without a path: 0.
    """
    n = len(indptr) - 1
    work = _workspace(n, n_buckets)
    distance, before = work[0], work[2]
    everything = np.ones(n, np.bool_)
    for s in range(len(sources)):
        source = sources[s]
        n_touched = _search(indptr, indices, weights, width, source, everything, n, work)
        for b in range(len(codes)):
            concept = codes[b, source]
            total = 0.0
            for i in range(start[concept], start[concept + 1]):
                target = members[b, i]
                if target != source and distance[target] < np.inf:
                    total += _share_inside(before, source, target, codes[b], concept)
            sums[s, b] = total
        _clear(work, n_touched)
