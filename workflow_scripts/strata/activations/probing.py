"""The probing set of a study: one or several data sets, one behind the other."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from strata.activations.cache import ActivationCache
from strata.data.manifest import read_manifest
from strata.errors import StrataError

if TYPE_CHECKING:
    from PIL.Image import Image

    from strata.data.manifest import Dataset


@dataclass(frozen=True)
class ProbingSet:
    """Manifests and activations of the probing images, restricted to a split.

    `manifest` holds the chosen samples of all data sets (n rows); `chosen` the sample numbers
    taken from each data set, which has `sizes` samples.
    """

    name: str
    manifest: pd.DataFrame
    chosen: list[np.ndarray]
    caches: list[ActivationCache]
    sizes: list[int]

    @classmethod
    def open(
        cls, manifests: Sequence[str], activations: Sequence[str], split: str = "all"
    ) -> ProbingSet:
        """Open data sets by their manifest files and the caches of one model on them.

        Raises
        ------
        StrataError
            A data set has no sample in `split`, or the caches are not each of its data set, or do
            not have the same layers, of the same width.
        """
        tables, chosen, sizes = [], [], []
        for path in manifests:
            table = read_manifest(path)
            rows = rows_of_split(table, split, str(path))
            tables.append(table.iloc[rows].assign(dataset=Path(path).parent.name))
            chosen.append(rows)
            sizes.append(len(table))
        if activations and len(activations) != len(manifests):
            raise StrataError(f"{len(activations)} activations of {len(manifests)} data sets")
        places = zip(activations, manifests, sizes, strict=False)
        caches = [ActivationCache.of(path, manifest, n) for path, manifest, n in places]
        for cache in caches[1:]:
            # Arrays are of each data set in a folder of their own.
            same = () if cache.index.get("source") == "arrays" else ("model_sha256",)
            for key in ("source", "layers", "features", "pooling", *same):
                if cache.index.get(key) != caches[0].index.get(key):
                    raise StrataError(f"{cache.directory}: {key} differ from {activations[0]}'s")
        name = "+".join(table["dataset"].iloc[0] for table in tables)
        return cls(name, pd.concat(tables, ignore_index=True), chosen, caches, sizes)

    def rows(self, arrays: Sequence[np.ndarray]) -> np.ndarray:
        """The chosen rows of one array per data set, stacked to (n, features).

        Raises StrataError for an array that has not a row for each of its data set's samples.
        """
        for array, size in zip(arrays, self.sizes, strict=True):
            if len(array) != size:
                raise StrataError(f"{self.name}: an array of {len(array)} rows for {size} samples")
        parts = [array[rows] for array, rows in zip(arrays, self.chosen, strict=True)]
        return np.concatenate(parts)

    def arrays(
        self, paths: Sequence[str], read: Callable[[str, int, str], np.ndarray]
    ) -> np.ndarray:
        """`rows` of one file per data set, each by `read(path, rows it should have, whose)`."""
        places = zip(paths, self.sizes, self.name.split("+"), strict=True)
        return self.rows([read(*place) for place in places])

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
