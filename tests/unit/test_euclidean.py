"""Euclidean convexity: the exact share against many points, and the network's own remainder."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strata import StrataError
from strata.convexity import euclidean_convexity, linear_head_convexity
from strata.convexity.euclidean import (
    draw_pairs,
    euclidean_difference,
    pairs_in_order,
    segment_shares,
)
from strata.convexity.euclidean_measures import euclidean_measures
from strata.convexity.remainder import CutClassifier
from strata.data.microworld import make_microworld

ZOO = Path(__file__).parents[2] / "resources" / "zoo"


@settings(max_examples=60)
@given(st.integers(0, 10**6), st.integers(2, 6))
def test_the_exact_share_is_the_limit_of_many_points(seed, classes):
    draw = np.random.default_rng(seed)
    first, second = draw.normal(size=(2, 5, classes))
    own = draw.integers(classes, size=5)
    steps = np.linspace(0, 1, 4001)[None, :, None]
    wins = ((1 - steps) * first[:, None] + steps * second[:, None]).argmax(axis=2)
    expected = (wins == own[:, None]).mean(axis=1)
    np.testing.assert_allclose(segment_shares(first, second, own), expected, atol=1e-3)


def test_shares_by_hand():
    ends = np.array([[1.0, 0.0], [1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
    others = np.array([[1.0, 0.0], [0.0, 1.0], [0.0, 3.0], [0.0, 1.0], [1.0, 1.0]])
    own = np.zeros(5, int)
    np.testing.assert_allclose(segment_shares(ends, others, own), [1, 0.5, 0.25, 0, 1])


def test_a_linear_head_sampled_and_exact():
    draw = np.random.default_rng(0)
    features, labels = draw.normal(size=(60, 8)), np.array(list("abc"))[np.arange(60) % 3]
    weights, bias, classes = draw.normal(size=(3, 8)), draw.normal(size=3), ["a", "b", "c"]

    def classify(points):
        return np.array(classes)[(points @ weights.T + bias).argmax(axis=1)]

    exact = linear_head_convexity(features, labels, weights, bias, classes, pairs="all")
    ten = euclidean_convexity(features, labels, classify, pairs="all", points=10)
    many = euclidean_convexity(features, labels, classify, pairs="all", points=400)
    assert exact.n_pairs == ten.n_pairs == 3 * 190
    assert many.mean == pytest.approx(exact.mean, abs=2e-3)
    assert abs(ten.mean - exact.mean) < 0.05 and ten.mean != exact.mean
    for label in classes:
        assert many.per_concept[label] == pytest.approx(exact.per_concept[label], abs=4e-3)
    assert exact.low < exact.mean < exact.high


def test_pairs_are_drawn_without_replacement():
    labels = ["x"] * 10 + ["y"] * 3
    chosen = draw_pairs(labels, 20, seed=0)
    assert chosen["concept"].value_counts().to_dict() == {"x": 20, "y": 3}
    assert not chosen[["first", "second"]].duplicated().any()
    assert (chosen["first"] < chosen["second"]).all()
    assert len(draw_pairs(labels, "all", 0)) == 45 + 3


def head_scores(seed, n=60, pairs=5000, tilt=1.0):
    """Samples of three classes that a fixed head tells apart now and then."""
    draw, labels = np.random.default_rng([3, seed]), np.arange(n) % 3
    features = np.eye(3)[labels] + draw.normal(size=(n, 3))
    head = np.array([[tilt, 0, 0], [0, 1, 0], [0, 0, 1]])
    return linear_head_convexity(
        features,
        labels,
        head,
        np.zeros(3),
        [0, 1, 2],
        pairs=pairs_in_order(labels, pairs, 0, np.arange(n)),
    )


def test_an_interval_covers_the_mean_of_new_samples():
    found = [head_scores(seed) for seed in range(200)]
    truth = np.mean([each.mean for each in found])
    covered = np.mean([each.low <= truth <= each.high for each in found])
    assert covered == pytest.approx(0.95, abs=0.035)
    paired = [euclidean_difference(head_scores(seed, tilt=1.3), found[seed]) for seed in range(200)]
    truth = np.mean([each.value for each in paired])
    assert np.mean([each.low <= truth <= each.high for each in paired]) > 0.91
    with pytest.raises(StrataError, match="the same pairs"):
        euclidean_difference(head_scores(0, pairs=20), found[0])


def test_few_samples_of_a_concept_have_no_interval():
    assert np.isfinite(head_scores(0, 24).low) and np.isnan(head_scores(0, 21).low)


@pytest.fixture(scope="module")
def cut():
    return CutClassifier(ZOO / "micro-vit", device="cpu")


@pytest.mark.parametrize("name", ["micro-vit", "micro-resnet"])
def test_the_remainder_of_the_network_gives_its_own_answers(name):
    from PIL import Image

    classifier = CutClassifier(ZOO / name, device="cpu")
    images, manifest = make_microworld(40, 48, 77, {"all": 1.0})
    pictures = [Image.fromarray(image) for image in images]
    layers, pooled = classifier.states(pictures)
    logits = pooled @ classifier.head_weights.T + classifier.head_bias
    answers = [classifier.classes[i] for i in logits.argmax(axis=1)]
    assert np.mean(np.array(answers) == manifest["object"]) > 0.9
    assert len(layers) == len(classifier.layers)
    for number, states in enumerate(layers):
        assert classifier.classify_from(number, states) == answers
    again, _ = classifier.states(pictures[:3])  # nothing is left replaced
    np.testing.assert_allclose(again[0], layers[0][:3], atol=1e-5)


def test_deep_layers_of_a_trained_network_are_more_convex_than_early_ones(cut):
    from PIL import Image

    images, manifest = make_microworld(120, 48, 78, {"all": 1.0})
    layers, _ = cut.states([Image.fromarray(image) for image in images])
    scores = [
        euclidean_convexity(
            layers[i], manifest["object"], lambda x, i=i: cut.classify_from(i, x), pairs=4
        ).mean
        for i in (0, 5)
    ]
    assert scores[1] > scores[0] and scores[1] > 0.9


def test_measures_tell_each_layer_and_its_gain_on_the_first(cut):
    from PIL import Image

    images, manifest = make_microworld(120, 48, 78, {"all": 1.0})
    pictures = [Image.fromarray(image) for image in images]
    place = {"model": "m", "dataset": "d", "family": "kind", "log": lambda line: None}
    table = euclidean_measures(cut, pictures, manifest["object"], pairs=3, **place)
    value = table[table["metric"] == "euclidean_convexity"].set_index("layer")["value"]
    gains = table[table["metric"] == "euclidean_convexity_gain"].set_index("layer")
    assert list(gains.index) == cut.layers[1:]
    expected = value[gains.index] - value[cut.layers[0]]
    np.testing.assert_allclose(gains["value"], expected, atol=1e-12)
    given = gains["low"].notna()
    assert (gains["low"] <= gains["value"])[given].all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"labels": ["a", "a", "b"]}, "concept 'b' has one sample"),
        ({"labels": ["a", "a"]}, "3 samples, but 2 labels"),
        ({"features": np.full((3, 2), np.nan)}, "NaN"),
        ({"points": 0}, "points must be positive"),
        ({"pairs": "many"}, "pairs must be"),
    ],
)
def test_bad_input_is_named(change, message):
    arguments = {"features": np.eye(3), "labels": ["a"] * 3, "classify": lambda x: ["a"] * len(x)}
    with pytest.raises(StrataError, match=message):
        euclidean_convexity(**arguments | change)


def test_a_concept_without_a_class_and_a_model_without_a_head_are_named():
    with pytest.raises(StrataError, match="'a' is no class of the head"):
        linear_head_convexity(np.eye(3), ["a"] * 3, np.eye(3), np.zeros(3), ["x", "y", "z"])
    with pytest.raises(StrataError, match="no classifier"):
        CutClassifier(ZOO / "micro-mae", device="cpu")


@pytest.mark.parametrize("points", [1, 3, 10])
def test_interior_points_divide_the_segment_and_leave_out_its_ends(points):
    """Of n points at k / (n + 1), those below a threshold are counted by hand."""
    seen = []

    def classify(between):
        seen.append(between)
        return np.where(between[:, 0] < 0.3, "a", "b")

    score = euclidean_convexity([[0.0], [1.0]], ["a", "a"], classify, pairs="all", points=points)
    at = [(k + 1) / (points + 1) for k in range(points)]
    np.testing.assert_allclose(np.sort(np.concatenate(seen)[:, 0]), at)
    assert score.mean == pytest.approx(sum(place < 0.3 for place in at) / points)
