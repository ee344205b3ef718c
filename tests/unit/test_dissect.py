"""Dissection against plain dense references, and on input that it must refuse."""

import numpy as np
import pandas as pd
import pytest

from strata import StrataError
from strata.dissect import SIMILARITIES, label_neurons, similarity_scores

IMAGES, CONCEPTS, NEURONS, TOP = 300, 40, 12, 25


@pytest.fixture
def case():
    draw = np.random.default_rng(0)
    images, texts = draw.normal(size=(IMAGES, 16)), draw.normal(size=(CONCEPTS, 16))
    return draw.normal(size=(IMAGES, NEURONS)).astype(np.float32), images, texts


def dense_similarity(images, texts):
    unit = [x / np.linalg.norm(x, axis=1, keepdims=True) for x in (images, texts)]
    return unit[0] @ unit[1].T


def dense_soft_wpmi(activations, images, texts, top_k, a=10.0, lam=1.0):
    """The formula of Oikarinen & Weng (2023), neuron by neuron on the full matrix."""
    logits = a * dense_similarity(images, texts)
    softmax = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    p = 0.998 - np.arange(top_k) / top_k * (0.998 - 0.97)
    sums = np.empty((activations.shape[1], len(texts)))
    for neuron, column in enumerate(activations.T):
        best = np.argsort(-column, kind="stable")[:top_k]
        sums[neuron] = np.log(1 + p[:, None] * (softmax[best] - 1) + 1e-7).sum(axis=0)
    return sums - lam * np.log(np.exp(sums).mean(axis=0))


@pytest.mark.parametrize("memory_mb", [0.05, 1, 256])
def test_soft_wpmi_equals_the_dense_formula(case, memory_mb):
    dense = dense_soft_wpmi(*case, TOP)
    ours = similarity_scores(*case, top_k=TOP, memory_mb=memory_mb)
    np.testing.assert_allclose(ours, dense, atol=1e-5, rtol=1e-5)
    words = [f"word{i}" for i in range(CONCEPTS)]
    labels = label_neurons(*case, words, top_k=TOP, memory_mb=memory_mb)
    assert labels["label"].tolist() == [words[i] for i in dense.argmax(axis=1)]


@pytest.mark.parametrize(("a", "lam"), [(2.0, 0.6), (40.0, 1.0), (10.0, 0.0)])
def test_other_parameters_of_soft_wpmi(case, a, lam):
    dense = dense_soft_wpmi(*case, TOP, a, lam)
    ours = similarity_scores(*case, top_k=TOP, parameters={"a": a, "lam": lam})
    np.testing.assert_allclose(ours, dense, atol=2e-5 * a, rtol=1e-5)


@pytest.mark.parametrize("memory_mb", [0.05, 256])
def test_wpmi_equals_the_dense_formula(case, memory_mb):
    activations, images, texts = case
    logits = 2 * dense_similarity(images, texts)
    softmax = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    best = [np.argsort(-column, kind="stable")[:28] for column in activations.T]
    sums = np.stack([np.log(softmax[rows] + 1e-7).sum(axis=0) for rows in best])
    prior = np.log(np.exp(sums - sums.max()).mean(axis=0)) + sums.max()
    ours = similarity_scores(*case, similarity="wpmi", memory_mb=memory_mb)
    np.testing.assert_allclose(ours, sums - 0.6 * prior, atol=1e-4)


@pytest.mark.parametrize("memory_mb", [0.05, 256])
def test_rank_reorder_equals_the_dense_formula(case, memory_mb):
    activations, images, texts = case
    similar = dense_similarity(images, texts)
    dense = np.empty((NEURONS, CONCEPTS))
    for neuron, column in enumerate(activations.T):
        best = np.argsort(-column, kind="stable")[: int(0.05 * IMAGES)]
        values = np.sort(column[best].astype(float))
        expected = (np.abs(values[:, None] - values[None, :]) ** 3).mean()
        for concept in range(CONCEPTS):
            put = np.empty(len(best))
            put[np.argsort(similar[best, concept])] = values
            error = (np.abs(column[best] - put) ** 3).mean()
            mean = max(similar[best, concept].mean(), 1e-6)
            dense[neuron, concept] = -error / expected / mean**0.5
    ours = similarity_scores(*case, similarity="rank_reorder", memory_mb=memory_mb)
    np.testing.assert_allclose(ours, dense, rtol=2e-4)


def test_cosines_equal_their_dense_formulas(case):
    activations, images, texts = case
    similar = dense_similarity(images, texts)

    def cosine(x, y):
        return (x / np.linalg.norm(x, axis=0)).T @ (y / np.linalg.norm(y, axis=0))

    plain = similarity_scores(*case, similarity="cosine")
    np.testing.assert_allclose(plain, cosine(activations, similar), atol=1e-5)
    centred = [(x - x.mean(axis=0)) ** 3 for x in (activations, similar)]
    cubed = similarity_scores(*case, similarity="cosine_cubed")
    np.testing.assert_allclose(cubed, cosine(*centred), atol=1e-5)


def test_a_planted_neuron_is_significant_and_noise_is_not(case):
    activations, images, texts = case
    activations[:, 0] = dense_similarity(images, texts)[:, 7]
    words = [f"word{i}" for i in range(CONCEPTS)]
    labels = label_neurons(activations, images, texts, words, "cosine", n_permutations=200)
    assert labels.loc[0, "label"] == "word7" and labels.loc[0, "q_value"] < 0.1
    assert (labels.loc[1:, "q_value"] < 0.05).sum() <= 2
    assert (labels["q_value"] >= labels["p_value"]).all()


def test_the_top_images_are_the_largest_activations(case):
    labels = label_neurons(*case, [f"word{i}" for i in range(CONCEPTS)], top_k=TOP)
    shown = [int(i) for i in labels.loc[3, "images"].split(";")]
    assert shown == np.argsort(-case[0][:, 3], kind="stable")[:5].tolist()


def test_bad_input_is_named(case):
    activations, images, texts = case
    words = [f"word{i}" for i in range(CONCEPTS)]
    with pytest.raises(StrataError, match="top_k is 301"):
        label_neurons(*case, words, top_k=IMAGES + 1)
    with pytest.raises(StrataError, match="at least 2"):
        label_neurons(activations[:1], images[:1], texts, words, top_k=1)
    activations[5, 2] = np.nan
    with pytest.raises(StrataError, match="2"):
        label_neurons(activations, images, texts, words, top_k=TOP)


@pytest.mark.parametrize("similarity", SIMILARITIES)
def test_a_constant_neuron_has_no_label_and_changes_no_other(case, similarity):
    activations, images, texts = case
    words = [f"word{i}" for i in range(CONCEPTS)]
    alone = label_neurons(*case, words, similarity, n_permutations=20)
    with_constant = np.column_stack([activations, np.full(IMAGES, 3.0, np.float32)])
    both = label_neurons(with_constant, images, texts, words, similarity, n_permutations=20)
    row = both.iloc[-1]
    assert pd.isna(row["label"]) and row["constant"] and row["score"] == row["margin"] == 0
    assert row["p_value"] == row["q_value"] == 1
    assert both["label"].tolist()[:-1] == alone["label"].tolist()
    np.testing.assert_allclose(both["score"][:-1], alone["score"], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(both["q_value"][:-1], alone["q_value"])


@pytest.mark.parametrize("similarity", SIMILARITIES)
def test_the_runner_up_and_the_margin_are_those_of_the_scores(case, similarity):
    words = [f"word{i}" for i in range(CONCEPTS)]
    labels = label_neurons(*case, words, similarity)
    scores = similarity_scores(*case, similarity=similarity)
    order = np.argsort(-scores, axis=1)[:, :5]
    assert labels["label"].tolist() == [words[i] for i in order[:, 0]]
    assert [x.split(";") for x in labels["runner_up"]] == [[words[i] for i in o[1:]] for o in order]
    margin = np.take_along_axis(scores, order, axis=1)
    np.testing.assert_allclose(labels["margin"], margin[:, 0] - margin[:, 1], atol=2e-5)


@pytest.mark.parametrize("similarity", SIMILARITIES)
def test_a_null_is_reproducible_and_covers_noise(similarity):
    draw = np.random.default_rng(3)
    noise = draw.normal(size=(400, 60)).astype(np.float32)
    images, texts = draw.normal(size=(400, 16)), draw.normal(size=(30, 16))
    words = [f"word{i}" for i in range(30)]
    first, again = (
        label_neurons(noise, images, texts, words, similarity, n_permutations=99) for _ in range(2)
    )
    assert first.equals(again)
    # P(p <= 0.2) = 0.2 for noise: 60 neurons give 12, and 25 once in 20,000 runs if independent.
    assert (first["p_value"] <= 0.2).sum() <= 25


def test_memory_mapped_activations_give_the_same_labels(case, tmp_path):
    activations, images, texts = case
    words = [f"word{i}" for i in range(CONCEPTS)]
    np.save(tmp_path / "a.npy", activations)
    mapped = np.load(tmp_path / "a.npy", mmap_mode="r")
    assert label_neurons(mapped, images, texts, words).equals(label_neurons(*case, words))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"concepts": []}, "no concepts"),
        ({"concepts": ["same"] * CONCEPTS}, "repeated: same"),
        ({"concepts": ["one"]}, "1 concepts, but 40"),
        ({"similarity": "softwpmi"}, "unknown: choose from"),
        ({"parameters": {"lambda": 1}}, "no parameter 'lambda'"),
        ({"parameters": {"a": 1000.0}}, "at most 40"),
        ({"top_k": 0}, "top_k is 0"),
        ({"memory_mb": 0}, "memory_mb"),
        ({"text_embeddings": np.zeros((CONCEPTS, 16))}, "text embeddings: row 0"),
        ({"text_embeddings": np.ones((CONCEPTS, 15))}, "differ in width"),
        ({"image_embeddings": np.ones((IMAGES - 1, 16))}, "300 images, image_embeddings 299"),
        ({"activations": np.ones((IMAGES, 0), np.float32)}, "no neurons"),
    ],
)
def test_arguments_that_do_not_fit_are_named(case, change, message):
    arguments = dict(zip(("activations", "image_embeddings", "text_embeddings"), case, strict=True))
    arguments["concepts"] = [f"word{i}" for i in range(CONCEPTS)]
    with pytest.raises(StrataError, match=message):
        label_neurons(**arguments | change)
