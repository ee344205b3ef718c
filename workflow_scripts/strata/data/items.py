"""Items that people judged: their categories, and those whose pictures cannot be read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from strata.data.manifest import Dataset
from strata.data.user_tables import read_table
from strata.errors import StrataError

_OWN = ("sample", "split", "index", "item")  # columns of a set of items that are no categories


def skipped_labels(pictures: Dataset, column: str) -> dict[int, str | None]:
    """The labels of skipped pictures (None where they have none), by the row that each would have
    had.

    Raises StrataError where sample numbers were judged, which skipping has changed.
    """
    records = pictures.info.get("unreadable", [])
    if records and column == "sample":
        raise StrataError(
            f"{pictures.info['name']}: {len(records)} pictures are skipped, so that the others' "
            "sample numbers are no longer those that were judged; judge items of a label column"
        )
    return {record["row"]: {**record, **record["labels"]}[column] for record in records}


def with_skipped(labels: pd.Series, skipped: Mapping[int, str | None]) -> list[str]:
    """Labels of all rows that have one, those of skipped ones at their places."""
    read = iter(labels.astype("str"))
    n = len(labels) + len(skipped)
    found = [skipped[row] if row in skipped else next(read) for row in range(n)]
    return [label for label in found if not pd.isna(label)]


def without_items(
    items: pd.DataFrame, answers: pd.DataFrame, gone: np.ndarray
) -> tuple[pd.DataFrame, pd.DataFrame, int]:
    """Items and answers without some items, numbered anew; and how many answers went."""
    keys = ["a", "b", "odd"]
    touched = gone[answers[keys].to_numpy()].any(axis=1)
    numbers = np.cumsum(~gone) - 1
    kept = answers[~touched].reset_index(drop=True)
    kept[keys] = numbers[kept[keys].to_numpy()]
    return items[~gone].reset_index(drop=True), kept, int(answers["count"][touched].sum())


def marks(path: Path, n: int) -> pd.DataFrame:
    """Categories from a table of marks (1 or 0, true or false), as boolean columns (n, categories).

    Raises StrataError for another number of rows, another mark, or a name that items have.
    """
    if not path.is_file():
        raise StrataError(f"{path}: no such table of categories")
    table = read_table(path)
    if len(table) != n:
        raise StrataError(f"{path}: {len(table)} rows for {n} items")
    known = {"1": True, "1.0": True, "true": True, "0": False, "0.0": False, "false": False}
    columns = {}
    for column in table:
        if column in _OWN:
            raise StrataError(f"{path}: {column!r} cannot name a category; rename it")
        found = table[column].str.lower().map(known)
        if found.isna().any():
            line = table.index[found.isna().argmax()]
            raise StrataError(
                f"{path}, line {line}: column {column!r} should be 1 or 0, not "
                f"{table[column].loc[line]!r}"
            )
        columns[column] = found.astype(bool).to_numpy()
    return pd.DataFrame(columns)


def shared_labels(pictures: Dataset, column: str, log: Callable[[str], None]) -> pd.DataFrame:
    """Labels by item (the values of `column`) that no two pictures of an item differ in; pictures
    of no item, or without a label, say nothing."""
    manifest = pictures.manifest
    families = [name for name in pictures.families if name != column]
    groups = manifest.groupby(manifest[column].astype("str"))
    shared = [name for name in families if (groups[name].nunique() <= 1).all()]
    for name in set(shared) & set(_OWN):
        log(f"{pictures.info['name']}: {name!r} cannot name a category of items and is left out")
    return groups[[name for name in shared if name not in _OWN]].first()
