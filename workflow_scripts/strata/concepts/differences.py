"""Differences of what labels add up to, between layers and between networks.

Where a measure has deviates about new pictures and neurons (`quadrants`), so has a difference of
two (`strata.differences`). Other measures speak of neurons, the pictures as they are (`about`), and
so do their differences: two layers' neurons, or two networks', are drawn independently of each
other, so that variances add. A fine-tuned network's neurons are those of its base and resemble
them; taking them as independent errs on the wide side.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from strata.concepts.quadrants import BOTH
from strata.differences import difference_by_deviates, paired_differences, with_deviates
from strata.stats import LEVEL, Estimate, without_interval

# Of counts and of shares what figures show; of planted truth what has intervals.
METRICS = (
    "n_concepts_median",
    "n_concepts_significant",
    "share_significant",
    "category_share_mean",
    "names_best_factor",
    "mean_best_auc",
)


def concept_differences(
    tables: Sequence[tuple[pd.DataFrame, pd.DataFrame]],
    *,
    twins: Mapping[str, str],
    bases: Mapping[str, str],
) -> pd.DataFrame:
    """Differences of the `METRICS` that there are, with a column `about`.

    `tables` are measures of one study (counts, shares, truth) with their tidy deviates; the other
    arguments, columns and contrasts are those of `strata.differences.paired_differences`. A
    difference of two medians, means or shares, by neuron or picture, is in the measure's own unit.
    """
    own = pd.concat([with_deviates(*pair) for pair in tables], ignore_index=True)
    there = [metric for metric in METRICS if (own["metric"] == metric).any()]
    # How well neurons tell their best factor is the same for every similarity function.
    repeated = own["metric"].eq("mean_best_auc") & own.duplicated(["model", "layer", "metric"])
    return paired_differences(own[~repeated], there, twins=twins, bases=bases, paired=_difference)


def _difference(own: pd.Series, other: pd.Series) -> tuple[Estimate, float]:
    if own["about"] == other["about"] == BOTH:
        return difference_by_deviates(own, other)
    return independent_difference(own, other)


def independent_difference(own: pd.Series, other: pd.Series) -> tuple[Estimate, float]:
    """Difference of two rows whose intervals are of independent draws, and its two-sided p-value:
    the variances, of the intervals' half widths as normal ones, add. NaN where a row has none.
    """
    from scipy.stats import norm

    value = float(own["value"] - other["value"])
    z = norm.ppf((1 + LEVEL) / 2)
    error = np.hypot(*((row["high"] - row["low"]) / 2 / z for row in (own, other)))
    if not error > 0:
        return without_interval(value), np.nan
    p_value = float(2 * norm.sf(abs(value) / error))
    return Estimate(value, value - z * error, value + z * error), p_value
