"""What graph convexity is on random halves of the samples, and its intervals (`strata.intervals`).

Each half has a graph of its own, of half as many neighbors: as many samples are then as near,
measured in the spacing of the whole, and the variance goes as 1 / n. With as many neighbors as the
whole, the halves are alike and intervals too narrow. `pairs` that are drawn are half as many too.

An interval is about new samples of the same concepts. Where halves do not tell (benchmarks/
coverage.py), there is none.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd

from strata.convexity.graphs import NeighborGraph, graph_among
from strata.convexity.tallies import Labels, Tally, tally_pairs
from strata.errors import StrataError
from strata.intervals import deviate_interval, deviates, random_halves, share_of_samples
from strata.stats import Estimate

if TYPE_CHECKING:
    from strata.convexity.ties import Surroundings

LEAST_CLUSTERS = 20
_LEAST = 8  # samples of a concept, so that a half has several pairs
_HELD = 0.95  # of the concepts, and of the pairs, that must have deviates


class Halved(NamedTuple):
    """Deviates (splits,) of the mean over pairs and of the mean over concepts, and (concepts,
    splits) of each concept; NaN where halves have none.
    """

    mean: np.ndarray
    over_concepts: np.ndarray
    concepts: np.ndarray


def checked_halves(halves: int | np.ndarray, n: int) -> np.ndarray | int:
    """A number of splits, or which of n samples are in the first half of each, as booleans.

    Raises StrataError for a negative number, or an array of another shape or type.
    """
    if isinstance(halves, int | np.integer):
        if halves < 0:
            raise StrataError(f"halves must be 0 or more, not {halves}")
        return int(halves)
    halves = np.asarray(halves)
    if halves.ndim != 2 or halves.shape[1] != n or halves.dtype != bool:
        raise StrataError(
            f"halves must be a number, or booleans of shape (splits, {n}), not {halves.dtype} of "
            f"shape {halves.shape}"
        )
    return halves


def half_of(n_neighbors: int) -> int:
    """Neighbors in the graph of a half."""
    return (n_neighbors + 1) // 2


def drawn_halves(halves: int | np.ndarray, order: np.ndarray, strata, seed: int) -> np.ndarray:
    """Halves in the drawn `order` of the samples: those given, or drawn by the `strata` in it."""
    if isinstance(halves, np.ndarray):
        return halves[:, order]
    return random_halves(strata, halves, seed)


def halves_in_order(
    strata: Sequence,
    splits: int,
    order: np.ndarray | None = None,
    seed: int = 0,
    clusters: Sequence | None = None,
) -> np.ndarray:
    """Random halves (splits, n) of rows with these `strata`, drawn in an `order` of the rows (as
    they are) that is the same for all layers and models.

    Samples of one of the `clusters` stay together. With fewer than 20 of them there are no halves,
    (0, n): what differs between clusters cannot be told from so few.
    """
    strata = pd.Series(list(strata), dtype=object)
    order = np.arange(len(strata)) if order is None else np.asarray(order)
    if clusters is not None:
        clusters = pd.Series(list(clusters), dtype=object)
        if clusters.nunique() < LEAST_CLUSTERS:
            return np.zeros((0, len(strata)), dtype=bool)
        clusters = clusters.iloc[order]
    halves = np.empty((splits, len(strata)), dtype=bool)
    halves[:, order] = random_halves(strata.iloc[order], splits, seed, clusters)
    return halves


def halved_scores(
    near: Surroundings,
    named: Labels,
    halves: np.ndarray,
    n_neighbors: int,
    pairs: str | int,
    seed: int,
    only: int | None = None,
) -> Halved:
    """Deviates of the concepts' scores; with `only`, of the number of one concept.

    All NaN where a half has too few samples for its graph. NaN for concepts with fewer than 8
    samples, whose halves vary more than twice as much, or without a pair in some half. The means
    are over the others, and NaN where these hold less than 95 % of the pairs or concepts.
    """
    n_concepts, smaller = len(named.sizes), half_of(n_neighbors)
    missing = np.full(len(halves), np.nan)
    counts = halves.sum(axis=1)
    if not len(halves) or min(counts.min(), halves.shape[1] - counts.max()) <= smaller:
        return Halved(missing, missing, np.full((n_concepts, len(halves)), np.nan))
    fewer = pairs if pairs == "all" else (pairs + 1) // 2
    values = np.empty((2, len(halves), n_concepts))
    for split, first in enumerate(halves):
        for side, chosen in enumerate((first, ~first)):
            rows = np.flatnonzero(chosen)
            graph = graph_among(near, smaller, seed, rows)
            values[side, split] = _scores(graph, named, rows, fewer, seed, only)
    kept = np.isfinite(values).all(axis=(0, 1)) & (named.sizes >= _LEAST)
    concepts = np.where(kept[:, None], deviates(values[0], values[1]).T, np.nan)
    weights = n_pairs_of(named.sizes, pairs)
    held = weights[kept].sum() >= _HELD * weights.sum()
    mean = over_concepts = missing
    if held and weights[kept].any():
        mean = np.average(concepts[kept], axis=0, weights=weights[kept])
    if kept.mean() >= _HELD:
        over_concepts = concepts[kept].mean(axis=0)
    return Halved(mean, over_concepts, concepts)


def n_pairs_of(sizes: np.ndarray, pairs: str | int) -> np.ndarray:
    """How many pairs of each concept are scored."""
    every = sizes.astype(np.int64) * (sizes - 1)
    return every if pairs == "all" else np.minimum(every, pairs)


def _scores(
    graph: NeighborGraph,
    named: Labels,
    rows: np.ndarray,
    pairs: str | int,
    seed: int,
    only: int | None,
) -> np.ndarray:
    """Score of each concept among the samples `rows`, NaN for those with no pair."""
    codes = named.codes[rows]
    sizes = np.bincount(codes, minlength=len(named.sizes))
    tallies = tally_pairs(graph, Labels(codes, named.names, sizes), pairs, seed, only)
    return np.array([_share(tally) for tally in tallies])


def _share(tally: Tally) -> float:
    return tally.total / tally.n_pairs if tally.n_pairs else np.nan


def score_interval(value: float, found: np.ndarray, n: int) -> Estimate:
    """Interval of a score over n samples from its deviates.

    None (NaN) where it hardly varies, and no narrower than Wilson's near 0 and 1
    (`strata.intervals.share_of_samples`).
    """
    return share_of_samples(deviate_interval(value, found, share=True), n)
