"""Differences as the paper quotes them: the number, its interval, and a word for its sign."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd

from strata.paper.latex import Verbatim, interval, macro_name, points, signed

# The macro's last word for each contrast of `strata.differences`, in the last layer.
CONTRASTS = {"first": "gain", "best": "below best", "twin": "over twin", "base": "over base"}


def in_last_layer(differences: pd.DataFrame) -> pd.DataFrame:
    """The rows of each model's deepest block."""
    deepest = differences.groupby("model")["block"].transform("max")
    return differences[deepest == differences["block"]]


def difference_values(name: str, table: pd.DataFrame) -> dict[str, object]:
    """What may be said of differences: last layer less the first (Gain), last less the best layer
    (BelowBest), and in the last layer less the random twin (OverTwin) or the model before
    fine-tuning (OverBase); each with its interval (Range) and a word for its sign (Says)."""
    values: dict[str, object] = {}
    for row in in_last_layer(table).itertuples():
        convex = row.metric.startswith("graph")
        about = "convexity" if convex else ""
        place = macro_name(name, row.model, row.family, about, CONTRASTS[row.contrast])
        values |= difference_macros(place, row, signed if convex else points)
    return values


def difference_macros(place: str, row, shown: Callable[[float], str]) -> dict[str, object]:
    """`place` with the value, Range with the interval, Says with a word for the sign."""
    return {
        place: shown(row.value),
        place + "Range": interval(row.low, row.high, shown),
        place + "Says": Verbatim(sign_word(row.low, row.high)),
    }


def sign_word(low: float, high: float) -> str:
    """Whether a difference is more or less than nothing, by its interval."""
    if low > 0:
        return "more"
    if high < 0:
        return "less"
    if pd.isna(low):
        return "given without an interval"
    return "not measurably different"
