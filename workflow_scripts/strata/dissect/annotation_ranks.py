"""Rank sums of neurons within annotations, in standard deviations (Wilcoxon 1945; Mann & Whitney
1947).

Of the n samples that a concept applies to, m have it. With mid-ranks r and R_i = 2 r_i - (n + 1),

S = sum of R_i over the m,   z = S / sqrt(m (n - m) sum_i R_i^2 / (n (n - 1))),
AUC = 1/2 + S / (2 m (n - m))

where the square is the exact variance of S when samples are permuted, ties included. R and S are
whole numbers below 2^53, so that no sum depends on the order of what is added.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

_SPARSE = 0.05  # share of ones up to which a concept's samples are added one by one
_ROWS = 4096  # of indicators in float64 at a time


class Deviations(NamedTuple):
    """z and AUC of neurons for concepts, each (neurons, concepts)."""

    z: np.ndarray
    auc: np.ndarray


class Mask:
    """The concepts that apply to the same samples: `places` among all concepts, and of the
    samples `rows` (None for all) which has which, `present` boolean (rows, concepts)."""

    def __init__(self, places: np.ndarray, rows: np.ndarray | None, present: np.ndarray):
        from scipy.sparse import csr_array

        self.places, self.rows, self.n = places, rows, len(present)
        self.positives = present.sum(axis=0).astype(np.float64)
        rare = self.positives <= _SPARSE * self.n
        self.rare, self.common = np.flatnonzero(rare), np.flatnonzero(~rare)
        self.sparse = csr_array(present[:, self.rare].T, dtype=np.float64)
        self.dense = np.ascontiguousarray(present[:, self.common])

    def deviations(self, values: np.ndarray) -> Deviations:
        """Of neurons' `values` (neurons, samples); z is 0 where all of them are equal."""
        ranks = centred_ranks(values if self.rows is None else values[:, self.rows])
        sums = np.empty((len(values), len(self.positives)))
        sums[:, self.rare] = (self.sparse @ np.ascontiguousarray(ranks.T)).T
        dense = np.zeros((len(values), len(self.common)))
        for start in range(0, self.n if len(self.common) else 0, _ROWS):
            part = slice(start, start + _ROWS)
            dense += ranks[:, part] @ self.dense[part].astype(np.float64)
        sums[:, self.common] = dense
        pairs = self.positives * (self.n - self.positives)
        squares = np.einsum("ij,ij->i", ranks, ranks)[:, None]
        spread = np.sqrt(squares * pairs / (self.n * (self.n - 1.0)))
        z = np.divide(sums, spread, out=np.zeros_like(sums), where=spread > 0)
        return Deviations(z, 0.5 + sums / (2 * pairs))


def centred_ranks(values: np.ndarray) -> np.ndarray:
    """Twice the mid-ranks of each row less n + 1, (neurons, samples) whole numbers in float64."""
    from scipy.stats import rankdata

    return 2 * rankdata(values, axis=1) - (values.shape[1] + 1)


def masks_of(values: np.ndarray) -> list[Mask]:
    """Concepts by the samples that they apply to; `values` (samples, concepts) are 1, 0 or NaN."""
    groups: dict[bytes, list[int]] = {}
    for place in range(values.shape[1]):
        applies = ~np.isnan(values[:, place])
        groups.setdefault(np.packbits(applies).tobytes(), []).append(place)
    masks = []
    for places in groups.values():
        rows = np.flatnonzero(~np.isnan(values[:, places[0]]))
        whole = len(rows) == len(values)
        present = values[:, places] == 1 if whole else values[np.ix_(rows, places)] == 1
        masks.append(Mask(np.array(places), None if whole else rows, present))
    return masks


def tie_factors(values: np.ndarray) -> np.ndarray:
    """1 - sum (t^3 - t) / (n^3 - n) of each row (neurons,): 1 without ties, 0 if constant."""
    n = values.shape[1]
    ranks = centred_ranks(values)
    return 3 * np.einsum("ij,ij->i", ranks, ranks) / (float(n) ** 3 - n)
