"""Paths found from both ends are those of one search, to the bit."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strata.convexity import balls, graph_convexity, meeting, neighbor_graph
from strata.convexity.meeting import score_concepts
from strata.convexity.shortest_paths import score_paths


def one_by_one(graph, codes, concept):
    """Scores of all pairs of a concept by searches from each of its samples alone."""
    m = len(concept)
    start, targets = np.arange(m + 1) * m, np.tile(concept, m)
    return score_paths(graph, codes, concept, start, targets).reshape(m, m)


def check(features, codes, k):
    graph, codes = neighbor_graph(features, k), np.asarray(codes, dtype=np.int32)
    concepts = [np.flatnonzero(codes == c).astype(np.int32) for c in np.unique(codes)]
    for concept, found in zip(concepts, score_concepts(graph, codes, concepts), strict=True):
        np.testing.assert_array_equal(found, one_by_one(graph, codes, concept))


def problems():
    draw = np.random.default_rng(0)
    yield "many dimensions", draw.normal(size=(900, 200)), 12, 10
    yield "few dimensions", draw.normal(size=(700, 2)), 7, 4
    yield "long paths", np.cumsum(draw.normal(size=(900, 2)), axis=0), 9, 2
    yield "a line of equal steps", np.arange(300.0)[:, None], 3, 2
    yield "a lattice", np.round(draw.normal(size=(500, 3))), 5, 10
    yield "copies", np.repeat(draw.normal(size=(40, 4)), 8, axis=0), 4, 7
    copies = np.repeat(draw.normal(size=(80, 4)), 4, axis=0)
    yield "near copies", copies + 1e-13 * draw.normal(size=copies.shape), 4, 5
    yield "islands", np.concatenate([draw.normal(size=(150, 3)) + 50 * i for i in range(3)]), 7, 5
    yield (
        "an island that is small",
        np.concatenate([draw.normal(size=(300, 3)), [[99] * 3] * 4]),
        3,
        3,
    )
    yield "an outlier", np.concatenate([draw.normal(size=(200, 5)), np.full((1, 5), 1e6)]), 4, 5
    yield "uneven", draw.normal(size=(500, 9)) * np.exp(2 * draw.normal(size=(500, 1))), 5, 8
    yield "one point", np.ones((60, 2)), 3, 5


@pytest.mark.parametrize(
    ("name", "features", "classes", "k"), problems(), ids=lambda x: str(x)[:30]
)
def test_the_scores_are_those_of_one_search(name, features, classes, k):
    check(features, np.arange(len(features)) % classes, k)
    check(features, np.arange(len(features)) * classes // len(features), k)


@settings(deadline=None, max_examples=60)
@given(st.integers(10, 90), st.integers(1, 3), st.integers(1, 6), st.integers(0, 10**6))
def test_so_they_are_in_small_graphs_with_many_ties(n, dimensions, k, seed):
    draw = np.random.default_rng(seed)
    check(draw.integers(6, size=(n, dimensions)).astype(float), np.arange(n) % 3, k)


@pytest.mark.parametrize("share", [0.0, 0.2, 0.5, 0.8, 1.5])
def test_the_radii_change_nothing(monkeypatch, share):
    features = np.random.default_rng(1).normal(size=(400, 6))
    longest = 2 * np.linalg.norm(features - features.mean(axis=0), axis=1).max()
    radii = (share * longest, 0.3 * longest)
    monkeypatch.setattr(meeting, "best_radii", lambda *graph: radii)
    check(features, np.arange(400) % 5, 6)
    monkeypatch.setattr(balls, "_MOST", 40)
    check(features, np.arange(400) % 5, 6)


def test_of_equal_paths_that_meet_inside_an_edge_each_direction_takes_its_own(monkeypatch):
    ring = [(0, 0, 0), (1, 1, 1), (1, 0, 0), (0, 0, 1), (0, 1, 1), (1, 1, 0)]
    features, codes = np.array(ring, dtype=float), np.array([0, 0, 0, 1, 1, 1], dtype=np.int32)
    monkeypatch.setattr(meeting, "best_radii", lambda *graph: (1.5, 0.5))
    check(features, codes, 2)
    (found,) = score_concepts(neighbor_graph(features, 2), codes, [np.arange(3, dtype=np.int32)])
    assert (found[0, 1], found[1, 0]) == (0, 0.5)


def test_a_concept_in_blocks_is_as_one(monkeypatch):
    features = np.random.default_rng(2).normal(size=(300, 4))
    labels = np.arange(300) % 2
    whole = graph_convexity(features, labels)
    monkeypatch.setattr("strata.convexity.tallies._PAIRS", 2000)
    blocks = graph_convexity(features, labels)
    assert blocks.per_concept == pytest.approx(whole.per_concept, abs=1e-12)
    assert blocks.low == pytest.approx(whole.low, abs=1e-12)
    assert blocks.n_pairs == whole.n_pairs
