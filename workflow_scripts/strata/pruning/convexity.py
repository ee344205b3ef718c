"""Convexity of the labels that a cut is chosen by, or tested on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from strata.activations.cache import SEGMENTS, ActivationCache
from strata.convexity.measures import convexity_measures
from strata.data.splits import Task, shared_rows
from strata.errors import StrataError

if TYPE_CHECKING:
    from strata.data.manifest import Dataset


def task_convexity(
    directory: str | Path,
    dataset: Dataset,
    families: Sequence[str],
    tasks: Mapping[str, Task],
    part: str,
    *,
    model: str,
    log: Callable[[str], None] = print,
    **options,
) -> pd.DataFrame:
    """Graph convexity of concept families in every layer, on one part of the data.

    For "train", what a cut is chosen by, a family that is a task is measured on the rows that the
    task trains on, and another on the samples of the data set's own split of that name (all, where
    it has none). For "test" every family is measured on the samples that no task has trained or
    validated on, so that a model fine-tuned on one is not asked about what it has seen. A family
    that labels pieces of sounds is measured on the pieces of those samples. `directory` holds the
    activations; options and metrics are those of `strata.convexity.measures.convexity_measures`.

    Raises
    ------
    StrataError
        A family is no column of the data set, besides what `convexity_measures` raises.
    """
    manifest, segments = dataset.manifest, dataset.segments
    tables = []
    for family in families:
        folder, labelled = Path(directory), manifest
        rows = _rows_of(family, tasks, part, manifest)
        if family not in manifest:
            if segments is None or family not in segments:
                raise StrataError(f"{dataset.info['name']}: no label column {family!r}")
            folder, labelled = folder / SEGMENTS, segments
            rows = np.flatnonzero(segments["sample"].isin(rows))
        labels = labelled[[family]].iloc[rows].reset_index(drop=True)
        rows, labels = _pairable(rows, labels, family, log)
        layers = _layers(ActivationCache(folder), rows)
        if len(labels[family].unique()) < 2:
            raise StrataError(
                f"{dataset.info['name']}: too few samples in {part} to measure the convexity of "
                f"{family!r}; give the tasks' splits more"
            )
        name = dataset.info["name"]
        tables.append(
            convexity_measures(layers, labels, model=model, dataset=name, log=log, **options)
        )
    return pd.concat(tables, ignore_index=True)


def _rows_of(
    family: str, tasks: Mapping[str, Task], part: str, manifest: pd.DataFrame
) -> np.ndarray:
    """Samples on which a family's convexity is measured (`task_convexity`)."""
    if part == "test" and tasks:
        return shared_rows(tasks, part)
    if family in tasks:
        return tasks[family].rows[part]
    chosen = manifest["split"] == part
    return np.flatnonzero(chosen if chosen.any() else np.ones(len(manifest)))


def _pairable(rows: np.ndarray, labels: pd.DataFrame, family: str, log: Callable[[str], None]):
    """Without values that occur once: between one sample and itself there is no path."""
    counts = labels[family].value_counts()
    alone = sorted(counts.index[counts < 2])
    if alone:
        log(f"{family}: left out, with one sample each: {', '.join(map(str, alone))}")
    kept = ~labels[family].isin(alone).to_numpy()
    return rows[kept], labels[kept].reset_index(drop=True)


def _layers(cache: ActivationCache, rows: np.ndarray):
    for index, name in enumerate(cache.layers):
        yield name, cache.layer(index)[rows]
