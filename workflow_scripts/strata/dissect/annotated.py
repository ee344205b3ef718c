"""The annotations of a study's probing set, and which of them can label a neuron."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from strata.activations.probing import rows_of_split
from strata.data import open_dataset
from strata.data.annotating import probing_annotations, sample_annotations
from strata.dissect.annotation_measures import category_of
from strata.errors import StrataError

_MADE = ("columns", "computed", "color_above", "share")  # options that make concepts


def annotations_of(
    manifests: Sequence[str | Path],
    numbers: Sequence[str | Path],
    split: str,
    options: Mapping[str, object],
) -> pd.DataFrame:
    """Concepts of the samples of a probing set, (samples, concepts): data sets one behind another,
    of each the samples of the split, as `strata.activations.probing.ProbingSet` has them.

    `manifests` and `numbers` are files, of the same data sets; `options` are those of
    `strata.data.annotating.sample_annotations`, others are passed over.

    Raises StrataError for another number of rows, besides the errors of those functions.
    """
    tables = []
    made = {key: options[key] for key in _MADE if key in options}
    for manifest, file in zip(map(Path, manifests), numbers, strict=True):
        dataset, computed = open_dataset(manifest.parent), pd.read_parquet(file)
        if len(computed) != len(dataset):
            raise StrataError(f"{file}: {len(computed)} rows for {len(dataset)} samples")
        found = sample_annotations(dataset, computed, **made)
        tables.append(found.iloc[rows_of_split(dataset.manifest, split, str(manifest))])
    return probing_annotations(tables)


def listed_annotations(values: pd.DataFrame, min_positives: int) -> pd.DataFrame:
    """Every concept: category (its column), concept, has, lacks (numbers of samples; of the others
    it does not apply), and whether it is used: that at least `min_positives` have it and lack it.
    """
    has, lacks = (values == 1).sum(), (values == 0).sum()
    table = pd.DataFrame(
        {
            "category": [category_of(name) for name in values],
            "concept": list(values),
            "has": has.to_numpy(),
            "lacks": lacks.to_numpy(),
        }
    )
    return table.assign(used=table[["has", "lacks"]].min(axis=1) >= min_positives)
