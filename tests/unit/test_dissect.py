"""Dissection against plain dense references, and on input that it must refuse."""

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from strata import StrataError
from strata.dissect import (
    SIMILARITIES,
    SoftmaxSums,
    dissect_model,
    label_neurons,
    label_with_all,
    similarity_scores,
    softmax_sums,
    softmax_temperatures,
    top_images,
)
from strata.dissect.mutual_information import log_sum_exp, odds_against_others

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


def test_of_many_neurons_each_is_weighed_against_all_others():
    """More than are worked on at a time."""
    draw = np.random.default_rng(0)
    table = draw.normal(size=(150, 3)).astype(np.float32)
    sums = np.log(np.exp(table.astype(float)).sum(axis=0))
    np.testing.assert_allclose(log_sum_exp(table), sums, rtol=1e-5)
    others = [np.log(np.exp(np.delete(table, j, axis=0)).sum(axis=0)) for j in range(len(table))]
    odds = table.copy()
    odds_against_others(odds, log_sum_exp(table))
    np.testing.assert_allclose(odds, table - np.array(others), atol=1e-4)


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
    centred = [x - x.mean(axis=0) for x in (activations, similar)]
    correlated = similarity_scores(*case, similarity="cosine", parameters={"centred": True})
    np.testing.assert_allclose(correlated, cosine(*centred), atol=1e-5)
    cubed = similarity_scores(*case, similarity="cosine_cubed")
    np.testing.assert_allclose(cubed, cosine(*(x**3 for x in centred)), atol=1e-5)


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


# --- a whole model ------------------------------------------------------------------------------

WORDS = [f"word{i}" for i in range(CONCEPTS)]


@pytest.fixture
def layers(case):
    """Layers of different widths, with ties and a constant neuron."""
    draw = np.random.default_rng(1)
    found = [
        (f"layer{i}", draw.normal(size=(IMAGES, n)).astype(np.float32))
        for i, n in enumerate((12, 1, 30))
    ]
    found[0][1][:, 2] = 0.5
    found[2][1][:, 4] = np.maximum(found[2][1][:, 4], 0).round()
    return found


def whole(layers, case, similarities=SIMILARITIES, **options):
    options = {"model": "net", "dataset": "photos", "log": lambda line: None} | options
    return dissect_model(layers, *case[1:], WORDS, similarities=similarities, **options)


def assert_same(first, second):
    """Equal tables but for the last digits of scores."""
    assert list(first) == list(second) and len(first) == len(second)
    for column in first:
        if column in ("value", "score", "margin"):
            np.testing.assert_allclose(first[column], second[column], rtol=1e-5, atol=2e-5)
        else:
            pd.testing.assert_series_equal(first[column], second[column], check_index=False)


@pytest.mark.parametrize("main", SIMILARITIES)
def test_a_whole_model_is_labelled_as_layer_by_layer(case, layers, main):
    similarities = [main, *(name for name in SIMILARITIES if name != main)]
    found = whole(layers, case, similarities, permutations=19)
    named = {"concept": "label", "metric": "similarity", "value": "score"}
    for name, activations in layers:
        options = {"n_permutations": 19}
        alone = label_with_all(activations, *case[1:], WORDS, similarities, **options)
        part = found[found["layer"] == name].rename(columns=named)
        assert_same(
            part[list(alone)].reset_index(drop=True), alone.astype(part[list(alone)].dtypes)
        )


@pytest.mark.parametrize("main", SIMILARITIES)
@pytest.mark.parametrize("memory_mb", [0.05, 1])
def test_memory_changes_no_label(case, layers, main, memory_mb):
    options = {"similarities": [main], "permutations": 9}
    assert_same(whole(layers, case, memory_mb=memory_mb, **options), whole(layers, case, **options))


def test_the_order_of_layers_and_other_layers_change_nothing(case, layers):
    place = ["layer_index", "block"]
    found = whole(layers, case, permutations=9)
    turned = whole(layers[::-1], case, permutations=9)
    fewer = whole(iter(layers[:1]), case, permutations=9)
    twice = whole([layers[0], layers[0]], case, permutations=9)
    assert_same(
        *(
            twice[twice["layer_index"] == i].drop(columns=place).reset_index(drop=True)
            for i in (0, 1)
        )
    )
    for part in (turned, fewer):
        for name in set(part["layer"]):
            one, other = (t[t["layer"] == name].drop(columns=place) for t in (part, found))
            assert_same(one.reset_index(drop=True), other.reset_index(drop=True))


def test_more_threads_change_nothing(case, layers, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    one = whole(layers, case, permutations=9)
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert_same(whole(layers, case, permutations=9), one)


@pytest.mark.parametrize("main", SIMILARITIES)
def test_torch_gives_the_same_labels(case, layers, main):
    options = {"similarities": [main], "permutations": 9}
    assert_same(whole(layers, case, backend="torch", **options), whole(layers, case, **options))


@pytest.mark.parametrize("backend", [None, "torch"])
def test_peaked_softmaxes_leave_no_range(case, backend):
    """a = 40 and few concepts: products of factors would overflow and underflow float32."""
    activations, images, _ = case
    texts = images[:5]  # cosines up to 1
    dense = dense_soft_wpmi(activations, images, texts, 200, a=40.0, lam=0.5)
    options = {"top_k": 200, "parameters": {"a": 40.0, "lam": 0.5}, "backend": backend}
    ours = similarity_scores(activations, images, texts, **options)
    np.testing.assert_allclose(ours, dense, rtol=1e-5, atol=2e-3)
    wpmi = {"similarity": "wpmi", "top_k": 200, "parameters": {"a": 40.0}, "backend": backend}
    assert np.isfinite(similarity_scores(activations, images, texts, **wpmi)).all()


def test_of_equal_activations_the_earlier_and_of_equal_scores_the_first_by_name(case):
    _, images, texts = case
    activations = np.tile(np.arange(IMAGES) // 10 % 3, (4, 1)).T.astype(np.float32)
    order = np.argsort(-activations[:, 0], kind="stable")[:25]
    assert (top_images(activations, 25) == order).all()
    twins = np.concatenate([texts, texts])
    names = [*WORDS, *(f"again{i}" for i in range(CONCEPTS))]
    labels = label_neurons(case[0], images, twins, names, "cosine", memory_mb=0.05)
    assert labels["label"].str.startswith("again").all()
    assert [x.split(";")[0][4:] for x in labels["runner_up"]] == [x[5:] for x in labels["label"]]


def test_top_images_of_any_order_and_type(case):
    draw = np.random.default_rng(5)
    for values in (
        np.arange(500.0),
        -np.arange(500.0),
        draw.integers(0, 9, 500),
        draw.normal(size=500),
    ):
        table = np.stack([values, values[::-1]], axis=1)
        for k in (1, 7, 500):
            dense = np.argsort(-table, axis=0, kind="stable")[:k].T
            assert (top_images(table, k) == dense).all()
            assert (top_images(np.asfortranarray(table), k, memory_mb=0.001) == dense).all()


# --- row sums of the softmax --------------------------------------------------------------------


def test_sums_are_those_of_the_dense_matrix(case):
    similar = dense_similarity(*case[1:])
    sums = softmax_sums(*case[1:], [10.0, 2.0], memory_mb=0.01)
    for a in (2.0, 10.0):
        np.testing.assert_allclose(sums.of(a), np.exp(a * similar).sum(axis=1), rtol=1e-5)
    np.testing.assert_allclose(sums.least, similar.min(axis=1), atol=1e-5)
    np.testing.assert_allclose(sums.greatest, similar.max(axis=1), atol=1e-5)
    assert softmax_temperatures(SIMILARITIES) == [2.0, 10.0]
    assert softmax_temperatures(["cosine"]) == []


def test_sums_from_a_file_give_the_same_labels(case, layers, tmp_path):
    softmax_sums(*case[1:], softmax_temperatures(SIMILARITIES)).save(tmp_path / "sums.npz")
    assert [path.name for path in tmp_path.iterdir()] == ["sums.npz"]
    sums = SoftmaxSums.load(tmp_path / "sums.npz")
    assert_same(whole(layers, case, sums=sums, permutations=9), whole(layers, case, permutations=9))


def test_sums_that_do_not_fit_are_refused(case, layers, tmp_path):
    images, texts = case[1:]
    other = images.copy()
    other[7, 0] += 0.1
    wrong = {
        "of 299 images, not 300": softmax_sums(images[:-1], texts, [2.0, 10.0]),
        "of 39 concepts, not 40": softmax_sums(images, texts[:-1], [2.0, 10.0]),
        "of other embeddings": softmax_sums(other, texts, [2.0, 10.0]),
        "none for a = 2 .they hold: 10": softmax_sums(images, texts, [10.0]),
    }
    for message, sums in wrong.items():
        with pytest.raises(StrataError, match=f"net on photos: softmax sums: {message}"):
            whole(layers, case, sums=sums)
    (tmp_path / "sums.npz").write_bytes(b"no archive")
    with pytest.raises(StrataError, match=r"sums\.npz: not a file of softmax sums"):
        SoftmaxSums.load(tmp_path / "sums.npz")


# --- errors of a model --------------------------------------------------------------------------


def test_errors_name_the_model_and_the_layer(case, layers):
    layers[2][1][17, 5] = np.inf
    with pytest.raises(StrataError, match=r"photos, layer layer2: activations: unit 5 .* 17"):
        whole(layers, case)
    layers[2][1][17, 5] = -np.inf
    with pytest.raises(StrataError, match=r"layer layer2: activations: unit 5 is NaN .* sample 17"):
        whole(layers, case, ["cosine"])
    with pytest.raises(StrataError, match="layer layer0: activations have 299 images"):
        whole([("layer0", layers[0][1][1:])], case)
    with pytest.raises(StrataError, match="net on photos: no layers"):
        whole([], case)


def test_a_top_k_that_is_too_large_is_told_before_any_layer_is_read(case):
    def unread():
        raise AssertionError("a layer was read")
        yield

    with pytest.raises(StrataError, match="net on photos: soft_wpmi: top_k is 301"):
        whole(unread(), case, ["soft_wpmi"], top_k=301)


def test_devices(case, layers):
    with pytest.raises(StrataError, match="'tpu' is unknown"):
        whole(layers, case, ["cosine"], device="tpu")
    torch = pytest.importorskip("torch")
    if torch.cuda.is_available():
        assert_same(whole(layers, case, device="cuda"), whole(layers, case))
    else:
        with pytest.raises(StrataError, match="no CUDA device"):
            whole(layers, case, ["cosine"], device="cuda")
        assert_same(whole(layers, case, device="auto"), whole(layers, case))


def test_labelling_on_the_cpu_loads_no_torch():
    code = (
        "import sys, numpy as np; import strata.dissect as d;"
        "assert not {'torch', 'numba'} & set(sys.modules);"
        "x = np.random.default_rng(0).normal(size=(60, 8)).astype('f4');"
        "d.label_neurons(x, x, x[:9], list('abcdefghi'), top_k=5);"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
