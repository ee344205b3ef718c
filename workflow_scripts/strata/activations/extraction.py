"""Every layer of a model in one forward pass, streamed to disk."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from strata.activations.cache import SEGMENTS, ActivationCache
from strata.activations.pooling import Recorder
from strata.data.files import sha256_of
from strata.errors import StrataError
from strata.models.inference import pick_batch_size, run_batches

if TYPE_CHECKING:
    from strata.data.manifest import Dataset
    from strata.models.encoder import Encoder


def extract(
    encoder: Encoder,
    dataset: Dataset,
    directory: str | Path,
    *,
    pool: str = "auto",
    **options,
) -> None:
    """Write the activations of all layers of `encoder` on a data set to `directory`, pooled in one
    way. Options and errors are those of `extract_readings`."""
    extract_readings(encoder, dataset, {directory: pool}, **options)


def extract_readings(
    encoder: Encoder,
    dataset: Dataset,
    readings: Mapping[str | Path, str],
    *,
    batch_size: int | str = "auto",
    precision: str = "float32",
    shard: tuple[int, int] = (0, 1),
    log: Callable[[str], None] = print,
) -> None:
    """Write the activations of all layers of `encoder` on a data set, in one pass and pooled in one
    or several ways.

    The embedding, where the encoder has it, is the first of the layers and pooled like them.

    Parameters
    ----------
    readings
        What one neuron's activation is, by the directory that it is written to: "cls" reads the
        class token; "mean" averages the patch tokens, or the frames of a sound without its padding;
        "spatial_mean" averages a convolutional map (or, the same, the patch tokens); "auto" takes
        the class token where every layer has one, else the mean. A labelled piece of a sound is the
        mean of its own frames.
    batch_size
        Samples per forward pass; halved when the device's memory runs out.
    precision
        "float32", or "bfloat16": matrix products of mixed precision
        (`strata.models.inference.mixed`). What is written is float32.
    shard
        (i, n): the i-th of n consecutive pieces of the samples; `merge_shards` joins them.

    Raises
    ------
    StrataError
        A pooling does not fit the model, a picture cannot be read, or an activation is NaN or
        infinite (the layer and sample are named).
    """
    samples = _of_shard(dataset, *shard)
    info = _origin(encoder, dataset) | {
        "precision": precision,
        "batch_size": pick_batch_size(batch_size, encoder.device),
        "shard": list(shard),
    }
    pieces, pools, names = (
        _pieces(encoder, dataset, samples),
        [*readings.values()],
        encoder.layer_names,
    )
    with Recorder(encoder, pools, pieces, precision) as recorder, ExitStack() as open_caches:
        written = [
            _Written(open_caches, directory, info | {"pooling": pool}, samples, pieces)
            for directory, pool in readings.items()
        ]
        options = {"device": encoder.device, "read": encoder.reader(dataset)}
        options |= {"batch_size": batch_size, "log": log}
        batches = run_batches(dataset, samples, encoder.preprocess, recorder.record, **options)
        for found in batches:
            ways = len(pools) * len(names)
            for way, cache in enumerate(written):
                own = found[way * len(names) :][: len(names)]
                cache.append(own, found[ways:], names)


class _Written:
    """The cache of a reading, and of its pieces where there are some, while they are written."""

    def __init__(
        self,
        open_caches: ExitStack,
        directory: str | Path,
        info: dict,
        samples: np.ndarray,
        pieces: list | None,
    ):
        self.samples, self.pieces = samples, None
        self.whole = open_caches.enter_context(
            ActivationCache.create(directory, len(samples), info)
        )
        if pieces is not None:
            counts = [len(own) for own in pieces]
            folder = self.whole.directory / SEGMENTS
            self.pieces = open_caches.enter_context(
                ActivationCache.create(folder, sum(counts), info)
            )
            self.owners = np.repeat(samples, counts)

    def append(
        self, layers: Sequence[np.ndarray], pieces: Sequence[np.ndarray], names: Sequence[str]
    ) -> None:
        """Write the next rows of all layers, and of all layers' pieces."""
        _check_finite(layers, names, self.samples[self.whole.written :])
        if self.pieces is not None:
            _check_finite(pieces, names, self.owners[self.pieces.written :])
            self.pieces.append(pieces)
        self.whole.append(layers)


def _origin(encoder: Encoder, dataset: Dataset) -> dict:
    """What of a cache's index does not depend on how it was extracted."""
    return {
        "layers": encoder.layer_names,
        "model_sha256": encoder.sha256,
        "dataset_sha256": sha256_of(dataset.directory / "manifest.parquet"),
        "device": encoder.device,
        "context": encoder.front_end.context if encoder.front_end else None,
    }


def _of_shard(dataset: Dataset, number: int, shards: int) -> np.ndarray:
    """Sample numbers of one of the consecutive pieces of a data set."""
    samples = np.array_split(np.arange(len(dataset)), shards)[number]
    if not len(samples):
        raise StrataError(
            f"{dataset.info['name']}: {len(dataset)} samples do not make {shards} shards; "
            "lower the configuration's shards"
        )
    return samples


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


def _check_finite(layers: Sequence[np.ndarray], names: Sequence[str], samples) -> None:
    for name, rows in zip(names, layers, strict=True):
        good = np.isfinite(rows).all(axis=1)
        if not good.all():
            sample = int(samples[int(np.argmin(good))])
            raise StrataError(f"layer {name}: NaN or infinite activation at sample {sample}")
