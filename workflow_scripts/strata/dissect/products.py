"""sum_k log(base + rate_k S_kc) of many neurons at once, by products that float32 can hold."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

_BLOCK = 1024  # images at a time: with some 500 concepts they stay in the cache
# Take the logarithm before the largest possible |log| of a product reaches 87.
_LOG_LIMIT = 80.0
_ROUND_LIMIT = 30.0


class Round(NamedTuple):
    """Factors of one block of images, by row of the table: row j's are starts[j]:starts[j + 1].

    `image` is counted from the block's first; a factor is base + rate * exp(a P). `flush` says that
    the products so far must be turned into logarithms before.
    """

    images: slice
    starts: np.ndarray
    image: np.ndarray
    rate: np.ndarray
    flush: bool


class Plan(NamedTuple):
    """All factors of a table of `n_rows` neurons (and draws), in rounds of at most `block` images:
    12 bytes a factor, held for the whole pass. The same by row: those of row j are base + rate
    exp(a P) / totals, of `image` and `rate` from starts[j] to starts[j + 1]."""

    n_rows: int
    block: int
    a: float
    base: float
    rounds: list[Round]
    starts: np.ndarray
    image: np.ndarray
    rate: np.ndarray
    totals: np.ndarray


def make_plan(starts, image, rate, n_images, a, base, totals, least, greatest) -> Plan:
    """The factors base + rate / total exp(a P): row j has those of `image` (of `n_images`) and
    `rate` (factors,) from starts[j] to starts[j + 1].

    `totals` are the sums of exp(a P) by image, `least` and `greatest` bound its P.
    """
    block = min(max(_BLOCK, n_images // 16), 4 * _BLOCK)
    block_of, rounds, by_row = image // block, [], (starts, image, rate)
    order = np.argsort(block_of, kind="stable")  # by block, then row, then rank
    n_rows = len(starts) - 1
    row, image = np.repeat(np.arange(n_rows), np.diff(starts))[order], image[order]
    factor = rate[order] / totals[image]
    ends = [np.log(base + factor * np.exp(a * x[image].astype(float))) for x in (least, greatest)]
    size = np.abs(ends).max(axis=0)
    bound = np.zeros(n_rows)
    edges = np.searchsorted(block_of[order], np.arange(-(-n_images // block) + 1))
    for number, pairs in enumerate(map(slice, edges[:-1], edges[1:])):
        images = slice(number * block, min((number + 1) * block, n_images))
        for now in _rounds(row[pairs], size[pairs]):
            chosen = np.arange(pairs.start, pairs.stop)[now]
            growth = np.bincount(row[chosen], size[chosen], n_rows)
            flush = bool((bound + growth).max() > _LOG_LIMIT)
            bound = growth if flush else bound + growth
            own = np.searchsorted(row[chosen], np.arange(n_rows + 1))
            local = (image[chosen] - images.start).astype(np.int32)
            rounds.append(Round(images, own, local, factor[chosen].astype(np.float32), flush))
    return Plan(n_rows, block, a, base, rounds, *by_row, totals)


def _rounds(row: np.ndarray, size: np.ndarray) -> Iterator[np.ndarray]:
    """Which factors to apply at once: a row's multiply to at most exp(_ROUND_LIMIT + one)."""
    added = np.cumsum(size)
    first = np.searchsorted(row, row)  # each factor's row's first factor
    number = ((added - (added - size)[first]) / _ROUND_LIMIT).astype(int)
    for i in range(number.max() + 1 if len(number) else 0):
        yield number == i


def log_products(similar: Callable, width: int, plan: Plan) -> np.ndarray:
    """sum_k log(base + rate_k S_kc), float32 (rows, width), of `width` concepts.

    `similar(images)` gives their cosines P (images, width) with a slice of the images.
    """
    from strata.dissect.kernels import multiply

    products = np.ones((plan.n_rows, width), dtype=np.float32)
    logs, at = None, None
    scaled = np.empty((plan.block, width), dtype=np.float32)
    for images, starts, image, rate, flush in plan.rounds:
        if flush:
            logs = _flush(products, logs)
            products = np.ones_like(logs)
        if images != at:
            at, block = images, scaled[: images.stop - images.start]
            np.exp(np.multiply(similar(images), np.float32(plan.a), out=block), out=block)
        multiply(products, block, starts, image, np.float32(plan.base), rate)
    return _flush(products, logs)


def _flush(products: np.ndarray, logs: np.ndarray | None) -> np.ndarray:
    """The logarithm of `products`, whose memory it takes, added to those before."""
    np.log(products, out=products)
    return products if logs is None else np.add(logs, products, out=logs)
