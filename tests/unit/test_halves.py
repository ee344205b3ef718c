"""Labels on halves of the pictures, their stability, and intervals about pictures and neurons."""

import numpy as np
import pandas as pd
import pytest

from strata import StrataError
from strata.concepts.measures import count_measures, share_measures
from strata.concepts.quadrants import quadrants
from strata.concepts.truth import factor_auc, score_truth
from strata.dissect import (
    SIMILARITIES,
    dissect_model,
    label_halves,
    label_neurons,
    picture_halves,
    softmax_sums,
    stability,
    with_stability,
)

N, UNITS, SPLITS = 120, 12, 4
DRAW = np.random.default_rng(4)
WORDS = [f"w{i}" for i in range(8)]
SHOWN = DRAW.random((N, 8)) < 0.3
TEXTS = np.eye(8, 12) + 0.01
PICTURES = (SHOWN @ TEXTS + 0.2 * DRAW.normal(size=(N, 12))).astype(np.float32)
LAYER = (SHOWN[:, np.arange(UNITS) % 8] * np.linspace(0.2, 3, UNITS)).astype(np.float32)
LAYER = LAYER + DRAW.normal(size=LAYER.shape).astype(np.float32)
MANIFEST = pd.DataFrame({"path": [f"p{i:03d}" for i in range(N)], "dataset": "d"}).assign(
    **{word: np.where(SHOWN[:, i], "yes", "no") for i, word in enumerate(WORDS)}
)
VOCABULARY = {word: [f"{word}=yes"] for word in WORDS}


def layers(activations=LAYER):
    return lambda: [("a", activations), ("b", -activations)]


def halved(similarity="cosine", activations=LAYER, pictures=PICTURES, manifest=MANIFEST, **more):
    halves = picture_halves(manifest, SPLITS, 1)
    options = {"similarity": similarity, **more}
    return label_halves(layers(activations), pictures, TEXTS, WORDS, halves, **options), halves


def labelled(similarity="cosine", **more):
    options = {"model": "m", "dataset": "d", "log": lambda line: None, **more}
    return dissect_model(layers()(), PICTURES, TEXTS, WORDS, similarities=[similarity], **options)


@pytest.mark.parametrize("similarity", SIMILARITIES)
def test_a_half_is_labelled_as_if_there_were_no_other_pictures(similarity):
    top = {} if "cosine" in similarity else {"top_k": 20}
    found, halves = halved(similarity, **top)
    half_top = {} if not top else {"top_k": 10}
    for half, rows in ((0, halves[2]), (1, ~halves[2])):
        alone = label_neurons(LAYER[rows], PICTURES[rows], TEXTS, WORDS, similarity, **half_top)
        here = found[(found["layer"] == "a") & (found["split"] == 2) & (found["half"] == half)]
        assert here["concept"].tolist() == alone["label"].tolist()
        np.testing.assert_allclose(here["value"], alone["score"], atol=1e-6)
    assert len(found) == 2 * UNITS * SPLITS * 2


def test_sums_that_a_study_keeps_give_the_same_labels_on_halves():
    sums = softmax_sums(PICTURES, TEXTS, [10.0])
    first, _ = halved("soft_wpmi", top_k=20)
    again, _ = halved("soft_wpmi", top_k=20, sums=sums)
    pd.testing.assert_frame_equal(first, again, atol=1e-5)
    with pytest.raises(StrataError, match="other embeddings"):
        halved("soft_wpmi", top_k=20, sums=sums, pictures=PICTURES + 1)


@pytest.mark.parametrize("similarity", ["soft_wpmi", "cosine"])
def test_halves_do_not_depend_on_the_order_of_pictures(similarity):
    rows = np.random.default_rng(2).permutation(N)
    moved = MANIFEST.iloc[rows].reset_index(drop=True)
    first, halves = halved(similarity) if similarity == "cosine" else halved(similarity, top_k=20)
    more = {} if similarity == "cosine" else {"top_k": 20}
    again, other = halved(similarity, LAYER[rows], PICTURES[rows], moved, **more)
    np.testing.assert_array_equal(halves[:, rows], other)
    pd.testing.assert_frame_equal(first, again, atol=1e-4)


def test_data_sets_are_halved_each_in_whatever_order_they_come():
    manifest = pd.DataFrame({"index": [0, 1, 2, 3, 0, 1], "dataset": [*"bbbb", *"aa"]})
    order = [4, 5, 0, 1, 2, 3]
    halves = picture_halves(manifest, 6, 3)
    assert (halves[:, :4].sum(axis=1) == 2).all() and (halves[:, 4:].sum(axis=1) == 1).all()
    moved = picture_halves(manifest.iloc[order].reset_index(drop=True), 6, 3)
    np.testing.assert_array_equal(halves[:, order], moved)
    assert picture_halves(manifest[:3], 6, 3).shape == (0, 3)


def test_stability_is_the_share_of_splits_whose_halves_agree():
    rows = [
        ("l", 0, unit, split, half, concept, 1.0)
        for unit, pairs in ((0, ["aa", "ab"]), (1, ["aa", "bb"]), (2, ["--", "aa"]))
        for split, pair in enumerate(pairs)
        for half, concept in enumerate(None if c == "-" else c for c in pair)
    ]
    columns = ["layer", "layer_index", "unit", "split", "half", "concept", "value"]
    table = pd.DataFrame(rows, columns=columns)
    assert stability(table).tolist() == [0.5, 1.0, 0.5]
    pd.testing.assert_series_equal(
        stability(table.sample(frac=1, random_state=1)).sort_index(), stability(table)
    )
    with pytest.raises(StrataError, match="lacks one half"):
        stability(table[:-1])
    labels = pd.DataFrame({"layer": "l", "unit": [0, 1, 2, 0], "concept": ["a", "a", None, "a"]})
    found = with_stability(labels.assign(metric=["main", "main", "main", "other"]), table)
    np.testing.assert_array_equal(found["stability"], [0.5, 1.0, np.nan, np.nan])
    none = with_stability(labels.assign(metric="main"), table[:0])
    assert none["stability"].isna().all()


def test_strong_neurons_keep_their_labels():
    found = stability(halved()[0])["a"]
    assert found[-3:].mean() > 0.9 > found[:3].mean()


def test_quadrants_have_neither_pictures_nor_neurons_in_common():
    found, _ = halved()
    own = found[found["layer"] == "a"]
    pairs = list(quadrants(own.sample(frac=1, random_state=0), 5))
    assert len(pairs) == SPLITS
    for split, (first, second) in enumerate(pairs):
        assert sorted([*first["unit"], *second["unit"]]) == list(range(UNITS))
        assert abs(len(first) - len(second)) <= 1
        assert set(first["split"]) == set(second["split"]) == {split}
        assert set(first["half"]) == {0} and set(second["half"]) == {1}


def test_shares_speak_about_pictures_too_where_a_label_is_a_neurons_own():
    categories = {"some": WORDS[:4]}
    labels, (found, _) = labelled(permutations=20), halved()
    shares = share_measures(labels, categories, found, bootstrap=20)
    both = shares["about"] == "pictures and neurons"
    assert (both == ~shares["metric"].str.contains("significant")).all()
    row = shares[both].iloc[0]
    part = found[found["layer"] == row["layer"]]
    values = [
        [
            side["concept"][side["value"] > side["value"].median()].isin(WORDS[:4]).mean()
            for side in p
        ]
        for p in quadrants(part, 0)
    ]
    np.testing.assert_allclose(row["deviates"], np.diff(values)[:, 0] / -2)
    assert row["low"] < row["value"] < row["high"]
    moved = share_measures(
        labels.sample(frac=1, random_state=3).sort_values("layer", kind="stable"),
        categories,
        found.sample(frac=1, random_state=3),
        bootstrap=20,
    )
    pd.testing.assert_frame_equal(shares, moved)
    competing = share_measures(
        labelled("soft_wpmi", top_k=20), categories, halved("soft_wpmi", top_k=20)[0], bootstrap=20
    )
    assert set(competing["about"]) == {"neurons"} and "deviates" not in competing
    assert set(count_measures(labels, bootstrap=20)["about"]) == {"neurons"}
    assert set(share_measures(labels, categories, bootstrap=20)["about"]) == {"neurons"}


@pytest.mark.parametrize("similarity", ["cosine", "soft_wpmi"])
def test_planted_truth_speaks_about_pictures_too(similarity):
    top = {} if similarity == "cosine" else {"top_k": 20}
    found, halves = halved(similarity, **top)
    labels = labelled(similarity, **top)
    table, _ = score_truth(labels, layers()(), MANIFEST, VOCABULARY, found, halves, bootstrap=20)
    both = set(table.loc[table["about"] == "pictures and neurons", "metric"])
    own = {"names_best_factor", "names_any_factor_above"} if similarity == "cosine" else set()
    assert both == {"mean_best_auc"} | own
    rows = table[table["about"] == "pictures and neurons"]
    assert all(len(d) == SPLITS and np.isfinite(d).all() for d in rows["deviates"])
    alone, _ = score_truth(labels, layers()(), MANIFEST, VOCABULARY, bootstrap=20)
    assert set(alone["about"]) == {"neurons"}
    np.testing.assert_array_equal(alone["value"], table["value"])


def test_deviates_of_truth_are_of_neurons_and_pictures_that_have_nothing_in_common():
    labels, (found, halves) = labelled(), halved()
    table, _ = score_truth(labels, layers()(), MANIFEST, VOCABULARY, found, halves, bootstrap=20)
    row = table[(table["layer"] == "a") & (table["metric"] == "mean_best_auc")].iloc[0]
    values = [
        [
            factor_auc(LAYER[rows][:, side["unit"]], SHOWN[rows]).max(axis=1).mean()
            for side, rows in zip(sides, (half, ~half), strict=True)
        ]
        for sides, half in zip(quadrants(found[found["layer"] == "a"], 0), halves, strict=True)
    ]
    np.testing.assert_allclose(row["deviates"], np.diff(values)[:, 0] / -2)


def test_labels_on_halves_of_other_splits_are_refused():
    labels, (found, halves) = labelled(), halved()
    fewer = found[found["split"] != 1]
    with pytest.raises(StrataError, match=r"are of the splits 0, 2.*halves of \d+ splits"):
        score_truth(labels, layers()(), MANIFEST, VOCABULARY, fewer, halves, bootstrap=20)
