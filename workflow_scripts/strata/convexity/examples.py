"""What lies near some samples in every layer: the graph's neighbors, to look at."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from strata.activations.cache import ActivationCache
from strata.activations.probing import rows_of_split
from strata.data.splits import sample_order, some_rows
from strata.tables import blocks_passed, check_measures

if TYPE_CHECKING:
    from strata.data.manifest import Dataset

EXAMPLES = 24
NEIGHBORS = 6


def example_neighbors(
    directory: str | Path,
    dataset: Dataset,
    split: str = "all",
    *,
    model: str,
    examples: int = EXAMPLES,
    n_neighbors: int = NEIGHBORS,
    seed: int = 0,
) -> pd.DataFrame:
    """The nearest neighbors, by Euclidean distance, of `examples` samples of a split ("all").

    `directory` holds the activations. The samples are drawn by what they are, the same for all
    models. Measures with metric `distance` and the columns `sample`, `neighbor` (numbers in the
    data set) and `rank` (1 is the nearest; of equally near samples the first by path or index).

    Raises StrataError for a split without samples.
    """
    manifest, name = dataset.manifest, dataset.info["name"]
    rows = rows_of_split(manifest, split, name)
    rows = rows[sample_order(manifest.iloc[rows])]  # a stable sort then takes the first of equals
    chosen = some_rows(rows, examples, seed, manifest)
    cache = ActivationCache.of(directory, dataset.directory / "manifest.parquet", len(dataset))
    parts = []
    for index, layer in enumerate(cache.layers):
        features = cache.layer(index)[rows].astype(np.float64)
        for sample in chosen:
            own = int(np.flatnonzero(rows == sample)[0])
            distances = np.linalg.norm(features - features[own], axis=1)
            distances[own] = np.inf
            near = np.argsort(distances, kind="stable")[: min(n_neighbors, len(rows) - 1)]
            found = {"sample": int(sample), "neighbor": rows[near], "value": distances[near]}
            found |= {"rank": np.arange(1, len(near) + 1), "layer": layer, "layer_index": index}
            parts.append(pd.DataFrame(found))
    table = pd.concat(parts, ignore_index=True)
    table = table.assign(model=model, dataset=name, concept=None, metric="distance", n=len(rows))
    table = table.assign(low=np.nan, high=np.nan, seed=seed)
    return check_measures(table.assign(block=blocks_passed(table)), f"neighbors of {model}")
