"""Nearest neighbors where several are as near as the k-th: who is left out is drawn.

Loading this module loads numba.
"""

from __future__ import annotations

import numpy as np

from strata.arrays import row_digests
from strata.convexity.neighbors import Candidates, nearest_and_more


def drawn_nearest(
    features: np.ndarray, k: int, seed: int, candidates: Candidates | None = None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """k nearest other samples of each, their distances (n, k), and the share of drawn places (n,).

    Where b places are left for more samples at one distance, each sample draws its own b of them,
    uniformly. So what is as near is as likely, whatever its number: of 100 samples at one point
    each has other neighbors, instead of all the same. Arguments as `neighbors.nearest`.
    """
    n = len(features)
    order = np.argsort(row_digests(features), kind="stable")
    copies = (features[order[1:]] == features[order[:-1]]).all(axis=1)
    starts = np.flatnonzero(np.concatenate([[True], ~copies]))
    crowds = [order[a:b] for a, b in zip(starts, [*starts[1:], n], strict=True) if b - a > k + 1]
    crowded = np.zeros(n, dtype=bool)
    for crowd in crowds:
        crowded[crowd] = True
    found = nearest_and_more(features, k, candidates, crowded)
    neighbors, distances = found.neighbors[:, :k].copy(), found.distances[:, :k].copy()
    drawn = np.zeros(n)
    for crowd in crowds:
        members = np.sort(crowd)
        for place, row in enumerate(members):
            chosen = _draw(len(members) - 1, k, seed, row)
            neighbors[row] = members[chosen + (chosen >= place)]
            distances[row], drawn[row] = 0.0, 1.0
    tied = np.zeros(n, dtype=bool)
    if found.distances.shape[1] > k:
        tied = found.distances[:, k] == found.distances[:, k - 1]
    for row in np.flatnonzero(tied & ~crowded):
        ordered, lengths = found.all_of.get(int(row), (found.neighbors[row], found.distances[row]))
        nearer = int((lengths < lengths[k - 1]).sum())
        equal = np.sort(ordered[lengths == lengths[k - 1]])
        neighbors[row, nearer:] = equal[_draw(len(equal), k - nearer, seed, row)]
        drawn[row] = (k - nearer) / k
    return neighbors, distances, drawn


def _draw(n: int, size: int, seed: int, row: int) -> np.ndarray:
    return np.random.default_rng([seed, int(row)]).choice(n, size, replace=False, shuffle=False)
