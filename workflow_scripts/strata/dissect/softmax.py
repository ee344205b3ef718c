"""Row sums of exp(a P): what a softmax over all concepts needs before any one of them is scored.

P = images x concepts are the cosines of their embeddings. The sums are the same for all layers and
models of a study, so they are computed once and kept in a file.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from strata.dissect.problem import check_embeddings, unit_rows
from strata.errors import StrataError
from strata.threads import n_threads, one_blas_thread
from strata.whole import whole

# Concepts at a time, whatever the memory, so that a sum is of the same parts; and images at most.
_WIDTH, _ROWS = 512, 1024


@dataclass(frozen=True)
class SoftmaxSums:
    """`sums` (temperatures, images) float64 of exp(a P) over the concepts, by a; `least` and
    `greatest` (images,) bound P; `digest` tells from which embeddings."""

    temperatures: np.ndarray
    sums: np.ndarray
    least: np.ndarray
    greatest: np.ndarray
    n_concepts: int
    digest: str

    def of(self, a: float) -> np.ndarray:
        """The images' sums for `a`. Raises StrataError for one that was not asked for."""
        found = np.flatnonzero(self.temperatures == a)
        if not len(found):
            held = ", ".join(f"{x:g}" for x in self.temperatures) or "none"
            raise StrataError(f"softmax sums: none for a = {a:g} (they hold: {held})")
        return self.sums[found[0]]

    def check(self, image_embeddings: np.ndarray, text_embeddings: np.ndarray) -> None:
        """Raises StrataError unless the sums are of these embeddings."""
        n_images = self.sums.shape[1]
        if n_images != len(image_embeddings):
            raise StrataError(f"softmax sums: of {n_images} images, not {len(image_embeddings)}")
        if self.n_concepts != len(text_embeddings):
            n = len(text_embeddings)
            raise StrataError(f"softmax sums: of {self.n_concepts} concepts, not {n}")
        if self.digest != embeddings_digest(image_embeddings, text_embeddings):
            raise StrataError("softmax sums: of other embeddings than these; compute them anew")

    def of_rows(
        self, rows: np.ndarray, image_embeddings: np.ndarray, text_embeddings: np.ndarray
    ) -> SoftmaxSums:
        """The sums of some `rows` of the images: those of `image_embeddings[rows]`.

        Raises StrataError unless these are of the embeddings, all of them given."""
        if self.digest:
            self.check(image_embeddings, text_embeddings)
        digest = embeddings_digest(image_embeddings[rows], text_embeddings)
        parts = {"least": self.least[rows], "greatest": self.greatest[rows], "digest": digest}
        return replace(self, sums=self.sums[:, rows], **parts)

    def save(self, path: str | Path) -> None:
        """Write to `path` (.npz), complete or not at all."""
        with whole(path) as part, part.open("wb") as file:
            np.savez(file, **vars(self))

    @classmethod
    def load(cls, path: str | Path) -> SoftmaxSums:
        """Read what `save` wrote. Raises StrataError for another file."""
        try:
            with np.load(path) as file:
                arrays = {name: file[name] for name in cls.__dataclass_fields__}
        except (OSError, ValueError, KeyError) as error:
            raise StrataError(f"{path}: not a file of softmax sums ({error})") from None
        arrays |= {"n_concepts": int(arrays["n_concepts"]), "digest": str(arrays["digest"])}
        sums = cls(**arrays)
        if sums.sums.shape != (len(sums.temperatures), len(sums.least)):
            raise StrataError(f"{path}: softmax sums of shape {sums.sums.shape} are incomplete")
        return sums


def softmax_sums(
    image_embeddings: np.ndarray,
    text_embeddings: np.ndarray,
    temperatures: Iterable[float],
    *,
    memory_mb: float = 64,
) -> SoftmaxSums:
    """Row sums of exp(a P) for each `a` of `temperatures`, from one product of the embeddings.

    image_embeddings (images, d; may be memory-mapped) and text_embeddings (concepts, d) are
    normalised here and held as float32; what is computed at a time fits `memory_mb`. Raises
    StrataError for embeddings that do not fit, or have a zero, NaN or infinite row.
    """
    check_embeddings(image_embeddings, text_embeddings)
    images, texts = unit_rows(image_embeddings, "image"), unit_rows(text_embeddings, "text")
    digest = embeddings_digest(image_embeddings, text_embeddings)
    return unit_sums(images, texts, temperatures, memory_mb, digest)


def unit_sums(
    images: np.ndarray,
    texts: np.ndarray,
    temperatures: Iterable[float],
    memory_mb: float,
    digest: str = "",
) -> SoftmaxSums:
    """`softmax_sums` of float32 embeddings whose rows have unit length."""
    wanted, n_images = np.array(sorted(set(temperatures)), dtype=float), len(images)
    sums = np.zeros((len(wanted), n_images))
    least = np.full(n_images, np.inf, dtype=np.float32)
    greatest = -least
    threads = n_threads()
    size = int(memory_mb * 2**20 / threads / (8 * min(_WIDTH, len(texts))))
    size = min(max(1, size), -(-n_images // threads), _ROWS)

    def add(start: int) -> None:
        rows = slice(start, start + size)
        for first in range(0, len(texts), _WIDTH):
            similar = images[rows] @ texts[first : first + _WIDTH].T
            totals, low, high = _row_sums(similar, wanted)
            sums[:, rows] += totals
            least[rows] = np.minimum(least[rows], low)
            greatest[rows] = np.maximum(greatest[rows], high)

    if len(wanted):
        with one_blas_thread(), ThreadPoolExecutor(threads) as pool:
            list(pool.map(add, range(0, n_images, size)))
    return SoftmaxSums(wanted, sums, least, greatest, len(texts), digest)


def _row_sums(similar: np.ndarray, wanted: np.ndarray) -> tuple[np.ndarray, ...]:
    """(sums by a and row, least, greatest) of a tile of P."""
    from strata.dissect.kernels import summarise

    totals = np.empty((len(wanted), len(similar)), dtype=np.float32)
    bounds = np.empty((2, len(similar)), dtype=np.float32)
    scratch = np.empty_like(similar)
    for total, a in zip(totals, wanted, strict=True):
        np.exp(np.multiply(similar, np.float32(a), out=scratch), out=scratch)
        summarise(scratch, total, *bounds)
    # The last and largest a: bounds of exp(a P) are those of P.
    return totals, *(np.log(bounds) / np.float32(wanted[-1]))


def embeddings_digest(image_embeddings: np.ndarray, text_embeddings: np.ndarray) -> str:
    """SHA-256 of both arrays' shapes and float32 values."""
    digest = hashlib.sha256()
    for array in (image_embeddings, text_embeddings):
        digest.update(str(np.shape(array)).encode())
        for start in range(0, len(array), 4096):
            digest.update(np.ascontiguousarray(array[start : start + 4096], dtype=np.float32))
    return digest.hexdigest()
