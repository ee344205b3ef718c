"""Convexity of concepts that overlap, and of the categories of judged items."""

import numpy as np
import pandas as pd
import pytest

from strata import StrataError
from strata.alignment.categories import category_measures
from strata.alignment.judgements import Judgements, picture_categories
from strata.convexity import graph_convexity
from strata.convexity.overlapping import overlapping_convexity
from strata.convexity.scores import pair_scores
from strata.figures.convexity import concept_points


@pytest.fixture(scope="module")
def world():
    """Ninety samples in three clouds, two of which touch, and marks that overlap."""
    draw = np.random.default_rng(0)
    features = draw.normal(size=(90, 4))
    features[:30, 0] += 1.5
    features[60:, 1] += 5
    kinds = np.repeat(["x", "y", "z"], 30)
    marks = pd.DataFrame({"xy": kinds != "z", "yz": kinds != "x", "few": np.arange(90) < 7})
    return features, kinds, marks


@pytest.mark.parametrize("pairs", ["all", 5000])
def test_concepts_that_do_not_overlap_score_as_ever(world, pairs):
    features, kinds, _ = world
    known = graph_convexity(features, kinds, 5, halves=4).concepts.set_index("concept")
    marks = pd.DataFrame({kind: kinds == kind for kind in "xyz"})
    found = overlapping_convexity(features, marks, 5, pairs, halves=4).set_index("concept")
    for column in ("value", "chance", "n_samples", "n_pairs", "unreachable"):
        np.testing.assert_allclose(found[column], known[column], rtol=0, atol=1e-12)
    inside = (found["low"] < found["value"]) & (found["value"] < found["high"])
    assert inside.tolist() == [True, True, False]  # z is convex: nothing varies


def test_concepts_that_overlap_score_pair_by_pair(world):
    features, _, marks = world
    found = overlapping_convexity(features, marks, 5, halves=0).set_index("concept")
    for name in marks:
        inside = np.flatnonzero(marks[name])
        pairs = np.array([(a, b) for a in inside for b in inside if a != b])
        by_hand = pair_scores(features, marks[name].tolist(), pairs, 5).mean()
        assert found.loc[name, "value"] == pytest.approx(by_hand, abs=1e-12)
        assert found.loc[name, "n_pairs"] == len(pairs)
    sampled = overlapping_convexity(features, marks, 5, 500, seed=1).set_index("concept")
    assert sampled["n_pairs"].tolist() == [500, 500, 42]
    assert sampled.loc["xy", "value"] == pytest.approx(found.loc["xy", "value"], abs=0.05)
    assert sampled.loc["few", "value"] == pytest.approx(found.loc["few", "value"], abs=1e-12)


def test_what_is_no_concept_is_told(world):
    features, _, marks = world
    lonely = marks.assign(one=np.arange(90) == 3)
    assert "one" not in set(overlapping_convexity(features, lonely, 5, halves=0)["concept"])
    for wrong, told in (
        (marks[:80], "90 samples, but 80 rows"),
        (marks.astype(int), "concept 'xy': marks should be true or false, not int64"),
        (lonely[["one"]], "no concept has two samples"),
    ):
        with pytest.raises(StrataError, match=told):
            overlapping_convexity(features, wrong, 5)


def test_categories_of_items_are_measured_on_all_their_pictures(world):
    features, _, _ = world
    items = pd.DataFrame({"item": [f"i{n}" for n in range(29)], "split": "all"})
    items = items.assign(sample=range(29), index=range(29), toy=np.arange(29) % 2 == 0)
    items["animal"] = np.arange(29) < 20
    linked = pd.Series([f"i{n % 30}" for n in range(90)])  # three pictures each; i29 is not judged
    each = Judgements.of(
        items,
        pd.DataFrame({"a": [0], "b": [1], "odd": [2], "count": [1]}),
        {"name": "t", "images": "d"},
        linked,
    )
    marks = picture_categories(each)
    assert marks["animal"].tolist() == [n % 30 < 20 for n in range(90)]
    assert marks["toy"].tolist() == [n % 30 < 29 and n % 30 % 2 == 0 for n in range(90)]
    table = category_measures(
        [("one", features), ("two", features[::-1])],
        [each],
        model="m",
        dataset="d",
        n_neighbors=5,
        halves=4,
        log=lambda line: None,
    )
    assert set(table["family"]) == {"t"} and len(table) == 2 * 2 * 2
    known = overlapping_convexity(features, marks, 5, halves=4).set_index("concept")
    rows = table[(table["layer"] == "one") & (table["metric"] == "graph_convexity_concept")]
    assert dict(zip(rows["concept"], rows["value"], strict=True)) == known["value"].to_dict()


def test_an_object_called_like_a_category_is_not_taken_for_it():
    def row(metric, family, concept, value):
        keys = {"model": "m", "layer": "l", "family": family, "concept": concept}
        return keys | {"metric": metric, "value": value}

    rows = [row("accuracy", "t", None, 0.5), row("accuracy_category", "t", "toy", 0.4)]
    for family, value in (("object", 0.9), ("t", 0.7)):
        rows += [row("graph_convexity_concept", family, "toy", value)]
        rows += [row("concept_chance", family, "toy", 0.1)]
    found = concept_points(pd.DataFrame(rows), ["m"])
    assert found[["family", "convexity", "accuracy"]].to_numpy().tolist() == [["t", 0.7, 0.4]]
