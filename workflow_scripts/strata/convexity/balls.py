"""What is near each sample of a graph, as far as pays. Importing this module loads numba."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from strata.convexity.search import Edges, begin, compiled, end, radius, search, settle, workspace

_LEAST, _MOST = 32, 1024  # vertices that a ball may have, by the number of pairs
_PROBES = 8
_BUCKETS = 2048  # to which probes count
_SHARE = 0.75  # of the samples, whose concept the radii should cover
_LOOKS_PER_TRIAL = 60  # pairs that look at an edge of a ball in the time a search tries one


class Balls(NamedTuple):
    """What is near each sample, (samples, most): vertices, their distances, the positions of the
    next vertices on the way to the sample (-1 for itself), whether another way is as short; and
    (samples,) the numbers of vertices and of their edges, and the radius.
    """

    vertices: np.ndarray
    distances: np.ndarray
    towards: np.ndarray
    doubtful: np.ndarray
    sizes: np.ndarray
    n_edges: np.ndarray
    radii: np.ndarray


def empty_balls(edges: Edges, n: int, n_pairs: int) -> Balls:
    """Room for the balls of n samples, of which none is in more than `n_pairs` pairs."""
    most = int(np.clip(2 * len(edges.indices) / n_pairs, _LEAST, _MOST))
    shape = (n, most)
    return Balls(
        np.empty(shape, np.int32),
        np.empty(shape),
        np.empty(shape, np.int32),
        np.empty(shape, np.bool_),
        np.zeros(n, np.int32),
        np.zeros(n, np.int64),
        np.empty(n),
    )


def best_radii(
    edges: Edges, shortest: np.ndarray, members: np.ndarray, first: np.ndarray, last: np.ndarray
) -> tuple[float, float]:
    """Radii of balls, and of searches from the other end, with which the fewest edges are tried.

    `shortest` is the length of each vertex's shortest edge, `members[first[i] : last[i]]` the
    concept of members[i]. A few searches tell how many edges are how near, and how far apart the
    members of a concept are.
    """
    probed = np.linspace(0, len(members) - 1, _PROBES).astype(np.int64)
    tried = np.zeros((_PROBES, _BUCKETS))
    farthest = np.zeros(_PROBES)
    _probe(edges, members, first, last, probed, tried, farthest)
    within = np.concatenate([np.zeros((_PROBES, 1)), np.cumsum(tried, axis=1)], axis=1).mean(axis=0)
    # Both radii and the edge that joins them make a path.
    apart = (np.quantile(farthest, _SHARE) - np.median(shortest)) / edges.width
    radii = np.arange(min(int(np.ceil(max(apart, 0))) + 1, _BUCKETS))
    left = np.clip(np.ceil(apart - radii), 0, _BUCKETS).astype(np.int64)
    looks = 1 + (last - first).mean() / 2 / _LOOKS_PER_TRIAL
    cost = looks * within[radii] + within[left]
    best = np.flatnonzero(cost == cost.min())
    middle = best[len(best) // 2]
    return float(middle * edges.width), float(left[middle] * edges.width)


# --- compiled -----------------------------------------------------------------------------------


@compiled
def _probe(edges, members, first, last, probed, tried, farthest):
    """Search from some members for all of their concept: how many edges were tried in each bucket,
    and how far the farthest member is.
    """
    work = workspace(len(edges.indptr) - 1, edges.n_buckets)
    for row in range(len(probed)):
        s = probed[row]
        targets = members[first[s] : last[s]]
        search(edges, members[s], targets, work)
        for target in targets:
            if work.distance[target] < np.inf:
                farthest[row] = max(farthest[row], work.distance[target])
        for i in range(work.state[3]):
            v = work.order[i]
            bucket = min(int(work.distance[v] / edges.width), tried.shape[1] - 1)
            tried[row, bucket] += edges.indptr[v + 1] - edges.indptr[v]
        end(work)


@compiled
def grow(edges, members, wide, balls):
    """Search the ball of each member, of a radius of `wide` or more, as far as there is room."""
    n, most = len(edges.indptr) - 1, balls.vertices.shape[1]
    work, place = workspace(n, edges.n_buckets), np.empty(n, np.int32)
    for member in range(len(members)):
        begin(members[member], work)
        n_settled, reach = 0, 0.0
        while reach < wide and work.state[1] > 0:
            settle(edges, work)
            if work.state[3] > most:
                break
            n_settled, reach = work.state[3], radius(edges, work)
        size = 0
        for i in range(n_settled):
            v = work.order[i]
            if work.distance[v] + edges.tolerance < reach:
                place[v] = size
                balls.vertices[member, size] = v
                balls.distances[member, size] = work.distance[v]
                balls.doubtful[member, size] = work.doubtful[v]
                balls.n_edges[member] += edges.indptr[v + 1] - edges.indptr[v]
                size += 1
        for i in range(size):
            following = work.before[balls.vertices[member, i]]
            balls.towards[member, i] = place[following] if following >= 0 else -1
        balls.sizes[member], balls.radii[member] = size, reach
        end(work)


@compiled
def ball_of(balls, t):
    """The ball of sample t by itself."""
    size = balls.sizes[t]
    return (
        balls.vertices[t, :size],
        balls.distances[t, :size],
        balls.towards[t, :size],
        balls.doubtful[t, :size],
        balls.radii[t],
    )
