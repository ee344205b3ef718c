"""Nearest neighbors where several are as near as the k-th: who is left out is drawn.

What is near each sample is searched once, for the graph of all samples and for those of halves of
them, in which a sample's neighbors are the nearest of those that are there. Loading this module
loads numba.
"""

from __future__ import annotations

import numpy as np

from strata.arrays import row_digests
from strata.convexity.neighbors import Candidates, all_by_distance, filtered, nearest_and_more

_CLEAR, _TIED, _SHORT = range(3)  # as `neighbors.filtered` tells


class Surroundings:
    """What is near each of n samples: of any of them, the nearest can be told without a search,
    for as many neighbors as `most` among all, and probably a third of that among a half.

    `features` (n, dimensions) and `candidates` as for `neighbors.nearest`.
    """

    def __init__(self, features: np.ndarray, most: int, candidates: Candidates | None = None):
        n = len(features)
        order = np.argsort(row_digests(features), kind="stable")
        copies = (features[order[1:]] == features[order[:-1]]).all(axis=1)
        starts = np.flatnonzero(np.concatenate([[True], ~copies]))
        ends = [*starts[1:], n]
        crowds = [order[a:b] for a, b in zip(starts, ends, strict=True) if b - a > most + 1]
        self.features, self.crowd_of = features, np.full(n, -1)
        for number, crowd in enumerate(crowds):
            self.crowd_of[crowd] = number
        self.n_crowds = len(crowds)
        self.found = nearest_and_more(features, most, candidates, self.crowd_of >= 0)
        # Up to this distance nothing is missing.
        complete = self.found.distances.shape[1] == n - 1
        self.limits = np.full(n, np.inf) if complete else self.found.distances[:, most - 1]

    def nearest(
        self, k: int, seed: int, rows: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """k nearest others among `rows` (ascending; all) of each of these, by place in `rows`;
        their distances (rows, k), and the share of drawn places (rows,).

        Where b places are left for more samples at one distance, each sample draws its own b of
        them, uniformly. So what is as near is as likely, whatever its number: of 100 samples at one
        point each has other neighbors, instead of all the same.
        """
        rows = np.arange(len(self.features)) if rows is None else rows
        places = np.full(len(self.features), -1, dtype=np.int32)
        places[rows] = np.arange(len(rows))
        neighbors, distances, state = filtered(*self.found[:2], self.limits, places, rows, k)
        for row in self.found.all_of:
            if places[row] >= 0:
                state[places[row]] = _TIED
        drawn = np.zeros(len(rows))
        crowded = self._drawn_from_copies(rows, k, seed, neighbors, distances, drawn)
        state[self.crowd_of[rows] >= 0] = _SHORT
        state[crowded] = _CLEAR
        for place in np.flatnonzero(state != _CLEAR):
            ordered, lengths = self._near(rows, place, places, state[place] == _TIED, k)
            nearer = int((lengths < lengths[k - 1]).sum())
            equal = np.sort(ordered[lengths == lengths[k - 1]])
            if len(equal) > k - nearer:
                equal = equal[_draw(len(equal), k - nearer, seed, place)]
                drawn[place] = (k - nearer) / k
            neighbors[place] = np.concatenate([ordered[:nearer], equal])
            distances[place] = lengths[:k]
        return neighbors, distances, drawn

    def _near(
        self, rows: np.ndarray, place: int, places: np.ndarray, known: bool, k: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """All of `rows` up to the k-th distance of one, by distance, and more; if they are `known`
        without a search.
        """
        row = int(rows[place])
        if known:
            found = (self.found.neighbors[row], self.found.distances[row])
            ordered, lengths = self.found.all_of.get(row, found)
            kept = (places[ordered] >= 0) & (lengths <= self.limits[row])
            if kept.sum() >= k:
                return places[ordered[kept]], lengths[kept]
        ordered, lengths = all_by_distance(self.features, rows[rows != row], row)
        return places[ordered], lengths

    def _drawn_from_copies(self, rows, k, seed, neighbors, distances, drawn) -> np.ndarray:
        """Neighbors of samples with more copies than neighbors; which samples these are."""
        done = np.zeros(len(rows), dtype=bool)
        own = self.crowd_of[rows]
        for crowd in range(self.n_crowds):
            members = np.flatnonzero(own == crowd)
            if len(members) <= k + 1:
                continue
            for place, row in enumerate(members):
                chosen = _draw(len(members) - 1, k, seed, row)
                neighbors[row] = members[chosen + (chosen >= place)]
                distances[row], drawn[row] = 0.0, 1.0
            done[members] = True
        return done


def _draw(n: int, size: int, seed: int, row: int) -> np.ndarray:
    return np.random.default_rng([seed, int(row)]).choice(n, size, replace=False, shuffle=False)
