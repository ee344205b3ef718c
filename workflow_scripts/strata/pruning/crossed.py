"""Intervals of shares of right answers that several trainings give to the same samples.

All trainings (seeds) answer all samples, so that samples and seeds are crossed and a mean varies
with both; samples of one cluster (of a speaker) vary together. With the residuals e from the mean
of S seeds and N samples, summed over what is in one cluster, one seed, or both, over S N,

    Var(mean) = V_clusters + V_seeds - V_both,

the two-way variance of Cameron, Gelbach & Miller (2011), "Robust inference with multiway
clustering". V_clusters is the sum of squares over 1 - h, where h is the cluster's share of the
samples (Bell & McCaffrey 2002); V_seeds that over 1 - 1 / S; and V_both has residuals from the
means of cluster and of seed, so that the whole is unbiased for crossed random effects of equal
size (Searle, Casella & McCulloch 1992, chapter 4). It is not let fall below V_both. Degrees of
freedom are Satterthwaite's (1946), no fewer than the least of those of its parts; in them V_seeds
counts sqrt((S + 1) / (S - 1)) times, by which an estimate of S - 1 degrees spreads around what it
estimates (root mean square): of three seeds it often comes out small by chance, which would hide
how few degrees it has, and intervals of 200 speakers would cover 89 to 94 %.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from strata.intervals import t_p_value, variance_interval

FEWEST = 6  # clusters of which new ones can be spoken


class Crossed(NamedTuple):
    """A mean with its interval, the p-value of its being 0, and what the interval is about."""

    value: float
    low: float
    high: float
    p_value: float
    about: str


def crossed_interval(
    values: np.ndarray,
    clusters: Sequence | None = None,
    cluster: str = "speaker",
    *,
    share: bool = False,
) -> Crossed:
    """Mean of `values` (seeds, samples), answers or differences of answers, with its interval.

    `clusters` (samples) are those of the samples, which the column `cluster` holds; None: samples
    are independent. A `share` is 0 to 1. `about` is one of

    - "speakers and seeds" (by the name of the column): new ones of both;
    - "samples and seeds": the same, where samples are independent;
    - "samples and seeds, of these speakers": conditional, where there are fewer than 6 clusters.
      Of 3 to 5, intervals about new ones held the truth in 93 to 100 %, mostly too wide
      (`benchmarks/simulations/coverage_pruning.py`);
    - each with "of this training" instead of the seeds, where there is but one.

    Where seeds hardly matter, those of three are too wide with up to 10 speakers (or 20 samples),
    those of differences above all: they cover 98 % and more. There is none (NaN) where nothing
    varies, for a share of 0 or 1, and where a cluster of so few has one sample. The p-value is of
    Student's t, as the interval; 1 where all `values` are 0.
    """
    values = np.atleast_2d(np.asarray(values, dtype=float))
    value, plural = float(values.mean()), f"{cluster}s"
    units, strata, about, of = np.arange(values.shape[1]), np.zeros(values.shape[1], int), "", ""
    if clusters is not None:
        codes = pd.factorize(pd.Series(list(clusters), dtype=object))[0]
        if codes.max() + 1 >= FEWEST:
            units, about = codes, plural
        else:
            strata, of = codes, f"of these {plural}"
    about = about or "samples"
    if len(values) > 1:
        about = f"{about} and seeds"
    else:
        of = " and ".join(filter(None, ("of this training", of)))
    about = ", ".join(filter(None, (about, of)))
    variance, df = _variance(values, units, strata)
    found = variance_interval(value, variance, df, share=share)
    if not np.isfinite(found.low):
        return Crossed(value, np.nan, np.nan, np.nan if values.any() else 1.0, about)
    return Crossed(*found, t_p_value(value, variance, df), about)


def _variance(values: np.ndarray, units: np.ndarray, strata: np.ndarray) -> tuple[float, float]:
    """Variance of the mean over units (within strata) and seeds, and its degrees of freedom.

    `units` and `strata` (samples): numbers; a unit lies in one stratum. NaN where a stratum has
    one unit.
    """
    sizes = np.bincount(units).astype(float)
    owner = np.zeros(len(sizes), dtype=int)
    owner[units] = strata
    held = sizes / np.bincount(owner, sizes)[owner]  # a unit's share of its stratum
    if (held == 1).any():
        return np.nan, np.nan
    residuals = (values - values.mean()) / values.size
    cells = np.stack([np.bincount(units, row, len(sizes)) for row in residuals])
    own = cells - held * _sums(cells, owner)[:, owner]  # less what all units of a stratum share
    totals, free = own.sum(axis=0), float((1 / _sums(held**2, owner) - 1).sum())
    of_units = float((totals**2 / (1 - held)).sum())
    n = len(values)
    if n == 1:
        return of_units, free
    seeds, both = cells.sum(axis=1), own - totals / n
    of_seeds = float((seeds**2).sum()) * n / (n - 1)
    of_both = float((both**2 / (1 - held)).sum()) * n / (n - 1)
    whole = max(of_units + of_seeds - of_both, of_both)
    cautious = of_seeds * np.sqrt((n + 1) / (n - 1))
    parts = (of_units, free), (cautious, n - 1), (of_both, (n - 1) * free)
    spread = sum(part**2 / degrees for part, degrees in parts)
    return whole, max(whole**2 / spread, min(free, n - 1)) if spread > 0 else np.nan


def _sums(values: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Sums of the last axis by group."""
    return np.stack(
        [values[..., groups == group].sum(axis=-1) for group in range(groups.max() + 1)], axis=-1
    )
