"""Intervals about new samples of the same source, for what is no plain mean of them.

Two estimates of variance, both with Student's t interval, are for all stages:

Random halves (McCarthy 1969, "Pseudo-replication: half samples"; Politis, Romano & Wolf 1999,
chapter 2). What is measured on a sample of n is measured anew on its two halves, cut at random
R times. For a statistic whose variance goes as 1 / n, the halves being independent samples of
n / 2,

    Var(whole) = mean over cuts of (first - second)^2 / 4,    d_r = (first_r - second_r) / 2,

so that the R numbers d, the *deviates*, are worth an estimate of variance of R - 1 degrees of
freedom. A plain bootstrap would repeat samples, which a graph of neighbors or a rank cannot bear.
Two measures of the same samples, cut alike, have the deviates d - d' of their difference.

Shared members (Fafchamps & Gubert 2007; Aronow, Samii & Assenova 2015). Triplets share items and
pairs share samples. With the residuals e of m rows,

    Var(mean) = sum over pairs of rows that share a member of e e' / m^2, over 1 - s,

where s is the share of all ordered pairs of rows that share a member: residuals from the rows' own
mean hide that part. Whom a row shares any member with is counted by inclusion and exclusion over
the subsets of its members. The sum is not let fall below that over pairs that share more.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from math import comb

import numpy as np
import pandas as pd

from strata.errors import StrataError
from strata.stats import LEVEL, Estimate, wilson_interval, without_interval

_FEW, _HARDLY_VARIES = 5, 0.25  # samples on the rarer side of a share


def random_halves(
    strata: Sequence, splits: int, seed: int = 0, clusters: Sequence | None = None
) -> np.ndarray:
    """Which of n rows are in the first half of each split: booleans (splits, n).

    Every value of `strata` (classes) is halved as evenly as can be; of an odd number the spare one
    goes to either half. Rows of one of the `clusters` (a speaker, a sound) stay together: then
    clusters are halved among those whose first row is of one stratum. What is drawn goes by the
    order of the rows; give them in one that does not depend on how files are sorted.

    Raises StrataError when there are not two rows, or not two clusters.
    """
    strata = pd.factorize(pd.Series(list(strata), dtype=object))[0]
    own = np.arange(len(strata)) if clusters is None else pd.factorize(pd.Series(clusters))[0]
    first = np.unique(own, return_index=True)[1]
    if len(first) < 2:
        raise StrataError(f"halves: {len(first)} independent samples cannot be halved")
    members = [np.flatnonzero(strata[first] == code) for code in np.unique(strata[first])]
    draw = np.random.default_rng(seed)
    halves = np.zeros((splits, len(first)), dtype=bool)
    for split in halves:
        spare = draw.integers(2)
        for rows in members:
            size = (len(rows) + spare) // 2
            spare ^= len(rows) % 2  # spare ones go to the halves in turn
            split[draw.permutation(rows)[:size]] = True
    return halves[:, own]


def deviates(first: Sequence[float], second: Sequence[float]) -> np.ndarray:
    """(first - second) / 2 for each split, whose mean square is the variance of the whole."""
    return (np.asarray(first, dtype=float) - np.asarray(second, dtype=float)) / 2


def deviate_interval(
    value: float, found: np.ndarray, *, share: bool = False, level: float = LEVEL
) -> Estimate:
    """`value` with the interval of its `deviates`; of a `share` (0 to 1) on the logit scale.

    None (NaN) with fewer than two deviates, where one is not finite, where all are zero, and for a
    share of exactly 0 or 1.
    """
    found = np.asarray(found, dtype=float)
    if len(found) < 2 or not np.isfinite(found).all():
        return without_interval(value)
    return variance_interval(
        value, float(np.mean(found**2)), len(found) - 1, share=share, level=level
    )


def variance_interval(
    value: float, variance: float, df: float, *, share: bool = False, level: float = LEVEL
) -> Estimate:
    """`value` with Student's t interval of `df` degrees; of a `share` (0 to 1) on the logit scale.

    None (NaN) where the variance is not positive, and for a share of exactly 0 or 1: what did not
    vary in the sample says nothing of what would in another.
    """
    from scipy.stats import t

    if not (variance > 0 and df >= 1 and np.isfinite(variance)):
        return without_interval(value)
    half = t.ppf((1 + level) / 2, df) * np.sqrt(variance)
    if not share:
        return Estimate(float(value), float(value - half), float(value + half))
    if not 0 < value < 1:
        return without_interval(value)
    centre, half = np.log(value / (1 - value)), half / (value * (1 - value))
    low, high = 1 / (1 + np.exp(-(centre + np.array([-half, half]))))
    return Estimate(float(value), float(low), float(high))


def share_of_samples(found: Estimate, n: int) -> Estimate:
    """The interval of a share over n samples, as far as it can be told near 0 and 1.

    What hardly ever occurs is in few samples, and its spread within one of them says little of what
    the next will hold. So with fewer than 5 samples on the rarer side, n min(p, 1 - p) < 5, the
    interval is no narrower at either end than Wilson's of n independent samples; and with less than
    a quarter of one there is none (benchmarks/coverage.py).
    """
    rare = n * min(found.value, 1 - found.value)
    if rare < _HARDLY_VARIES:
        return without_interval(found.value)
    if rare >= _FEW or not np.isfinite(found.low):
        return found
    wilson = wilson_interval(found.value * n, n)
    return Estimate(found.value, min(found.low, wilson.low), max(found.high, wilson.high))


def t_p_value(value: float, variance: float, df: float) -> float:
    """Two-sided p-value of `value` against zero, of the t of `variance_interval`; NaN where there
    is no interval."""
    from scipy.stats import t

    if not (variance > 0 and df >= 1 and np.isfinite(variance)):
        return np.nan
    return float(2 * t.sf(abs(value) / np.sqrt(variance), df))


class SharedMembers:
    """Which rows share a member, found once for many means over the same rows.

    `members` is (m, r), numbers; a row has r different ones (the items of a triplet, the samples of
    a pair; a person may be one more, numbered apart). `weights` (m): how often a row counts (1).
    """

    def __init__(self, members: np.ndarray, weights: np.ndarray | None = None):
        ordered = np.sort(np.asarray(members, dtype=np.int64), axis=1)
        self.weights = np.ones(len(ordered)) if weights is None else np.asarray(weights, float)
        self.total = float(self.weights.sum())
        self.n_members, self.width = len(np.unique(ordered)), ordered.shape[1]
        sizes = range(1, self.width + 1)
        self._subsets = [_subset_numbers(ordered, size) for size in sizes]
        self._shares = self._pair_sums(self.weights) / self.total**2

    def _pair_sums(self, values: np.ndarray) -> np.ndarray:
        """Sums over ordered pairs of rows that share at least 1, 2, ... r members of the products
        of their values."""
        sums = []
        for numbers in self._subsets:
            each = np.broadcast_to(values[:, None], numbers.shape)
            found = np.bincount(numbers.ravel(), weights=each.ravel())
            sums.append(float(found @ found))
        # A pair that shares m members is in C(m, j) subsets of j.
        parts = [
            [(-1) ** (j - k) * comb(j - 1, k - 1) * sums[j - 1] for j in range(k, self.width + 1)]
            for k in range(1, self.width + 1)
        ]
        return np.array([sum(part) for part in parts])

    def variance(self, values: np.ndarray) -> float:
        """Variance of the weighted mean of `values` (m,) over new members.

        Sharing more members makes rows no less alike, so that what pairs that share at least 2 (or
        3 ...) of them add up to is a lower bound; where few members make the sum over all fall
        below by chance, the bound is given. NaN where all rows share a member.
        """
        if not self._shares[0] < 1:
            return np.nan
        values = np.asarray(values, dtype=float)
        residuals = self.weights * (values - self.weights @ values / self.total)
        return float(np.max(self._pair_sums(residuals) / self.total**2 / (1 - self._shares)))

    def interval(
        self, values: np.ndarray, *, at_least: int = 2, share: bool = False, level: float = LEVEL
    ) -> Estimate:
        """Weighted mean of `values` with its interval, of n_members - 1 degrees of freedom.

        None (NaN) with fewer than `at_least` members, and as `variance_interval`.
        """
        value = float(self.weights @ np.asarray(values, dtype=float) / self.total)
        if self.n_members < at_least:
            return without_interval(value)
        return variance_interval(
            value, self.variance(values), self.degrees, share=share, level=level
        )

    @property
    def degrees(self) -> float:
        """Degrees of freedom of the variance."""
        return self.n_members - 1

    def p_value(self, values: np.ndarray, *, at_least: int = 2) -> float:
        """Two-sided p-value of a mean of zero, of the t of `interval`; NaN where that is."""
        if self.n_members < at_least:
            return np.nan
        value = float(self.weights @ np.asarray(values, dtype=float) / self.total)
        return t_p_value(value, self.variance(values), self.degrees)


def _subset_numbers(ordered: np.ndarray, size: int) -> np.ndarray:
    """A number for each subset of `size` members of each row, (m, subsets): equal for equal ones.

    `ordered` (m, r) ascends in each row, so that a subset has one form.
    """
    places = list(combinations(range(ordered.shape[1]), size))
    stacked = np.concatenate([ordered[:, list(chosen)] for chosen in places])
    width = int(ordered.max()) + 1
    numbers = pd.factorize(stacked[:, 0])[0]
    for column in stacked.T[1:]:
        numbers = pd.factorize(numbers * width + column)[0]
    return numbers.reshape(len(places), -1).T.astype(np.int32)
