"""Clarity, polysemanticity and redundancy of neurons, and the neurons nearest a word."""

import numpy as np
import pytest
from sklearn.cluster import KMeans

from strata.dissect.portraits import NEAREST, describe_model, describe_neurons, histogram
from strata.errors import StrataError

EYE = np.eye(4)


def unit(array):
    return array / np.linalg.norm(array, axis=-1, keepdims=True)


def scores_of(pictures):
    """Scores of one neuron whose top pictures have these embeddings."""
    pictures = np.asarray(pictures, dtype=float)
    return describe_neurons(np.arange(len(pictures))[None], pictures).scores.iloc[0]


def test_clarity_is_the_mean_cosine_of_two_pictures():
    assert scores_of([EYE[0], EYE[0], EYE[1]])["clarity"] == pytest.approx(1 / 3)
    assert scores_of([EYE[0], 2 * EYE[0], 5 * EYE[0]])["clarity"] == pytest.approx(1)
    assert scores_of(EYE)["clarity"] == pytest.approx(0)
    three = unit(np.array([[1, 0], [-0.5, np.sqrt(0.75)], [-0.5, -np.sqrt(0.75)]]))
    assert scores_of(three + 1e-9)["clarity"] == pytest.approx(-1 / 2)


def test_polysemanticity_is_one_less_the_cosine_of_two_clusters():
    assert scores_of([EYE[0]] * 3 + [EYE[1]] * 4)["polysemanticity"] == pytest.approx(1)
    assert scores_of([EYE[0]] * 6)["polysemanticity"] == pytest.approx(0)
    opposite = scores_of([EYE[0]] * 3 + [-EYE[0]] * 2)
    assert opposite["polysemanticity"] == pytest.approx(2)


def test_one_picture_is_no_cluster():
    pictures = np.array([EYE[0]] * 5 + [EYE[1]])
    centre = unit(pictures.mean(axis=0))
    expected = 1 - (pictures @ centre).mean()
    assert scores_of(pictures)["polysemanticity"] == pytest.approx(expected)


def test_the_clusters_are_as_tight_as_those_of_scikit_learn():
    random = np.random.default_rng(0)
    for _ in range(20):
        centres = random.normal(size=(2, 16))
        sides = np.array([0] * 12 + [1] * 18)
        pictures = unit(centres[sides] + 0.4 * random.normal(size=(30, 16)))
        means = KMeans(2, n_init=10, random_state=0).fit(pictures).cluster_centers_
        expected = 1 - unit(means)[0] @ unit(means)[1]
        assert scores_of(pictures)["polysemanticity"] == pytest.approx(expected, abs=1e-6)


def test_redundancy_is_the_cosine_to_the_nearest_other_neuron():
    images = unit(np.random.default_rng(1).normal(size=(40, 8)))
    top = np.array([[0, 1, 2], [10, 11, 12], [2, 1, 0], [20, 21, 22]])
    found = describe_neurons(top, images, units=np.array([3, 5, 7, 9])).scores
    assert found["redundancy"].iloc[[0, 2]].tolist() == pytest.approx([1, 1])
    assert found["nearest_unit"].iloc[[0, 2]].tolist() == [7, 3]
    means = unit(images[top].mean(axis=1))
    others = [means[1] @ means[i] for i in (0, 2, 3)]
    assert found["redundancy"].iloc[1] == pytest.approx(max(others), abs=1e-6)


def test_turning_the_space_changes_nothing():
    random = np.random.default_rng(2)
    images, top = random.normal(size=(60, 8)), random.integers(0, 60, (5, 12))
    turned = images @ np.linalg.qr(random.normal(size=(8, 8)))[0]
    columns = ["clarity", "polysemanticity", "redundancy"]
    before, after = (describe_neurons(top, x).scores[columns] for x in (images, 3 * turned))
    np.testing.assert_allclose(before, after, atol=1e-6)


def test_too_few_pictures_and_zeros_are_refused():
    with pytest.raises(StrataError, match="three pictures"):
        describe_neurons(np.array([[0, 1]]), EYE)
    with pytest.raises(StrataError, match="row 1 is zero"):
        describe_neurons(np.array([[0, 1, 2]]), EYE * [[1], [0], [1], [1]])


@pytest.fixture
def model():
    random = np.random.default_rng(3)
    layers = [("one", random.normal(size=(80, 6))), ("two", random.normal(size=(80, 50)))]
    layers[0][1][:, 4] = 1.5  # constant
    images, texts = random.normal(size=(80, 8)), random.normal(size=(3, 8))
    return layers, images, texts, ["red", "dog", "sea"]


def describe(layers, *rest):
    return describe_model(iter(layers), *rest, model="m", dataset="d")


def test_a_models_neurons_but_the_constant_ones(model):
    portraits, _, histograms = describe(*model)
    clarity = portraits[portraits["metric"] == "clarity"]
    assert clarity.groupby("layer")["unit"].apply(list).to_dict() == {
        "one": [0, 1, 2, 3, 5],
        "two": [*range(50)],
    }
    assert len(histograms) == 56
    near = portraits[portraits["metric"] == "redundancy"]
    assert (near["nearest_unit"] != near["unit"]).all() and not (near["nearest_unit"] == 4).any()


def test_the_nearest_neurons_are_those_of_all_layers(model):
    layers, images, texts, words = model
    nearest = describe(*model)[1]
    cosines = {}
    for index, (_, activations) in enumerate(layers):
        for neuron in range(activations.shape[1]):
            if (index, neuron) != (0, 4):
                top = np.argsort(-activations[:, neuron])[:30]
                direction = unit(unit(images[top]).mean(axis=0))
                cosines[index, neuron] = unit(texts) @ direction
    for number, word in enumerate(words):
        best = sorted(cosines, key=lambda key: -cosines[key][number])[:NEAREST]
        found = nearest[nearest["concept"] == word]
        assert list(zip(found["layer_index"], found["unit"], strict=True)) == best
        expected = [cosines[key][number] for key in best]
        np.testing.assert_allclose(found["value"], expected, atol=1e-6)


def test_the_order_of_the_pictures_plays_no_part(model):
    layers, images, texts, words = model
    layers[1][1][:, 7] = np.round(layers[1][1][:, 7])  # many equally activating pictures
    order = np.random.default_rng(4).permutation(80)
    shuffled = [(name, activations[order]) for name, activations in layers]
    for before, after in zip(
        describe(layers, images, texts, words),
        describe(shuffled, images[order], texts, words),
        strict=True,
    ):
        numbers = before.select_dtypes("number").columns
        np.testing.assert_allclose(before[numbers], after[numbers], atol=1e-6)


def test_histograms_are_numpys():
    activations = np.random.default_rng(5).normal(size=(200, 3))
    activations[:, 2] = 4
    found = histogram(activations)
    for neuron in range(2):
        counts = [int(count) for count in found["counts"][neuron].split(";")]
        assert counts == np.histogram(activations[:, neuron], bins=20)[0].tolist()
    assert found["low"][2] == found["high"][2] == 4
    assert sum(map(int, found["counts"][2].split(";"))) == 200


def test_of_few_pictures_half_tell(model):
    layers, images, texts, words = model
    few = [(name, activations[:10]) for name, activations in layers]
    portraits = describe(few, images[:10], texts, words)[0]
    assert (portraits["n"] == 5).all()
    assert portraits.loc[portraits["metric"] == "clarity", "value"].nunique() > 20
    fewer = [(name, activations[:5]) for name, activations in layers]
    with pytest.raises(StrataError, match="d: 5 pictures do not tell neurons apart; 6 are needed"):
        describe(fewer, images[:5], texts, words)


def test_activations_that_do_not_fit_are_refused(model):
    layers, images, texts, words = model
    with pytest.raises(StrataError, match="80 images, image_embeddings 79"):
        describe(layers, images[:79], texts, words)
