"""Shortest paths between all samples of a concept, from both ends. Importing it loads numba.

Around each sample a small ball is searched, all vertices nearer than some radius. The search from a
source then only has to go on until its radius and that of the target's ball cover the path between
them (bidirectional search, Pohl 1971): the path is the best sum of a distance from the source and
one inside the ball. As few samples are that near, this looks at a small part of the graph where one
search for all targets looks at nearly all of it.

Sums of both ends are rounded otherwise than those of one search. So such a path counts only if all
others are provably longer; then it is also the path back, and serves both pairs. Otherwise the
search goes on until it has reached the target itself, with the rules of `search` for equal lengths.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from strata.convexity.balls import Balls, ball_of, best_radii, empty_balls, grow
from strata.convexity.graphs import NeighborGraph
from strata.convexity.search import (
    Edges,
    begin,
    compiled,
    edges_of,
    end,
    radius,
    settle,
    share_inside,
    workspace,
)
from strata.convexity.shortest_paths import in_parallel, score_paths

_SOURCES = 64  # per task
_AGAIN = -1.0  # score of a pair that needs a search of its own


class _Near(NamedTuple):
    """A graph's edges, and the length of the shortest one of each vertex."""

    edges: Edges
    shortest: np.ndarray


def score_concepts(
    graph: NeighborGraph, codes: np.ndarray, concepts: Sequence[np.ndarray]
) -> list[np.ndarray]:
    """Scores of all pairs of each concept's members, (members, members), as `score_paths`."""
    edges = edges_of(graph)
    near = _Near(edges, np.minimum.reduceat(graph.weights, graph.indptr[:-1]))
    members = np.concatenate(concepts)
    sizes = np.array([len(concept) for concept in concepts])
    last = np.repeat(np.cumsum(sizes), sizes)  # behind each sample's concept
    first = last - np.repeat(sizes, sizes)
    start = np.concatenate([[0], np.cumsum(sizes**2)])
    rows = np.repeat(start[:-1], sizes) + (np.arange(len(members)) - first) * (last - first)
    wide, far = best_radii(edges, near.shortest, members, first, last)
    balls, scores = empty_balls(edges, len(members), sizes.max()), np.ones(start[-1])

    def around(piece: slice) -> None:
        grow(edges, members[piece], wide, Balls(*(array[piece] for array in balls)))

    def join(piece: slice) -> None:
        _join(near, codes, members, piece.start, piece.stop, first, last, rows, far, balls, scores)

    in_parallel(around, len(members), _SOURCES)
    in_parallel(join, len(members), _SOURCES)
    found = [
        part.reshape(m, m) for part, m in zip(np.split(scores, start[1:-1]), sizes, strict=True)
    ]
    for concept, part in zip(concepts, found, strict=True):
        again, targets = np.nonzero(part == _AGAIN)
        if len(again):
            sources, begins = np.unique(again, return_index=True)
            part[again, targets] = score_paths(
                graph, codes, concept[sources], np.append(begins, len(again)), concept[targets]
            )
    return found


# --- compiled -----------------------------------------------------------------------------------


@compiled
def _join(near, codes, members, start, stop, first, last, rows, far, balls, scores):
    """Scores of the pairs of members start..stop with later ones of their concept, and back."""
    edges = near.edges
    n = len(edges.indptr) - 1
    work, place = workspace(n, edges.n_buckets), np.zeros(n, np.int32)
    waiting = np.empty(len(members), np.int32)
    for s in range(start, min(stop, len(members))):
        begin(members[s], work)
        n_waiting = last[s] - s - 1
        for i in range(n_waiting):
            waiting[i] = s + 1 + i
        if n_waiting > 0:
            _widen(edges, far, work)
        by_edge = False
        while n_waiting > 0:
            enough, n_left, cost = 0.0, 0, 0
            reach, leap = radius(edges, work), _leap(near, work) if by_edge else 0.0
            for i in range(n_waiting):
                t = waiting[i]
                score, unique, needed = _score_pair(
                    near, codes, members[s], members[t], reach, leap, ball_of(balls, t), work, place
                )
                if needed > 0:
                    waiting[n_left], n_left = t, n_left + 1
                    enough = max(enough, needed if needed < np.inf else 0.0)
                    cost += balls.n_edges[t]
                else:
                    scores[rows[s] + t - first[s]] = score
                    scores[rows[t] + s - first[s]] = score if unique else _AGAIN
            n_waiting = n_left
            by_edge = not by_edge and cost < len(edges.indices)
            if n_waiting > 0 and not by_edge:
                _widen(edges, enough, work)
        end(work)


@compiled
def _leap(near, work):
    """What a path has come at least that has gone two vertices beyond what is settled."""
    leap = np.inf
    for i in range(work.state[2]):
        v = work.touched[i]
        if not work.settled[v]:
            leap = min(leap, work.distance[v] + near.shortest[v])
    return leap


@compiled
def _widen(edges, enough, work):
    """Go on to a radius of more than `enough`, and where that is nothing new, to twice as many
    settled vertices.
    """
    if enough > radius(edges, work):
        while radius(edges, work) <= enough:
            settle(edges, work)
    else:
        least = 2 * work.state[3]
        while work.state[3] <= least and work.state[1] > 0:
            settle(edges, work)


@compiled
def _score_pair(near, codes, source, target, reach, leap, ball, work, place):
    """(score, whether its path is the only one, 0.0), or as third the radius that is needed.

    The latter is infinite where it is not known.
    """
    edges, (vertices, distances, towards, _, beyond) = near.edges, ball
    slack = 2 * edges.tolerance
    if work.settled[target]:
        v, unique = target, True
        while v >= 0:
            unique &= not work.doubtful[v]
            v = work.before[v]
        concept = codes[source]
        return share_inside(work.before, source, target, codes, concept), unique, 0.0
    if reach == np.inf:
        return np.nan, True, 0.0
    length, middle, position = np.inf, -1, -1
    for i in range(len(vertices)):
        total = work.distance[vertices[i]] + distances[i]
        if total < length:
            length, middle, position = total, vertices[i], towards[i]
    by_edge = leap > 0 and reach + beyond <= length + slack
    if by_edge:
        length, middle, position = _best_edge(edges, ball, work, length, middle, position)
    if length == np.inf:
        return np.nan, True, 0.0 if beyond == np.inf else np.inf
    if max(reach, leap) + beyond <= length + slack:
        return 0.0, False, length + slack - beyond - max(leap - reach, 0.0)
    if length > edges.longest:
        return 0.0, False, length + slack
    only = _lay(ball, work, place, middle, position)
    if only:
        limit = length + edges.tolerance
        only = _only_edges(edges, ball, work, place, limit) if by_edge else True
        only = only and _only_vertices(ball, work, place, limit)
    inside, n_inside = _pick_up(ball, work, place, middle, position, codes, source, target)
    if not only:
        return 0.0, False, length + slack
    return inside / n_inside if n_inside else 1.0, True, 0.0


@compiled
def _best_edge(edges, ball, work, length, middle, position):
    """The shortest path that enters the ball by an edge: its length, and the edge's ends."""
    vertices, distances = ball[:2]
    for i in range(len(vertices)):
        u = vertices[i]
        for j in range(edges.indptr[u], edges.indptr[u + 1]):
            v = edges.indices[j]
            total = work.distance[v] + edges.weights[j] + distances[i]
            if total < length:
                length, middle, position = total, v, i
    return length, middle, position


@compiled
def _lay(ball, work, place, middle, position):
    """Number the vertices of the path in `place`, from 1; whether none of them is doubtful."""
    vertices, _, towards, doubtful, _ = ball
    certain, count, v = True, 0, middle
    while v >= 0:
        count, v = count + 1, work.before[v]
    v = middle
    for number in range(count, 0, -1):
        place[v] = number
        certain &= not work.doubtful[v]
        v = work.before[v]
    while position >= 0:
        count += 1
        place[vertices[position]] = count
        certain &= not doubtful[position]
        position = towards[position]
    return certain


@compiled
def _pick_up(ball, work, place, middle, position, codes, source, target):
    """Clear `place` again; how many interior vertices are of the source's concept, and how many."""
    vertices, towards = ball[0], ball[2]
    inside, n_inside, v = 0, -2, middle
    while v >= 0:
        inside, n_inside = inside + (codes[v] == codes[source]), n_inside + 1
        place[v], v = 0, work.before[v]
    while position >= 0:
        v = vertices[position]
        inside, n_inside = inside + (codes[v] == codes[source]), n_inside + 1
        place[v], position = 0, towards[position]
    return inside - 2, n_inside


@compiled
def _on_path(work, place, v, following):
    """Whether v and what follows it are on the path, and v is reached along it and no other way."""
    before = work.before[v]
    return (
        place[v] > 0
        and not work.doubtful[v]
        and (following < 0 or place[following] == place[v] + 1)
        and (place[before] == place[v] - 1 if before >= 0 else place[v] == 1)
    )


@compiled
def _only_vertices(ball, work, place, limit):
    """Whether all paths up to `limit` that enter the ball at a vertex seem to be the one."""
    vertices, distances, towards, doubtful, _ = ball
    for i in range(len(vertices)):
        if work.distance[vertices[i]] + distances[i] <= limit:
            following = vertices[towards[i]] if towards[i] >= 0 else -1
            if doubtful[i] or not _on_path(work, place, vertices[i], following):
                return False
    return True


@compiled
def _only_edges(edges, ball, work, place, limit):
    """Whether all paths up to `limit` that enter the ball by an edge seem to be the one."""
    vertices, distances, _, doubtful, _ = ball
    for i in range(len(vertices)):
        u = vertices[i]
        for j in range(edges.indptr[u], edges.indptr[u + 1]):
            v = edges.indices[j]
            if work.distance[v] + edges.weights[j] + distances[i] <= limit and (
                doubtful[i] or not _on_path(work, place, v, u)
            ):
                return False
    return True
