"""Activations on disk: a folder per (data set, model), opened memory-mapped."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from strata.data.files import sha256_of
from strata.errors import StrataError

SEGMENTS = "segments"  # the folder of a cache that holds the labelled pieces


class ActivationCache:
    """A folder of activations: `{index:02d}.npy` (samples, features) per layer and `index.json`.

    Of sounds with labelled pieces (`segments.parquet` of the data set), `segments/` in it is a
    cache of the same layers with a row per piece.

    Raises
    ------
    StrataError
        The folder holds no complete cache, or the layers of its index are not each once there.
    """

    def __init__(self, directory: str | Path):
        self.directory = Path(directory)
        index = self.directory / "index.json"
        if not index.is_file():
            raise StrataError(f"{self.directory}: no index.json; these activations are incomplete")
        self.index = json.loads(index.read_text())
        names, widths = self.layers, self.index["features"]
        if len(set(names)) != len(names) or len(names) != len(widths):
            raise StrataError(
                f"{index}: should name each layer once, with its width; it has {len(set(names))} "
                f"names of {len(names)} layers, and {len(widths)} widths"
            )

    @classmethod
    def of(cls, directory: str | Path, manifest: str | Path, n: int) -> ActivationCache:
        """Open a cache with a row for each of the n samples of `manifest`, or of their pieces.

        Raises StrataError for another number of rows, and where the activations were made from
        another manifest.
        """
        cache = cls(directory)
        if len(cache) != n:
            raise StrataError(
                f"{cache.directory}: activations have {len(cache)} rows, where {manifest} has {n}"
            )
        made = cache.index.get("dataset_sha256")
        if made is not None and made != sha256_of(Path(manifest)):
            raise StrataError(
                f"{cache.directory}: activations were made from another {manifest} than this one; "
                "make them anew"
            )
        return cache

    @property
    def layers(self) -> list[str]:
        """Names of the layers, from the first to the last."""
        return self.index["layers"]

    def __len__(self) -> int:
        return self.index["n_samples"]

    def layer(self, index: int) -> np.ndarray:
        """Activations (samples, features) of a layer, read-only and memory-mapped.

        Raises StrataError for a file that is missing or has another shape than the index says.
        """
        path = self.directory / f"{index:02d}.npy"
        if not path.is_file():
            raise StrataError(f"{path}: no such file; these activations are incomplete")
        rows = np.load(path, mmap_mode="r", allow_pickle=False)
        wanted = (len(self), self.index["features"][index])
        if rows.shape != wanted or rows.dtype != np.float32:
            raise StrataError(
                f"{path}: layer {self.layers[index]} should be {wanted} float32, and is "
                f"{rows.shape} {rows.dtype}"
            )
        return rows

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
        self.placed: list[np.ndarray] = []

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
        for file in self.files:
            _occupy(Path(file.filename))
        self.placed = [np.zeros(self.n_samples, dtype=bool) for _ in self.files]

    def put(self, layer: int, rows: np.ndarray, values: np.ndarray) -> None:
        """Write rows of one layer, in any order; each row once."""
        self.files[layer][rows] = values
        self.placed[layer][rows] = True

    def append(self, layers: Sequence[np.ndarray]) -> None:
        """Write the next rows of all layers, (rows, features) each.

        Raises StrataError for layers of other shapes, which numpy would stretch to fit.
        """
        if not self.files:
            self.allocate([rows.shape[1] for rows in layers])
        end = self.written + len(layers[0])
        for number, (file, rows) in enumerate(zip(self.files, layers, strict=True)):
            wanted = (end - self.written, file.shape[1])
            if rows.shape != wanted or end > self.n_samples:
                raise StrataError(
                    f"{self.directory}: layer {number} gives {rows.shape} for rows "
                    f"{self.written} to {end} of {self.n_samples}, and should give {wanted}"
                )
            file[self.written : end] = rows
            self.placed[number][self.written : end] = True
        self.written = end

    def close(self, info: dict) -> None:
        fewest = min((int(rows.sum()) for rows in self.placed), default=0)
        if fewest != self.n_samples:
            raise RuntimeError(f"{fewest} of {self.n_samples} rows were written")
        features = [file.shape[1] for file in self.files]
        for file in self.files:
            file.flush()
        self.files = []
        index = {**info, "n_samples": self.n_samples, "features": features, "dtype": "float32"}
        text = json.dumps(index, indent=2, sort_keys=True) + "\n"
        (self.directory / "index.json").write_text(text)


def _occupy(path: Path) -> None:
    """Take the disk's space for a file: a full disk is an error here, and a dead process later."""
    if hasattr(os, "posix_fallocate"):
        with path.open("r+b") as file:
            os.posix_fallocate(file.fileno(), 0, path.stat().st_size)


def merge_shards(
    directories: Sequence[str | Path], directory: str | Path, weights: str | Path | None = None
) -> None:
    """Join caches of consecutive shards of samples, in the order given.

    Raises StrataError when they do not come from the same model and layers, are not the shards of a
    data set in their order, from the first to the last, or not of the network with these `weights`
    (a file).
    """
    caches = [ActivationCache(path) for path in directories]
    first = caches[0].index
    for cache in caches:
        for key in ("layers", "pooling", "precision", "context", "model_sha256", "dataset_sha256"):
            if cache.index.get(key) != first.get(key):
                raise StrataError(f"{cache.directory}: {key} differs from the first shard's")
    if weights is not None and first.get("model_sha256") != sha256_of(Path(weights)):
        raise StrataError(f"{caches[0].directory}: not of the network whose weights are {weights}")
    for number, cache in enumerate(caches):
        wanted = [number, len(caches)]
        if cache.index.get("shard", wanted) != wanted:
            raise StrataError(
                f"{cache.directory}: shard {cache.index['shard'][0] + 1} of "
                f"{cache.index['shard'][1]} stands where {number + 1} of {len(caches)} should"
            )
    own = ("n_samples", "features", "shard")
    info = {key: value for key, value in first.items() if key not in own}
    with ActivationCache.create(directory, sum(map(len, caches)), info) as joined:
        for cache in caches:
            joined.append([cache.layer(i) for i in range(len(cache.layers))])
        inner = [cache.directory / SEGMENTS for cache in caches]
        there = [folder.is_dir() for folder in inner]
        if any(there) and not all(there):
            raise StrataError(f"{inner[there.index(False)]}: no pieces, which other shards have")
        if all(there):
            merge_shards(inner, joined.directory / SEGMENTS)
