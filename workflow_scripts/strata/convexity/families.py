"""Graph convexity of a data set's concept families, of its samples and of pieces of its sounds."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from strata.activations.cache import SEGMENTS, ActivationCache
from strata.activations.probing import rows_of_split
from strata.convexity.halved import halves_in_order
from strata.convexity.measures import convexity_measures
from strata.data.splits import sample_order
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
    halves: int = 10,
    seed: int = 0,
    log: Callable[[str], None] = print,
    **options,
) -> pd.DataFrame:
    """Graph convexity of families in every layer, on the samples of a split ("all").

    `directory` holds the activations. Families that label samples are measured on these, those that
    label pieces of sounds on the pieces of these samples (`family_convexity`). Samples without a
    label take no part in that family. Each family's
    samples are cut into random `halves` by what they are (`strata.data.splits.sample_order`), in
    the same ways for all layers and models. Options and metrics are those of
    `strata.convexity.measures.convexity_measures`.

    Raises
    ------
    StrataError
        No sample is in the split, or has a label, besides what `family_convexity` and
        `convexity_measures` raise.
    """
    manifest, name = dataset.manifest, dataset.info["name"]
    rows = rows_of_split(manifest, split, name)
    told = {"model": model, "seed": seed, "log": log, **options}
    tables = []
    for own, there in _labelled_alike(manifest.iloc[rows], families):
        if not there.any():
            raise StrataError(f"{name}: no sample in {split} has a label in {own[0]!r}")
        labels = manifest[own].iloc[rows[there]].reset_index(drop=True)
        layers = _layers(_opened(directory, dataset, len(dataset)), rows[there])
        order = sample_order(manifest.iloc[rows[there]])
        cut = {f: halves_in_order(labels[f], halves, order, seed) for f in own}
        tables.append(convexity_measures(layers, labels, dataset=name, halves=cut, **told))
    for family in families:
        if family not in manifest:
            told |= {"part": split, "halves": halves}
            tables.append(family_convexity(directory, dataset, family, rows, **told))
    return pd.concat(tables, ignore_index=True)


def family_convexity(
    directory: str | Path,
    dataset: Dataset,
    family: str,
    rows: np.ndarray,
    *,
    model: str,
    part: str = "all",
    halves: int = 10,
    seed: int = 0,
    log: Callable[[str], None] = print,
    **options,
) -> pd.DataFrame:
    """Graph convexity of a family in every layer, on the samples `rows`, or where it labels pieces
    of sounds on the pieces of these samples.

    Samples without a label are left out, and so are values that occur once (and are told to `log`):
    between one sample and itself there is no path. `part` is what errors call the samples `rows`.
    Intervals are about new samples: pieces of one sound are not independent and stay in one of the
    random `halves` (none with fewer than 20 sounds). About other speakers than those of the samples
    they say nothing.

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
    rows = np.asarray(rows)[labelled[family].iloc[rows].notna().to_numpy()]
    labels = labelled[[family]].iloc[rows].reset_index(drop=True)
    rows, labels = _pairable(rows, labels, family, log)
    if len(labels[family].unique()) < 2:
        raise StrataError(
            f"{name}: too few samples in {part} to measure the convexity of {family!r}; two of its "
            "values need two samples each"
        )
    clusters = None if family in dataset.manifest else labelled["sample"].to_numpy()[rows]
    order = _content_order(dataset.manifest, labelled.iloc[rows])
    cut = {family: halves_in_order(labels[family], halves, order, seed, clusters)}
    layers = _layers(_opened(folder, dataset, len(labelled)), rows)
    told = {"model": model, "dataset": name, "seed": seed, "log": log, **options}
    return convexity_measures(layers, labels, halves=cut, **told)


def _labelled_alike(
    manifest: pd.DataFrame, families: Sequence[str]
) -> list[tuple[list[str], np.ndarray]]:
    """Families that label samples, grouped by which samples have a label: (families, booleans)."""
    groups: dict[bytes, tuple[list[str], np.ndarray]] = {}
    for family in families:
        if family in manifest:
            there = manifest[family].notna().to_numpy()
            groups.setdefault(there.tobytes(), ([], there))[0].append(family)
    return list(groups.values())


def _content_order(manifest: pd.DataFrame, chosen: pd.DataFrame) -> np.ndarray:
    """The `chosen` rows of the manifest, or of its segments, by what they are."""
    if "start" not in chosen:
        return sample_order(chosen)
    ranks = pd.Series(np.argsort(sample_order(manifest)), index=manifest["sample"])
    return np.lexsort((chosen["start"], ranks[chosen["sample"]]))


def _pairable(rows: np.ndarray, labels: pd.DataFrame, family: str, log: Callable[[str], None]):
    """Without values that occur once."""
    counts = labels[family].value_counts()
    alone = sorted(counts.index[counts < 2])
    if alone:
        log(f"{family}: left out, with one sample each: {', '.join(map(str, alone))}")
    kept = ~labels[family].isin(alone).to_numpy()
    return rows[kept], labels[kept].reset_index(drop=True)


def _opened(directory: str | Path, dataset: Dataset, n: int) -> ActivationCache:
    """Activations of the data set's n samples, or of its n pieces."""
    return ActivationCache.of(directory, dataset.directory / "manifest.parquet", n)


def _layers(cache: ActivationCache, rows: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    for index, name in enumerate(cache.layers):
        yield name, cache.layer(index)[rows]
