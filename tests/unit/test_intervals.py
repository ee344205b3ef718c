"""Intervals over new samples: values in closed form and by brute force; coverage in small."""

import numpy as np
import pytest

from strata.errors import StrataError
from strata.intervals import (
    SharedMembers,
    deviate_interval,
    deviates,
    random_halves,
    variance_interval,
)


def _by_brute_force(values, members, weights):
    total = weights.sum()
    residuals = weights * (values - (weights * values).sum() / total)
    common = np.array([[len(set(a) & set(b)) for b in members] for a in members])
    found = []
    for least in range(1, members.shape[1] + 1):
        share = (np.outer(weights, weights) * (common >= least)).sum() / total**2
        sums = (np.outer(residuals, residuals) * (common >= least)).sum() / total**2
        found.append(sums / (1 - share))
    return max(found)


@pytest.mark.parametrize("width", [1, 2, 3, 4])
def test_rows_that_share_a_member_are_counted_once(width):
    draw = np.random.default_rng(width)
    members = np.array([draw.choice(12, width, replace=False) for _ in range(60)])
    values, weights = draw.random(60), draw.integers(1, 4, 60).astype(float)
    found = SharedMembers(members, weights)
    assert found.variance(values) == pytest.approx(_by_brute_force(values, members, weights))
    order = draw.permutation(60)
    turned = SharedMembers(members[order][:, ::-1], weights[order])
    assert turned.variance(values[order]) == pytest.approx(found.variance(values))


def test_rows_without_shared_members_have_the_variance_of_a_mean():
    values = np.random.default_rng(0).random(40)
    found = SharedMembers(np.arange(120).reshape(40, 3))
    assert found.variance(values) == pytest.approx(values.var(ddof=1) / 40)


def test_weights_are_repeats():
    draw = np.random.default_rng(3)
    members = np.array([draw.choice(20, 3, replace=False) for _ in range(50)])
    values, weights = draw.random(50), draw.integers(1, 5, 50)
    often = np.repeat(np.arange(50), weights)
    assert SharedMembers(members, weights).variance(values) == pytest.approx(
        SharedMembers(members[often]).variance(values[often])
    )


def test_rows_that_all_share_a_member_have_no_interval():
    found = SharedMembers(np.array([[0, 1], [0, 2], [0, 3]]))
    assert np.isnan(found.interval(np.array([0.1, 0.5, 0.4]))[1:]).all()


def test_halves_of_classes_and_of_clusters():
    strata = np.repeat(list("abc"), [10, 7, 5])
    halves = random_halves(strata, 50, seed=1)
    assert halves.shape == (50, 22)
    assert set(halves.sum(axis=1)) <= {11}
    for name, n in zip("abc", (10, 7, 5), strict=True):
        sizes = set(halves[:, strata == name].sum(axis=1))
        assert sizes <= {n // 2, n - n // 2}
    assert halves.mean(axis=0).min() > 0.35 and halves.mean(axis=0).max() < 0.65
    speakers = np.repeat(np.arange(8), 5)
    halves = random_halves(["x"] * 40, 20, clusters=speakers)
    assert (halves.reshape(20, 8, 5).std(axis=2) == 0).all()
    assert set(halves.sum(axis=1)) == {20}
    with pytest.raises(StrataError, match="cannot be halved"):
        random_halves(["x"] * 5, 3, clusters=["one"] * 5)


def test_halves_of_a_mean_give_its_standard_error():
    """The mean over cuts goes to the classical s^2 / n."""
    values = np.random.default_rng(5).normal(size=60)
    halves = random_halves(["x"] * 60, 4000, seed=2)
    found = deviates([values[h].mean() for h in halves], [values[~h].mean() for h in halves])
    assert np.mean(found**2) == pytest.approx(values.var(ddof=1) / 60, rel=0.05)


def test_what_has_no_interval():
    assert np.isnan(deviate_interval(0.5, np.zeros(10))[1:]).all()
    assert np.isnan(deviate_interval(0.5, np.array([0.1]))[1:]).all()
    assert np.isnan(deviate_interval(0.5, np.array([0.1, np.nan]))[1:]).all()
    assert np.isnan(deviate_interval(1.0, np.array([0.1, 0.2]), share=True)[1:]).all()
    assert np.isnan(variance_interval(0.5, -0.01, 9)[1:]).all()


def test_a_share_stays_between_0_and_1():
    found = variance_interval(0.97, 0.02**2, 9, share=True)
    assert 0.87 < found.low < 0.97 < found.high < 1
    plain = variance_interval(0.5, 0.01**2, 1000)
    assert plain.high - 0.5 == pytest.approx(0.0196, rel=0.01)
