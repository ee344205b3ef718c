"""How convex concepts are on the graph of nearest neighbors.

Graph convexity (Tětková et al., Nature Communications 16, 5419, 2025): on the symmetric graph of k
nearest neighbors, the share of *interior* vertices of the shortest path between two samples of a
concept that belong to the concept; 1 for a path without interior vertices, 0 without a path.

Chance. When labels are dealt out at random, a sample inside a path between two samples of a
concept of m samples, out of n, belongs to it with probability (m - 2) / (n - 2); a pair is joined
by an edge with the frequency q of edges, and by no path with the frequency u of unconnected pairs.
A concept's expected score is therefore exactly q + (1 - q - u) (m - 2) / (n - 2). It grows with the
concept's size, and is reported beside every score, as is (score - chance) / (1 - chance).
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd

from strata.convexity.graphs import NeighborGraph, component_sizes, neighbor_graph
from strata.errors import StrataError
from strata.stats import percentile_interval, permutation_p_values

_PAIRS = 2**22  # scored at a time


@dataclass(frozen=True)
class GraphConvexity:
    """Graph convexity of a labelled representation, all scores as fractions.

    `mean` is over all pairs of all concepts, `mean_over_concepts` over the concepts' own means.
    `low`, `high` (and `concepts_low`, `concepts_high`) bound them: bootstrap over the samples of
    each concept, with the graph as it is. `chance` is the expected mean for random labels,
    `normalised` (mean - chance) / (1 - chance), `p_value` the permutation test's (NaN without
    permutations). `unreachable` is the share of pairs without a path. `hubness` is the skewness of
    how often a sample is a neighbor (Radovanović et al. 2010). `per_concept` maps a label to its
    score; `concepts` is a table with a row per concept: concept, value, low, high, chance,
    normalised, p_value, n_samples, n_pairs, unreachable.
    """

    mean: float
    low: float
    high: float
    mean_over_concepts: float
    concepts_low: float
    concepts_high: float
    chance: float
    normalised: float
    p_value: float
    n_pairs: int
    unreachable: float
    hubness: float
    per_concept: dict[Hashable, float]
    concepts: pd.DataFrame


class _Labels(NamedTuple):
    """Labels as numbers (n,), in order of first appearance, with their names and sizes."""

    codes: np.ndarray
    names: list
    sizes: np.ndarray


class _Request(NamedTuple):
    """Pairs of one concept to be scored.

    `first` and `second` are positions among the concept's members; without `second` all members are
    paired with each of `first`.
    """

    concept: int
    members: np.ndarray
    first: np.ndarray
    second: np.ndarray | None

    @property
    def size(self) -> int:
        return len(self.first) * (len(self.members) if self.second is None else 1)

    def paths(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """sources, number of targets of each, and targets."""
        if self.second is None:
            counts = np.full(len(self.first), len(self.members))
            return self.members[self.first], counts, np.tile(self.members, len(self.first))
        first, counts = np.unique(self.first, return_counts=True)
        return self.members[first], counts, self.members[self.second]


class _Tally:
    """Sums over the pairs of one concept, and over those of each resample of its members."""

    def __init__(self, m: int, bootstrap: int, draw: np.random.Generator):
        picks = draw.integers(m, size=(bootstrap, m)) + m * np.arange(bootstrap)[:, None]
        counts = np.bincount(picks.ravel(), minlength=bootstrap * m)
        self.weights = counts.reshape(bootstrap, m).astype(np.float64)
        self.n_pairs, self.total, self.lost = 0, 0.0, 0
        self.numerators, self.denominators = np.zeros(bootstrap), np.zeros(bootstrap)

    def add(self, request: _Request, scores: np.ndarray) -> None:
        """Take in the scores of a request's pairs, NaN where there is no path."""
        weights, first = self.weights, request.first
        self.lost += int(np.isnan(scores).sum())
        scores = np.nan_to_num(scores)
        if request.second is None:
            m = len(request.members)
            scores = scores.reshape(-1, m)
            scores[np.arange(len(first)), first] = 0.0  # a member with itself is no pair
            own = weights[:, first]
            self.numerators += (own * (weights @ scores.T)).sum(axis=1)
            self.denominators += (own * (m - own)).sum(axis=1)
            self.n_pairs += len(first) * (m - 1)
        else:
            both = [w[first] * w[request.second] for w in weights]
            self.numerators += [w @ scores for w in both]
            self.denominators += [w.sum() for w in both]
            self.n_pairs += len(first)
        self.total += scores.sum()


def _numbered(labels: Sequence, n: int) -> _Labels:
    labels = pd.Series(list(labels), dtype=object)
    if len(labels) != n:
        raise StrataError(f"there are {n} samples, but {len(labels)} labels")
    if labels.isna().any():
        raise StrataError(f"labels: sample {int(labels.isna().argmax())} has none")
    codes, names = pd.factorize(labels)
    sizes = np.bincount(codes)
    if len(sizes) < 2:
        raise StrataError(f"labels: {names[0]!r} is the only concept; convexity needs two or more")
    if sizes.min() < 2:
        lonely = names[int(sizes.argmin())]
        raise StrataError(f"labels: concept {lonely!r} has one sample; a pair needs two")
    return _Labels(codes.astype(np.int32), list(names), sizes)


def graph_convexity(
    features: np.ndarray,
    labels: Sequence,
    n_neighbors: int = 10,
    pairs: str | int = "all",
    seed: int = 0,
    *,
    bootstrap: int = 1000,
    permutations: int = 0,
) -> GraphConvexity:
    """Graph convexity of the concepts that `labels` mark in `features`.

    Parameters
    ----------
    features : (samples, dimensions)
    labels : one per sample, of any type
    n_neighbors : k of the graph; samples at distance zero are neighbors too, by edges of length 0
    pairs : "all" ordered pairs of each concept, exactly; or the number that is drawn from them
        without replacement for each concept (all, where it has no more)
    bootstrap : resamples behind the intervals; 0 leaves them NaN
    permutations : of the labels, for the p-values (all pairs are used); 0 leaves them NaN

    Raises
    ------
    StrataError
        A concept with one sample, a single concept, a missing label, `n_neighbors` not below the
        number of samples, NaN or infinite features, `pairs` neither "all" nor positive.
    """
    if pairs != "all" and not (isinstance(pairs, int | np.integer) and pairs > 0):
        raise StrataError(f'pairs must be "all" or a positive number, not {pairs!r}')
    named = _numbered(labels, len(features))
    graph = neighbor_graph(features, n_neighbors)
    draws = [np.random.default_rng([seed, concept]) for concept in range(len(named.names))]
    tallies = [_Tally(m, bootstrap, draw) for m, draw in zip(named.sizes, draws, strict=True)]
    for request, scores in _scored(graph, named.codes, _requests(named, pairs, draws)):
        tallies[request.concept].add(request, scores)
    return _result(graph, named, tallies, _null(graph, named, permutations, seed))


def pair_scores(
    features: np.ndarray, labels: Sequence, pairs: np.ndarray, n_neighbors: int = 10
) -> np.ndarray:
    """Score of each of `pairs` (pairs, 2) of sample numbers; 0 where there is no path.

    The concept of a pair is that of its first sample. Errors as for `graph_convexity`.
    """
    from strata.convexity.shortest_paths import score_paths

    named = _numbered(labels, len(features))
    graph = neighbor_graph(features, n_neighbors)
    pairs = np.asarray(pairs, dtype=np.int64)
    order = np.argsort(pairs[:, 0], kind="stable")
    sources, start = np.unique(pairs[order, 0], return_index=True)
    scores = np.empty(len(pairs))
    targets = pairs[order, 1].astype(np.int32)
    start = np.append(start, len(pairs))
    scores[order] = np.nan_to_num(score_paths(graph, named.codes, sources, start, targets))
    return scores


# --- scores -------------------------------------------------------------------------------------


def _requests(
    named: _Labels, pairs: str | int, draws: Sequence[np.random.Generator]
) -> Iterator[_Request]:
    """All ordered pairs of each concept, in blocks, or as many as `pairs` drawn from them."""
    for concept, draw in enumerate(draws):
        members = np.flatnonzero(named.codes == concept).astype(np.int32)
        m = len(members)
        if pairs == "all" or pairs >= m * (m - 1):
            step = max(1, _PAIRS // m)
            for start in range(0, m, step):
                yield _Request(concept, members, np.arange(start, min(start + step, m)), None)
            continue
        drawn = np.sort(draw.choice(m * (m - 1), size=pairs, replace=False, shuffle=False))
        first, second = drawn // (m - 1), drawn % (m - 1)
        yield _Request(concept, members, first, second + (second >= first))


def _scored(
    graph: NeighborGraph, codes: np.ndarray, requests: Iterable[_Request]
) -> Iterator[tuple[_Request, np.ndarray]]:
    """Requests with their pairs' scores, searched many at a time so that no thread waits."""
    from strata.convexity.shortest_paths import score_paths

    def run(batch: list[_Request]) -> Iterator[tuple[_Request, np.ndarray]]:
        sources, counts, targets = map(
            np.concatenate, zip(*(request.paths() for request in batch), strict=True)
        )
        start = np.concatenate([[0], np.cumsum(counts)])
        scores = score_paths(graph, codes, sources, start, targets)
        ends = np.cumsum([request.size for request in batch])
        yield from zip(batch, np.split(scores, ends[:-1]), strict=True)

    batch: list[_Request] = []
    for request in requests:
        batch.append(request)
        if sum(waiting.size for waiting in batch) >= _PAIRS:
            yield from run(batch)
            batch = []
    if batch:
        yield from run(batch)


# --- chance -------------------------------------------------------------------------------------


def _chance(graph: NeighborGraph, sizes: np.ndarray) -> np.ndarray:
    """Expected score of concepts of these sizes when labels are dealt out at random."""
    n = graph.n
    adjacent = len(graph.indices) / (n * (n - 1))
    components = component_sizes(graph).astype(float)
    connected = (components * (components - 1)).sum() / (n * (n - 1))
    return adjacent + (connected - adjacent) * (sizes - 2) / max(1, n - 2)


def _null(
    graph: NeighborGraph, named: _Labels, permutations: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Scores under permuted labels: overall (1, permutations), by concept (concepts, same)."""
    n_pairs = named.sizes * (named.sizes - 1)
    if not permutations:
        return np.empty((1, 0)), np.empty((len(n_pairs), 0))
    from strata.convexity.shortest_paths import score_permuted

    draw = np.random.default_rng([seed, len(n_pairs)])
    codes = np.stack([draw.permutation(named.codes) for _ in range(permutations)])
    sums = score_permuted(graph, codes)
    totals = np.stack(
        [
            np.bincount(c, weights=s, minlength=len(n_pairs))
            for c, s in zip(codes, sums.T, strict=True)
        ]
    )
    return totals.sum(axis=1)[None] / n_pairs.sum(), (totals / n_pairs).T


# --- results ------------------------------------------------------------------------------------


def above_chance(value, chance):
    """(value - chance) / (1 - chance): 0 at chance, 1 for a convex concept; 0 if chance is 1."""
    room = 1 - np.asarray(chance)
    return np.where(room > 0, (value - chance) / np.where(room > 0, room, 1), 0.0)


def _hubness(occurrences: np.ndarray) -> float:
    """Skewness of how often a sample is a neighbor; 0 when all are equally often."""
    from scipy.stats import skew

    return float(skew(occurrences)) if np.ptp(occurrences) else 0.0


def _result(
    graph: NeighborGraph, named: _Labels, tallies: list[_Tally], null: tuple[np.ndarray, np.ndarray]
) -> GraphConvexity:
    n_pairs = np.array([tally.n_pairs for tally in tallies])
    values = np.array([tally.total for tally in tallies]) / n_pairs
    lost = np.array([tally.lost for tally in tallies]) / n_pairs
    with np.errstate(invalid="ignore", divide="ignore"):
        draws = np.array([tally.numerators / tally.denominators for tally in tallies])
    chance = _chance(graph, named.sizes)
    mean, expected = (float(np.average(x, weights=n_pairs)) for x in (values, chance))
    p_values = np.full(len(values), np.nan)
    overall = np.nan
    if null[0].size:
        p_values = permutation_p_values(values, null[1])
        overall = float(permutation_p_values([mean], null[0])[0])
    # A resample in which a concept shrank to one sample has no pairs and is left out.
    bounds = np.array([percentile_interval(rows) for rows in draws])
    table = pd.DataFrame(
        {
            "concept": named.names,
            "value": values,
            "low": bounds[:, 0],
            "high": bounds[:, 1],
            "chance": chance,
            "normalised": above_chance(values, chance),
            "p_value": p_values,
            "n_samples": named.sizes,
            "n_pairs": n_pairs,
            "unreachable": lost,
        }
    )
    low, high = percentile_interval(np.average(draws, axis=0, weights=n_pairs))
    concepts_low, concepts_high = percentile_interval(draws.mean(axis=0))
    return GraphConvexity(
        mean=mean,
        low=low,
        high=high,
        mean_over_concepts=float(values.mean()),
        concepts_low=concepts_low,
        concepts_high=concepts_high,
        chance=expected,
        normalised=float(above_chance(mean, expected)),
        p_value=overall,
        n_pairs=int(n_pairs.sum()),
        unreachable=float(np.average(lost, weights=n_pairs)),
        hubness=_hubness(graph.occurrences),
        per_concept=dict(zip(named.names, values.tolist(), strict=True)),
        concepts=table,
    )
