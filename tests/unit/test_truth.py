"""Planted truth against scikit-learn, and the intervals against their definitions."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import ndtri
from sklearn.metrics import roc_auc_score

from strata import StrataError
from strata.concepts.truth import chance_of_naming, factor_auc, factor_indicators, neuron_truth
from strata.stats import (
    adjust_p_values,
    bootstrap_interval,
    permutation_p_values,
    wilson_interval,
)

VOCABULARY = {"red": ["color=red"], "striped": ["texture=striped"], "warm": ["color=red"]}


def test_auc_equals_scikit_learns_with_ties():
    draw = np.random.default_rng(0)
    activations = draw.integers(0, 6, size=(80, 300)).astype(np.float32)
    present = draw.random((80, 3)) < 0.3
    ours = factor_auc(activations, present)
    for neuron in (0, 255, 256, 299):
        for factor in range(3):
            expected = roc_auc_score(present[:, factor], activations[:, neuron])
            assert ours[neuron, factor] == pytest.approx(expected, abs=1e-12)


def test_a_label_is_true_when_it_names_the_best_factor():
    manifest = pd.DataFrame({"color": ["red", "red", "blue", "blue"], "texture": ["striped"] * 4})
    factors, present = factor_indicators(manifest, VOCABULARY)
    assert factors == ["color=red"]  # every picture is striped, so no neuron can tell
    auc = factor_auc(np.array([[1.0], [2.0], [0.0], [0.5]]), present)
    labels = pd.DataFrame(
        {"unit": 0, "concept": ["warm", "striped", None], "metric": ["a", "b", "c"]}
    )
    truth = neuron_truth(labels, auc, factors, VOCABULARY)
    assert truth["named"].tolist() == [True, False] and truth["auc"].tolist() == [1.0, 1.0]
    assert truth["label_auc"].tolist()[0] == 1.0 and np.isnan(truth["label_auc"].tolist()[1])


def test_chance_is_the_mean_over_all_ways_to_deal_the_labels():
    neurons = pd.DataFrame(
        {
            "concept": ["red", "striped", "warm", "red"],
            "factor": ["color=red", "texture=striped", "color=blue", "color=red"],
        }
    )
    hits = [f in VOCABULARY[c] for c in neurons["concept"] for f in neurons["factor"]]
    assert chance_of_naming(neurons, VOCABULARY) == pytest.approx(np.mean(hits))


def test_an_unknown_factor_family_is_named():
    with pytest.raises(StrataError, match="'texture'"):
        factor_indicators(pd.DataFrame({"color": ["red"]}), VOCABULARY)


@given(st.integers(1, 200).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_equals_its_closed_form(counts):
    k, n = counts
    z = ndtri(0.975)
    centre = (k + z**2 / 2) / (n + z**2)
    half = z / (n + z**2) * np.sqrt(k * (n - k) / n + z**2 / 4)
    found = wilson_interval(k, n)
    assert found.value == k / n
    assert found.low == pytest.approx(max(0, centre - half), abs=1e-9)
    assert found.high == pytest.approx(min(1, centre + half), abs=1e-9)


def test_bootstrap_of_a_mean_is_close_to_the_normal_interval():
    values = np.random.default_rng(0).normal(3, 2, size=400)
    found = bootstrap_interval(values, n=4000)
    half = 1.96 * values.std(ddof=1) / 20
    assert found.value == values.mean()
    assert found.low == pytest.approx(values.mean() - half, abs=0.02)
    assert found.high == pytest.approx(values.mean() + half, abs=0.02)
    assert bootstrap_interval(values, np.median, n=50).value == np.median(values)
    assert np.isnan(bootstrap_interval(values[:1]).low)


def test_p_values_by_hand():
    assert permutation_p_values([2.0, 0.0], [[1.0, 2.0, 3.0]]).tolist() == [0.75, 1.0]
    assert permutation_p_values([5.0, 0.0], [[1.0, 2.0], [0.0, -1.0]]).tolist() == [1 / 3, 2 / 3]
    np.testing.assert_allclose(adjust_p_values([0.01, 0.04, 0.03]), [0.03, 0.04, 0.04])
