"""The annotations of a study's probing set, and which of them can label a neuron."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from strata.activations.probing import rows_of_split
from strata.data import open_dataset
from strata.data.annotating import probing_annotations, sample_annotations
from strata.dissect.annotation_measures import category_of
from strata.errors import StrataError

_MADE = ("columns", "computed", "color_above", "share")  # options that make concepts


class Annotated(NamedTuple):
    """Concepts of samples, `values` (samples, concepts), and the `rare` ones that are listed alone:
    concept, category, has and lacks (numbers of samples).
    """

    values: pd.DataFrame
    rare: pd.DataFrame


def annotations_of(
    manifests: Sequence[str | Path],
    numbers: Sequence[str | Path],
    split: str,
    options: Mapping[str, object],
) -> Annotated:
    """Concepts of the samples of a probing set: data sets one behind another, of each the samples
    of the split, as `strata.activations.probing.ProbingSet` has them.

    `manifests` and `numbers` are files, of the same data sets; `options` are those of
    `strata.data.annotating.sample_annotations` and `min_positives`: values of label columns that
    fewer samples have, or lack, are listed alone. Others are passed over.

    Raises StrataError for another number of rows, besides the errors of those functions.
    """
    opened = [open_dataset(Path(manifest).parent) for manifest in manifests]
    chosen = [rows_of_split(d.manifest, split, d.info["name"]) for d in opened]
    columns = options.get("columns", "all")
    if columns == "all":
        columns = list(dict.fromkeys(name for d in opened for name in d.families))
    counts = _counts(
        [d.manifest.iloc[rows] for d, rows in zip(opened, chosen, strict=True)], columns
    )
    enough = counts[["has", "lacks"]].min(axis=1) >= options.get("min_positives", 1)
    frequent = {name: set() for name in columns}
    for row in counts[enough].itertuples():
        frequent[row.category].add(row.value)
    tables, made = [], {key: options[key] for key in _MADE if key in options}
    for dataset, rows, file in zip(opened, chosen, numbers, strict=True):
        computed = pd.read_parquet(file)
        if len(computed) != len(dataset):
            raise StrataError(f"{file}: {len(computed)} rows for {len(dataset)} samples")
        found = sample_annotations(dataset, computed, frequent=frequent, **made)
        tables.append(found.iloc[rows])
    return Annotated(probing_annotations(tables), counts[~enough].drop(columns="value"))


def _counts(manifests: Sequence[pd.DataFrame], columns: Sequence[str]) -> pd.DataFrame:
    """How many samples have and lack each value of columns of samples, over all data sets."""
    rows = []
    for name in columns:
        parts = [table[name].dropna().astype(str) for table in manifests if name in table]
        if not parts:
            continue
        has = pd.concat(parts).value_counts().sort_index()
        rows.append(
            pd.DataFrame(
                {
                    "category": name,
                    "value": has.index,
                    "concept": [f"{name}={value}" for value in has.index],
                    "has": has.to_numpy(),
                    "lacks": has.sum() - has.to_numpy(),
                }
            )
        )
    empty = pd.DataFrame(columns=["category", "value", "concept", "has", "lacks"])
    return pd.concat(rows, ignore_index=True) if rows else empty


def listed_annotations(annotated: Annotated, min_positives: int) -> pd.DataFrame:
    """Every concept: category (its column), concept, has, lacks (numbers of samples; of the others
    it does not apply), and whether it is used: that at least `min_positives` have it and lack it.
    """
    values = annotated.values
    table = pd.DataFrame(
        {
            "category": [category_of(name) for name in values],
            "concept": list(values),
            "has": (values == 1).sum().to_numpy(),
            "lacks": (values == 0).sum().to_numpy(),
        }
    )
    table = pd.concat([table, annotated.rare], ignore_index=True)
    return table.assign(used=table[["has", "lacks"]].min(axis=1) >= min_positives)
