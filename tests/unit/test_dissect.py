"""Dissection against plain dense references, and on input that it must refuse."""

import numpy as np
import pytest

from strata import StrataError
from strata.dissect import label_neurons, similarity_scores

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
