"""Checked input of a dissection: shapes and values, and what may be held of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from strata.arrays import random_ranks
from strata.errors import StrataError

_UNIT = 1e-2  # how far the length of a row may be from one, in the precision of bfloat16


class Problem(NamedTuple):
    """What all layers share: embeddings (images, d) and (concepts, d) of unit length, the size in
    MB of what is computed at a time, the seed of the nulls, and the images' `ranks` (images,),
    drawn by seed and embedding: of equally activating images the lowest comes first."""

    images: np.ndarray
    texts: np.ndarray
    memory_mb: float
    seed: int
    ranks: np.ndarray

    @property
    def n_images(self) -> int:
        return len(self.images)

    @property
    def n_concepts(self) -> int:
        return len(self.texts)


def unit_rows(vectors: np.ndarray, name: str, first: int = 0) -> np.ndarray:
    """A float32 copy of `vectors` (n, d), rows from number `first` on, each of length one.

    Raises StrataError for a row that is zero, NaN or infinite.
    """
    vectors = np.array(vectors, dtype=np.float32)
    lengths = np.sqrt(np.einsum("ij,ij->i", vectors, vectors, dtype=np.float64))
    if not np.isfinite(lengths).all() or not lengths.all():
        row = first + int(np.flatnonzero(~np.isfinite(lengths) | (lengths == 0))[0])
        raise StrataError(f"{name} embeddings: row {row} is zero, NaN or infinite")
    vectors /= lengths[:, None].astype(np.float32)
    return vectors


def read_embeddings(path: str | Path, n: int, of: str) -> np.ndarray:
    """Embeddings (n, d) of n samples or words from a file: a row each, of length one.

    Raises StrataError, naming the file, where it is not so; `of` is whose rows they should be.
    """
    vectors = np.load(path, allow_pickle=False)
    if vectors.ndim != 2 or len(vectors) != n:
        raise StrataError(f"{path}: embeddings of shape {vectors.shape}, where {of} has {n} rows")
    lengths = np.sqrt(np.einsum("ij,ij->i", vectors, vectors, dtype=np.float64))
    wrong = ~(np.abs(lengths - 1) < _UNIT)
    if wrong.any():
        row = int(wrong.argmax())
        raise StrataError(f"{path}: row {row} should have length 1, and has {lengths[row]:g}")
    return vectors


def blocks(n: int, bytes_per_row: float, memory_mb: float) -> Iterator[slice]:
    """Slices over 0..n of as many rows as fit `memory_mb`, at least one."""
    size = max(1, int(memory_mb * 2**20 / bytes_per_row))
    return (slice(start, min(start + size, n)) for start in range(0, n, size))


def check_embeddings(image_embeddings: np.ndarray, text_embeddings: np.ndarray) -> None:
    """Raises StrataError for embeddings that are no tables of the same width."""
    arrays = {"image_embeddings": image_embeddings, "text_embeddings": text_embeddings}
    for name, array in arrays.items():
        _check_table(name, array)
    if image_embeddings.shape[1] != text_embeddings.shape[1]:
        raise StrataError(
            f"image and text embeddings differ in width: {image_embeddings.shape[1]} and "
            f"{text_embeddings.shape[1]}"
        )


def check_problem(
    image_embeddings: np.ndarray,
    text_embeddings: np.ndarray,
    concepts: Sequence[str],
    memory_mb: float,
    seed: int,
) -> Problem:
    """The checked problem, its embeddings of unit length.

    Raises StrataError for shapes that do not fit, fewer than two images, no or repeated concepts,
    and an embedding that is zero, NaN or infinite.
    """
    check_embeddings(image_embeddings, text_embeddings)
    if len(image_embeddings) < 2:
        n = len(image_embeddings)
        raise StrataError(f"the probing set has {n} image(s): at least 2 are needed")
    if len(concepts) == 0:
        raise StrataError("there are no concepts to choose labels from")
    if len(concepts) != len(text_embeddings):
        raise StrataError(f"{len(concepts)} concepts, but {len(text_embeddings)} text embeddings")
    repeated = pd.Index(concepts)[pd.Index(concepts).duplicated()]
    if len(repeated):
        raise StrataError(f"concepts are repeated: {', '.join(map(str, repeated[:5]))}")
    if memory_mb <= 0:
        raise StrataError(f"memory_mb must be positive, not {memory_mb}")
    texts, images = unit_rows(text_embeddings, "text"), unit_rows(image_embeddings, "image")
    return Problem(images, texts, memory_mb, seed, random_ranks(images, seed))


def check_activations(activations: np.ndarray, n_images: int) -> None:
    """Raises StrataError for activations (images, neurons) that do not fit the images."""
    _check_table("activations", activations)
    if activations.shape[1] == 0:
        raise StrataError("activations have no neurons (columns)")
    if len(activations) != n_images:
        raise StrataError(
            f"activations have {len(activations)} images, image_embeddings {n_images}"
        )


def _check_table(name: str, array: np.ndarray) -> None:
    if np.ndim(array) != 2:
        raise StrataError(f"{name} must have two dimensions, not shape {np.shape(array)}")
