"""Counts and categories: by hand on a small table, and properties that hold for any."""

import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from strata import StrataError
from strata.concepts.counts import category_shares, concept_counts
from strata.concepts.measures import count_measures, share_measures
from strata.concepts.released import read_released_labels
from strata.data.words import read_categories, read_concepts

CATEGORIES = {"colors": ["red", "blue"], "animals": ["cat"], "unknown": ["blue"]}


@pytest.fixture
def labels():
    """Layer a: median 2.5, mean 3.25; above the median red, red; above the mean red (7)."""
    rows = [
        ("a", 0, "cat", 1.0, 0.20),
        ("a", 1, "blue", 2.0, 0.01),
        ("a", 2, "red", 3.0, 0.04),
        ("a", 3, "red", 7.0, 0.06),
        ("b", 0, "cat", 5.0, 0.90),
        ("b", 1, "cat", 5.0, 0.90),
        ("b", 2, None, 9.0, 1.00),
    ]
    return pd.DataFrame(rows, columns=["layer", "unit", "description", "similarity", "q_value"])


def as_measures(labels):
    named = labels.rename(columns={"description": "concept", "similarity": "value"})
    index = named["layer"].map({"a": 0, "b": 1})
    return named.assign(model="m", dataset="d", layer_index=index, metric="soft_wpmi", n=9, seed=0)


@pytest.mark.parametrize(
    ("threshold", "counts"), [("median", [1, 0]), ("mean", [1, 0]), ("significant", [2, 0])]
)
def test_counts_by_hand(labels, threshold, counts):
    found = concept_counts(labels, threshold)
    assert found["layer"].tolist() == ["a", "b"]
    assert found["n_concepts"].tolist() == counts


def test_shares_by_hand(labels):
    shares = category_shares(labels, CATEGORIES, "significant")
    by_hand = {"colors": 1.0, "animals": 0.0, "unknown": 0.5}
    assert shares.set_index("category")["share"].to_dict() == by_hand
    assert set(shares["layer"]) == {"a"}


def test_measures_agree_with_the_plain_functions(labels):
    measures = count_measures(as_measures(labels), bootstrap=200)
    for threshold in ("median", "mean", "significant"):
        mine = measures[measures["metric"] == f"n_concepts_{threshold}"]
        assert mine["value"].tolist() == concept_counts(labels, threshold)["n_concepts"].tolist()
    share = measures[measures["metric"] == "share_significant"]
    assert share["value"].tolist() == [0.5, 0.0] and share["n"].tolist() == [4, 2]
    shares = share_measures(as_measures(labels), CATEGORIES, bootstrap=200)
    mine = shares[shares["metric"] == "category_share_significant"]
    assert mine.set_index("concept")["value"].to_dict()["unknown"] == 0.5
    assert (mine["n"] == 2).all()


def test_significance_needs_q_values(labels):
    with pytest.raises(StrataError, match="q_value"):
        concept_counts(labels.drop(columns="q_value"), "significant")
    with pytest.raises(StrataError, match="'mode' is unknown"):
        concept_counts(labels, "mode")


words = st.sampled_from(["red", "blue", "cat", "dog", "car"])
scores = st.floats(-10, 10).map(lambda x: round(x, 2))
layers = st.lists(st.tuples(st.sampled_from("abc"), words, scores), min_size=1, max_size=40)


@given(layers)
def test_properties_of_counts_and_shares(rows):
    table = pd.DataFrame(rows, columns=["layer", "description", "similarity"])
    table["unit"] = np.arange(len(table))
    for threshold in ("median", "mean"):
        counts = concept_counts(table, threshold)
        assert counts["layer"].tolist() == list(dict.fromkeys(table["layer"]))
        distinct = table.groupby("layer", sort=False)["description"].nunique()
        assert (counts["n_concepts"].to_numpy() <= distinct.to_numpy()).all()
        halves = table.groupby("layer", sort=False).size() // 2
        if threshold == "median":
            assert (counts["n_concepts"].to_numpy() <= halves.to_numpy()).all()
        shares = category_shares(table, {"all": ["red", "blue", "cat", "dog", "car"], "none": []})
        assert (shares.loc[shares["category"] == "all", "share"] == 1).all()
        assert (shares.loc[shares["category"] == "none", "share"] == 0).all()
    shuffled = table.sample(frac=1, random_state=0)
    merged = concept_counts(table).merge(concept_counts(shuffled), on="layer")
    assert (merged["n_concepts_x"] == merged["n_concepts_y"]).all()


@given(layers, st.integers(0, 3))
def test_an_interval_of_a_count_holds_the_count(rows, seed):
    table = pd.DataFrame(rows, columns=["layer", "description", "similarity"])
    table["unit"], table["q_value"] = np.arange(len(table)), np.nan
    measures = as_measures(table).assign(layer_index=0)
    counts = count_measures(measures, bootstrap=30, seed=seed)
    assert (counts["low"] >= 0).all() and (counts["low"] <= counts["high"]).all()


@pytest.mark.parametrize("content", ["", "\n\n", "cat\ndog\ncat\n"])
def test_a_list_without_concepts_or_with_one_twice_is_refused(tmp_path, content):
    path = tmp_path / "words.txt"
    path.write_text(content)
    with pytest.raises(StrataError, match=r"words\.txt"):
        read_concepts(path)


def test_blank_lines_are_skipped(tmp_path):
    path = tmp_path / "words.txt"
    path.write_text("cat\n\ndog\n")
    assert read_concepts(path) == ["cat", "dog"]


@pytest.mark.parametrize("content", ["{", "[]", "{}", json.dumps({"colors": "red"})])
def test_categories_of_another_form_are_refused(tmp_path, content):
    path = tmp_path / "categories.json"
    path.write_text(content)
    with pytest.raises(StrataError, match=r"categories\.json"):
        read_categories(path)


def test_words_like_nan_stay_words(tmp_path):
    path = tmp_path / "labels.csv"
    path.write_text("layer,unit,description,similarity\nx,0,nan,1.5\nx,1,null,2.5\n")
    assert read_released_labels(path)["description"].tolist() == ["nan", "null"]
    path.write_text("layer,unit,description\nx,0,nan\n")
    with pytest.raises(StrataError, match="'similarity'"):
        read_released_labels(path)
