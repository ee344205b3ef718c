"""Convexity of the labels that a cut is chosen by, or tested on."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from strata.convexity.families import family_convexity
from strata.data.splits import Task, shared_rows

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
    apart: Collection[str] = (),
    log: Callable[[str], None] = print,
    **options,
) -> pd.DataFrame:
    """Graph convexity of concept families in every layer, on one part of the data.

    For "train", what a cut is chosen by, a family that is a task is measured on the rows that the
    task trains on, and another on the samples of the data set's own split of that name (all, where
    it has none). For "test" every family is measured on the samples that no task has trained or
    validated on, so that a model fine-tuned on one is not asked about what it has seen. A family
    that labels pieces of sounds is measured on the pieces of those samples. `directory` holds the
    activations; options and metrics are those of `strata.convexity.families.family_convexity`.

    Intervals are about new samples, of the same speakers where tasks keep these `apart` (columns of
    the manifest): too few are left (of six who speak digits, two are tested on) to tell of others.
    The column `about` says so.

    Raises StrataError as `strata.convexity.families.family_convexity`.
    """
    tables = [
        family_convexity(
            directory,
            dataset,
            family,
            _rows_of(family, tasks, part, dataset.manifest),
            model=model,
            part=part,
            log=log,
            **options,
        )
        for family in families
    ]
    of_these = " and ".join(f"{column}s" for column in sorted(set(apart)))
    about = f"samples, of these {of_these}" if of_these else "samples"
    return pd.concat(tables, ignore_index=True).assign(about=about)


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
