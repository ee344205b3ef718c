"""Which layers to keep: the criteria, the cuts of a study, and how they compare."""

import itertools

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from strata import StrataError
from strata.compat import prepare_imports
from strata.pruning import (
    angular_distance_layers,
    block_influence_layers,
    cka_layers,
    convexity_cut,
    every_second_layer,
    last_dropped,
    random_layers,
)
from strata.pruning.comparison import compare_cuts, pareto_front, runs_by_criterion, tradeoff_points
from strata.pruning.cuts import choose_cuts, cuts_of
from strata.pruning.kept import CUT, kept_text
from strata.pruning.similarity import LayerSimilarities, similarity_measures
from strata.stats import paired_test, t_interval

prepare_imports()

# --- criteria -------------------------------------------------------------------------------------


def test_the_cut_is_behind_the_most_convex_layer():
    assert convexity_cut([0.2, 0.5, 0.9, 0.4]) == 3
    assert convexity_cut([0.9, 0.9, 0.1]) == 1  # the first of equals
    assert convexity_cut([0.1]) == 1


def test_one_standard_error_takes_the_first_layer_that_is_as_good():
    scores, errors = [0.5, 0.84, 0.9, 0.88], [0.01, 0.01, 0.07, 0.01]
    assert convexity_cut(scores, "one_standard_error", errors) == 2
    assert convexity_cut(scores, "one_standard_error", [0.01] * 4) == 3


def test_depth_is_penalised_by_the_share_that_is_kept():
    scores = [0.80, 0.81, 0.82, 0.90]
    assert convexity_cut(scores, "depth_penalised", penalty=0.0) == 4
    assert convexity_cut(scores, "depth_penalised", penalty=0.12) == 4
    assert convexity_cut(scores, "depth_penalised", penalty=0.2) == 1


@pytest.mark.parametrize(
    ("scores", "rule", "message"),
    [
        ([], "most_convex", "one finite score a layer"),
        ([0.1, np.nan], "most_convex", "one finite score a layer"),
        ([0.1, 0.2], "best", "rule 'best' is unknown"),
        ([0.1, 0.2], "one_standard_error", "needs the standard error"),
    ],
)
def test_a_cut_without_what_it_needs_is_told(scores, rule, message):
    with pytest.raises(StrataError, match=message):
        convexity_cut(scores, rule)


@given(st.integers(1, 24).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n))))
def test_every_criterion_keeps_as_many_layers_as_asked_in_their_order(size):
    n, keep = size
    draw = np.random.default_rng(n * 100 + keep)
    square = draw.random((n + 1, n + 1))
    for kept in (
        last_dropped(n, keep),
        every_second_layer(n, keep),
        random_layers(n, keep, 3),
        block_influence_layers(draw.random(n), keep),
        angular_distance_layers(square, keep),
        cka_layers(square, keep),
    ):
        assert len(kept) == len(set(kept)) == keep
        assert list(kept) == sorted(kept) and set(kept) <= set(range(n))


@pytest.mark.parametrize("keep", [5, -1])
def test_keeping_more_layers_than_there_are_is_told(keep):
    for choose in (last_dropped, every_second_layer, lambda n, k: random_layers(n, k, 0)):
        with pytest.raises(StrataError, match=rf"keep {keep} layers: the model has 4; keep 0 to 4"):
            choose(4, keep)


def test_every_second_layer_is_every_second_at_half_depth():
    assert every_second_layer(8, 4) == (1, 3, 5, 7)
    assert every_second_layer(6, 5) == (0, 1, 3, 4, 5)  # not the first five


def test_the_least_influential_layers_go_first():
    assert block_influence_layers([0.5, 0.1, 0.4, 0.05], 2) == (0, 2)


def test_the_run_goes_across_which_states_change_least():
    distance = np.full((6, 6), 0.5)
    distance[2, 4] = 0.1  # across layers 2 and 3
    assert angular_distance_layers(distance, 3) == (0, 1, 4)
    assert cka_layers(1 - distance, 3) == (0, 1, 4)


# --- cuts and their comparison --------------------------------------------------------------------


def convexity_table(scores, width=0.02, model="m"):
    return pd.DataFrame(
        {
            "model": model,
            "dataset": "d",
            "layer": [f"layers.{i}" for i in range(len(scores))],
            "layer_index": range(len(scores)),
            "concept": None,
            "family": "word",
            "metric": "graph_convexity",
            "value": scores,
            "low": np.array(scores) - width,
            "high": np.array(scores) + width,
            "n": 10,
            "seed": 0,
        }
    )


def similarity_table(n, model="m"):
    draw = np.random.default_rng(0)
    found = LayerSimilarities(
        draw.random(n), draw.random((n + 1,) * 2), draw.random((n + 1,) * 2), 9
    )
    layers = [f"layers.{i}" for i in range(n)]
    return similarity_measures(found, layers, model=model, dataset="d", seed=0)


@pytest.fixture
def cuts():
    scores = [0.2, 0.4, 0.7, 0.695, 0.5, 0.3]
    options = {"seeds": range(4), "penalty": 0.1}
    return choose_cuts(convexity_table(scores), similarity_table(6), ["word"], **options)


def test_baselines_keep_as_many_layers_as_the_cut(cuts):
    baselines = cuts[~cuts["metric"].isin(["full", "prefix", "depth_penalised"])]
    assert baselines["value"].eq(3).all()
    assert cuts.loc[cuts["metric"] == CUT, "kept"].tolist() == ["0 1 2"]
    assert sorted(cuts.loc[cuts["metric"] == "prefix", "value"]) == [1, 2, 3, 4, 5, 6]
    drawn = cuts[cuts["metric"] == "random"]
    assert drawn["seed"].tolist() == [0, 1, 2, 3]
    assert drawn["kept"].nunique() > 1


def test_no_layers_are_trained_twice(cuts):
    for seed in range(4):
        wanted = cuts_of(cuts, "word", seed)
        assert len(wanted) == len(set(wanted))
        assert {tuple(range(d)) for d in range(1, 7)} <= set(wanted)


def test_a_task_whose_convexity_was_not_measured_is_told():
    with pytest.raises(StrataError, match="no convexity of 'speaker'"):
        choose_cuts(
            convexity_table([0.1, 0.2]), similarity_table(2), ["speaker"], seeds=[0], penalty=0.1
        )


def trained_table(cuts, accuracy):
    """Accuracies of every cut by `accuracy(kept, seed, split)`."""
    rows = [
        {"model": "m", "dataset": "d", "layer": "x", "layer_index": kept[-1], "concept": None}
        | {"family": "word", "metric": f"{split}_accuracy", "kept": kept_text(kept), "seed": seed}
        | {"value": accuracy(kept, seed, split), "low": np.nan, "high": np.nan, "n": 100}
        for seed in range(4)
        for kept in cuts_of(cuts, "word", seed)
        for split in ("test", "validation")
    ]
    return pd.DataFrame(rows)


def test_differences_are_paired_by_seed(cuts):
    """A seed's luck is common to all cuts, and leaves their differences alone."""
    luck = [0.0, 0.1, -0.1, 0.05]

    def accuracy(kept, seed, split):
        return 0.5 + luck[seed] + 0.01 * (kept == (0, 1, 2)) + 0.001 * len(kept)

    table = compare_cuts(cuts, trained_table(cuts, accuracy), seed=0)
    rows = table[(table["metric"] == "difference") & (table["model"] == "m")]
    full = rows[rows["concept"] == "full"].iloc[0]
    assert full["value"] == pytest.approx(0.01 - 0.003)
    assert full["high"] - full["low"] < 1e-9
    every = rows[rows["concept"] == "every_second"].iloc[0]
    assert every["value"] == pytest.approx(0.01) and every["p_value"] == pytest.approx(2 / 16)
    spread = table[(table["metric"] == "accuracy") & (table["concept"] == "full")].iloc[0]
    assert spread["high"] - spread["low"] > 0.2


def test_the_oracle_does_not_see_the_test_split(cuts):
    def accuracy(kept, seed, split):
        best = 5 if split == "validation" else 2
        return 0.9 - 0.1 * abs(len(kept) - best)

    runs = runs_by_criterion(cuts, trained_table(cuts, accuracy))
    oracle = runs[runs["criterion"] == "oracle"]
    assert (
        oracle["layers"].eq(5).all() and oracle["accuracy"].eq(accuracy(range(5), 0, "test")).all()
    )
    blind = runs[runs["criterion"] == "random_depth"]
    expected = np.mean([accuracy(range(d), 0, "test") for d in range(1, 7)])
    assert blind["accuracy"].to_numpy() == pytest.approx(expected)


def test_seeds_with_the_same_layers_are_counted(cuts):
    cuts = cuts.copy()
    cuts.loc[(cuts["metric"] == "random") & (cuts["seed"] == 1), "kept"] = "0 1 2"
    draw = np.random.default_rng(0)
    values = {}

    def accuracy(kept, seed, split):
        return values.setdefault((kept, seed, split), draw.random())

    table = compare_cuts(cuts, trained_table(cuts, accuracy), seed=0)
    rows = table[(table["metric"] == "difference") & (table["concept"] == "random")]
    assert rows.loc[rows["model"] == "m", "same"].item() == 1
    assert not (table["model"] == "all").any()  # of one model there is nothing to pool


def test_over_models_each_counts_once_however_many_seeds_it_has(cuts):
    gains = {"a": 0.01, "b": 0.02, "c": 0.06}

    def trained(name):
        def accuracy(kept, seed, split):
            return 0.5 + gains[name] * (kept == (0, 1, 2))

        return trained_table(cuts, accuracy).assign(model=name)

    all_cuts = pd.concat([cuts.assign(model=name) for name in gains])
    table = compare_cuts(all_cuts, pd.concat(map(trained, gains)), seed=0)
    row = table[(table["model"] == "all") & (table["concept"] == "every_second")].iloc[0]
    assert row["n"] == 3 and row["value"] == pytest.approx(0.03)
    assert row["p_value"] == pytest.approx(2 / 8)
    low, high = t_interval(np.array(list(gains.values())))[1:]
    assert (row["low"], row["high"]) == pytest.approx((low, high))


def test_points_of_the_tradeoff_know_their_price(cuts):
    trained = trained_table(cuts, lambda kept, seed, split: 0.5)
    costs = pd.DataFrame({"model": "m", "layer_index": range(6), "metric": "macs"})
    costs["layer"] = [f"layers.{i}" for i in range(6)]
    costs["value"] = 10.0 * (costs["layer_index"] + 1)
    points = tradeoff_points(cuts, trained, costs)
    prefix = points[points["criterion"] == "prefix"].sort_values("layers")
    assert prefix["macs"].tolist() == [10, 20, 30, 40, 50, 60]
    assert points.loc[points["criterion"] == "cka", "macs"].item() == 30


def test_the_pareto_front_is_never_beaten():
    draw = np.random.default_rng(1)
    points = pd.DataFrame({"macs": draw.integers(1, 9, 40), "value": draw.random(40).round(1)})
    front = pareto_front(points)
    for one, other in itertools.combinations(front.itertuples(), 2):
        assert one.macs < other.macs and one.value < other.value
    for point in points.itertuples():
        assert any(f.macs <= point.macs and f.value >= point.value for f in front.itertuples())


# --- statistics -----------------------------------------------------------------------------------


def test_intervals_over_seeds_are_students():
    from scipy import stats

    values = np.array([0.5, 0.55, 0.6, 0.52])
    found = t_interval(values)
    low, high = stats.t.interval(0.95, 3, values.mean(), stats.sem(values))
    assert found == pytest.approx((values.mean(), low, high))
    assert np.isnan(t_interval(values[:1]).low)


def test_signs_are_flipped_exactly_where_they_are_few():
    values = np.array([0.1, 0.2, 0.15, 0.3, -0.01])
    flips = np.array(list(itertools.product([1, -1], repeat=5)))
    means = (flips * values).mean(axis=1)
    expected = (np.abs(means) >= values.mean() - 1e-12).mean()
    assert paired_test(values) == pytest.approx(expected)
    assert paired_test(np.zeros(4)) == 1.0
