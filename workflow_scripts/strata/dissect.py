"""Naming neurons with CLIP-Dissect (Oikarinen & Weng, ICLR 2023), in bounded memory.

A neuron is one column of an activation array, a concept one row of a text embedding array, and
P = images x concepts the cosine similarities of their embeddings. Five functions score how well a
concept describes a neuron:

=============  =====================================================================================
soft_wpmi      sum_k log(1 + p_k (S_kc - 1) + e) - lam log mean_neurons(.), S = softmax(a P) over
               the concepts, k over the neuron's `top_k` images, p_k from `p_start` linearly towards
               `p_end`
wpmi           sum_k log(S_kc + e) - lam log mean_neurons(.)
rank_reorder   -(mean |t - t'|^power / expected by chance) / (mean P_kc)^scale, t the neuron's top
               activations and t' the same values put in the order of P
cosine         cosine of the neuron's column and the concept's column of P (not centred)
cosine_cubed   the same of centred columns, each raised to the third power
=============  =====================================================================================

The array P is never held: only images that some neuron needs are compared with the concepts, in
blocks of `memory_mb`. What is held beside the blocks is one neurons x concepts float32 array of
scores (twice that when the similarities are very peaked), and as many rows again as permutations.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields, replace
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import pandas as pd

from strata.errors import StrataError
from strata.stats import adjust_p_values, permutation_p_values
from strata.threads import n_threads

LABEL_COLUMNS = (
    "unit",
    "label",
    "score",
    "runner_up",
    "margin",
    "p_value",
    "q_value",
    "images",
    "constant",
)

# exp(x) of float32 products: flush to logarithms before the largest possible |log| reaches 87.
_LOG_LIMIT = 80.0
_ROUND_LIMIT = 30.0
_TILE = 512  # concepts per tile: a tile of a block stays in the second-level cache


# --- the similarity functions' parameters -------------------------------------------------------


@dataclass(frozen=True)
class SoftWpmi:
    """Soft weighted pointwise mutual information; `a` is the softmax's inverse temperature."""

    top_k: int = 100
    a: float = 10.0
    lam: float = 1.0
    p_start: float = 0.998
    p_end: float = 0.97
    min_prob: float = 1e-7

    def factors(self, n_concepts: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(scale, base, rate) by rank k with 1 + p_k (S - 1) + e = scale (base + rate S)."""
        p = self.p_start - np.arange(self.top_k) / self.top_k * (self.p_start - self.p_end)
        scale = 1 - p + self.min_prob
        return scale, np.ones(self.top_k), p / scale


@dataclass(frozen=True)
class Wpmi:
    """Weighted pointwise mutual information with hard membership of the top images."""

    top_k: int = 28
    a: float = 2.0
    lam: float = 0.6
    min_prob: float = 1e-7

    def factors(self, n_concepts: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(scale, base, rate) by rank k with S + e = scale (base + rate S), S near 1/concepts."""
        one = np.ones(self.top_k)
        return one / n_concepts, one * self.min_prob * n_concepts, one * n_concepts


@dataclass(frozen=True)
class RankReorder:
    """Rank reordering of the top images: `top_fraction` of all, or `top_k` when given.

    The original divides by the error of five random orders; here by the exact expectation over
    all orders, so that nothing is random. `power` is a positive whole number.
    """

    top_k: int | None = None
    top_fraction: float = 0.05
    power: int = 3
    scale: float = 0.5


@dataclass(frozen=True)
class Cosine:
    """Cosine of columns over all images (`top_k` has no meaning), centred or not, to a power."""

    power: int = 1
    centred: bool = False
    min_norm: float = 1e-12


Parameters = SoftWpmi | Wpmi | RankReorder | Cosine

DEFAULTS: dict[str, Parameters] = {
    "soft_wpmi": SoftWpmi(),
    "wpmi": Wpmi(),
    "rank_reorder": RankReorder(),
    "cosine": Cosine(),
    "cosine_cubed": Cosine(power=3, centred=True, min_norm=1e-3),
}
SIMILARITIES = tuple(DEFAULTS)


def similarity_parameters(
    similarity: str,
    n_images: int,
    top_k: int | None = None,
    parameters: Mapping[str, float] | None = None,
) -> Parameters:
    """The parameters of `similarity` for `n_images`, with `parameters` and `top_k` overriding.

    Raises StrataError for an unknown function or parameter, or a `top_k` outside 1..n_images.
    """
    if similarity not in DEFAULTS:
        raise StrataError(f"similarity {similarity!r} is unknown: choose from {SIMILARITIES}")
    chosen = DEFAULTS[similarity]
    known = [field.name for field in fields(chosen)]
    for name in parameters or {}:
        if name not in known:
            raise StrataError(f"{similarity} has no parameter {name!r}: it takes {known}")
    chosen = replace(chosen, **(parameters or {}))
    if isinstance(chosen, Cosine):
        if chosen.power < 1 or chosen.power != int(chosen.power):
            raise StrataError(f"{similarity}: power must be a positive whole number")
        return chosen
    if top_k is not None:
        chosen = replace(chosen, top_k=top_k)
    if isinstance(chosen, RankReorder):
        if chosen.power < 1 or chosen.power != int(chosen.power):
            raise StrataError(f"{similarity}: power must be a positive whole number")
        if chosen.top_k is None:
            chosen = replace(chosen, top_k=max(2, int(n_images * chosen.top_fraction)))
    elif not 0 < chosen.a <= 40:  # exp(a P) and its sum must fit float32
        raise StrataError(f"{similarity}: a must be above 0 and at most 40, not {chosen.a}")
    if not 1 <= chosen.top_k <= n_images:
        raise StrataError(
            f"{similarity}: top_k is {chosen.top_k}, but the probing set has {n_images} images"
        )
    return chosen


# --- inputs and results -------------------------------------------------------------------------


class _Problem(NamedTuple):
    """Checked inputs; `images` stay as given (perhaps memory-mapped), `texts` have unit length."""

    activations: np.ndarray
    images: np.ndarray
    texts: np.ndarray
    memory_mb: float
    seed: int


class _Survey(NamedTuple):
    """Each neuron's most activating images (neurons, k), best first, and which are constant."""

    top: np.ndarray
    constant: np.ndarray

    @property
    def n_varying(self) -> int:
        return int((~self.constant).sum())


class _Scores(NamedTuple):
    """What orders the concepts: `keys` (neurons, concepts), and its null maxima.

    `null` is (neurons or 1, permutations). `score` turns keys into scores, monotonically.
    """

    keys: np.ndarray
    null: np.ndarray
    constant: np.ndarray
    score: Callable[[np.ndarray], np.ndarray] = np.asarray


def _unit_rows(vectors: np.ndarray, name: str) -> np.ndarray:
    """A float32 copy of `vectors` (n, d) whose rows have length one."""
    vectors = np.array(vectors, dtype=np.float32)
    lengths = np.sqrt(np.einsum("ij,ij->i", vectors, vectors, dtype=np.float64))
    if not np.isfinite(lengths).all() or not lengths.all():
        row = int(np.flatnonzero(~np.isfinite(lengths) | (lengths == 0))[0])
        raise StrataError(f"{name} embeddings: row {row} of the block is zero, NaN or infinite")
    vectors /= lengths[:, None].astype(np.float32)
    return vectors


def _check(
    activations: np.ndarray,
    image_embeddings: np.ndarray,
    text_embeddings: np.ndarray,
    concepts: Sequence[str],
    memory_mb: float,
    seed: int,
) -> _Problem:
    """Shapes, sizes and concepts; values are checked where they are first read."""
    arrays = {
        "activations": activations,
        "image_embeddings": image_embeddings,
        "text_embeddings": text_embeddings,
    }
    for name, array in arrays.items():
        if np.ndim(array) != 2:
            raise StrataError(f"{name} must have two dimensions, not shape {np.shape(array)}")
    n_images, n_neurons = activations.shape
    if n_neurons == 0:
        raise StrataError("activations have no neurons (columns)")
    if n_images < 2:
        raise StrataError(f"the probing set has {n_images} image(s): at least 2 are needed")
    if len(image_embeddings) != n_images:
        raise StrataError(
            f"activations have {n_images} images, image_embeddings {len(image_embeddings)}"
        )
    if image_embeddings.shape[1] != text_embeddings.shape[1]:
        raise StrataError(
            f"image and text embeddings differ in width: {image_embeddings.shape[1]} and "
            f"{text_embeddings.shape[1]}"
        )
    if len(concepts) == 0:
        raise StrataError("there are no concepts to choose labels from")
    if len(concepts) != len(text_embeddings):
        raise StrataError(f"{len(concepts)} concepts, but {len(text_embeddings)} text embeddings")
    repeated = pd.Index(concepts)[pd.Index(concepts).duplicated()]
    if len(repeated):
        raise StrataError(f"concepts are repeated: {', '.join(map(str, repeated[:5]))}")
    if memory_mb <= 0:
        raise StrataError(f"memory_mb must be positive, not {memory_mb}")
    texts = _unit_rows(text_embeddings, "text")
    return _Problem(activations, image_embeddings, texts, memory_mb, seed)


def _power(values: np.ndarray, power: int) -> np.ndarray:
    """values ** power by multiplication, many times faster than numpy's own for float32."""
    result = values
    for _ in range(power - 1):
        result = result * values
    return result


def _blocks(n: int, bytes_per_row: float, memory_mb: float) -> Iterator[slice]:
    """Slices over 0..n of as many rows as fit `memory_mb`, at least one."""
    size = max(1, int(memory_mb * 2**20 / bytes_per_row))
    return (slice(start, min(start + size, n)) for start in range(0, n, size))


# --- the most activating images -----------------------------------------------------------------


def _largest(values: np.ndarray, k: int) -> np.ndarray:
    """Positions of the `k` largest, best first; of equal values the lower position first."""
    kth = np.partition(values, len(values) - k)[len(values) - k]
    above = np.flatnonzero(values > kth)
    tied = np.flatnonzero(values == kth)[: k - len(above)]
    chosen = np.concatenate([above, tied])
    return chosen[np.argsort(-values[chosen], kind="stable")]


def _survey(activations: np.ndarray, k: int, memory_mb: float) -> _Survey:
    """Top images and constant neurons in one pass over blocks of columns."""
    n_images, n_neurons = activations.shape
    top = np.empty((n_neurons, k), dtype=np.int64)
    constant = np.empty(n_neurons, dtype=bool)
    for units in _blocks(n_neurons, 16 * n_images, memory_mb):
        block = np.ascontiguousarray(activations[:, units].T)
        if block.dtype not in (np.float32, np.float64):
            block = block.astype(np.float32)
        if not np.isfinite(block).all():
            unit, sample = np.argwhere(~np.isfinite(block))[0]
            raise StrataError(
                f"activations: unit {unit + units.start} is NaN or infinite at sample {sample}"
            )
        constant[units] = block.max(axis=1) == block.min(axis=1)
        for unit, values in enumerate(block, start=units.start):
            top[unit] = _largest(values, k)
    return _Survey(top, constant)


def top_images(activations: np.ndarray, k: int, memory_mb: float = 64) -> np.ndarray:
    """Sample numbers of each neuron's `k` most activating images, (neurons, k), best first.

    Reads `activations` (images, neurons; may be memory-mapped) in blocks of columns. Of equally
    activating images the lower sample number comes first.

    Raises StrataError for fewer than `k` images and for NaN or infinite activations.
    """
    if not 1 <= k <= len(activations):
        raise StrataError(f"k is {k}, but there are {len(activations)} images")
    return _survey(activations, k, memory_mb).top


# --- soft WPMI and WPMI -------------------------------------------------------------------------


def _multiply(products, tile, first, starts, rows, base, rate):
    """products[j, first + c] *= prod_i (base_i + rate_i tile[rows_i, c]), i of neuron j."""
    width = tile.shape[1]
    for j in range(products.shape[0]):
        target = products[j, first : first + width]
        i = starts[j]
        end = starts[j + 1]
        while i + 4 <= end:  # four at a time: the target is read and written a quarter as often
            t0, t1, t2, t3 = tile[rows[i]], tile[rows[i + 1]], tile[rows[i + 2]], tile[rows[i + 3]]
            b0, b1, b2, b3 = base[i], base[i + 1], base[i + 2], base[i + 3]
            r0, r1, r2, r3 = rate[i], rate[i + 1], rate[i + 2], rate[i + 3]
            for c in range(width):
                left = (b0 + r0 * t0[c]) * (b1 + r1 * t1[c])
                target[c] *= left * ((b2 + r2 * t2[c]) * (b3 + r3 * t3[c]))
            i += 4
        while i < end:
            t0, b0, r0 = tile[rows[i]], base[i], rate[i]
            for c in range(width):
                target[c] *= b0 + r0 * t0[c]
            i += 1


def _summarise(tile, total, low, high):
    """Sum, least and greatest value of each row of `tile`, in one reading of it."""
    for i in range(tile.shape[0]):
        row = tile[i]
        added = np.float32(0)
        least = row[0]
        greatest = row[0]
        for c in range(row.size):
            added += row[c]
            least = min(least, row[c])
            greatest = max(greatest, row[c])
        total[i], low[i], high[i] = added, least, greatest


@lru_cache
def _compiled() -> tuple[Callable, Callable]:
    """The two loops as machine code, kept on disk between runs."""
    import numba

    compile_ = numba.njit(cache=True, fastmath=True, nogil=True, error_model="numpy")
    return compile_(_multiply), compile_(_summarise)


class _Softmax:
    """exp(a P) of a block of images against all concepts, in tiles, with sums by image."""

    def __init__(self, texts: np.ndarray, a: float, n_rows: int, pool: ThreadPoolExecutor):
        edges = np.linspace(0, len(texts), -(-len(texts) // _TILE) + 1).astype(int)
        self.spans = list(pairwise(edges))
        self.texts, self.a = texts, np.float32(a)
        self.buffer = np.empty(n_rows * len(texts), dtype=np.float32)
        self.pool = pool

    def fill(self, images: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Compute the tiles for `images` (unit rows); return total, least, greatest by image."""
        n, images = len(images), images * self.a
        self.tiles = [self.buffer[n * c0 : n * c1].reshape(n, -1) for c0, c1 in self.spans]
        stats = np.empty((3, len(self.tiles), n), dtype=np.float32)
        waiting = []
        for number, (tile, (c0, c1)) in enumerate(zip(self.tiles, self.spans, strict=True)):
            np.matmul(images, self.texts[c0:c1].T, out=tile)  # BLAS, while the pool finishes tiles
            waiting.append(self.pool.submit(self._finish, tile, stats[:, number]))
        for done in waiting:
            done.result()
        return stats[0].sum(axis=0, dtype=np.float64), stats[1].min(axis=0), stats[2].max(axis=0)

    @staticmethod
    def _finish(tile: np.ndarray, stats: np.ndarray) -> None:
        np.exp(tile, out=tile)
        _compiled()[1](tile, *stats)

    def multiply(self, products: np.ndarray, pairs: _Pairs) -> None:
        """Multiply into `products` (neurons, concepts) the factors of `pairs`."""
        starts = np.searchsorted(pairs.neuron, np.arange(len(products) + 1))
        rest = (starts, pairs.row, pairs.base, pairs.rate)
        waiting = [
            self.pool.submit(_compiled()[0], products, tile, c0, *rest)
            for tile, (c0, _) in zip(self.tiles, self.spans, strict=True)
        ]
        for done in waiting:
            done.result()


class _Pairs(NamedTuple):
    """Factors to apply, in order of neuron: which row of the block, and base + rate * value."""

    neuron: np.ndarray
    row: np.ndarray
    base: np.ndarray
    rate: np.ndarray
    size: np.ndarray  # the largest possible |log factor|


def _pairs(position, low, high, base, rate, row_statistics) -> Iterator[_Pairs]:
    """The factors that block low..high of the needed images holds, in rounds.

    A round's factors of one neuron multiply to at most exp(_ROUND_LIMIT + one factor), which
    float32 holds.
    """
    total, least, greatest = row_statistics
    neuron, rank = np.nonzero((position >= low) & (position < high))
    row = position[neuron, rank] - low
    pair_rate = rate[rank] / total[row]
    ends = [np.abs(np.log(base[rank] + pair_rate * x[row])) for x in (least, greatest)]
    size = np.maximum(*ends)
    added = np.cumsum(size)
    first = np.searchsorted(neuron, neuron)  # each pair's neuron's first pair
    number = ((added - (added - size)[first]) / _ROUND_LIMIT).astype(int)
    for i in range(number.max() + 1 if len(number) else 0):
        now = number == i
        as_float32 = (base[rank][now].astype(np.float32), pair_rate[now].astype(np.float32))
        yield _Pairs(neuron[now], row[now], *as_float32, size[now])


def _log_products(
    problem: _Problem, rows: np.ndarray, base: np.ndarray, rate: np.ndarray, a: float
) -> np.ndarray:
    """sum_k log(base_k + rate_k S[rows[j, k], c]) as (len(rows), concepts) float32.

    S = softmax(a P) over the concepts. The factors are multiplied and the logarithm is taken at
    the end, or whenever a product might leave float32's range: this is what makes it fast.
    """
    needed, position = np.unique(rows, return_inverse=True)
    position = position.reshape(rows.shape)
    n_concepts, width = problem.texts.shape
    products = np.ones((len(rows), n_concepts), dtype=np.float32)
    logs, bound = None, np.zeros(len(rows))
    blocks = list(_blocks(len(needed), 4.0 * (n_concepts + width), problem.memory_mb))
    with ThreadPoolExecutor(n_threads()) as pool:
        softmax = _Softmax(problem.texts, a, blocks[0].stop, pool)
        for block in blocks:
            images = _unit_rows(problem.images[needed[block]], "image")
            statistics = softmax.fill(images)
            for pairs in _pairs(position, block.start, block.stop, base, rate, statistics):
                growth = np.bincount(pairs.neuron, pairs.size, len(rows))
                if (bound + growth).max() > _LOG_LIMIT:
                    np.log(products, out=products)
                    logs = products.copy() if logs is None else np.add(logs, products, out=logs)
                    products.fill(1)
                    bound[:] = 0
                bound += growth
                softmax.multiply(products, pairs)
    np.log(products, out=products)
    return products if logs is None else np.add(logs, products, out=products)


def _log_sum_exp(table: np.ndarray) -> np.ndarray:
    """log of the sum over rows of exp(table), by column, in blocks of rows."""
    greatest = table.max(axis=0)
    total = np.zeros(table.shape[1])
    for start in range(0, len(table), 32):
        block = table[start : start + 32] - greatest
        total += np.exp(block, out=block).sum(axis=0, dtype=np.float64)
    return greatest + np.log(total)


def _odds_against_others(table: np.ndarray, total: np.ndarray) -> None:
    """Replace L by log(exp L_jc / sum_{i != j} exp L_ic), given total_c = log sum_i exp L_ic.

    A concept's strongest neuron is treated apart: it may make up all of the sum, and then
    1 - exp(L - total) has no digits left.
    """
    columns = np.arange(table.shape[1])
    strongest = table.argmax(axis=0)
    peak = table[strongest, columns]
    table[strongest, columns] = -np.inf
    others = _log_sum_exp(table)
    for start in range(0, len(table), 32):
        block = table[start : start + 32]
        block -= total.astype(np.float32)
        block -= np.log(1 - np.exp(block))
    table[strongest, columns] = peak - others


def _score_mutual_information(
    problem: _Problem, parameters: SoftWpmi | Wpmi, survey: _Survey, n_permutations: int
) -> _Scores:
    """Scores and null of soft WPMI and WPMI; constant neurons are left out of the prior.

    With lam = 1 a score is log n - log(1 + 1 / odds), n neurons, odds those of `_odds_against_
    others`. It saturates at log n for every concept that one neuron dominates, so labels are chosen
    by the odds. With fewer than two neurons that vary, every score is 0.

    Null: a neuron whose activations have nothing to do with the images takes its top images at
    random, so its score depends on random images only, and the same draws serve all neurons of the
    layer. A draw is scored in place of a neuron: the other n - 1 are (n - 1) / n of all observed.
    """
    top, constant, n = survey.top[:, : parameters.top_k], survey.constant, survey.n_varying
    if n < 2:
        nothing = np.zeros((len(top), len(problem.texts)), dtype=np.float32)
        return _Scores(nothing, np.zeros((1, n_permutations)), constant)
    rng = np.random.default_rng(problem.seed)
    n_images = len(problem.activations)
    draws = [rng.permutation(n_images)[: parameters.top_k] for _ in range(n_permutations)]
    scale, base, rate = parameters.factors(len(problem.texts))
    rows = np.concatenate([top, np.array(draws, dtype=top.dtype).reshape(-1, top.shape[1])])
    table = _log_products(problem, rows, base, rate, parameters.a)
    observed, drawn = table[: len(top)], table[len(top) :]
    observed[constant] = -np.inf
    total = _log_sum_exp(observed)
    others = (total + np.log1p(-1 / n)).astype(np.float32)
    if parameters.lam == 1:
        null = [(row - others).max() for row in drawn]
        _odds_against_others(observed, total)
        return _Scores(
            observed, np.array([null]), constant, lambda odds: np.log(n) - np.logaddexp(0, -odds)
        )
    # Every term also holds the sum of log(scale), the same for all neurons and concepts.
    shift = parameters.lam * np.log(n) + (1 - parameters.lam) * np.log(scale).sum()
    null = [(row - parameters.lam * np.logaddexp(others, row)).max() + shift for row in drawn]
    observed += (shift - parameters.lam * total).astype(np.float32)
    return _Scores(observed, np.array([null]), constant)


# --- rank reorder -------------------------------------------------------------------------------


def _expected_error(values: np.ndarray, power: int) -> float:
    """Mean of |v_i - v_j|^power over all ordered pairs, i = j included (sorted ascending).

    It is the expected error of a random order. Binomial expansion with running sums: O(n).
    """
    values = values - values.mean()
    sums = [np.cumsum(values**m) - values**m for m in range(power + 1)]  # over smaller values
    binomial = 1.0
    total = 0.0
    for m in range(power + 1):
        total += binomial * (-1) ** m * float((values ** (power - m) * sums[m]).sum())
        binomial *= (power - m) / (m + 1)
    return 2 * max(total, 0.0) / len(values) ** 2


def _order_errors(order: np.ndarray, values: np.ndarray, power: int) -> np.ndarray:
    """Mean |difference|^power when `values` (descending) are put in each row of `order`."""
    return _power(np.abs(values[order] - values[::-1]), power).mean(axis=1)


def _score_rank_reorder(
    problem: _Problem, parameters: RankReorder, survey: _Survey, n_permutations: int
) -> _Scores:
    """Scores and null of rank reorder; null: random images in place of the neuron's top ones.

    A concept whose mean similarity over the images is not positive is divided by 1e-6 instead
    (the original would give NaN). A neuron whose top activations are all equal counts as constant.
    """
    top = survey.top[:, : parameters.top_k]
    n_neurons, k = top.shape
    rng = np.random.default_rng(problem.seed)
    draws = [rng.permutation(len(problem.activations))[:k] for _ in range(n_permutations)]
    values = np.take_along_axis(problem.activations, top.T, axis=0).T.astype(np.float64)
    expected = np.array([_expected_error(row[::-1], parameters.power) for row in values])
    constant = survey.constant | (expected <= 0)
    values /= np.where(constant, 1, expected)[:, None] ** (1 / parameters.power)
    values = values.astype(np.float32)
    needed = np.unique(np.concatenate([top.ravel(), *draws]))
    images = _unit_rows(problem.images[needed], "image")
    scores = np.empty((n_neurons, len(problem.texts)), dtype=np.float32)
    null = np.full((n_neurons, n_permutations), -np.inf, dtype=np.float32)

    def ranked(similar, rows):
        """Order of the images by each concept's similarity, and the divisor of its errors."""
        chosen = similar[:, np.searchsorted(needed, rows)]
        mean = np.maximum(chosen.mean(axis=1), np.float32(1e-6))
        return np.argsort(chosen, axis=1), mean**parameters.scale

    for tile in _blocks(len(problem.texts), 4.0 * len(needed) + 20.0 * k, problem.memory_mb):
        similar = problem.texts[tile] @ images.T
        for unit in range(n_neurons):
            order, divisor = ranked(similar, top[unit])
            scores[unit, tile] = -_order_errors(order, values[unit], parameters.power) / divisor
        for number, rows in enumerate(draws):
            order, divisor = ranked(similar, rows)
            for unit in range(n_neurons):
                score = -_order_errors(order, values[unit], parameters.power) / divisor
                null[unit, number] = max(null[unit, number], score.max())
    return _Scores(scores, null, constant)


# --- cosine -------------------------------------------------------------------------------------


class _Columns:
    """Columns of activations and of P, centred and raised to a power as `parameters` say."""

    def __init__(self, problem: _Problem, parameters: Cosine):
        self.problem, self.power = problem, parameters.power
        n_images, n_neurons = problem.activations.shape
        widest = n_neurons + problem.images.shape[1]
        widest += len(problem.texts) if self.power > 1 else 0
        self.blocks = list(_blocks(n_images, 8.0 * widest, problem.memory_mb))
        self.neuron_mean = np.zeros(n_neurons)
        self.image_mean = np.zeros(problem.images.shape[1])
        if parameters.centred:
            for block in self.blocks:
                rows = problem.activations[block]
                self.neuron_mean += rows.sum(axis=0, dtype=np.float64) / n_images
                rows = _unit_rows(problem.images[block], "image")
                self.image_mean += rows.sum(axis=0, dtype=np.float64) / n_images
        self.length = np.ones(n_neurons)
        squares = sum((self.neurons(b).astype(np.float64) ** 2).sum(axis=0) for b in self.blocks)
        self.length = np.maximum(np.sqrt(squares), parameters.min_norm)
        self.concept_length = np.maximum(self._concept_lengths(), parameters.min_norm)

    def neurons(self, rows: slice | np.ndarray) -> np.ndarray:
        """The neurons' columns at `rows`, of unit length over all images."""
        values = self.problem.activations[rows] - self.neuron_mean
        return (_power(values, self.power) / self.length).astype(np.float32)

    def images(self, rows: slice) -> np.ndarray:
        """Image embeddings, unit length, then centred if the columns of P are to be."""
        return _unit_rows(self.problem.images[rows], "image") - self.image_mean.astype(np.float32)

    def concepts(self, rows: slice) -> np.ndarray:
        """The concepts' columns of P at `rows`."""
        return _power(self.images(rows) @ self.problem.texts.T, self.power)

    def _concept_lengths(self) -> np.ndarray:
        if self.power > 1:
            squares = sum(
                np.einsum("ic,ic->c", p, p, dtype=np.float64)
                for p in map(self.concepts, self.blocks)
            )
            return np.sqrt(squares)
        # |X t|^2 = t' (X'X) t: the columns of P are not needed
        gram = sum((x.T @ x).astype(np.float64) for x in map(self.images, self.blocks))
        texts = self.problem.texts
        return np.sqrt(np.einsum("cd,cd->c", texts @ gram, texts))

    def products(self, order: np.ndarray) -> np.ndarray:
        """Cosines (neurons, concepts) when image i has the activations of image order[i]."""
        factors = self.images if self.power == 1 else self.concepts
        table = 0.0
        for block in self.blocks:
            table = table + self.neurons(order[block]).T @ factors(block)
        if self.power == 1:  # A'(X T') = (A'X) T'
            table = table @ self.problem.texts.T
        table /= self.concept_length.astype(np.float32)
        return table


def _score_cosine(
    problem: _Problem, parameters: Cosine, survey: _Survey, n_permutations: int
) -> _Scores:
    """Scores and null of the cosines; null: images shuffled, jointly for all neurons."""
    columns = _Columns(problem, parameters)
    n_images, n_neurons = problem.activations.shape
    rng = np.random.default_rng(problem.seed)
    null = np.empty((n_neurons, n_permutations), dtype=np.float32)
    for number in range(n_permutations):
        null[:, number] = columns.products(rng.permutation(n_images)).max(axis=1)
    return _Scores(columns.products(np.arange(n_images)), null, survey.constant)


# --- labels -------------------------------------------------------------------------------------


def _score(
    problem: _Problem, parameters: Parameters, survey: _Survey, n_permutations: int
) -> _Scores:
    """Scores of all concepts for all neurons by the function that `parameters` belong to."""
    if isinstance(parameters, RankReorder):
        return _score_rank_reorder(problem, parameters, survey, n_permutations)
    if isinstance(parameters, Cosine):
        return _score_cosine(problem, parameters, survey, n_permutations)
    return _score_mutual_information(problem, parameters, survey, n_permutations)


def similarity_scores(
    activations: np.ndarray,
    image_embeddings: np.ndarray,
    text_embeddings: np.ndarray,
    similarity: str = "soft_wpmi",
    top_k: int | None = None,
    *,
    memory_mb: float = 64,
    parameters: Mapping[str, float] | None = None,
) -> np.ndarray:
    """All scores, (neurons, concepts); arguments and errors as for `label_neurons`."""
    names = [str(i) for i in range(len(text_embeddings))]
    problem = _check(activations, image_embeddings, text_embeddings, names, memory_mb, 0)
    chosen = similarity_parameters(similarity, len(activations), top_k, parameters)
    survey = _survey(activations, getattr(chosen, "top_k", 1), memory_mb)
    scores = _score(problem, chosen, survey, 0)
    return scores.score(scores.keys)


def label_neurons(
    activations: np.ndarray,
    image_embeddings: np.ndarray,
    text_embeddings: np.ndarray,
    concepts: Sequence[str],
    similarity: str = "soft_wpmi",
    top_k: int | None = None,
    *,
    n_permutations: int = 0,
    seed: int = 0,
    memory_mb: float = 64,
    n_images_shown: int = 5,
    n_runners_up: int = 4,
    parameters: Mapping[str, float] | None = None,
) -> pd.DataFrame:
    """Label each neuron of a layer with the concept that describes it best.

    Parameters
    ----------
    activations : (images, neurons) float array, may be memory-mapped
    image_embeddings, text_embeddings : (images, d) and (concepts, d); normalised here
    concepts : the words, one per text embedding
    similarity : one of `SIMILARITIES`
    top_k : images per neuron; None takes the function's own (soft WPMI 100, WPMI 28, rank reorder
        5 % of the images; the cosines use all images and ignore it)
    n_permutations : shuffles of the images for the null of the best score; 0 leaves p and q NaN
    memory_mb : size of a block (module docstring: what is held beside it)
    parameters : overrides of the function's other parameters (`SoftWpmi`, `Wpmi`, ...)

    Returns
    -------
    DataFrame with a row per neuron: unit, label, score, runner_up (the next best, ";"-joined),
    margin (score minus the second best; NaN with a single concept), p_value = (1 + number of null
    maxima >= score) / (permutations + 1), q_value (Benjamini-Hochberg within the layer), images
    (sample numbers of the most activating, ";"-joined), constant. A constant neuron has no top
    images and hence no label: label missing, score and margin 0, p = q = 1 and empty strings; it
    takes no part in the prior or the adjustment, and counts leave it out.

    Raises
    ------
    StrataError
        Shapes that do not fit, fewer than two images or than `top_k`, no or repeated concepts,
        NaN or infinite values, an unknown similarity or parameter.
    """
    problem = _check(activations, image_embeddings, text_embeddings, concepts, memory_mb, seed)
    chosen = similarity_parameters(similarity, len(activations), top_k, parameters)
    shown = min(n_images_shown, len(activations))
    survey = _survey(activations, max(getattr(chosen, "top_k", 1), shown), memory_mb)
    scores = _score(problem, chosen, survey, n_permutations)
    table = _label_table(scores, np.asarray(concepts, dtype=object), n_runners_up)
    table["images"] = [";".join(map(str, row[:shown])) for row in survey.top]
    table["constant"] = scores.constant
    table["p_value"] = table["q_value"] = np.nan
    if n_permutations:
        table["p_value"] = permutation_p_values(scores.keys.max(axis=1), scores.null)
        varying = ~table["constant"]
        table.loc[varying, "q_value"] = adjust_p_values(table.loc[varying, "p_value"])
        table.loc[~varying, ["p_value", "q_value"]] = 1.0
    table.loc[table["constant"], ["score", "margin"]] = 0.0
    table.loc[table["constant"], ["runner_up", "images"]] = ""
    table.loc[table["constant"], "label"] = None
    return table[list(LABEL_COLUMNS)]


def _label_table(scores: _Scores, concepts: np.ndarray, n_runners_up: int) -> pd.DataFrame:
    """unit, label, score, runner_up and margin; of equal scores the earlier concept wins."""
    wanted = min(max(2, 1 + n_runners_up), len(concepts))
    best = np.stack([_largest(row, wanted) for row in scores.keys])
    keys = np.take_along_axis(scores.keys, best, axis=1).astype(np.float64)
    keys[scores.constant] = 0  # theirs may be infinite, and are not used
    values = scores.score(keys)
    return pd.DataFrame(
        {
            "unit": np.arange(len(best)),
            "label": concepts[best[:, 0]],
            "score": values[:, 0],
            "runner_up": [";".join(concepts[row[1 : 1 + n_runners_up]]) for row in best],
            "margin": values[:, 0] - values[:, 1] if wanted > 1 else np.nan,
        }
    )


def label_with_all(
    activations: np.ndarray,
    image_embeddings: np.ndarray,
    text_embeddings: np.ndarray,
    concepts: Sequence[str],
    similarities: Sequence[str],
    *,
    top_k: int | None = None,
    n_permutations: int = 0,
    **options,
) -> pd.DataFrame:
    """`label_neurons` with several functions: rows stacked, the function in column `similarity`.

    `top_k` and `n_permutations` apply to the first function, the main one; the others take their
    own default and no null.
    """
    tables = []
    for number, similarity in enumerate(similarities):
        main = {"top_k": top_k, "n_permutations": n_permutations} if number == 0 else {}
        arrays = (activations, image_embeddings, text_embeddings, concepts)
        table = label_neurons(*arrays, similarity, **main, **options)
        tables.append(table.assign(similarity=similarity))
    return pd.concat(tables, ignore_index=True)


def label_measures(
    table: pd.DataFrame,
    *,
    model: str,
    dataset: str,
    layer: str,
    layer_index: int,
    n_images: int,
    seed: int,
) -> pd.DataFrame:
    """Measure rows (strata.tables) from `label_with_all`'s table of one layer.

    concept = label (None for a constant neuron), metric = similarity function, value = score,
    n = number of probing images; unit, runner_up, margin, p_value, q_value, images and constant
    are kept as further columns.
    """
    named = {"label": "concept", "similarity": "metric", "score": "value"}
    measures = table.rename(columns=named).assign(
        model=model,
        dataset=dataset,
        layer=layer,
        layer_index=layer_index,
        low=np.nan,
        high=np.nan,
        n=n_images,
        seed=seed,
    )
    from strata.tables import check_measures

    return check_measures(measures, f"labels of {model}, layer {layer}")


def dissect_model(
    layers: Iterable[tuple[str, np.ndarray]],
    image_embeddings: np.ndarray,
    text_embeddings: np.ndarray,
    concepts: Sequence[str],
    *,
    model: str,
    dataset: str,
    similarities: Sequence[str],
    top_k: int | None = None,
    permutations: int = 0,
    seed: int = 0,
    log: Callable[[str], None] = print,
) -> pd.DataFrame:
    """Measure rows of the labels of all layers, by each similarity function; the first is the main.

    `layers` gives names and activations (images, neurons); other arguments and errors as for
    `label_with_all`, with the layer named.
    """
    tables = []
    for index, (layer, activations) in enumerate(layers):
        try:
            table = label_with_all(
                activations,
                image_embeddings,
                text_embeddings,
                concepts,
                similarities,
                top_k=top_k,
                n_permutations=permutations,
                seed=seed,
            )
        except StrataError as error:
            raise StrataError(f"{model} on {dataset}, layer {layer}: {error}") from None
        place = {"layer": layer, "layer_index": index, "n_images": len(activations), "seed": seed}
        tables.append(label_measures(table, model=model, dataset=dataset, **place))
        log(f"{layer}: {activations.shape[1]} neurons labelled")
    return pd.concat(tables, ignore_index=True)
