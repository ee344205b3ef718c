"""Labels by annotation against scipy, by brute force, and whatever the order."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import mannwhitneyu, norm
from sklearn.metrics import roc_auc_score

from strata import StrataError
from strata.concepts.measures import share_measures
from strata.dissect import Annotations, label_by_annotation
from strata.dissect.annotation_measures import annotation_measures, category_of

DRAW = np.random.default_rng(0)
N, NEURONS = 60, 14
NAMES = ["a=1", "a=2", "b=1", "b=2", "c=1"]


def annotations():
    values = (DRAW.random((N, 5)) < [0.2, 0.5, 0.3, 0.6, 0.4]).astype(float)
    values[:20, 2:4] = np.nan
    values[50:, 4] = np.nan
    return values


VALUES = annotations()
PLAIN = DRAW.normal(size=(N, NEURONS)).astype(np.float32)
COARSE = np.maximum(np.round(PLAIN), 0)
LAYERS = {"plain": PLAIN, "coarse": COARSE, "binary": (PLAIN > 0.5).astype(np.float16)}


def told(activations, values=VALUES, names=NAMES, **options):
    options = {"n_permutations": 19, "log": lambda line: None} | options
    return label_by_annotation(activations, values, names, **options)


@pytest.mark.parametrize("layer", LAYERS)
def test_deviation_and_score_are_scipys_and_scikit_learns(layer):
    rows = LAYERS[layer].T.astype(np.float32)
    z, auc = Annotations(VALUES, NAMES).deviations(rows)
    for unit in range(NEURONS):
        for place in range(5):
            applies = ~np.isnan(VALUES[:, place])
            present, row = VALUES[applies, place] == 1, rows[unit, applies].astype(float)
            test = mannwhitneyu(
                row[present], row[~present], use_continuity=False, method="asymptotic"
            )

            assert auc[unit, place] == pytest.approx(roc_auc_score(present, row), abs=1e-12)
            assert 2 * norm.sf(abs(z[unit, place])) == pytest.approx(test.pvalue, rel=1e-9)
            assert (z[unit, place] > 0) == (auc[unit, place] > 0.5)


@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("direction", ["both", "high"])
def test_label_is_the_greatest_deviation(layer, direction):
    z, auc = Annotations(VALUES, NAMES).deviations(LAYERS[layer].T.astype(np.float32))
    keys = abs(z) if direction == "both" else z
    table = told(LAYERS[layer], direction=direction)
    best = keys.argmax(axis=1)
    assert table["label"].tolist() == [NAMES[i] for i in best]
    signed = z[np.arange(NEURONS), best]
    assert table["sign"].tolist() == np.sign(signed).tolist()
    np.testing.assert_allclose(table["deviation"], keys.max(axis=1))
    folded = auc[np.arange(NEURONS), best]
    np.testing.assert_allclose(table["score"], np.where(signed > 0, folded, 1 - folded))
    np.testing.assert_allclose(table["margin"], np.diff(np.sort(keys, axis=1)[:, -2:])[:, 0])


def test_the_null_of_a_neuron_is_that_of_all_its_permutations():
    """Seven samples: the p-value against all 5,040 orders, with ties and without."""
    values = np.array([[1, 0], [1, 0], [1, 1], [0, 1], [0, 1], [0, 0], [0, np.nan]], dtype=float)
    prepared = Annotations(values, ["a", "b"], min_positives=1, n_permutations=4000)
    from itertools import permutations

    for row in (np.arange(7.0), np.array([0, 0, 0, 0, 1, 2, 2.0])):
        orders = np.array(list(permutations(row)))
        exact = abs(prepared.deviations(orders).z).max(axis=1)
        drawn = prepared.null(row, 8)
        for level in np.unique(np.round(exact, 9)):
            share = (exact >= level - 1e-9).mean()
            assert (drawn >= level - 1e-9).mean() == pytest.approx(share, abs=0.035)


def test_p_values_are_uniform_where_nothing_is_told():
    noise = DRAW.normal(size=(N, 300))
    for layer in (noise, (noise > 1).astype(float)):
        p_values = told(layer, n_permutations=199)["p_value"]
        assert p_values.min() >= 1 / 200
        assert (p_values <= 0.1).mean() == pytest.approx(0.1, abs=0.06)
    planted = np.where(VALUES[:, 1] == 1, 2.0, 0.0)[:, None] + noise[:, :3]
    table = told(planted, n_permutations=199)
    assert set(table["label"]) == {"a=2"} and (table["q_value"] < 0.02).all()
    assert told(-planted)["sign"].tolist() == [-1, -1, -1]


@pytest.mark.parametrize("layer", LAYERS)
def test_nothing_depends_on_order_blocks_or_type(layer):
    activations = LAYERS[layer]
    first = told(activations)
    rows, units, words = DRAW.permutation(N), DRAW.permutation(NEURONS), DRAW.permutation(5)
    names = [NAMES[i] for i in words]
    again = told(activations[rows][:, units], VALUES[rows][:, words], names, memory_mb=0.005)
    expected = first.iloc[units].reset_index(drop=True).assign(unit=range(NEURONS))
    pd.testing.assert_frame_equal(again, expected, check_exact=True)
    pd.testing.assert_frame_equal(told(activations.astype(np.float64)), first, check_exact=True)


def test_equals_go_by_name_and_constant_neurons_have_no_label():
    values = np.repeat(VALUES[:, :1], 2, axis=1)
    activations = np.column_stack([PLAIN[:, 0], np.ones(N)])
    table = told(activations, values, ["z", "b"])
    assert table["label"].tolist()[0] == "b" and table["label"].isna().tolist() == [False, True]
    assert table["margin"].tolist() == [0, 0]
    assert table["constant"].tolist() == [False, True]
    assert table.loc[1, ["sign", "score", "p_value", "q_value"]].tolist() == [0, 0, 1, 1]
    assert table["runner_up"].tolist() == ["z", ""]


def test_concepts_of_too_few_samples_are_listed_not_used():
    values = np.zeros((N, 4))
    values[:4, 0], values[:, 1], values[:30, 3] = 1, 1, 1
    lines = []
    table = told(PLAIN, values, ["rare", "all", "none", "half"], log=lines.append)
    assert set(table["label"]) == {"half"} and np.isnan(table["margin"]).all()
    assert [line.split("'")[1] for line in lines] == ["all", "none", "rare"]
    assert "4 samples have it, 56 lack it: min_positives is 5" in lines[2]
    assert told(PLAIN, values, list("abcd"), min_positives=4)["label"].isin(["a", "d"]).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"direction": "low"}, "direction 'low' is unknown: use both, high"),
        ({"values": VALUES + 1}, "'a=1' must be 0, 1 or NaN, not"),
        ({"names": ["a"] * 5}, "repeated: a"),
        ({"names": ["a"]}, "1 concepts, but 5 columns"),
        ({"values": VALUES[:9]}, "no concept that at least 5"),
        ({"values": np.vstack([VALUES, VALUES])}, "60 samples, annotations 120"),
        ({"activations": np.where(PLAIN > 1, np.nan, PLAIN)}, "neuron 0 has NaN"),
        ({"activations": PLAIN[:, 0]}, "must be \\(samples, neurons\\)"),
    ],
)
def test_bad_input_is_named(change, message):
    with pytest.raises(StrataError, match=message):
        told(**({"activations": PLAIN} | change))


def test_a_model_s_labels_are_a_measure_that_counts_take():
    prepared = Annotations(VALUES, NAMES, n_permutations=19)
    layers = [("one", PLAIN), ("two", np.column_stack([PLAIN[:, :2], np.ones(N)]))]
    found = annotation_measures(layers, prepared, model="m", dataset="d")
    assert found["layer_index"].tolist() == [0] * NEURONS + [1] * 3
    assert set(found["metric"]) == {"annotation_auc"}
    told = found[found["concept"].notna()]
    assert (told["category"] == told["concept"].str[0]).all() and found[
        "category"
    ].isna().sum() == 1
    categories = {"a": NAMES[:2], "b": NAMES[2:4], "c": NAMES[4:]}
    shares = share_measures(found, categories, bootstrap=10)
    sums = shares.groupby(["layer", "metric"])["value"].sum()
    np.testing.assert_allclose(sums, 1)
    assert category_of("color=red>0.1") == category_of("color>0.1") == "color"
