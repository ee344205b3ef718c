"""The pairs of each concept that are scored, and what their scores add up to."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import NamedTuple

import numpy as np
import pandas as pd

from strata.convexity.graphs import NeighborGraph
from strata.errors import StrataError
from strata.threads import run_parallel

_PAIRS = 2**22  # scored at a time
_SAMPLES = 2**12  # whose pairs are scored at a time
_LARGE = 5  # a concept with this part of the samples is near every other sample anyway


class Labels(NamedTuple):
    """Labels as numbers (n,), in order of first appearance, with their names and sizes."""

    codes: np.ndarray
    names: list
    sizes: np.ndarray


def number(labels: Sequence, n: int) -> Labels:
    """Labels of n samples as numbers.

    Raises StrataError for another number of labels, one concept only, or a concept with one
    sample.
    """
    labels = pd.Series(list(labels), dtype=object)
    if len(labels) != n:
        raise StrataError(f"there are {n} samples, but {len(labels)} labels")
    codes, names = pd.factorize(labels)
    sizes = np.bincount(codes)
    if len(sizes) < 2:
        raise StrataError(f"labels: {names[0]!r} is the only concept; convexity needs two or more")
    if sizes.min() < 2:
        lonely = names[int(sizes.argmin())]
        raise StrataError(f"labels: concept {lonely!r} has one sample; a pair needs two")
    return Labels(codes.astype(np.int32), list(names), sizes)


class Tally:
    """Sums over the pairs of one concept: `total` of the scores of `n_pairs`, of which `lost` have
    no path.
    """

    def __init__(self, m: int):
        self.m, self.n_pairs, self.total, self.lost = m, 0, 0.0, 0

    def add(self, request: Request, scores: np.ndarray) -> None:
        """Take in the scores of a request's pairs, NaN where there is no path."""
        self.lost += int(np.isnan(scores).sum())
        scores, first = np.nan_to_num(scores), request.first
        if request.second is None:
            scores = scores.reshape(-1, self.m)
            scores[np.arange(len(first)), first] = 0.0  # a member with itself is no pair
            self.n_pairs += len(first) * (self.m - 1)
        else:
            self.n_pairs += len(first)
        self.total += scores.sum()


class Request(NamedTuple):
    """Pairs of one concept to be scored.

    `first` and `second` are positions among the concept's members; without `second` all members are
    paired with each of `first`.
    """

    tally: Tally
    members: np.ndarray
    first: np.ndarray
    second: np.ndarray | None

    @property
    def size(self) -> int:
        return len(self.first) * (len(self.members) if self.second is None else 1)

    def meets(self, n: int) -> bool:
        """Whether its paths, of n samples, are found sooner from both ends: those of a whole
        concept, but for one that is a large part of all."""
        whole = self.second is None and len(self.first) == len(self.members)
        return whole and _LARGE * len(self.members) < n

    def paths(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """sources, number of targets of each, and targets."""
        if self.second is None:
            counts = np.full(len(self.first), len(self.members))
            return self.members[self.first], counts, np.tile(self.members, len(self.first))
        first, counts = np.unique(self.first, return_counts=True)
        return self.members[first], counts, self.members[self.second]


def tally_pairs(
    graph: NeighborGraph,
    named: Labels,
    pairs: str | int,
    seed: int,
    only: int | None = None,
) -> list[Tally]:
    """The tally of each concept, over all its pairs or as many as `pairs` drawn from them; with
    `only`, the number of one concept, nothing is added up for the others, nor for concepts with
    fewer than two samples.
    """
    tallies = [Tally(int(m)) for m in named.sizes]
    for batch in _batches(_requests(named, pairs, tallies, seed, only)):
        scored = zip(batch, _scores(graph, named.codes, batch), strict=True)
        by_tally = [list(group) for _, group in groupby(scored, key=lambda pair: id(pair[0].tally))]
        run_parallel(lambda group: [r.tally.add(r, scores) for r, scores in group], by_tally)
    return tallies


def _requests(
    named: Labels, pairs: str | int, tallies: Sequence[Tally], seed: int, only: int | None
) -> Iterator[Request]:
    """All ordered pairs of each concept, in blocks, or as many as `pairs` drawn from them."""
    order = np.argsort(named.codes, kind="stable").astype(np.int32)
    concepts = np.split(order, np.cumsum(named.sizes)[:-1])
    for concept, (members, tally) in enumerate(zip(concepts, tallies, strict=True)):
        m = len(members)
        if only not in (None, concept) or m < 2:
            continue
        if pairs == "all" or pairs >= m * (m - 1):
            step = max(1, _PAIRS // m)
            for start in range(0, m, step):
                first = np.arange(start, min(start + step, m))
                yield Request(tally, members, first, None)
            continue
        drawn = np.random.default_rng([seed, concept]).choice(
            m * (m - 1), size=pairs, replace=False, shuffle=False
        )
        first, second = np.divmod(np.sort(drawn), m - 1)
        yield Request(tally, members, first, second + (second >= first))


def _batches(requests: Iterable[Request]) -> Iterator[list[Request]]:
    """Many requests at a time, so that no thread waits, but not too many for the memory."""
    batch: list[Request] = []
    for request in requests:
        batch.append(request)
        if (
            sum(waiting.size for waiting in batch) >= _PAIRS
            or sum(len(waiting.members) for waiting in batch) >= _SAMPLES
        ):
            yield batch
            batch = []
    if batch:
        yield batch


def _scores(graph: NeighborGraph, codes: np.ndarray, batch: list[Request]) -> list[np.ndarray]:
    """The scores of each request's pairs, searched for as is quicker: the values are the same."""
    from strata.convexity.meeting import score_concepts
    from strata.convexity.shortest_paths import score_paths

    scores: list[np.ndarray] = [np.empty(0)] * len(batch)
    whole = [i for i, request in enumerate(batch) if request.meets(graph.n)]
    if whole:
        concepts = [batch[i].members for i in whole]
        for i, found in zip(whole, score_concepts(graph, codes, concepts), strict=True):
            scores[i] = found.ravel()
    others = [i for i, request in enumerate(batch) if not request.meets(graph.n)]
    if others:
        paths = zip(*(batch[i].paths() for i in others), strict=True)
        sources, counts, targets = map(np.concatenate, paths)
        start = np.concatenate([[0], np.cumsum(counts)])
        found = score_paths(graph, codes, sources, start, targets)
        ends = np.cumsum([batch[i].size for i in others])
        for i, part in zip(others, np.split(found, ends[:-1]), strict=True):
            scores[i] = part
    return scores
