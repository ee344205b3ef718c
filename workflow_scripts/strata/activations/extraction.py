"""Every layer of a model in one forward pass, streamed to disk."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from strata.activations.cache import SEGMENTS, ActivationCache, CacheWriter
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
    batch_size: int | str = "auto",
    precision: str = "float32",
    shard: tuple[int, int] = (0, 1),
    log: Callable[[str], None] = print,
) -> None:
    """Write the activations of all layers of `encoder` on a data set to `directory`.

    The embedding, where the encoder has it, is the first of the layers and pooled like them.

    Parameters
    ----------
    pool
        What one neuron's activation is: "cls" reads the class token; "mean" averages the patch
        tokens, or the frames of a sound without its padding; "spatial_mean" averages a
        convolutional map (or, the same, the patch tokens); "auto" takes the class token where
        every layer has one, else the mean. A labelled piece of a sound is the mean of its own
        frames.
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
        The pooling does not fit the model, a picture cannot be read, or an activation is NaN or
        infinite (the layer and sample are named).
    """
    samples = _of_shard(dataset, *shard)
    info = _origin(encoder, dataset) | {
        "pooling": pool,
        "precision": precision,
        "batch_size": pick_batch_size(batch_size, encoder.device),
        "shard": list(shard),
    }
    pieces = _pieces(encoder, dataset, samples)
    with (
        Recorder(encoder, pool, pieces, precision) as recorder,
        ActivationCache.create(directory, len(samples), info) as cache,
        _piece_cache(cache, pieces, info) as piece_cache,
    ):
        options = {"device": encoder.device, "read": encoder.reader(dataset)}
        options |= {"batch_size": batch_size, "log": log}
        batches = run_batches(dataset, samples, encoder.preprocess, recorder.record, **options)
        n = len(encoder.layer_names)
        for layers in batches:
            _check_finite(layers[:n], encoder.layer_names, samples[cache.written :])
            if piece_cache is not None:
                owners = np.repeat(samples, [len(own) for own in pieces])
                _check_finite(layers[n:], encoder.layer_names, owners[piece_cache.written :])
                piece_cache.append(layers[n:])
            cache.append(layers[:n])


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


def _piece_cache(cache: CacheWriter, pieces: list | None, info: dict):
    if pieces is None:
        return nullcontext()
    return ActivationCache.create(cache.directory / SEGMENTS, sum(map(len, pieces)), info)


def _check_finite(layers: Sequence[np.ndarray], names: Sequence[str], samples) -> None:
    for name, rows in zip(names, layers, strict=True):
        good = np.isfinite(rows).all(axis=1)
        if not good.all():
            sample = int(samples[int(np.argmin(good))])
            raise StrataError(f"layer {name}: NaN or infinite activation at sample {sample}")
