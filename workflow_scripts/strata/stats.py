"""Intervals and permutation p-values that every study reports."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from strata.errors import StrataError

LEVEL = 0.95  # of every interval that is reported
_BATCH = 2**24  # resampled values held at a time


class Estimate(NamedTuple):
    """A value with its interval; low and high are NaN where none can be given."""

    value: float
    low: float
    high: float


def without_interval(value: float) -> Estimate:
    """A value for which no interval can be given."""
    return Estimate(float(value), np.nan, np.nan)


def percentile_interval(
    draws: np.ndarray, value: float, level: float = LEVEL
) -> tuple[float, float]:
    """Percentile interval of resampled values; those that are not finite are left out.

    It holds `value`, what was observed, which few draws or a threshold drawn anew may all lie to
    one side of. NaN where nothing is left.
    """
    draws = np.asarray(draws)[np.isfinite(draws)]
    if not len(draws):
        return np.nan, np.nan
    low, high = np.quantile(draws, [(1 - level) / 2, (1 + level) / 2])
    return min(float(low), float(value)), max(float(high), float(value))


def _check_level(level: float) -> None:
    if not 0 < level < 1:
        raise StrataError(f"level of an interval must lie between 0 and 1, not {level}")


def bootstrap_interval(
    values: np.ndarray,
    statistic: Callable[[np.ndarray], float] = np.mean,
    n: int = 1000,
    seed: int = 0,
    level: float = LEVEL,
) -> Estimate:
    """`statistic` of `values` (rows are resampled) with a percentile bootstrap interval.

    Efron & Tibshirani 1993, chapter 13. `statistic` maps an array like `values` to a number; the
    mean of a flat array is done without a loop, and does not depend on the order of the values. One
    value has no interval (NaN).

    Raises StrataError when there are no values.
    """
    _check_level(level)
    values = np.asarray(values)
    size = len(values)
    if size == 0:
        raise StrataError("a bootstrap interval needs at least one value")
    value = float(statistic(values))
    if size == 1 or n == 0:
        return Estimate(value, np.nan, np.nan)
    rng = np.random.default_rng(seed)
    if statistic is np.mean and values.ndim == 1:
        values = np.sort(values)  # resamples are drawn by place
        rows = max(1, _BATCH // size)
        parts = [min(rows, n - start) for start in range(0, n, rows)]
        draws = [values[rng.integers(size, size=(part, size))].mean(axis=1) for part in parts]
        return Estimate(value, *percentile_interval(np.concatenate(draws), value, level))
    draws = [statistic(values[rng.integers(size, size=size)]) for _ in range(n)]
    return Estimate(value, *percentile_interval(np.array(draws), value, level))


def wilson_interval(successes: float, n: int, level: float = LEVEL) -> Estimate:
    """A share with Wilson's score interval (Wilson 1927); `successes` may be a mean of shares times
    n. Raises StrataError for n < 1 or successes outside 0 to n.
    """
    from scipy.stats import norm

    _check_level(level)
    if n < 1 or not 0 <= successes <= n:
        raise StrataError(f"a share needs 0 <= successes <= n and n > 0, not {successes} of {n}")
    z, share = norm.ppf((1 + level) / 2), successes / n
    centre = (successes + z**2 / 2) / (n + z**2)
    half = z * np.sqrt(n * share * (1 - share) + z**2 / 4) / (n + z**2)
    low, high = (float(np.clip(end, 0, 1)) for end in (centre - half, centre + half))
    return Estimate(share, min(low, share), max(high, share))


def permutation_p_values(observed: np.ndarray, null: np.ndarray) -> np.ndarray:
    """p = (1 + number of null >= observed) / (B + 1), one per observed value (one-sided).

    `null` is (len(observed), B), or (1, B) when one null serves all. Counting the observed value
    among the draws keeps p valid and above zero (Phipson & Smyth 2010).
    """
    observed, null = np.asarray(observed), np.atleast_2d(null)
    if null.shape[0] not in (1, len(observed)) or null.shape[1] == 0:
        raise StrataError(f"null of shape {null.shape} does not fit {len(observed)} values")
    if null.shape[0] == 1:
        ordered = np.sort(null[0])
        exceed = null.shape[1] - np.searchsorted(ordered, observed, side="left")
    else:
        exceed = (null >= observed[:, None]).sum(axis=1)
    return (1 + exceed) / (null.shape[1] + 1)


def adjust_p_values(p_values: np.ndarray) -> np.ndarray:
    """Benjamini-Hochberg adjusted p-values (false discovery rate), in the order given."""
    from scipy.stats import false_discovery_control

    p_values = np.asarray(p_values, dtype=float)
    return false_discovery_control(p_values, method="bh") if len(p_values) else p_values


def t_interval(values: np.ndarray, level: float = LEVEL) -> Estimate:
    """Mean of independent runs with Student's t interval; one run has none (NaN).

    Raises StrataError when there are no values.
    """
    from scipy.stats import t

    _check_level(level)
    values = np.asarray(values, dtype=float)
    if not len(values):
        raise StrataError("an interval needs at least one value")
    mean = float(values.mean())
    if len(values) == 1:
        return Estimate(mean, np.nan, np.nan)
    half = t.ppf((1 + level) / 2, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values))
    return Estimate(mean, float(mean - half), float(mean + half))
