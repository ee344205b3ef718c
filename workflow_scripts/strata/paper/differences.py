"""Differences as the paper quotes them: the number, its interval, and a word for its sign."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd

from strata.paper.latex import Verbatim, interval

# The macro's last word for each contrast of `strata.differences`, in the last layer.
CONTRASTS = {"first": "gain", "best": "below best", "twin": "over twin", "base": "over base"}


def in_last_layer(differences: pd.DataFrame) -> pd.DataFrame:
    """The rows of each model's deepest block."""
    deepest = differences.groupby("model")["block"].transform("max")
    return differences[deepest == differences["block"]]


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
