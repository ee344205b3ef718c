"""Cross-validation of transforms against a loop by hand, and what must not change it."""

from itertools import combinations

import numpy as np
import pytest

from strata.alignment.accuracy import triplet_credits
from strata.alignment.transforms import cross_validate, fit_transform, item_folds

ITEMS, FOLDS = 24, 3


@pytest.fixture(scope="module")
def answered():
    """Every triplet of a few items, answered by a similarity that the features hide."""
    draw = np.random.default_rng(4)
    inner = draw.normal(size=(ITEMS, 4))
    rows = []
    for triplet in combinations(range(ITEMS), 3):
        pairs = [(i, j) for i, j in combinations(triplet, 2)]
        best = max(pairs, key=lambda pair: inner[pair[0], :2] @ inner[pair[1], :2])
        rows.append([*best, *(set(triplet) - set(best))])
    return inner @ np.linalg.qr(draw.normal(size=(4, 4)))[0], np.array(rows)


def test_every_fold_is_tested_once_by_a_transform_that_has_not_seen_it(answered):
    features, rows = answered
    found = cross_validate(features, rows, "naive", grid=[1e-2], folds=FOLDS, similarity="dot")
    folds, tested, credits, before = item_folds(ITEMS, FOLDS, 0), [], [], []
    for fold in range(FOLDS):
        train = [row for row in rows if all(folds[item] != fold for item in row)]
        place = [i for i, row in enumerate(rows) if all(folds[item] == fold for item in row)]
        fitted = fit_transform(features, np.array(train), regularisation=1e-2)
        tested += place
        credits += list(triplet_credits(fitted(features), rows[place], "dot"))
        before += list(triplet_credits(features, rows[place], "dot"))
    assert found.triplets.tolist() == tested
    assert len(set(tested)) == len(tested) == FOLDS * 56  # the triplets among a fold's eight items
    assert found.credits.tolist() == credits and found.before.tolist() == before
    assert found.chosen == (1e-2,) * FOLDS


def test_a_rotation_of_the_features_changes_no_answer(answered):
    features, rows = answered
    turn = np.linalg.qr(np.random.default_rng(5).normal(size=(4, 4)))[0]
    plain, turned = (
        fit_transform(x, rows, regularisation=1e-2) for x in (features, features @ turn)
    )
    there, here = plain(features), turned(features @ turn)
    # L-BFGS stops where the loss hardly falls: the similarities agree as far as that tells them.
    assert np.corrcoef((here @ here.T).ravel(), (there @ there.T).ravel())[0, 1] > 0.999


def test_an_answer_given_twice_counts_as_two(answered):
    features, rows = answered
    counts = np.random.default_rng(6).integers(1, 4, len(rows))
    once = fit_transform(features, rows, counts=counts, regularisation=1e-2)
    again = fit_transform(features, np.repeat(rows, counts, axis=0), regularisation=1e-2)
    np.testing.assert_allclose(once.weights, again.weights, rtol=1e-3, atol=1e-4)


def test_standardised_items_have_mean_zero_and_one_deviation(answered):
    features, rows = answered
    fitted = fit_transform(3 * features + 5, rows)
    np.testing.assert_allclose(fitted.mean, (3 * features + 5).mean(axis=0))
    assert fitted.scale == pytest.approx(np.std(3 * features))
    whole = fit_transform(3 * features + 5, rows, centre="global")
    np.testing.assert_allclose(whole.mean, np.full(4, (3 * features + 5).mean()))


def test_the_regularisation_is_the_one_that_does_best_on_items_held_out(answered):
    """By hand, the held-out third as it is drawn; of equals the strongest."""
    features, rows = answered
    grid = [1e-3, 1e-1, 10.0]
    found = cross_validate(features, rows, "naive", grid=grid, folds=FOLDS, similarity="dot")
    folds = item_folds(ITEMS, FOLDS, 0)
    for fold, chosen in enumerate(found.chosen):
        seen = np.flatnonzero(folds != fold)
        out = np.random.default_rng([0, 1]).permutation(seen)[: len(seen) // 3]
        inside = np.isin(rows, out)
        usable = np.isin(rows, seen).all(axis=1)
        train, test = rows[usable & ~inside.any(axis=1)], rows[usable & inside.all(axis=1)]
        scores = [
            triplet_credits(
                fit_transform(features, train, regularisation=value)(features), test, "dot"
            ).mean()
            for value in grid
        ]
        assert chosen == max(
            v for v, score in zip(grid, scores, strict=True) if score == max(scores)
        )
