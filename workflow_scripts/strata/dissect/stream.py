"""One pass over the concepts, in tiles, for all layers and similarity functions at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from strata.dissect.problem import Problem
from strata.dissect.scorer import Keys, Scorer
from strata.dissect.softmax import SoftmaxSums
from strata.dissect.tiles import Tile
from strata.threads import n_threads, one_blas_thread

_STEP = 16  # concepts: a tile is some of these wide, and at least one
_WIDEST = 512

# Gets the number of the scorer, the tile's concepts and the keys by layer, from any thread.
Take = Callable[[int, slice, list[Keys]], None]


def stream(
    problem: Problem,
    scorers: Sequence[Scorer],
    take: Take,
    sums: SoftmaxSums | None,
    torch_device: str = "",
) -> None:
    """Compare the images with a tile of concepts at a time, and hand the scorers' keys to `take`.

    A tile is as wide as `problem.memory_mb` allows, at least 16 concepts. Threads work at a tile
    each. With `torch_device` torch does the heavy parts there, a tile at a time.
    """
    needed = np.unique(np.concatenate([scorer.images() for scorer in scorers]))
    images = problem.images
    if len(needed) < len(images):
        images = images[needed]
    for scorer in scorers:
        scorer.start(needed, sums)
    reading = [scorer.reads for scorer in scorers if scorer.reads != "nothing"]
    whole = len(reading) > 1 or "whole" in reading
    threads = 1 if torch_device else n_threads()
    each = max(scorer.bytes_per_concept() for scorer in scorers) + 4.0 * len(images) * whole
    make_tile = Tile
    if torch_device:
        from strata.dissect.torch_tiles import tiles_on

        make_tile = tiles_on(torch_device, images)

    def work(span: slice) -> None:
        tile = make_tile(span, images, problem.texts, whole)
        for number, scorer in enumerate(scorers):
            take(number, span, scorer.keys(tile))

    spans = list(_spans(problem.n_concepts, each, problem.memory_mb, threads))
    with one_blas_thread(), ThreadPoolExecutor(threads) as pool:
        list(pool.map(work, spans))


def _spans(n_concepts: int, each: float, memory_mb: float, threads: int) -> Iterator[slice]:
    """Tiles of equal width, which all `threads` hold at a time, `each` bytes a concept."""
    width = min(memory_mb * 2**20 / each, n_concepts) / threads
    width = min(max(1, round(width / _STEP)) * _STEP, _WIDEST)
    return (slice(i, min(i + width, n_concepts)) for i in range(0, n_concepts, width))
