"""Intervals and p-values against closed forms, other libraries and counts by hand."""

import numpy as np
import pytest
from scipy import stats as theirs

from strata import StrataError, stats
from strata.intervals import SharedMembers, share_of_samples, t_p_value, variance_interval
from strata.stats import (
    Estimate,
    adjust_p_values,
    bootstrap_interval,
    percentile_interval,
    permutation_p_values,
    t_interval,
    wilson_interval,
)


@pytest.mark.parametrize("n", [1, 2, 10, 137])
@pytest.mark.parametrize("level", [0.5, 0.95])
def test_wilsons_interval_is_scipys(n, level):
    for successes in {0, 1, n // 3, n}:
        known = theirs.binomtest(successes, n).proportion_ci(level, method="wilson")
        found = wilson_interval(successes, n, level)
        assert found.value == successes / n
        assert found[1:] == pytest.approx((known.low, known.high), abs=1e-12)


def test_students_interval_is_scipys():
    values = np.random.default_rng(0).normal(size=7)
    known = theirs.ttest_1samp(values, 0).confidence_interval(0.9)
    found = t_interval(values, level=0.9)
    assert found == pytest.approx((values.mean(), known.low, known.high))
    two = t_interval([1.0, 2.0])
    assert two.high - 1.5 == pytest.approx(theirs.t.ppf(0.975, 1) / 2)
    assert np.isnan(t_interval([3.0])[1:]).all() and t_interval([3.0]).value == 3
    for level in (0, 1):
        with pytest.raises(StrataError, match="between 0 and 1"):
            t_interval(values, level)
    with pytest.raises(StrataError, match="at least one value"):
        t_interval([])


def test_p_values_of_permutations_by_hand():
    null = np.array([0.0, 1.0, 1.0, 2.0])
    expected = [1.0, 4 / 5, 2 / 5, 1 / 5]  # an equal one counts against the observed
    observed = np.array([0.0, 0.5, 1.5, 3.0])
    assert permutation_p_values(observed, null).tolist() == expected
    assert permutation_p_values(observed, np.tile(null, (4, 1))).tolist() == expected
    assert permutation_p_values(np.array([1.0]), null).tolist() == [4 / 5]
    for shape in ((3, 4), (4, 0)):
        with pytest.raises(StrataError, match="does not fit 4 values"):
            permutation_p_values(observed, np.zeros(shape))


def test_adjusted_p_values_by_the_definition_of_benjamini_and_hochberg():
    p = np.random.default_rng(1).random(9) ** 2
    rank = theirs.rankdata(p)
    expected = [
        min(1, min(q * 9 / r for q, r in zip(p, rank, strict=True) if q >= own)) for own in p
    ]
    np.testing.assert_allclose(adjust_p_values(p), expected)
    assert adjust_p_values([]).tolist() == []


def test_a_bootstrap_of_the_mean_has_the_spread_of_theory():
    values = np.random.default_rng(2).normal(size=400)
    found = bootstrap_interval(values, n=4000)
    half = theirs.norm.ppf(0.975) * values.std() / 20
    assert found.value == values.mean()
    assert found[1:] == pytest.approx((values.mean() - half, values.mean() + half), abs=0.006)
    assert bootstrap_interval(values[::-1], n=50)[1:] == bootstrap_interval(values, n=50)[1:]
    assert bootstrap_interval(values, n=50, seed=1)[1:] != bootstrap_interval(values, n=50)[1:]


def test_a_bootstrap_of_another_statistic_resamples_rows():
    rows = np.random.default_rng(3).normal(size=(200, 2)) @ [[1, 0.8], [0, 0.6]]

    def correlation(part):
        return np.corrcoef(part.T)[0, 1]

    found, fisher = bootstrap_interval(rows, correlation, n=800), np.arctanh(correlation(rows))
    known = np.tanh([fisher - 1.96 / np.sqrt(197), fisher + 1.96 / np.sqrt(197)])
    assert found[1:] == pytest.approx(known, abs=0.02)
    assert np.isnan(bootstrap_interval(rows[:1], np.sum)[1:]).all()
    assert np.isnan(bootstrap_interval(rows, np.sum, n=0)[1:]).all()
    assert np.isfinite(bootstrap_interval([1.0, 2.0], n=20).low)
    with pytest.raises(StrataError, match="at least one value"):
        bootstrap_interval([])


def test_resamples_in_parts_are_those_of_one_part(monkeypatch):
    values = np.random.default_rng(4).normal(size=30)
    whole = bootstrap_interval(values, n=101)
    monkeypatch.setattr("strata.stats._BATCH", 300)  # ten at a time, and one
    assert bootstrap_interval(values, n=101) == whole


def test_percentiles_leave_out_what_is_not_finite():
    draws = [np.nan, *range(101), np.inf]
    assert percentile_interval(draws, 50, 0.9) == pytest.approx((5, 95))
    assert percentile_interval(draws, 99, 0.9) == pytest.approx((5, 99))  # what was observed
    assert np.isnan(percentile_interval([np.nan], 0)).all()


def test_a_bootstrap_is_the_same_however_many_draws_are_made_at_a_time(monkeypatch):
    values = np.random.default_rng(3).normal(size=10)
    whole = bootstrap_interval(values, n=50, seed=1)
    for batch in (1, 30):  # less than the values, so that a draw is made alone; three draws
        monkeypatch.setattr(stats, "_BATCH", batch)
        assert bootstrap_interval(values, n=50, seed=1) == whole


def test_an_interval_from_a_variance_is_students_on_either_scale():
    half = theirs.t.ppf(0.95, 6) * 0.3
    assert variance_interval(2.0, 0.09, 6, level=0.9) == pytest.approx((2.0, 2 - half, 2 + half))
    half = theirs.t.ppf(0.975, 6) * 0.05 / (0.2 * 0.8)
    known = 1 / (1 + np.exp(-(np.log(0.2 / 0.8) + np.array([-half, half]))))
    assert variance_interval(0.2, 0.05**2, 6, share=True)[1:] == pytest.approx(tuple(known))
    assert np.isfinite(variance_interval(0.5, 0.1, 1).low)
    for value in (0.0, 1.0):
        assert np.isnan(variance_interval(value, 0.1, 6, share=True).low)
    for variance, df in ((0.0, 6), (np.nan, 6), (np.inf, 6), (0.1, 0.9)):
        assert np.isnan(variance_interval(0.5, variance, df).low)
        assert np.isnan(t_p_value(0.5, variance, df))


def test_the_p_value_is_that_of_the_interval():
    for value in (0.4, -0.4):
        p = t_p_value(value, 0.09, 5)
        edge = variance_interval(value, 0.09, 5, level=1 - p)
        assert min(abs(edge.low), abs(edge.high)) == pytest.approx(0, abs=1e-9)
    values = np.random.default_rng(5).normal(0.5, 1, size=12)
    own = SharedMembers(np.arange(12)[:, None])
    assert own.p_value(values) == pytest.approx(theirs.ttest_1samp(values, 0).pvalue)
    assert own.interval(values) == pytest.approx(t_interval(values))
    assert np.isfinite(own.p_value(values, at_least=12)) and np.isnan(
        own.p_value(values, at_least=13)
    )
    assert np.isfinite(own.interval(values, at_least=12).low)
    assert np.isnan(own.interval(values, at_least=13).low)


def test_rare_shares_are_no_narrower_than_wilsons_and_the_rarest_have_none():
    near = Estimate(0.1, 0.099, 0.101)
    wilson = wilson_interval(4, 40)
    assert share_of_samples(near, 40)[1:] == pytest.approx(wilson[1:])
    wide = Estimate(0.1, 0.001, 0.9)
    assert share_of_samples(wide, 40) == wide
    assert share_of_samples(near, 50) == near  # five on the rarer side
    high = share_of_samples(Estimate(0.9, 0.899, 0.901), 40)
    assert high[1:] == pytest.approx(wilson_interval(36, 40)[1:])
    assert np.isnan(share_of_samples(Estimate(0.01, 0.009, 0.02), 24).low)
    assert np.isfinite(share_of_samples(Estimate(0.01, 0.009, 0.02), 25).low)
    assert np.isnan(share_of_samples(Estimate(0.1, np.nan, np.nan), 40).low)
