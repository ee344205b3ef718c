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
from strata.pruning.crossed import crossed_interval
from strata.pruning.cuts import choose_cuts, cuts_of
from strata.pruning.kept import CUT, kept_text
from strata.pruning.similarity import LayerSimilarities, similarity_measures
from strata.stats import t_interval

prepare_imports()

# --- criteria -------------------------------------------------------------------------------------


def test_the_cut_is_behind_the_most_convex_layer():
    assert convexity_cut([0.2, 0.5, 0.9, 0.4]) == 3
    assert convexity_cut([0.9, 0.9, 0.1]) == 1  # the first of equals
    assert convexity_cut([0.1]) == 1


def test_one_standard_error_takes_the_first_layer_that_is_as_good():
    scores, errors = [0.5, 0.84, 0.9, 0.88], [0.01, 0.01, 0.0, 0.01]
    assert convexity_cut(scores, "one_standard_error", [0.01, 0.07, 0.0, 0.01]) == 2
    assert convexity_cut(scores, "one_standard_error", errors) == 3
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


def deviates_table(values, model="m"):
    """Deviates (splits, layers) of the convexity of words as the tidy table on disk."""
    split, layer = np.indices(np.shape(values))
    place = {"model": model, "dataset": "d", "concept": None, "metric": "graph_convexity"}
    table = pd.DataFrame({"split": split.ravel(), "layer_index": layer.ravel()}).assign(**place)
    table["layer"] = [f"layers.{i}" for i in table["layer_index"]]
    return table.assign(value=np.ravel(values), family="word", block=1, seed=0)


def cuts_by(convexity, deviates, task="word"):
    """Number of layers kept by each rule with these deviates (splits, layers)."""
    similarity = similarity_table(len(convexity))
    table = deviates_table(deviates)
    table = table[table["value"].notna()]
    options = {"seeds": [0], "penalty": 0.1, "deviates": table}
    return choose_cuts(convexity, similarity, [task], **options).set_index("metric")["value"]


def test_within_one_standard_error_is_asked_of_the_difference():
    """What is luck of the samples is common to all layers, and says nothing of which is better."""
    table = convexity_table([0.5, 0.84, 0.9, 0.88])
    common = np.array([0.1, -0.1, 0.12, -0.08])[:, None] * np.ones(4)
    own = np.zeros((4, 4))
    own[:, 1] = [0.07, -0.07, 0.07, -0.07]
    assert cuts_by(table, common)["one_standard_error"] == 3
    assert cuts_by(table, common + own)["one_standard_error"] == 2
    assert cuts_by(table, common + 0.8 * own)["one_standard_error"] == 3  # 0.056 is less than 0.06


def test_without_deviates_the_cut_is_the_most_convex():
    table = convexity_table([0.5, 0.84, 0.9, 0.88])
    spread = np.random.default_rng(0).normal(size=(4, 4))
    assert cuts_by(table, spread)["one_standard_error"] == 1
    missing = spread.copy()
    missing[:, 2] = np.nan  # the most convex one
    assert cuts_by(table, missing)["one_standard_error"] == 3
    missing = spread.copy()
    missing[:, 0] = np.nan
    assert cuts_by(table, missing)["one_standard_error"] == 2
    assert cuts_by(table, np.full((4, 4), np.nan))["one_standard_error"] == 3


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
    options = {"seeds": range(4), "penalty": 0.1, "deviates": deviates_table(np.zeros((3, 6)))}
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
        cuts_by(convexity_table([0.1, 0.2]), np.zeros((3, 2)), task="speaker")


N = 40  # samples of the test split, of 8 speakers


def place_of(kept, seed):
    place = {"model": "m", "dataset": "d", "family": "word", "kept": kept_text(kept), "seed": seed}
    return place | {"layer": "x", "layer_index": kept[-1], "concept": None}


def trained_table(cuts, accuracy):
    """Accuracies of every cut by `accuracy(kept, seed, split)`."""
    rows = [
        place_of(kept, seed) | {"metric": f"{split}_accuracy", "n": N}
        | {"value": accuracy(kept, seed, split), "low": np.nan, "high": np.nan}
        for seed in range(4)
        for kept in cuts_of(cuts, "word", seed)
        for split in ("test", "validation")
    ]  # fmt: skip
    return pd.DataFrame(rows)


def answers_table(cuts, right, apart="speaker", speakers=8):
    """Answers of every cut by `right(kept, seed)` (samples)."""
    parts = []
    for seed in range(4):
        for kept in cuts_of(cuts, "word", seed):
            own = pd.DataFrame({"sample": np.arange(N), "right": np.asarray(right(kept, seed))})
            own["cluster"] = own["sample"] % speakers if apart else own["sample"]
            parts.append(own.assign(**place_of(kept, seed), apart=apart))
    table = pd.concat(parts, ignore_index=True)
    return table.astype({"cluster": str, "right": bool})


def compared(cuts, right, **more):
    """The comparison of cuts that answer so."""
    answers = answers_table(cuts, right, **more)
    scores = answers.groupby(["kept", "seed"])["right"].mean()
    trained = trained_table(cuts, lambda kept, seed, split: scores[kept_text(kept), seed])
    return compare_cuts(cuts, trained, answers, seed=0)


def first_right(share):
    return np.arange(N) < round(share * N)


def test_differences_are_paired_by_seed_and_sample(cuts):
    """A seed's luck, and what is hard, is common to all cuts, and leaves differences alone."""

    def right(kept, seed):
        hard = np.random.default_rng(seed).permutation(N) < 12 + 2 * seed
        return ~hard & ~((kept == tuple(range(6))) & (np.arange(N) % 20 == 0))

    table = compared(cuts, right)
    rows = table[(table["metric"] == "difference") & (table["model"] == "m")].set_index("concept")
    every = rows.loc["every_second"]
    assert (every["value"], every["p_value"], every["n"]) == (0, 1, 4) and np.isnan(every["low"])
    full = rows.loc["full"]
    means = table[table["metric"] == "accuracy"].set_index("concept")
    assert full["value"] == pytest.approx(means.loc[CUT, "value"] - means.loc["full", "value"])
    width = means["high"] - means["low"]
    assert 0 < full["high"] - full["low"] < width["full"] / 2
    assert means["about"].eq("speakers and seeds").all()
    depths = table[table["metric"] == "depth_accuracy"]
    assert depths["layers"].tolist() == [1, 2, 3, 4, 5, 6]
    assert depths["value"].iloc[5] == means.loc["full", "value"]
    few = compared(cuts, right, speakers=2)
    assert few["about"].eq("samples and seeds, of these speakers").all()
    alone = compared(cuts, right, apart=None)
    assert alone["about"].eq("samples and seeds").all()


def test_no_order_of_answers_matters(cuts):
    draw = np.random.default_rng(0)
    answers = answers_table(cuts, lambda kept, seed: draw.random(N) < 0.6)
    trained = trained_table(cuts, lambda kept, seed, split: 0.6)
    table = compare_cuts(cuts, trained, answers, seed=0)
    mixed = answers.sample(frac=1, random_state=1)
    mixed["sample"] = 1000 - mixed["sample"]  # another order of the manifest
    again = compare_cuts(cuts, trained.sample(frac=1, random_state=2), mixed, seed=0)
    keys = ["metric", "concept", "layers", "model"]
    pd.testing.assert_frame_equal(
        table.sort_values(keys, ignore_index=True), again.sort_values(keys, ignore_index=True)
    )


def test_answers_that_are_missing_are_told(cuts):
    answers = answers_table(cuts, lambda kept, seed: first_right(0.5)).iloc[:-1]
    trained = trained_table(cuts, lambda kept, seed, split: 0.5)
    message = "m on 'word' with layers 0 1 2 3 4 5 and seed 3 has none to some samples"
    with pytest.raises(StrataError, match=message):
        compare_cuts(cuts, trained, answers, seed=0)
    with pytest.raises(StrataError, match="none of m on 'word'"):
        compare_cuts(cuts, trained, answers.iloc[:0], seed=0)


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
    table = compared(cuts, lambda kept, seed: draw.random(N) < 0.5)
    rows = table[(table["metric"] == "difference") & (table["concept"] == "random")]
    assert rows.loc[rows["model"] == "m", "same"].item() == 1
    assert not (table["model"] == "all").any()  # of one model there is nothing to pool


def over_models(cuts, apart_of, speakers_of=()):
    """The comparison of three models, the cut of which is right oftener."""
    gains = {"a": 0.05, "b": 0.1, "c": 0.3}
    answers, trained = [], []
    for name, gain in gains.items():
        draw = np.random.default_rng(len(answers))

        def right(kept, seed, gain=gain, draw=draw):
            return draw.random(N) < 0.4 + gain * (kept == (0, 1, 2))

        people = {"apart": apart_of[name], "speakers": dict(speakers_of).get(name, 8)}
        answers.append(answers_table(cuts, right, **people).assign(model=name))
        table = trained_table(cuts, lambda kept, seed, split: 0.5)
        trained.append(table.assign(model=name))
    all_cuts = pd.concat([cuts.assign(model=name) for name in gains])
    return compare_cuts(all_cuts, pd.concat(trained), pd.concat(answers), seed=0)


def test_over_models_that_answer_the_same_samples_there_is_an_interval(cuts):
    table = over_models(cuts, dict.fromkeys("abc", "speaker"))
    rows = table[(table["metric"] == "difference") & (table["concept"] == "every_second")]
    row, single = rows.iloc[-1], rows.iloc[:-1]
    assert row["model"] == "all" and row["n"] == 3
    assert row["value"] == pytest.approx(single["value"].mean())
    assert row["low"] < row["value"] < row["high"] and row["p_value"] <= row["p_adjusted"]
    assert row["about"] == "speakers and seeds, of these models and tasks"


@pytest.mark.parametrize(
    ("apart", "speakers"), [(None, 8), ("speaker", 10)], ids=["by nothing", "other speakers"]
)
def test_over_models_that_answer_other_samples_there_is_none(cuts, apart, speakers):
    mixed = over_models(cuts, {"a": "speaker", "b": "speaker", "c": apart}, {"c": speakers})
    row = mixed[(mixed["model"] == "all") & (mixed["concept"] == "every_second")].iloc[0]
    assert np.isnan(row[["low", "high", "p_value", "p_adjusted"]].astype(float)).all()


def test_points_of_the_tradeoff_know_their_price(cuts):
    table = compared(cuts, lambda kept, seed: first_right(0.5))
    costs = pd.DataFrame({"model": "m", "layer_index": range(6), "metric": "macs"})
    costs["layer"] = [f"layers.{i}" for i in range(6)]
    costs["value"] = 10.0 * (costs["layer_index"] + 1)
    points = tradeoff_points(table, costs)
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


# --- seeds and samples crossed --------------------------------------------------------------------


def test_the_variance_of_crossed_effects_is_that_of_their_mean_squares():
    """Searle, Casella & McCulloch 1992: one sample a speaker is the two-way table of a textbook."""
    from scipy import stats

    values = np.random.default_rng(0).normal(size=(4, 9)) + np.arange(9) + np.arange(4)[:, None]
    residuals = values - values.mean()
    columns, rows = residuals.mean(axis=0), residuals.mean(axis=1)
    both = ((residuals - columns - rows[:, None]) ** 2).sum() / (3 * 8)
    squares = 4 * (columns**2).sum() / 8, 9 * (rows**2).sum() / 3, both
    variance = (squares[0] + squares[1] - both) / 36
    cautious = squares[1] * np.sqrt(5 / 3)
    degrees = (36 * variance) ** 2 / (squares[0] ** 2 / 8 + cautious**2 / 3 + both**2 / 24)
    degrees = max(degrees, 3)
    half = stats.t.ppf(0.975, degrees) * np.sqrt(variance)
    found = crossed_interval(values)
    assert found.about == "samples and seeds"
    assert (found.low, found.high) == pytest.approx((values.mean() - half, values.mean() + half))
    expected = 2 * stats.t.sf(values.mean() / np.sqrt(variance), degrees)
    assert found.p_value == pytest.approx(expected)
    again = crossed_interval(np.repeat(values, 3, axis=1), np.repeat(np.arange(9), 3))
    assert again[:4] == pytest.approx(found[:4]) and again.about == "speakers and seeds"


def test_of_few_speakers_an_interval_is_about_their_own_clips():
    draw = np.random.default_rng(1)
    values = np.concatenate([draw.random((3, 30)) < 0.5, draw.random((3, 30)) < 0.9], axis=1)
    speakers = np.repeat(["a", "b"], 30)
    found = crossed_interval(values, speakers, share=True)
    assert found.about == "samples and seeds, of these speakers"
    alone = crossed_interval(values[:1], speakers)
    # Each speaker is half of it, with the variance of the mean of 30 clips: a textbook's strata.
    error = np.sqrt(sum(np.var(part, ddof=1) / 30 / 4 for part in (values[0, :30], values[0, 30:])))
    assert alone.high - alone.value == pytest.approx(2.0017174841 * error)
    assert alone.about == "samples, of this training and of these speakers"
    many = crossed_interval(values[:1], np.arange(60) // 6)
    assert many.about == "speakers, of this training"
    sums = (values[0] - values[0].mean()).reshape(10, 6).sum(axis=1)
    half = 2.2621571628 * np.sqrt((sums**2).sum() * 10 / 9) / 60
    assert many.high - many.value == pytest.approx(half)


def test_what_does_not_vary_has_no_interval():
    same = crossed_interval(np.zeros((3, 20)))
    assert np.isnan(same.low) and same.p_value == 1
    right = crossed_interval(np.ones((3, 20)), share=True)
    assert np.isnan(right.low) and right.value == 1
    single = crossed_interval(np.random.default_rng(0).random((3, 5)), list("aabbc"))
    assert np.isnan(single.low) and np.isnan(single.p_value)  # of c there is one clip


@pytest.mark.parametrize(
    ("speakers", "seeds", "least", "most"), [(6, 5, 0.9, 1), (40, 3, 0.9, 0.99), (2, 3, 0.9, 1)]
)
def test_intervals_about_speakers_and_seeds_cover(speakers, seeds, least, most):
    """Speakers, seeds and clips drawn anew; of two speakers, clips and seeds alone."""
    draw, covered = np.random.default_rng(3), 0
    place = np.repeat(np.arange(speakers), 10)
    for _ in range(200):
        of_speakers = 0.1 * (draw.normal(size=speakers) if speakers > 2 else np.array([1, -1]))
        of_seeds = 0.05 * draw.normal(size=(seeds, 1))
        clips = 0.3 * draw.normal(size=len(place))
        values = of_speakers[place] + of_seeds + clips + 0.3 * draw.normal(size=(seeds, len(place)))
        found = crossed_interval(values, place)
        covered += found.low <= 0 <= found.high
    assert least <= covered / 200 <= most
