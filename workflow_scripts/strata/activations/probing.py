"""The probing set of a study: one or several data sets, one behind the other."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from strata.activations.cache import ActivationCache
from strata.errors import StrataError

if TYPE_CHECKING:
    from PIL.Image import Image

    from strata.data.manifest import Dataset


@dataclass(frozen=True)
class ProbingSet:
    """Manifests and activations of the probing images, restricted to a split.

    `manifest` holds the chosen samples of all data sets (n rows); `chosen` the sample numbers
    taken from each data set.
    """

    name: str
    manifest: pd.DataFrame
    chosen: list[np.ndarray]
    caches: list[ActivationCache]

    @classmethod
    def open(
        cls, manifests: Sequence[str], activations: Sequence[str], split: str = "all"
    ) -> ProbingSet:
        """Open data sets by their manifest files and the caches of one model on them.

        Raises
        ------
        StrataError
            A data set has no sample in `split`, or the caches do not have the same layers.
        """
        tables, chosen = [], []
        for path in manifests:
            table = pd.read_parquet(path)
            rows = rows_of_split(table, split, str(path))
            tables.append(table.iloc[rows].assign(dataset=Path(path).parent.name))
            chosen.append(rows)
        caches = [ActivationCache(path) for path in activations]
        if len({tuple(cache.layers) for cache in caches}) > 1:
            raise StrataError(f"{activations[0]}: the layers differ between the probing data sets")
        name = "+".join(table["dataset"].iloc[0] for table in tables)
        return cls(name, pd.concat(tables, ignore_index=True), chosen, caches)

    def rows(self, arrays: Sequence[np.ndarray]) -> np.ndarray:
        """The chosen rows of one array per data set, stacked to (n, features)."""
        parts = [array[rows] for array, rows in zip(arrays, self.chosen, strict=True)]
        return np.concatenate(parts)

    def layers(self) -> Iterator[tuple[str, np.ndarray]]:
        """Name and activations (n, neurons) of one layer after the other."""
        for index, name in enumerate(self.caches[0].layers):
            yield name, self.rows([cache.layer(index) for cache in self.caches])

    def families(self, names: Sequence[str]) -> pd.DataFrame:
        """Labels of the samples in these columns of the manifest.

        Raises StrataError for a column that is not there.
        """
        missing = [name for name in names if name not in self.manifest]
        if missing:
            raise StrataError(f"{self.name}: no label column of samples {missing[0]!r}")
        return self.manifest[list(names)]


def rows_of_split(manifest: pd.DataFrame, split: str, name: str) -> np.ndarray:
    """Rows of a split ("all" for every row)."""
    rows = np.arange(len(manifest))
    if split != "all":
        rows = np.flatnonzero(manifest["split"] == split)
    if not len(rows):
        raise StrataError(f"{name}: no samples in split {split!r}")
    return rows


def picture_finder(
    datasets: Sequence[Dataset], split: str, draw: Callable[[Dataset, int], Image] | None = None
) -> Callable[[int], Image]:
    """Picture of a probing sample by its number in the probing set: `draw(data set, sample)`, or
    without it the picture that the sample is."""
    draw = draw or (lambda dataset, sample: dataset.image(sample))
    places = [
        (dataset, int(row))
        for dataset in datasets
        for row in rows_of_split(dataset.manifest, split, dataset.info["name"])
    ]
    return lambda number: draw(*places[number])
