"""The one schema of every measure, checked whenever a table is written or read."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from strata.errors import StrataError

if TYPE_CHECKING:
    from strata.stats import Estimate

MEASURE_COLUMNS = (
    "model",
    "dataset",
    "layer",
    "layer_index",
    "concept",
    "metric",
    "value",
    "low",
    "high",
    "n",
    "seed",
)
DEVIATES = (
    "deviates"  # of a row in memory: an array (`strata.intervals`); in a file of its own on disk
)
EMBEDDING = "embedding"  # the layer's name of the state that enters the first block
_TEXT = ("model", "dataset", "layer", "metric")
_WHOLE = ("layer_index", "n", "seed")
_REAL = ("value", "low", "high")


def check_measures(table: pd.DataFrame, name: str = "measures") -> pd.DataFrame:
    """Return `table` with the schema's columns first and its types fixed.

    A measure is tidy: one row per (model, dataset, layer, concept, metric). `concept` may be
    missing, `low` and `high` are NaN where no interval is defined. Columns beyond
    `MEASURE_COLUMNS` are kept behind them.

    Raises
    ------
    StrataError
        A column is missing, a value is NaN or infinite, or an interval is upside down.
    """
    missing = [column for column in MEASURE_COLUMNS if column not in table]
    if missing:
        raise StrataError(f"{name}: missing measure columns {missing}")
    extra = [column for column in table if column not in MEASURE_COLUMNS]
    table = table[[*MEASURE_COLUMNS, *extra]].reset_index(drop=True)
    types = dict.fromkeys(_TEXT, "str") | dict.fromkeys(_WHOLE, "int64")
    types |= dict.fromkeys(_REAL, "float64")
    table = table.astype(types)
    if not np.isfinite(table["value"]).all():
        row = table.index[~np.isfinite(table["value"])][0]
        where = table.loc[row, ["model", "layer", "metric"]].tolist()
        raise StrataError(f"{name}: value of {where} is not finite")
    if (table["low"] > table["high"]).any():
        raise StrataError(f"{name}: an interval has low > high")
    return table


def layer_row(
    index: int, layer: str, family: str, metric: str, found: Estimate, n: int, **more
) -> dict:
    """A row about a layer and a family (of concepts, or of triplets); `more` are further columns,
    or a concept and p-value of its own. `finish_measures` adds what all rows of a table share.

    With `deviates` (splits,) the row's differences to others can have intervals.
    """
    keys = {"layer": layer, "layer_index": index, "family": family, "metric": metric, "n": n}
    return keys | {"concept": None, "p_value": np.nan} | found._asdict() | more


def blocks_passed(table: pd.DataFrame) -> pd.Series:
    """Number of blocks behind which each row's layer lies: 1 for the first block's output, 0 for
    the embedding.

    `layer_index` counts the layers that were recorded, of which the embedding is the first where a
    model is read with `embedding: true`; a block has the same number with and without it. Measures
    keep the number in the column `block`. A table without that column has to hold rows of the
    embeddings that were recorded.
    """
    embedding = (table["layer"] == EMBEDDING) & (table["layer_index"] == 0)
    found = table["layer_index"] + 1 - table["model"].isin(table.loc[embedding, "model"])
    return table["block"].fillna(found).astype("int64") if "block" in table else found


def relative_depths(models: pd.Series, passed: pd.Series) -> pd.Series:
    """Depth of layers behind so many blocks (`blocks_passed`) of their models: 0 for the first
    block, 1 for a model's deepest here.

    The embedding lies as far before the first block as the second lies behind it, so that no
    other value depends on whether it was recorded.
    """
    deepest = passed.groupby(models).transform("max")
    return (passed - 1) / (deepest - 1).clip(lower=1)


def finish_measures(rows: list[dict], model: str, dataset: str, seed: int) -> pd.DataFrame:
    """A checked table of the rows of one model on one data set, of all its layers."""
    table = pd.DataFrame(rows).assign(model=model, dataset=dataset, seed=seed)
    table = table.assign(block=blocks_passed(table))
    return check_measures(table, f"measures of {model}")


def write_measures(
    table: pd.DataFrame, path: str | Path, deviates: str | Path | None = None
) -> None:
    """Check `table` and write it to `path` (parquet), complete or not at all.

    The rows' `deviates`, if they have any, go to a tidy table of their own: the rows' text and
    whole numbers, with `split` and `value`.
    """
    held = table[DEVIATES] if DEVIATES in table else pd.Series(np.nan, index=table.index)
    table = check_measures(table.drop(columns=DEVIATES, errors="ignore"), str(path))
    write_table(table, path)
    if deviates is not None:
        write_table(_tidy_deviates(table, held.to_list()), deviates)


def write_table(table: pd.DataFrame, path: str | Path) -> None:
    """Write any table to `path` (parquet), complete or not at all."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(path.name + ".part")
    table.to_parquet(temporary, index=False)
    os.replace(temporary, path)


def _tidy_deviates(table: pd.DataFrame, held: list) -> pd.DataFrame:
    rows = [i for i, found in enumerate(held) if np.ndim(found) == 1 and np.isfinite(found).all()]
    counts = [len(held[i]) for i in rows]
    keys = table.drop(columns=[*_REAL, "n", *(c for c in ("p_value",) if c in table)])
    return (
        keys.iloc[np.repeat(rows, counts).astype(int)]
        .reset_index(drop=True)
        .assign(
            split=np.concatenate([np.arange(n) for n in counts] or [np.empty(0, int)]),
            value=np.concatenate([held[i] for i in rows] or [np.empty(0)]),
        )
    )


def read_measures(paths: str | Path | Iterable[str | Path]) -> pd.DataFrame:
    """Read one or several measure files into one checked table."""
    paths = [paths] if isinstance(paths, (str, Path)) else list(paths)
    if not paths:
        raise StrataError("no measure files to read")
    tables = [check_measures(pd.read_parquet(path), str(path)) for path in paths]
    return pd.concat(tables, ignore_index=True)
