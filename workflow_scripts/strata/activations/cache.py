"""Activations on disk: a folder per (data set, model), opened memory-mapped."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from strata.errors import StrataError

SEGMENTS = "segments"  # the folder of a cache that holds the labelled pieces


class ActivationCache:
    """A folder of activations: `{index:02d}.npy` (samples, features) per layer and `index.json`.

    Of sounds with labelled pieces (`segments.parquet` of the data set), `segments/` in it is a
    cache of the same layers with a row per piece.

    Raises
    ------
    StrataError
        The folder holds no complete cache.
    """

    def __init__(self, directory: str | Path):
        self.directory = Path(directory)
        index = self.directory / "index.json"
        if not index.is_file():
            raise StrataError(f"{self.directory}: no index.json; these activations are incomplete")
        self.index = json.loads(index.read_text())

    @property
    def layers(self) -> list[str]:
        """Names of the layers, from the first to the last."""
        return self.index["layers"]

    def __len__(self) -> int:
        return self.index["n_samples"]

    def layer(self, index: int) -> np.ndarray:
        """Activations (samples, features) of a layer, read-only and memory-mapped."""
        path = self.directory / f"{index:02d}.npy"
        return np.load(path, mmap_mode="r", allow_pickle=False)

    @classmethod
    @contextmanager
    def create(cls, directory: str | Path, n_samples: int, info: dict) -> Iterator[CacheWriter]:
        """Write a cache of `n_samples` rows: `writer.append([(batch, features), ...])` by layer.

        The folder appears under its name only when every row has been written, so that an
        interrupted run leaves nothing that looks complete. `info` goes into `index.json`.
        """
        directory = Path(directory)
        temporary = directory.with_name(directory.name + ".part")
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir(parents=True)
        try:
            writer = CacheWriter(temporary, n_samples)
            yield writer
            writer.close(info)
            shutil.rmtree(directory, ignore_errors=True)
            os.replace(temporary, directory)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)


class CacheWriter:
    """Rows of every layer, appended to files whose size is known."""

    def __init__(self, directory: Path, n_samples: int):
        self.directory, self.n_samples, self.written = directory, n_samples, 0
        self.files: list[np.memmap] = []
        self.placed: list[int] = []

    def allocate(self, features: Sequence[int]) -> None:
        """Make the files of layers with these numbers of features."""
        self.files = [
            np.lib.format.open_memmap(
                self.directory / f"{i:02d}.npy",
                mode="w+",
                dtype=np.float32,
                shape=(self.n_samples, width),
            )
            for i, width in enumerate(features)
        ]
        self.placed = [0] * len(self.files)

    def put(self, layer: int, rows: np.ndarray, values: np.ndarray) -> None:
        """Write rows of one layer, in any order; each row once."""
        self.files[layer][rows] = values
        self.placed[layer] += len(rows)

    def append(self, layers: Sequence[np.ndarray]) -> None:
        if not self.files:
            self.allocate([rows.shape[1] for rows in layers])
        end = self.written + len(layers[0])
        for file, rows in zip(self.files, layers, strict=True):
            file[self.written : end] = rows
        self.written = end

    def close(self, info: dict) -> None:
        fewest = self.written + min(self.placed, default=0)
        if fewest != self.n_samples:
            raise RuntimeError(f"{fewest} of {self.n_samples} rows were written")
        features = [file.shape[1] for file in self.files]
        for file in self.files:
            file.flush()
        self.files = []
        index = {**info, "n_samples": self.n_samples, "features": features, "dtype": "float32"}
        text = json.dumps(index, indent=2, sort_keys=True) + "\n"
        (self.directory / "index.json").write_text(text)


def merge_shards(directories: Sequence[str | Path], directory: str | Path) -> None:
    """Join caches of consecutive shards of samples, in the order given.

    Raises StrataError when they do not come from the same model and layers.
    """
    caches = [ActivationCache(path) for path in directories]
    first = caches[0].index
    for cache in caches[1:]:
        for key in ("layers", "pooling", "model_sha256", "dataset_sha256"):
            if cache.index[key] != first[key]:
                raise StrataError(f"{cache.directory}: {key} differs from the first shard's")
    info = {key: value for key, value in first.items() if key not in ("n_samples", "features")}
    with ActivationCache.create(directory, sum(map(len, caches)), info) as joined:
        for cache in caches:
            joined.append([cache.layer(i) for i in range(len(cache.layers))])
        inner = [cache.directory / SEGMENTS for cache in caches]
        if all(folder.is_dir() for folder in inner):
            merge_shards(inner, joined.directory / SEGMENTS)
