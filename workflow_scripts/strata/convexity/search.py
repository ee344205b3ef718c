"""Search for shortest paths from one sample, bucket by bucket: compiled, exact, resumable.

Of equally short paths (equal as float64 sums) the one with fewer edges is taken; if there are
several, the one whose last differing predecessor has the lowest number. Importing this module loads
numba.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from strata.compiled import machine_code
from strata.convexity.graphs import NeighborGraph

_BUCKETS_PER_EDGE = 8  # buckets that an edge of middling length spans
_MOST_BUCKETS = 4096
_LONGEST_PATH = 256  # in edges of middling length, up to which `tolerance` covers rounding

compiled = machine_code(error_model="numpy")


class Edges(NamedTuple):
    """A neighbor graph as the search needs it.

    `width` is that of a bucket, `n_buckets` how many hold all vertices that can wait at a time. The
    lengths of two paths no longer than `longest` that differ by more than `tolerance` are in the
    same order whatever the order in which their edges are added: h additions err by at most
    h 2^-53 of the sum (Higham 2002, 4.2), and a shortest path has fewer edges than the graph has
    samples.
    """

    indptr: np.ndarray
    indices: np.ndarray
    weights: np.ndarray
    width: float
    n_buckets: int
    longest: float
    tolerance: float


def edges_of(graph: NeighborGraph) -> Edges:
    """The graph's edges with suitable buckets."""
    median, longest = float(np.median(graph.weights)), float(graph.weights.max())
    width = max(median / _BUCKETS_PER_EDGE, longest / _MOST_BUCKETS)
    width = width if width > 0 else 1.0
    path = _LONGEST_PATH * median
    tolerance = 16 * graph.n * 2.0**-53 * path
    n_buckets = int(longest / width) + 3
    return Edges(*graph[:3], width, n_buckets, path, tolerance)


class Work(NamedTuple):
    """Arrays of a search. For each vertex: `distance`, `hops` and `before`, its predecessor, final
    once it is `settled`; `doubtful`, whether another path is as short but for `tolerance`; and its
    place in the linked list of its bucket. `touched` lists the vertices reached, `order` those
    settled. `state` holds the current bucket and the numbers of vertices that wait, were reached,
    are settled.
    """

    distance: np.ndarray
    hops: np.ndarray
    before: np.ndarray
    doubtful: np.ndarray
    waiting: np.ndarray
    settled: np.ndarray
    head: np.ndarray
    after: np.ndarray
    ahead: np.ndarray
    touched: np.ndarray
    order: np.ndarray
    state: np.ndarray


@compiled
def workspace(n, n_buckets):
    """Arrays as `begin` expects them."""
    return Work(
        np.full(n, np.inf),
        np.zeros(n, np.int32),
        np.full(n, -1, np.int32),
        np.zeros(n, np.bool_),
        np.zeros(n, np.bool_),
        np.zeros(n, np.bool_),
        np.full(n_buckets, -1, np.int32),
        np.zeros(n, np.int32),
        np.zeros(n, np.int32),
        np.zeros(n, np.int32),
        np.zeros(n, np.int32),
        np.zeros(4, np.int64),
    )


@compiled
def begin(source, work):
    """Let `source` wait in the first bucket."""
    work.distance[source], work.hops[source], work.before[source] = 0.0, 0, -1
    work.head[0], work.after[source], work.ahead[source] = source, -1, -1
    work.waiting[source], work.touched[0] = True, source
    work.state[:] = 0
    work.state[1:3] = 1


@compiled
def end(work):
    """Make the workspace as new, touching only what the search touched."""
    for i in range(work.state[2]):
        v = work.touched[i]
        work.distance[v] = np.inf
        work.doubtful[v] = work.waiting[v] = work.settled[v] = False
    work.head[:] = -1


@compiled
def radius(edges, work):
    """All vertices nearer than this are settled, and their edges tried; no other vertex's are."""
    if work.state[1] == 0:
        return np.inf
    current = work.state[0]
    while work.head[current % edges.n_buckets] < 0:
        current += 1
    work.state[0] = current
    return current * edges.width


@compiled
def _take_out(v, bucket, head, after, ahead):
    """Take vertex v out of the list of its bucket."""
    if ahead[v] >= 0:
        after[ahead[v]] = after[v]
    else:
        head[bucket] = after[v]
    if after[v] >= 0:
        ahead[after[v]] = ahead[v]


@compiled
def _put_behind(v, last, bucket, head, after, ahead):
    """Put vertex v behind the last one of its bucket's list; -1 for none."""
    after[v], ahead[v] = -1, last
    if last >= 0:
        after[last] = v
    else:
        head[bucket] = v


@compiled
def settle(edges, work):
    """Settle the vertices of the next bucket; there must be one that waits.

    Vertices wait in buckets by their distance (delta-stepping, Meyer & Sanders 2003, on one
    thread): a bucket is worked off, and what its own edges put back into it, before the next. In
    high dimensions, where distances are alike, this is several times faster than a heap.
    """
    indptr, indices, weights, width, n_buckets, _, tolerance = edges
    distance, hops, before, doubtful, waiting, settled, head, after, ahead, _, _, state = work
    radius(edges, work)
    slot, n_waiting, n_settled = state[0] % n_buckets, state[1], state[3]
    last = head[slot]
    while last >= 0 and after[last] >= 0:
        last = after[last]
    while head[slot] >= 0:
        u = head[slot]
        head[slot] = after[u]
        if after[u] >= 0:
            ahead[after[u]] = -1
        else:
            last = -1
        waiting[u] = False
        n_waiting -= 1
        if not settled[u]:
            settled[u], work.order[n_settled] = True, u
            n_settled += 1
        d, h = distance[u], hops[u] + 1
        for i in range(indptr[u], indptr[u + 1]):
            v = indices[i]
            reached = d + weights[i]
            if reached > distance[v] + tolerance:
                continue
            if reached >= distance[v]:  # not shorter, but for rounding perhaps
                doubtful[v] |= u != before[v]
                if reached > distance[v] or h > hops[v]:
                    continue
                if h == hops[v]:
                    before[v] = min(u, before[v])
                    continue
            else:
                doubtful[v] = reached >= distance[v] - tolerance
            if waiting[v]:  # take it out of its bucket
                if v == last:
                    last = ahead[v]
                _take_out(v, int(distance[v] / width) % n_buckets, head, after, ahead)
            else:
                waiting[v] = True
                n_waiting += 1
                if distance[v] == np.inf:
                    work.touched[state[2]] = v
                    state[2] += 1
            distance[v], hops[v], before[v] = reached, h, u
            bucket = int(reached / width) % n_buckets
            if bucket == slot:  # behind those that wait: where edges have no length, by hops
                _put_behind(v, last, slot, head, after, ahead)
                last = v
                continue
            after[v], ahead[v] = head[bucket], -1
            if head[bucket] >= 0:
                ahead[head[bucket]] = v
            head[bucket] = v
    state[0], state[1], state[3] = state[0] + 1, n_waiting, n_settled


@compiled
def search(edges, source, targets, work):
    """Shortest paths from `source` until all of `targets` are settled, or nothing is left."""
    begin(source, work)
    first = 0  # of the targets that are not known to be settled
    while work.state[1] > 0:
        while first < len(targets) and work.settled[targets[first]]:
            first += 1
        if first == len(targets):
            break
        settle(edges, work)


@compiled
def share_inside(before, source, target, codes, concept):
    """Share of the path's interior vertices that are of the concept; 1 without any."""
    inside = length = 0
    v = before[target]
    while v != source:
        length += 1
        inside += codes[v] == concept
        v = before[v]
    return inside / length if length else 1.0
