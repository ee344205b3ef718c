"""Graph convexity of a data set's concept families, of its samples and of pieces of its sounds."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from strata.activations.cache import SEGMENTS, ActivationCache
from strata.activations.probing import rows_of_split
from strata.convexity.measures import convexity_measures
from strata.errors import StrataError

if TYPE_CHECKING:
    from strata.data.manifest import Dataset


def study_convexity(
    directory: str | Path,
    dataset: Dataset,
    families: Sequence[str],
    split: str = "all",
    *,
    model: str,
    log: Callable[[str], None] = print,
    **options,
) -> pd.DataFrame:
    """Graph convexity of families in every layer, on the samples of a split ("all").

    `directory` holds the activations. Families that label samples are measured on these, those that
    label pieces of sounds on the pieces of these samples (`family_convexity`). Options and metrics
    are those of `strata.convexity.measures.convexity_measures`.

    Raises
    ------
    StrataError
        No sample is in the split, besides what `family_convexity` and `convexity_measures` raise.
    """
    manifest, name = dataset.manifest, dataset.info["name"]
    rows = rows_of_split(manifest, split, name)
    told = {"model": model, "log": log, **options}
    tables = []
    if own := [family for family in families if family in manifest]:
        labels = manifest[own].iloc[rows].reset_index(drop=True)
        layers = _layers(ActivationCache(directory), rows)
        tables.append(convexity_measures(layers, labels, dataset=name, **told))
    for family in families:
        if family not in manifest:
            tables.append(family_convexity(directory, dataset, family, rows, part=split, **told))
    return pd.concat(tables, ignore_index=True)


def family_convexity(
    directory: str | Path,
    dataset: Dataset,
    family: str,
    rows: np.ndarray,
    *,
    model: str,
    part: str = "all",
    log: Callable[[str], None] = print,
    **options,
) -> pd.DataFrame:
    """Graph convexity of a family in every layer, on the samples `rows`, or where it labels pieces
    of sounds on the pieces of these samples.

    Values that occur once are left out (and told to `log`): between one sample and itself there is
    no path. `part` is what errors call the samples `rows`.

    Raises
    ------
    StrataError
        The family is no column, there are no activations of pieces, or fewer than two values are
        left; besides what `convexity_measures` raises.
    """
    name = dataset.info["name"]
    folder, labelled = Path(directory), dataset.manifest
    if family not in labelled:
        if dataset.segments is None or family not in dataset.segments:
            raise StrataError(f"{name}: no label column {family!r}")
        folder, labelled = folder / SEGMENTS, dataset.segments
        rows = np.flatnonzero(labelled["sample"].isin(rows))
        if not folder.is_dir():
            raise StrataError(
                f"{model}: {family!r} labels pieces of the sounds of {name}, and its activations "
                "are of whole sounds only"
            )
    labels = labelled[[family]].iloc[rows].reset_index(drop=True)
    rows, labels = _pairable(rows, labels, family, log)
    if len(labels[family].unique()) < 2:
        raise StrataError(
            f"{name}: too few samples in {part} to measure the convexity of {family!r}; two of its "
            "values need two samples each"
        )
    layers = _layers(ActivationCache(folder), rows)
    return convexity_measures(layers, labels, model=model, dataset=name, log=log, **options)


def _pairable(rows: np.ndarray, labels: pd.DataFrame, family: str, log: Callable[[str], None]):
    """Without values that occur once."""
    counts = labels[family].value_counts()
    alone = sorted(counts.index[counts < 2])
    if alone:
        log(f"{family}: left out, with one sample each: {', '.join(map(str, alone))}")
    kept = ~labels[family].isin(alone).to_numpy()
    return rows[kept], labels[kept].reset_index(drop=True)


def _layers(cache: ActivationCache, rows: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    for index, name in enumerate(cache.layers):
        yield name, cache.layer(index)[rows]
