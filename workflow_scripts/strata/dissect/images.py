"""The images that activate a neuron most, in one pass over the activations."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from strata.arrays import as_array
from strata.dissect.problem import blocks
from strata.errors import StrataError
from strata.threads import n_threads


class Survey(NamedTuple):
    """Each neuron's most activating images, best first, their activations (both (neurons, k)), its
    least activation, and which neurons are constant (neurons,)."""

    top: np.ndarray
    values: np.ndarray
    low: np.ndarray
    constant: np.ndarray


def survey(activations: np.ndarray, k: int, memory_mb: float, ranks: np.ndarray) -> Survey:
    """Top images and constant neurons of `activations` (images, neurons), read in blocks of rows.

    Of equally activating images that of the lowest of `ranks` (images,) comes first. Raises
    StrataError for NaN or infinite activations.
    """
    from strata.dissect.kernels import keep_largest

    n_images, n_neurons = activations.shape
    dtype = activations.dtype if activations.dtype in (np.float32, np.float64) else np.float32
    values = np.full((n_neurons, k), -np.inf, dtype=dtype)
    samples = np.full((n_neurons, k), n_images, dtype=np.int32)
    low = np.full(n_neurons, np.inf, dtype=dtype)
    # Threads share the neurons; a thread's part of a row is contiguous.
    edges = np.linspace(0, n_neurons, n_threads() + 1).astype(int)
    parts = [slice(*pair) for pair in pairwise(edges)]
    with ThreadPoolExecutor(len(parts)) as pool:
        for block in blocks(n_images, 2.0 * values.itemsize * n_neurons, memory_mb):
            rows = np.ascontiguousarray(activations[block], dtype=dtype)
            own = ranks[block]
            arguments = [(rows[:, p], own, values[p], samples[p], low[p]) for p in parts]
            list(pool.map(lambda given: keep_largest(*given), arguments))
    if not (np.isfinite(values).all() and np.isfinite(low).all()):
        _name_the_first(activations, values, low)
    order = np.lexsort((samples, -values))
    top, values = (np.take_along_axis(array, order, axis=1) for array in (samples, values))
    return Survey(np.argsort(ranks).astype(np.int32)[top], values, low, values[:, 0] == low)


def _name_the_first(activations: np.ndarray, values: np.ndarray, low: np.ndarray) -> None:
    finite = np.isfinite(values).all(axis=1) & np.isfinite(low)
    for unit in np.flatnonzero(~finite):
        column = np.asarray(activations[:, unit], dtype=low.dtype)
        sample = np.flatnonzero(~np.isfinite(column))[0]
        raise StrataError(f"activations: unit {unit} is NaN or infinite at sample {sample}")


def top_images(activations: np.ndarray, k: int, memory_mb: float = 64) -> np.ndarray:
    """Sample numbers of each neuron's `k` most activating images, (neurons, k), best first.

    Reads `activations` (images, neurons; may be memory-mapped) in blocks of images. Of equally
    activating images the lower sample number comes first: here images are no more than numbers.

    Raises StrataError for fewer than `k` images and for NaN or infinite activations.
    """
    activations = as_array(activations, "activations")
    if not 1 <= k <= len(activations):
        raise StrataError(f"k is {k}, but there are {len(activations)} images")
    return survey(activations, k, memory_mb, np.arange(len(activations), dtype=np.int32)).top
