"""Intervals of graph convexity: halves of the samples, each with a graph of its own."""

import numpy as np
import pandas as pd
import pytest

from strata import StrataError
from strata.convexity import graph_convexity, neighbor_graph
from strata.convexity.graphs import graph_among, surroundings
from strata.convexity.halved import halves_in_order, score_interval
from strata.convexity.measures import convexity_measures
from strata.convexity.neighbors import symmetric_rows
from strata.convexity.overlapping import overlapping_convexity
from strata.convexity.scores import above_chance
from strata.convexity.ties import Surroundings
from strata.intervals import deviate_interval
from strata.stats import wilson_interval

DRAW = np.random.default_rng(0)
POINTS = {
    "no ties": DRAW.normal(size=(120, 6)),
    "lattice": np.round(DRAW.normal(size=(120, 2))),
    "copies": np.repeat(DRAW.normal(size=(3, 4)), 40, axis=0),
    "some copies": np.repeat(DRAW.normal(size=(24, 4)), 5, axis=0),
}


def cloud(n, classes, apart=1.0, dimensions=8, seed=0):
    labels = np.arange(n) % classes
    centres = np.random.default_rng(77).normal(size=(classes, dimensions))
    noise = np.random.default_rng([5, seed]).normal(size=(n, dimensions))
    return centres[labels] * apart + noise, labels


@pytest.mark.parametrize("size", [12, 25, 60, 119])
@pytest.mark.parametrize("kind", POINTS)
def test_the_graph_of_some_samples_is_the_one_they_have_by_themselves(kind, size):
    points = POINTS[kind] - POINTS[kind].mean(axis=0)
    near = surroundings(points, 6, halves=True)
    rows = np.sort(np.random.default_rng(size).choice(120, size, replace=False))
    exact = near.features[rows]  # not centred again, which moves distances by a rounding
    some = graph_among(near, 3, 9, rows)
    neighbors, distances, drawn = Surroundings(exact, 3).nearest(3, 9)
    for found, known in zip(some[:3], symmetric_rows(neighbors, distances), strict=True):
        np.testing.assert_array_equal(found, known)
    assert some.tied == drawn.mean()
    whole = graph_among(near, 6, 9)
    for found, known in zip(whole, neighbor_graph(points, 6, seed=9), strict=True):
        np.testing.assert_array_equal(found, known)


@pytest.mark.parametrize("pairs", ["all", 10**6])
def test_deviates_are_the_differences_of_scores_on_the_halves(pairs):
    features, labels = cloud(120, 4)
    halves = halves_in_order(labels, 3, seed=1)
    found = graph_convexity(features, labels, 6, pairs, halves=halves)
    for split, first in enumerate(halves):
        one, other = (graph_convexity(features[h], labels[h], 3, halves=0) for h in (first, ~first))
        assert found.deviates["mean"][split] == pytest.approx((one.mean - other.mean) / 2)
        apart = one.mean_over_concepts - other.mean_over_concepts
        assert found.deviates["mean_over_concepts"][split] == pytest.approx(apart / 2)
        for concept in range(4):
            apart = one.per_concept[concept] - other.per_concept[concept]
            assert found.concept_deviates[concept][split] == pytest.approx(apart / 2)
    scaled = above_chance(found.mean + found.deviates["mean"], found.chance) - found.normalised
    np.testing.assert_allclose(found.deviates["normalised"], scaled)
    assert found.low < found.mean < found.high


def test_a_mean_of_squared_deviates_is_the_variance_over_new_samples():
    values, squares, covered = [], [], []
    for seed in range(80):
        found = graph_convexity(*cloud(120, 3, apart=0.5, seed=seed))
        values.append(found.mean)
        squares.append(np.mean(found.deviates["mean"] ** 2))
        covered.append((found.low, found.high))
    assert np.sqrt(np.mean(squares)) == pytest.approx(np.std(values), rel=0.25)
    low, high = np.transpose(covered)
    truth = np.mean(values)
    assert ((low <= truth) & (truth <= high)).mean() == pytest.approx(0.955, abs=0.05)


def test_halves_that_are_given_follow_the_samples():
    features, labels = cloud(100, 2)
    halves = halves_in_order(labels, 4)
    rows = np.random.default_rng(1).permutation(100)
    first = graph_convexity(features, labels, halves=halves)
    again = graph_convexity(features[rows], labels[rows], halves=halves[:, rows])
    np.testing.assert_allclose(again.deviates["mean"], first.deviates["mean"], atol=1e-12)
    names = np.array([f"{i:03}" for i in range(100)])[rows]
    moved = halves_in_order(labels[rows], 4, np.argsort(names))
    np.testing.assert_array_equal(moved, halves[:, rows])


def test_where_halves_do_not_tell_there_is_no_interval():
    features, labels = cloud(100, 4)
    labels[np.flatnonzero(labels == 3)[:-7]] = 0
    found = graph_convexity(features, labels)
    bounds = found.concepts.set_index("concept")[["low", "high"]].notna()
    assert bounds.loc[[0, 1, 2]].all(axis=None) and not bounds.loc[3].any()
    assert np.isfinite(found.low) and np.isnan(found.concepts_low)  # a quarter of the concepts
    assert np.isnan(found.concept_deviates[3]).all()
    wide = graph_convexity(features, labels, 98)  # 49 neighbors of 49 others; 50 are in a half
    assert np.isfinite(wide.deviates["mean"]).all()
    wide = graph_convexity(features, labels, 99)
    assert np.isnan(wide.deviates["mean"]).all() and np.isnan(wide.low)
    without = graph_convexity(features, labels, halves=0)
    assert (
        np.isnan(without.low) and without.mean == found.mean and not len(without.deviates["mean"])
    )


@pytest.mark.parametrize(
    "halves", [-1, np.ones((2, 9), bool), np.ones((2, 100)), np.ones(100, bool)]
)
def test_halves_of_another_kind_are_named(halves):
    with pytest.raises(StrataError, match="halves must be"):
        graph_convexity(*cloud(100, 4), halves=halves)


def test_samples_of_a_cluster_stay_together():
    sounds = np.repeat(np.arange(24), 5)
    halves = halves_in_order(np.arange(120) % 3, 6, clusters=sounds)
    assert all(len(set(split[sounds == sound])) == 1 for split in halves for sound in range(24))
    assert (halves.sum(axis=1) == 60).all()
    assert halves_in_order(np.arange(120) % 3, 6, clusters=sounds % 19).shape == (0, 120)


def test_measures_carry_the_deviates_of_the_same_halves():
    features, labels = cloud(100, 2, apart=0.3)
    table = pd.DataFrame({"kind": labels, "other": labels})
    halves = {"kind": halves_in_order(labels, 4), "other": halves_in_order(labels, 4, seed=5)}
    layers = [("one", features), ("two", features * 2.0)]
    place = {"model": "m", "dataset": "d", "log": lambda line: None}
    rows = convexity_measures(layers, table, halves=halves, **place)
    rows = rows[rows["metric"].isin(["graph_convexity", "graph_convexity_concept"])]
    rows["concept"] = rows["concept"].fillna("all")
    held = {
        tuple(row): d for *row, d in rows[["layer", "family", "concept", "deviates"]].to_numpy()
    }
    assert len(held) == 2 * 2 * 3 and all(len(d) == 4 for d in held.values())
    for key, found in held.items():
        np.testing.assert_allclose(found, held["one", *key[1:]], atol=1e-12)
    kept = [key for key in held if key[2] == "all" and key[0] == "one"]
    assert not np.allclose(*(held[key] for key in kept))


def test_overlapping_concepts_have_the_deviates_of_concepts():
    features, labels = cloud(120, 3, apart=0.5)
    halves = halves_in_order(labels, 4)
    known = graph_convexity(features, labels, halves=halves)
    marks = pd.DataFrame({str(c): labels == c for c in range(3)})
    for each in overlapping_convexity(features, marks, halves=halves).itertuples():
        expected = known.concept_deviates[int(each.concept)]
        np.testing.assert_allclose(each.deviates, expected, atol=1e-12)
        assert each.low < each.value < each.high


def test_near_one_an_interval_is_no_narrower_than_of_independent_samples():
    features, labels = cloud(120, 3, apart=3.0)
    found = graph_convexity(features, labels)
    assert 120 * (1 - found.mean) < 0.25 and np.isnan(found.low) and np.isnan(found.high)
    small = np.array([0.0010, -0.0005, 0.0004])
    assert np.isnan(score_interval(0.998, small, 120).low)  # .24 of a sample
    near = score_interval(0.995, small, 120)
    wilson = wilson_interval(0.995 * 120, 120)
    assert (near.low, near.high) == (wilson.low, wilson.high)
    wide = score_interval(0.995, 20 * small, 120)
    assert wide.low < wilson.low and wide.high > wilson.high
    assert np.isnan(score_interval(0.002, small, 120).low)
    middle = deviate_interval(0.5, small, share=True)
    assert score_interval(0.5, small, 120) == middle
