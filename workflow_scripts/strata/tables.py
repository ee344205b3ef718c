"""The one schema of every measure, checked whenever a table is written or read."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from strata.errors import StrataError, one_line
from strata.whole import whole

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
# Of a row in memory: an array (`strata.intervals`); in a file of its own on disk.
DEVIATES = "deviates"
EMBEDDING = "embedding"  # the layer's name of the state that enters the first block
ALL_LAYERS = "all"  # the layer's name of what is about a network as a whole
MADE_AGAIN = "remove it, to have it made again"  # what is damaged of what Strata wrote
_TEXT = ("model", "dataset", "layer", "metric")
_WHOLE = ("layer_index", "n", "seed")
_REAL = ("value", "low", "high")
# Columns by which rows of a table are told apart, where it has them.
KEYS = (
    "model", "dataset", "layer", "concept", "metric", "seed", "family", "triplets", "transform",
    "similarity", "contrast", "other", "unit", "sample", "rank", "kept", "layers", "epoch",
)  # fmt: skip
_P_VALUES = ("p_value", "q_value", "p_adjusted")
_SHARES = ("stability", "tied", "auc", "label_auc")  # further columns, from 0 to 1
# Least and most that a metric's value can be; a difference or gain lies within their distance.
RANGES: dict[str, tuple[float, float]] = {
    **dict.fromkeys(
        (
            "graph_convexity", "graph_convexity_concept", "graph_convexity_concepts", "chance",
            "concept_chance", "unreachable", "tied_neighbors", "euclidean_convexity",
            "head_sampled", "head_exact", "accuracy", "accuracy_category", "accuracy_before",
            "accuracy_after", "graph_convexity_before", "graph_convexity_after", "noise_ceiling",
            "noise_ceiling_lower", "category_share", "category_share_mean",
            "category_share_median", "category_share_significant", "share_significant",
            "names_best_factor", "names_any_factor_above", "mean_best_auc", "same_factor",
            "same_category", "annotation_auc", "angular_distance", "cka", "test_accuracy",
            "validation_accuracy", "validation_curve", "depth_accuracy",
        ),
        (0, 1),
    ),
    **dict.fromkeys(("correlation", "partial_correlation", "clarity", "redundancy"), (-1, 1)),
    **dict.fromkeys(("cosine", "cosine_cubed", "difference"), (-1, 1)),
    **dict.fromkeys(("block_influence", "polysemanticity"), (0, 2)),
    **dict.fromkeys(
        (
            "n_concepts", "n_concepts_mean", "n_concepts_median", "n_concepts_significant",
            "parameters", "macs", "file_bytes", "memory_bytes", "front_end_parameters",
            "front_end_macs", "latency", "epoch_seconds", "epochs", "loss_curve", "distance",
        ),
        (0, np.inf),
    ),
    "graph_convexity_normalised": (-np.inf, 1),
}  # fmt: skip
_ROUNDING = 1e-5  # of float32


def check_measures(table: pd.DataFrame, name: str = "measures") -> pd.DataFrame:
    """Return `table` with the schema's columns first and its types fixed.

    A measure is tidy: one row per (model, dataset, layer, concept, metric) and what further `KEYS`
    it has. `concept` may be missing, `low` and `high` are NaN where no interval is defined. Columns
    beyond `MEASURE_COLUMNS` are kept behind them.

    Raises
    ------
    StrataError
        A column is missing; a value is NaN, infinite or outside of its metric's `RANGES`; an
        interval does not hold its value; a p-value or share is not from 0 to 1; `n` is below 1; two
        rows are about the same; or a layer has two numbers, or a number two layers.
    """
    missing = [column for column in MEASURE_COLUMNS if column not in table]
    if missing:
        raise StrataError(f"{name}: missing measure columns {missing}")
    extra = [column for column in table if column not in MEASURE_COLUMNS]
    table = table[[*MEASURE_COLUMNS, *extra]].reset_index(drop=True)
    for column in (*_TEXT, *_WHOLE):
        _refuse(table, table[column].isna(), name, column, "is missing")
    for column in _WHOLE:
        _refuse(table, table[column].astype(float) % 1 != 0, name, column, "is no whole number")
    types = dict.fromkeys(_TEXT, "str") | dict.fromkeys(_WHOLE, "int64")
    types |= dict.fromkeys(_REAL, "float64")
    table = table.astype(types)
    _check_values(table, name)
    _check_layers(table, name)
    _check_once(table, name)
    return table


def _refuse(table: pd.DataFrame, wrong: pd.Series, name: str, what: str, told: str) -> None:
    """Raise StrataError for the first of the rows that are `wrong`, naming its place."""
    if wrong.any():
        row = table.loc[wrong.idxmax()]
        where = ", ".join(str(row[key]) for key in ("model", "layer", "metric"))
        found = f" ({row[what]})" if what in row and not pd.isna(row[what]) else ""
        raise StrataError(f"{name}: {what} of {where}{found} {told}")


def _check_values(table: pd.DataFrame, name: str) -> None:
    value, low, high = (table[column] for column in _REAL)
    _refuse(table, ~np.isfinite(value), name, "value", "is not finite")
    of_cuts = "kept" in table and "epoch" not in table  # metrics are criteria, values are layers
    _refuse(table, of_cuts & ~value.between(0, table["n"]), name, "value", "should be from 0 to n")
    for metric in () if of_cuts else table["metric"].unique():
        least, most = _bounds(metric)
        outside = table["metric"].eq(metric) & ~value.between(least - _ROUNDING, most + _ROUNDING)
        _refuse(table, outside, name, "value", f"should be from {least:g} to {most:g}")
    _refuse(table, low > high, name, "low", "an interval has low > high")
    _refuse(table, low.isna() != high.isna(), name, "low", "an interval has one end only")
    slack = _ROUNDING * value.abs().clip(lower=1)
    outside = (low - slack > value) | (high + slack < value)
    _refuse(table, outside, name, "value", "lies outside of its interval")
    _refuse(table, table["n"] < 1, name, "n", "should be 1 or more")
    for column in (*_P_VALUES, *_SHARES):
        if column in table:
            found = table[column].astype(float)
            outside = ~found.between(-_ROUNDING, 1 + _ROUNDING) & found.notna()
            _refuse(table, outside, name, column, "should be from 0 to 1")


def _bounds(metric: str) -> tuple[float, float]:
    """Least and most of a metric; of the difference of two, by how much they can differ."""
    if metric in RANGES:
        return RANGES[metric]
    for ending in ("_difference", "_gain"):
        whole = metric.removesuffix(ending)
        for known in (whole, f"{whole}_before"):
            if whole != metric and known in RANGES:
                apart = RANGES[known][1] - RANGES[known][0]
                return -apart, apart
    return -np.inf, np.inf


def _check_layers(table: pd.DataFrame, name: str) -> None:
    """Each layer of a model has one number, and each number one layer."""
    _refuse(table, table["layer_index"] < 0, name, "layer_index", "should be 0 or more")
    pairs = table.loc[table["layer"] != ALL_LAYERS, ["model", "dataset", "layer", "layer_index"]]
    pairs = pairs.drop_duplicates()
    for key, told in (("layer", "several layer_index"), ("layer_index", "several layers")):
        several = pairs.duplicated(["model", "dataset", key])
        if several.any():
            row = pairs[several].iloc[0]
            raise StrataError(f"{name}: {key} {row[key]!r} of {row['model']} has {told}")


def _check_once(table: pd.DataFrame, name: str) -> None:
    """No two rows are about the same."""
    keys = [key for key in KEYS if key in table]
    twice = table.duplicated(keys)
    if twice.any():
        row = table.loc[twice.idxmax(), keys].dropna()
        where = ", ".join(f"{key} {value}" for key, value in row.items())
        raise StrataError(f"{name}: two rows are about the same: {where}")


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
    with whole(path) as part:
        table.to_parquet(part, index=False)


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
    """Read one or several measure files into one checked table; StrataError for a damaged one."""
    paths = [paths] if isinstance(paths, (str, Path)) else list(paths)
    if not paths:
        raise StrataError("no measure files to read")
    tables = [check_measures(read_parquet(path), str(path)) for path in paths]
    joined = pd.concat(tables, ignore_index=True)
    if len(paths) > 1:  # a row may be once in each of two tables
        told = f"{paths[0]} and {len(paths) - 1} more"
        _check_layers(joined, told)
        _check_once(joined, told)
    return joined


def measures_by_model(paths: Iterable[str | Path]) -> dict[str, pd.DataFrame]:
    """Checked tables by the name of their file, which is that of the model they are about.

    Files of several models ("all") are by that name. Raises StrataError for a file that is about
    another model than it says.
    """
    found = {}
    for path in map(Path, paths):
        table = read_measures(path)
        names = set(table["model"])
        if path.stem != "all" and not names <= {path.stem}:
            raise StrataError(f"{path}: the table is about {', '.join(sorted(names))}")
        found[path.stem] = table
    return found


def read_parquet(path: str | Path) -> pd.DataFrame:
    """A table that Strata has written; StrataError for one that is damaged."""
    try:
        return pd.read_parquet(path)
    except (OSError, ValueError) as error:  # pyarrow's errors among them
        raise StrataError(f"{path}: damaged ({one_line(error, 150)}); {MADE_AGAIN}") from None
