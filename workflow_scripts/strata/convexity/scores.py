"""How convex concepts are on the graph of nearest neighbors.

Graph convexity (Tětková et al., Nature Communications 16, 5419, 2025): on the symmetric graph of k
nearest neighbors, the share of *interior* vertices of the shortest path between two samples of a
concept that belong to the concept; 1 for a path without interior vertices, 0 without a path.

Chance. When labels are dealt out at random, a sample inside a path between two samples of a
concept of m samples, out of n, belongs to it with probability (m - 2) / (n - 2); a pair is joined
by an edge with the frequency q of edges, and by no path with the frequency u of unconnected pairs.
A concept's expected score is therefore exactly q + (1 - q - u) (m - 2) / (n - 2). It grows with the
concept's size, and is reported beside every score, as is (score - chance) / (1 - chance).

Equals. Nothing goes by the order in which samples are given: first they are put into one that is
drawn by `seed` and what they are (`strata.arrays.drawn_order`), and neighbors at one distance, the
shorter of equally short paths, pairs and halves are drawn, or taken first, in that order.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from strata.arrays import as_array, as_labels, drawn_order, row_digests
from strata.convexity.graphs import (
    NeighborGraph,
    component_sizes,
    graph_among,
    neighbor_graph,
    surroundings,
)
from strata.convexity.halved import (
    Halved,
    checked_halves,
    drawn_halves,
    halved_scores,
    score_interval,
)
from strata.convexity.tallies import Labels, Tally, number, tally_pairs
from strata.errors import StrataError
from strata.stats import permutation_p_values
from strata.threads import one_blas_thread


@dataclass(frozen=True)
class GraphConvexity:
    """Graph convexity of a labelled representation, all scores as fractions.

    `mean` is over all pairs of all concepts, `mean_over_concepts` over the concepts' own means.
    `low`, `high` (and `concepts_low`, `concepts_high`) bound them, with new samples of the same
    concepts in mind: Student's t interval of random halves on the logit scale
    (`strata.convexity.halved`), NaN where there is none. `chance` is the expected mean for random
    labels, `normalised` (mean - chance) / (1 - chance), `p_value` the permutation test's (NaN
    without permutations). `unreachable` is the share of pairs without a path. `hubness` is the
    skewness of how often a sample is a neighbor (Radovanović et al. 2010). `tied` is the share of
    neighbors that were drawn among samples at one distance.

    `per_concept` maps a label to its score; `concepts` is a table with a row per concept: concept,
    value, low, high, chance, normalised, p_value, n_samples, n_pairs, unreachable.

    `deviates` (splits,) of "mean", "mean_over_concepts" and "normalised", and `concept_deviates` of
    each label, are what differences to the same samples' scores elsewhere have intervals by
    (`strata.intervals`); NaN where there are none. What is normalised has those of the mean over
    1 - chance: chance is given by the numbers of samples and edges, and hardly differs from sample
    to sample.
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
    tied: float
    per_concept: dict[Hashable, float]
    concepts: pd.DataFrame
    deviates: dict[str, np.ndarray]
    concept_deviates: dict[Hashable, np.ndarray]


def graph_convexity(
    features: np.ndarray,
    labels: Sequence,
    n_neighbors: int = 10,
    pairs: str | int = "all",
    seed: int = 0,
    *,
    halves: int | np.ndarray = 10,
    permutations: int = 0,
    device: str = "cpu",
    shared: dict | None = None,
) -> GraphConvexity:
    """Graph convexity of the concepts that `labels` mark in `features`.

    Parameters
    ----------
    features : (samples, dimensions), as `strata.arrays.as_array` takes it
    labels : one per sample, of any type, as `strata.arrays.as_labels` takes them
    n_neighbors : k of the graph; samples at distance zero are neighbors too, by edges of length 0
    pairs : "all" ordered pairs of each concept, exactly; or the number that is drawn from them
        without replacement for each concept (all, where it has no more)
    halves : splits of the samples of each concept into two random halves, behind the intervals; or
        which samples are in the first half of each split, booleans (splits, samples), for the
        same ones elsewhere or such as keep some samples together (`strata.intervals.
        random_halves`). 0 leaves the intervals NaN
    permutations : of the labels, for the p-values (all pairs are used); 0 leaves them NaN
    device : where candidates for neighbors are found, "cpu", "cuda" or "auto"; it changes no result
    shared : empty at first; keeps what was searched for calls that differ in labels alone

    Raises
    ------
    StrataError
        A concept with one sample, a single concept, a missing label, `n_neighbors` not below the
        number of samples, NaN or infinite features, `pairs` neither "all" nor positive, `halves`
        negative or of another shape, `device` "cuda" without a GPU or torch.
    """
    if pairs != "all" and not (isinstance(pairs, int | np.integer) and pairs > 0):
        raise StrataError(f'pairs must be "all" or a positive number, not {pairs!r}')
    features = as_array(features, "features")
    labels = as_labels(labels, len(features))
    halves = checked_halves(halves, len(features))
    given = halves.T if isinstance(halves, np.ndarray) else None
    order = drawn_order(features, labels, seed, given)
    named = number([labels[i] for i in order], len(order))
    halves = drawn_halves(halves, order, named.codes, seed)
    shared = {} if shared is None else shared
    # Where rows are equal the order goes by the labels, too.
    known = (row_digests(features)[order].tobytes(), n_neighbors, seed, len(halves) > 0)
    if known not in shared:
        near = surroundings(features[order], n_neighbors, device, halves=len(halves) > 0)
        shared[known] = near, graph_among(near, n_neighbors, seed), {}
    near, graph, paths = shared[known]
    with one_blas_thread():
        tallies = tally_pairs(graph, named, pairs, seed)
        halved = halved_scores(near, named, halves, n_neighbors, pairs, seed)
    null = _null(graph, named, permutations, seed, paths)
    found = _result(graph, named, tallies, null, halved)
    return _in_order_of(list(dict.fromkeys(labels)), found)


def pair_scores(
    features: np.ndarray,
    labels: Sequence,
    pairs: np.ndarray,
    n_neighbors: int = 10,
    seed: int = 0,
) -> np.ndarray:
    """Score of each of `pairs` (pairs, 2) of sample numbers; 0 where there is no path.

    The concept of a pair is that of its first sample. Errors as for `graph_convexity`.
    """
    from strata.convexity.shortest_paths import score_paths

    features = as_array(features, "features")
    labels = as_labels(labels, len(features))
    drawn = drawn_order(features, labels, seed)
    named = number([labels[i] for i in drawn], len(drawn))
    graph = neighbor_graph(features[drawn], n_neighbors, seed=seed)
    pairs = np.argsort(drawn)[np.asarray(pairs, dtype=np.int64)]
    order = np.argsort(pairs[:, 0], kind="stable")
    sources, start = np.unique(pairs[order, 0], return_index=True)
    scores = np.empty(len(pairs))
    targets = pairs[order, 1].astype(np.int32)
    start = np.append(start, len(pairs))
    scores[order] = np.nan_to_num(score_paths(graph, named.codes, sources, start, targets))
    return scores


# --- chance -------------------------------------------------------------------------------------


def expected_scores(graph: NeighborGraph, sizes: np.ndarray) -> np.ndarray:
    """Expected score of concepts of these sizes when labels are dealt out at random."""
    n = graph.n
    adjacent = len(graph.indices) / (n * (n - 1))
    components = component_sizes(graph).astype(float)
    connected = (components * (components - 1)).sum() / (n * (n - 1))
    return adjacent + (connected - adjacent) * (sizes - 2) / max(1, n - 2)


def _null(
    graph: NeighborGraph, named: Labels, permutations: int, seed: int, paths: dict
) -> tuple[np.ndarray, np.ndarray]:
    """Scores under permuted labels: overall (1, permutations), by concept (concepts, same)."""
    n_pairs = named.sizes * (named.sizes - 1)
    if not permutations:
        return np.empty((1, 0)), np.empty((len(n_pairs), 0))
    from strata.convexity.shortest_paths import score_permuted

    draw = np.random.default_rng([seed, len(n_pairs)])
    codes = np.stack([draw.permutation(named.codes) for _ in range(permutations)])
    sums = score_permuted(graph, codes, paths)
    totals = np.stack(
        [
            np.bincount(c, weights=s, minlength=len(n_pairs))
            for c, s in zip(codes, sums.T, strict=True)
        ]
    )
    return totals.sum(axis=1)[None] / n_pairs.sum(), (totals / n_pairs).T


# --- results ------------------------------------------------------------------------------------


def _in_order_of(names: list, found: GraphConvexity) -> GraphConvexity:
    """`found` with its concepts in the order of `names`."""
    table = found.concepts
    places = {name: row for row, name in enumerate(table["concept"])}
    table = table.iloc[[places[name] for name in names]].reset_index(drop=True)
    per_concept = {name: found.per_concept[name] for name in names}
    held = {name: found.concept_deviates[name] for name in names}
    return replace(found, per_concept=per_concept, concepts=table, concept_deviates=held)


def above_chance(value, chance):
    """(value - chance) / (1 - chance): 0 at chance, 1 for a convex concept; 0 if chance is 1."""
    room = 1 - np.asarray(chance)
    return np.where(room > 0, (value - chance) / np.where(room > 0, room, 1), 0.0)


def _hubness(occurrences: np.ndarray) -> float:
    """Skewness of how often a sample is a neighbor; 0 when all are equally often."""
    from scipy.stats import skew

    return float(skew(occurrences)) if np.ptp(occurrences) else 0.0


def _result(
    graph: NeighborGraph,
    named: Labels,
    tallies: list[Tally],
    null: tuple[np.ndarray, np.ndarray],
    halved: Halved,
) -> GraphConvexity:
    n_pairs = np.array([tally.n_pairs for tally in tallies])
    values = np.array([tally.total for tally in tallies]) / n_pairs
    lost = np.array([tally.lost for tally in tallies]) / n_pairs
    chance = expected_scores(graph, named.sizes)
    mean, expected = (float(np.average(x, weights=n_pairs)) for x in (values, chance))
    p_values = np.full(len(values), np.nan)
    overall = np.nan
    if null[0].size:
        p_values = permutation_p_values(values, null[1])
        overall = float(permutation_p_values([mean], null[0])[0])
    each = [score_interval(*x) for x in zip(values, halved.concepts, named.sizes, strict=True)]
    table = pd.DataFrame(
        {
            "concept": named.names,
            "value": values,
            "low": [found.low for found in each],
            "high": [found.high for found in each],
            "chance": chance,
            "normalised": above_chance(values, chance),
            "p_value": p_values,
            "n_samples": named.sizes,
            "n_pairs": n_pairs,
            "unreachable": lost,
        }
    )
    bounds = score_interval(mean, halved.mean, graph.n)
    over_concepts = score_interval(float(values.mean()), halved.over_concepts, graph.n)
    room = 1 - expected if expected < 1 else np.nan
    held = {"mean": halved.mean, "mean_over_concepts": halved.over_concepts}
    return GraphConvexity(
        mean=mean,
        low=bounds.low,
        high=bounds.high,
        mean_over_concepts=over_concepts.value,
        concepts_low=over_concepts.low,
        concepts_high=over_concepts.high,
        chance=expected,
        normalised=float(above_chance(mean, expected)),
        p_value=overall,
        n_pairs=int(n_pairs.sum()),
        unreachable=float(np.average(lost, weights=n_pairs)),
        hubness=_hubness(graph.occurrences),
        tied=graph.tied,
        per_concept=dict(zip(named.names, values.tolist(), strict=True)),
        concepts=table,
        deviates=held | {"normalised": halved.mean / room},
        concept_deviates=dict(zip(named.names, halved.concepts, strict=True)),
    )
