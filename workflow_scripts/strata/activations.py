"""Every layer of a model in one forward pass, streamed to disk and opened memory-mapped."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from strata.errors import StrataError
from strata.inference import mixed, pick_batch_size, run_batches
from strata.speech import frame_counts, frame_span

if TYPE_CHECKING:
    import torch

    from strata.data.manifest import Dataset
    from strata.models import Encoder

SEGMENTS = "segments"  # the folder of a cache that holds the labelled pieces
POOLS = ("auto", "cls", "mean", "spatial_mean")


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
    def create(cls, directory: str | Path, n_samples: int, info: dict) -> Iterator[_Writer]:
        """Write a cache of `n_samples` rows: `writer.append([(batch, features), ...])` by layer.

        The folder appears under its name only when every row has been written, so that an
        interrupted run leaves nothing that looks complete. `info` goes into `index.json`.
        """
        directory = Path(directory)
        temporary = directory.with_name(directory.name + ".part")
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir(parents=True)
        try:
            writer = _Writer(temporary, n_samples)
            yield writer
            writer.close(info)
            shutil.rmtree(directory, ignore_errors=True)
            os.replace(temporary, directory)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)


class _Writer:
    """Rows of every layer, appended to files whose size is known."""

    def __init__(self, directory: Path, n_samples: int):
        self.directory, self.n_samples, self.written = directory, n_samples, 0
        self.files: list[np.memmap] = []

    def append(self, layers: Sequence[np.ndarray]) -> None:
        if not self.files:
            self.files = [
                np.lib.format.open_memmap(
                    self.directory / f"{i:02d}.npy",
                    mode="w+",
                    dtype=np.float32,
                    shape=(self.n_samples, rows.shape[1]),
                )
                for i, rows in enumerate(layers)
            ]
        end = self.written + len(layers[0])
        for file, rows in zip(self.files, layers, strict=True):
            file[self.written : end] = rows
        self.written = end

    def close(self, info: dict) -> None:
        if self.written != self.n_samples:
            raise RuntimeError(f"{self.written} of {self.n_samples} rows were written")
        features = [file.shape[1] for file in self.files]
        for file in self.files:
            file.flush()
        self.files = []
        index = {**info, "n_samples": self.n_samples, "features": features, "dtype": "float32"}
        text = json.dumps(index, indent=2, sort_keys=True) + "\n"
        (self.directory / "index.json").write_text(text)


def extract(
    encoder: Encoder,
    dataset: Dataset,
    directory: str | Path,
    *,
    pool: str = "auto",
    batch_size: int | str = "auto",
    precision: str = "float32",
    shard: tuple[int, int] = (0, 1),
    log: Callable[[str], None] = print,
) -> None:
    """Write the activations of all layers of `encoder` on a data set to `directory`.

    Parameters
    ----------
    pool
        What one neuron's activation is: "cls" reads the class token; "mean" averages the patch
        tokens, or the frames of a sound without its padding; "spatial_mean" averages a
        convolutional map (or, the same, the patch tokens); "auto" takes the class token where
        there is one, else the mean. A labelled piece of a sound is the mean of its own frames.
    batch_size
        Samples per forward pass; halved when the device's memory runs out.
    precision
        "float32", or "bfloat16": matrix products of mixed precision (`strata.inference.mixed`).
        What is written is float32.
    shard
        (i, n): the i-th of n consecutive pieces of the samples; `merge_shards` joins them.

    Raises
    ------
    StrataError
        The pooling does not fit the model, a picture cannot be read, or an activation is NaN or
        infinite (the layer and sample are named).
    """
    samples = np.array_split(np.arange(len(dataset)), shard[1])[shard[0]]
    if not len(samples):
        raise StrataError(
            f"{dataset.info['name']}: {len(dataset)} samples do not make {shard[1]} shards; "
            "lower the configuration's shards"
        )
    info = {
        "layers": encoder.layer_names,
        "pooling": pool,
        "model_sha256": encoder.sha256,
        "dataset_sha256": _sha256(dataset.directory / "manifest.parquet"),
        "device": encoder.device,
        "precision": precision,
        "batch_size": pick_batch_size(batch_size, encoder.device),
    }
    pieces = _pieces(encoder, dataset, samples)
    with (
        _Recorder(encoder, pool, pieces, precision) as recorder,
        ActivationCache.create(directory, len(samples), info) as cache,
        _piece_cache(cache, pieces, info) as piece_cache,
    ):
        batches = run_batches(
            dataset,
            samples,
            encoder.preprocess,
            recorder.record,
            device=encoder.device,
            read=encoder.reader(dataset),
            batch_size=batch_size,
            log=log,
        )
        n = len(encoder.layers)
        for layers in batches:
            _check_finite(layers[:n], encoder.layer_names, samples[cache.written :])
            cache.append(layers[:n])
            if piece_cache is not None:
                piece_cache.append(layers[n:])


def _pieces(encoder: Encoder, dataset: Dataset, samples: np.ndarray) -> list | None:
    """For each sample the (start, end) in seconds of its labelled pieces; None where none are."""
    if encoder.rate is None or dataset.segments is None:
        return None
    pieces: list[list[tuple[float, float]]] = [[] for _ in samples]
    first = int(samples[0])
    for piece in dataset.segments.itertuples():
        if first <= piece.sample <= samples[-1]:
            pieces[piece.sample - first].append((piece.start, piece.end))
    return pieces


def _piece_cache(cache: _Writer, pieces: list | None, info: dict):
    if pieces is None:
        return nullcontext()
    return ActivationCache.create(cache.directory / SEGMENTS, sum(map(len, pieces)), info)


class _Recorder:
    """Hooks that pool the output of every layer as soon as it is computed."""

    def __init__(
        self,
        encoder: Encoder,
        pool: str,
        pieces: list | None = None,
        precision: str = "float32",
    ):
        if pool not in POOLS:
            raise StrataError(f"pool: {pool!r} is unknown; use one of {', '.join(POOLS)}")
        if pool == "cls" and not encoder.has_class_token:
            raise StrataError(f"{encoder.name}: pool: cls, but it has no class token; use mean")
        if encoder.rate is not None and pool == "spatial_mean":
            raise StrataError(f"{encoder.name}: pool: spatial_mean on sounds; use mean")
        self.encoder, self.pool, self.pieces, self.precision = encoder, pool, pieces, precision
        self.done = 0  # samples of earlier batches
        self.frames: list[int] | None = None
        self.pooled: dict[str, torch.Tensor] = {}
        self.pooled_pieces: dict[str, torch.Tensor] = {}

    def __enter__(self) -> _Recorder:
        self.handles = [
            layer.register_forward_hook(self._hook(name))
            for name, layer in self.encoder.layers.items()
        ]
        return self

    def __exit__(self, *error) -> None:
        for handle in self.handles:
            handle.remove()

    def _hook(self, name: str):
        def keep(module, inputs, output) -> None:
            states = (output if hasattr(output, "ndim") else output[0]).float()
            self.pooled[name] = self._pool(states)
            if self.pieces is not None:
                self.pooled_pieces[name] = _means(states, *self._spans())

        return keep

    def _pool(self, states: torch.Tensor) -> torch.Tensor:
        """(batch, features) of a layer's output: tokens (batch, tokens, features) or a map."""
        if states.ndim == 4:
            if self.pool == "cls":
                raise StrataError(
                    f"{self.encoder.name}: pool: cls on a convolutional map; use spatial_mean"
                )
            return states.mean(dim=(2, 3))
        if self.pool == "cls" or (self.pool == "auto" and self.encoder.has_class_token):
            return states[:, 0]
        if self.frames is not None:
            places = range(len(self.frames))
            return _means(states, places, [(0, length) for length in self.frames])
        return states[:, self.encoder.n_prefix_tokens :].mean(dim=1)

    def _spans(self) -> tuple[list[int], list[tuple[int, int]]]:
        """The clip of the batch and the frames of each labelled piece."""
        config, rate = self.encoder.module.config, self.encoder.rate
        clips, spans = [], []
        for place, length in enumerate(self.frames):
            for start, end in self.pieces[self.done + place]:
                clips.append(place)
                spans.append(frame_span(config, rate, start, end, length))
        return clips, spans

    def record(self, batch: torch.Tensor | list[torch.Tensor]) -> list[np.ndarray]:
        """Pooled activations of all layers for a batch, each (batch, features) float32; behind
        them, where there are labelled pieces, those of the pieces, each (pieces, features)."""
        import torch

        if self.encoder.rate is not None:
            self.frames = frame_counts(self.encoder.module.config, batch)
        with torch.inference_mode(), mixed(self.encoder.device, self.precision):
            self.encoder.forward(batch)
        self.done += len(batch)
        found = [*self.pooled.values(), *self.pooled_pieces.values()]
        return [states.float().cpu().numpy() for states in found]


def _means(states: torch.Tensor, clips: Sequence, spans: Sequence) -> torch.Tensor:
    """Mean over the frames (start, end) of each span of its clip: states (clips, frames, features)
    give (spans, features)."""
    import torch
    from torch.nn.functional import pad

    clips = torch.as_tensor(list(clips), dtype=torch.long, device=states.device)
    spans = torch.as_tensor(spans, dtype=torch.long, device=states.device).reshape(-1, 2)
    sums = pad(states.double().cumsum(dim=1), (0, 0, 1, 0))
    lengths = spans[:, 1] - spans[:, 0]
    return (sums[clips, spans[:, 1]] - sums[clips, spans[:, 0]]) / lengths[:, None]


def _check_finite(layers: Sequence[np.ndarray], names: Sequence[str], samples) -> None:
    for name, rows in zip(names, layers, strict=True):
        good = np.isfinite(rows).all(axis=1)
        if not good.all():
            sample = int(samples[int(np.argmin(good))])
            raise StrataError(f"layer {name}: NaN or infinite activation at sample {sample}")


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


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
