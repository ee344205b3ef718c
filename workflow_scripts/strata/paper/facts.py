"""What a figure's own table says of it: n for its caption, and words for who does not see it."""

from __future__ import annotations

import re
from collections.abc import Mapping

import pandas as pd

from strata.paper.latex import escape, number


def figure_facts(tables: Mapping[str, pd.DataFrame], counted: Mapping[str, str]) -> str:
    """LaTeX of n and of an alternative text for each figure, from the table that it draws.

    `counted` says what n counts in each.
    """
    lines = [
        f"\\strataFact{{{name}}}{{{_n(table, counted[name])}}}{{{_words(table)}}}"
        for name, table in tables.items()
    ]
    return "\n".join(lines) + "\n"


def _n(table: pd.DataFrame, counted: str) -> str:
    """What values rest on and how many, or a range; without such a column, how many there are."""
    if "n" in table:
        low, high = int(table["n"].min()), int(table["n"].max())
    elif "neurons" in table:
        sums = table.groupby("layer_number")["neurons"].sum()
        low, high = int(sums.min()), int(sums.max())
    else:
        low = high = len(table)
    many = number(low) if low == high else f"{number(low)} to {number(high)}"
    return f"{many} {counted.removesuffix('s') if high == 1 else counted}"


def _words(table: pd.DataFrame) -> str:
    """What is drawn, in plain words: of which networks, of what, and between which values."""
    parts = []
    if "label" in table:
        parts.append(f"Networks: {', '.join(map(str, table['label'].unique()))}.")
    for column in ("similarity", "family", "concept", "criterion"):
        kinds = table[column].dropna().unique() if column in table else ()
        if 0 < len(kinds) <= 12:
            parts.append(f"{column.capitalize()}: {', '.join(map(str, kinds))}.")
    if "value" in table:
        values = table["value"].dropna()
        parts.append(f"Values from {values.min():.3g} to {values.max():.3g}.")
    for column in ("caption", "word"):
        if column in table:
            parts.append(f"Shown: {'; '.join(map(str, table[column]))}.")
    return escape(re.sub(r"[{}\\]", " ", " ".join(parts)).replace("_", " "))
