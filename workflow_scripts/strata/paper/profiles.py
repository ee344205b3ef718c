"""A measure by layer as the paper quotes it: first, last, highest, and the cells of a table."""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd

from strata.tables import blocks_passed


def profile(rows: pd.DataFrame) -> tuple[dict[str, float], int]:
    """Values of one metric of one model in words, and the number of the layer where it is highest.

    `first` and `last` are those of the first and the last block, `max` the highest, which may be
    that of the embedding: its number is 0, and where it was recorded it is there by that name too.
    """
    values = rows["value"].set_axis(blocks_passed(rows)).sort_index()
    blocks = values[values.index > 0]
    found = {"first": blocks.iloc[0], "last": blocks.iloc[-1], "max": values.max()}
    if 0 in values.index:
        found["embedding"] = values[0]
    return found, int(values.idxmax())


def table_layers(rows: pd.DataFrame) -> range:
    """Numbers of the layers that a table of these rows has a column for, 0 for the embedding."""
    numbers = blocks_passed(rows)
    return range(numbers.min(), numbers.max() + 1)


def interval_cells(rows: pd.DataFrame, layers: Iterable[int], shown: int) -> list[str]:
    """A model's value with its interval below it for each layer, `shown` decimals; "" for a layer
    that the model does not have."""
    found = rows.set_axis(blocks_passed(rows))[["value", "low", "high"]]
    return [_cell(found, number, shown) for number in layers]


def _cell(found: pd.DataFrame, number: int, shown: int) -> str:
    if number not in found.index:
        return ""
    value, low, high = (f"{each:.{shown}f}" for each in found.loc[number])
    if low == "nan":
        return value
    return f"\\shortstack{{{value}\\\\{{\\tiny {low}--{high}}}}}"
