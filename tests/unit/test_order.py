"""Nothing depends on the order of rows, concepts, neurons or items, or on the type on disk.

Each measure is computed again on permuted data, with and without ties, and compared.
"""

import numpy as np
import pandas as pd
import pytest

from strata import StrataError
from strata.alignment import cross_validate, fit_transform, noise_ceiling, odd_one_out_accuracy
from strata.alignment.accuracy import category_credits, mean_credit, triplet_credits
from strata.concepts import category_shares, concept_counts
from strata.concepts.measures import count_measures, share_measures
from strata.convexity.euclidean import euclidean_convexity, linear_head_convexity
from strata.convexity.overlapping import overlapping_convexity
from strata.convexity.scores import graph_convexity, pair_scores
from strata.data.layouts import _splits
from strata.data.splits import some_rows, task_rows
from strata.dissect import SIMILARITIES, label_neurons, similarity_scores

IMAGES, CONCEPTS, TOP = 120, 30, 15
DRAW = np.random.default_rng(0)
WORDS = [f"word{i:02d}" for i in DRAW.permutation(CONCEPTS)]
# All different, and the same in half precision.
NORMAL = (DRAW.normal(size=(IMAGES, 10)).argsort(axis=0).argsort(axis=0) - 60).astype("f4") / 32


def sparse(values):
    """Fewer positive images than places, as after a rectified unit: 0 to 9 of them a neuron."""
    kept = np.argsort(np.argsort(-values, axis=0), axis=0) < np.arange(values.shape[1])
    return np.where(kept, np.abs(values), 0).astype(np.float32)


ACTIVATIONS = {
    "no ties": NORMAL,
    "sparse": sparse(NORMAL),
    "coarse": np.round(NORMAL),
    "binary": (NORMAL > 0).astype(np.float32),
    "saturated": np.minimum(NORMAL, 0.5),
}
TEXTS = DRAW.normal(size=(CONCEPTS, 12)).astype(np.float32)
PICTURES = DRAW.normal(size=(IMAGES, 12)).astype(np.float32) + TEXTS[np.arange(IMAGES) % CONCEPTS]


def labels_of(activations, similarity, rows=slice(None), words=slice(None), **options):
    options = {"top_k": TOP, "n_permutations": 30, **options}
    return label_neurons(
        activations[rows],
        PICTURES[rows],
        TEXTS[words],
        np.array(WORDS)[words],
        similarity,
        **options,
    )


def same_labels(first, again, rows=None):
    """All that is told of neurons; pictures by what they are, not where they stand."""
    texts = ["label", "runner_up", "constant"]
    pd.testing.assert_frame_equal(first[texts], again[texts])
    if rows is not None:
        names = [
            ";".join(str(rows[int(i)]) for i in row.split(";") if i) for row in again["images"]
        ]
        assert first["images"].tolist() == names
    for column in ("score", "margin", "tied"):
        np.testing.assert_allclose(first[column], again[column], atol=2e-5, rtol=2e-5)
    for column in ("p_value", "q_value"):
        np.testing.assert_allclose(first[column], again[column], atol=0.04)  # a rounding's worth


@pytest.mark.parametrize("similarity", SIMILARITIES)
@pytest.mark.parametrize("kind", ACTIVATIONS)
def test_labels_do_not_depend_on_the_order_of_pictures(kind, similarity):
    activations, rows = ACTIVATIONS[kind], np.random.default_rng(1).permutation(IMAGES)
    first = labels_of(activations, similarity)
    same_labels(first, labels_of(activations, similarity, rows), rows)
    tied = first["tied"]
    if kind == "no ties" or similarity.startswith("cosine"):
        assert not tied.any()
    elif kind == "sparse":
        np.testing.assert_allclose(tied[1:], (TOP - np.arange(1, 10)) / TOP)


@pytest.mark.parametrize("similarity", SIMILARITIES)
@pytest.mark.parametrize("kind", ACTIVATIONS)
def test_labels_do_not_depend_on_concepts_neurons_or_types(kind, similarity):
    activations = ACTIVATIONS[kind]
    first = labels_of(activations, similarity)
    words = np.random.default_rng(2).permutation(CONCEPTS)
    same_labels(first, labels_of(activations, similarity, words=words))
    neurons = np.random.default_rng(3).permutation(activations.shape[1])
    moved = labels_of(activations[:, neurons], similarity)
    same_labels(first.iloc[neurons].reset_index(drop=True), moved)
    for dtype in (np.float16, np.float64):
        copy = activations.astype(dtype)
        assert (copy == activations).all()
        same_labels(first, labels_of(copy, similarity))


@pytest.mark.parametrize("backend", [None, "torch"])
@pytest.mark.parametrize("similarity", ["soft_wpmi", "wpmi"])
@pytest.mark.parametrize("kind", ACTIVATIONS)
def test_tied_pictures_share_their_places(kind, similarity, backend):
    """Against the formula, on the full matrix."""
    activations = ACTIVATIONS[kind]
    unit = [x / np.linalg.norm(x, axis=1, keepdims=True) for x in (PICTURES, TEXTS)]
    logits = {"soft_wpmi": 10.0, "wpmi": 2.0}[similarity] * unit[0] @ unit[1].T
    softmax = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    p = 0.998 - np.arange(TOP) / TOP * (0.998 - 0.97)
    soft = similarity == "soft_wpmi"
    ours = similarity_scores(activations, PICTURES, TEXTS, similarity, top_k=TOP, backend=backend)
    sums, constant = [], np.ptp(activations, axis=0) == 0
    for column in activations.T:
        border = np.sort(column)[-TOP]
        above, at = np.flatnonzero(column > border), np.flatnonzero(column == border)
        above = above[np.argsort(-column[above], kind="stable")]
        places = TOP - len(above)

        def terms(images, own):
            return np.log(
                1 + own * (softmax[images] - 1) + 1e-7 if soft else softmax[images] + 1e-7
            )

        own = p[: len(above), None]
        if len(np.unique(column[above])) < len(above):  # the order of these is drawn
            own = np.full_like(own, np.nan) if soft else own
        total = terms(above, own).sum(axis=0)
        shared = p[len(above) :].mean()
        sums.append(total + places / len(at) * terms(at, shared).sum(axis=0))
    sums = np.array(sums)
    known = ~constant & ~np.isnan(sums).any(axis=1)
    lam = 1.0 if soft else 0.6
    if known.sum() == (~constant).sum():
        expected = sums[known] - lam * np.log(np.exp(sums[known]).mean(axis=0))
        np.testing.assert_allclose(ours[known], expected, atol=3e-5, rtol=1e-5)
    else:
        assert kind == "coarse" and soft


@pytest.mark.parametrize("similarity", ["soft_wpmi", "wpmi"])
@pytest.mark.parametrize("decided", [3, TOP])
def test_p_values_of_noise_are_even_however_many_places_are_tied(decided, similarity):
    draw = np.random.default_rng(11)
    noise = draw.normal(size=(IMAGES, 400)).argsort(axis=0).argsort(axis=0) - (IMAGES - 1 - decided)
    noise = np.maximum(noise, 0).astype(np.float32)
    options = {"top_k": TOP, "n_permutations": 199}
    found = label_neurons(noise, PICTURES, TEXTS, WORDS, similarity, **options)
    assert (found["tied"] == (TOP - decided) / TOP).all()
    p = found["p_value"]
    assert p.mean() == pytest.approx(0.5, abs=0.08) and (p <= 0.05).mean() < 0.1


# --- convexity ----------------------------------------------------------------------------------

CLASSES = np.repeat(["a", "b", "c"], [60, 40, 20])
POINTS = {
    "no ties": DRAW.normal(size=(IMAGES, 6)).astype(np.float16),
    "all equal": np.full((IMAGES, 6), 0.3, np.float16),
    "few values": DRAW.integers(3, size=(IMAGES, 3)).astype(np.float16),
    "a few copies": np.repeat(DRAW.normal(size=(IMAGES // 4, 6)), 4, axis=0).astype(np.float16),
    "rectified": np.maximum(DRAW.normal(size=(IMAGES, 6)) - 1, 0).astype(np.float16),
}
TIED = {"no ties": 0, "all equal": 1, "a few copies": 0.3}  # 3 copies, 4 of the next, 3 drawn of 4


def told(found):
    """Every number of a GraphConvexity, concepts by name."""
    table = found.concepts.sort_values("n_samples").drop(columns="concept").to_numpy(float)
    names = ["mean", "low", "high", "mean_over_concepts", "concepts_low", "concepts_high"]
    names += ["chance", "normalised", "p_value", "n_pairs", "unreachable", "hubness", "tied"]
    return [*(getattr(found, name) for name in names), *table.ravel()]


@pytest.mark.parametrize("pairs", ["all", 50])
@pytest.mark.parametrize("kind", POINTS)
def test_graph_convexity_does_not_depend_on_the_order_of_samples(kind, pairs):
    features, options = POINTS[kind], {"pairs": pairs, "halves": 4, "permutations": 5}
    first = graph_convexity(features, CLASSES, **options)
    rows = np.random.default_rng(4).permutation(IMAGES)
    again = graph_convexity(features[rows], CLASSES[rows], **options)
    assert list(again.per_concept) == list(dict.fromkeys(CLASSES[rows]))
    np.testing.assert_allclose(told(again), told(first), rtol=0, atol=1e-12)
    wide = graph_convexity(features.astype(np.float64), CLASSES, **options)
    np.testing.assert_array_equal(told(wide), told(first))
    # Other names; of classes that differ in what they hold.
    other = np.array(["y", "x", "z"])[np.searchsorted(["a", "b", "c"], CLASSES)]
    renamed = graph_convexity(features, other, **options)
    np.testing.assert_allclose(told(renamed), told(first), rtol=0, atol=1e-12)
    assert first.tied == pytest.approx(TIED.get(kind, first.tied))
    assert (first.tied > 0) == (kind != "no ties")


@pytest.mark.parametrize("kind", POINTS)
def test_convexity_of_overlapping_concepts_does_not_depend_on_the_order(kind):
    marks = pd.DataFrame({"a": CLASSES == "a", "some": np.arange(IMAGES) % 3 == 0})
    rows = np.random.default_rng(4).permutation(IMAGES)
    first = overlapping_convexity(POINTS[kind], marks, pairs=50, halves=4)
    moved = marks.iloc[rows].reset_index(drop=True)
    again = overlapping_convexity(POINTS[kind][rows], moved, pairs=50, halves=4)
    pd.testing.assert_frame_equal(again, first, rtol=1e-12)


@pytest.mark.parametrize("kind", POINTS)
def test_scores_of_pairs_do_not_depend_on_the_order_of_samples(kind):
    rows = np.random.default_rng(4).permutation(IMAGES)
    pairs = np.array([[i, j] for i in range(60) for j in range(60) if i != j])
    first = pair_scores(POINTS[kind], CLASSES, pairs)
    again = pair_scores(POINTS[kind][rows], CLASSES[rows], np.argsort(rows)[pairs])
    if kind == "no ties":
        np.testing.assert_array_equal(again, first)
    else:  # equal samples of a class may stand for one another
        assert again.mean() == pytest.approx(first.mean(), abs=1e-12)


def test_points_that_are_all_the_same_are_as_convex_as_chance_says():
    """Sorted by class, as a folder of classes is: 0.33 against a chance of 0.52 by row number."""
    labels = np.repeat(["a", "b", "c"], [150, 60, 40])
    runs = [graph_convexity(np.ones((250, 2)), labels, seed=seed, halves=0) for seed in range(12)]
    found = np.array([[run.mean, *run.per_concept.values()] for run in runs])
    expected = np.array([runs[0].chance, *runs[0].concepts["chance"]])
    assert (np.abs(found.mean(axis=0) - expected) < 4 * found.std(axis=0) / np.sqrt(12)).all()
    np.testing.assert_allclose(found.mean(axis=0), expected, atol=0.03)


@pytest.mark.parametrize("pairs", ["all", 50])
@pytest.mark.parametrize("kind", POINTS)
def test_euclidean_convexity_does_not_depend_on_the_order_of_samples(kind, pairs):
    features = POINTS[kind].astype(np.float32)
    rows = np.random.default_rng(5).permutation(IMAGES)
    weights, names = np.random.default_rng(6).normal(size=(3, features.shape[1])), ["a", "b", "c"]
    options = {"pairs": pairs}

    def classify(points):
        return np.array(names)[(points @ weights.T).argmax(axis=1)]

    def both(order, dtype=np.float32):
        points, labels = features[order].astype(dtype), CLASSES[order]
        exact = linear_head_convexity(points, labels, weights, np.zeros(3), names, **options)
        return euclidean_convexity(points, labels, classify, **options), exact

    for first, again in zip(both(slice(None)), both(rows), strict=True):
        assert list(again.per_concept) == list(dict.fromkeys(CLASSES[rows]))
        for name in ("mean", "low", "high", "mean_over_concepts"):
            known = pytest.approx(getattr(first, name), abs=1e-12, nan_ok=True)
            assert getattr(again, name) == known
        for label, value in first.per_concept.items():
            assert again.per_concept[label] == pytest.approx(value, abs=1e-12)
        assert (CLASSES[first.scores["first"]] == first.scores["concept"]).all()
    half = both(slice(None), np.float16)
    assert half[1].mean == both(slice(None))[1].mean


# --- alignment ----------------------------------------------------------------------------------

ITEMS = 44
TRIPLES = np.stack([DRAW.choice(ITEMS, 3, replace=False) for _ in range(900)])
TRIPLES = np.concatenate([TRIPLES, TRIPLES[:200], TRIPLES[:100, [0, 2, 1]]])
VECTORS = {"no ties": DRAW.normal(size=(ITEMS, 5)), "tied": DRAW.integers(1, 3, size=(ITEMS, 4))}


@pytest.mark.parametrize("similarity", ["cosine", "dot", "euclidean"])
@pytest.mark.parametrize("kind", VECTORS)
def test_alignment_does_not_depend_on_the_order_of_items_and_triplets(kind, similarity):
    items, rows = np.random.default_rng(7).permutation(ITEMS), np.arange(len(TRIPLES))
    np.random.default_rng(8).shuffle(rows)
    again = VECTORS[kind][items], np.argsort(items)[TRIPLES][rows]
    first = VECTORS[kind], TRIPLES
    assert odd_one_out_accuracy(*first, similarity) == pytest.approx(
        odd_one_out_accuracy(*again, similarity), abs=1e-12
    )
    ceilings = [noise_ceiling(rows) for rows in (first[1], again[1])]
    assert ceilings[0].upper == pytest.approx(ceilings[1].upper, nan_ok=True)
    assert ceilings[0].lower == pytest.approx(ceilings[1].lower, nan_ok=True)
    means, tables = [], []
    members = pd.DataFrame({"even": np.arange(ITEMS) % 2 == 0, "few": np.arange(ITEMS) < 3})
    for (vectors, triplets), own in ((first, members), (again, members.iloc[items])):
        credits = triplet_credits(vectors, triplets, similarity)
        means.append(mean_credit(credits, triplets))
        tables.append(category_credits(credits, triplets, own.reset_index(drop=True)))
    assert means[0] == pytest.approx(means[1], abs=1e-12, nan_ok=True)
    pd.testing.assert_frame_equal(*tables, rtol=1e-12)


@pytest.mark.parametrize("method", ["naive", "glocal"])
def test_transforms_do_not_depend_on_the_order_of_items_and_triplets(method):
    items, rows = np.random.default_rng(7).permutation(ITEMS), np.arange(len(TRIPLES))
    np.random.default_rng(8).shuffle(rows)
    names, vectors = [f"item {i}" for i in range(ITEMS)], VECTORS["no ties"]
    again = vectors[items], np.argsort(items)[TRIPLES][rows]
    fitted = fit_transform(vectors, TRIPLES, method, iterations=500)
    moved = fit_transform(*again, method, iterations=500)
    np.testing.assert_allclose(moved(vectors), fitted(vectors), atol=2e-3)
    options = {"grid": [0.1], "folds": 2, "iterations": 200}
    tested = cross_validate(vectors, TRIPLES, method, names=names, **options)
    other = cross_validate(*again, method, names=np.array(names)[items], **options)
    assert set(rows[other.triplets]) == set(tested.triplets)
    assert other.before.mean() == pytest.approx(tested.before.mean(), abs=1e-12)
    assert other.credits.mean() == pytest.approx(tested.credits.mean(), abs=0.01)


# --- counts and draws ---------------------------------------------------------------------------


@pytest.mark.parametrize("decimals", [8, 1])
def test_counts_do_not_depend_on_the_order_of_neurons(decimals):
    draw = np.random.default_rng(9)
    keys = {"model": "m", "dataset": "d", "layer": "l", "layer_index": 0, "metric": "soft_wpmi"}
    labels = pd.DataFrame(
        {
            "unit": range(80),
            "concept": draw.choice(WORDS, 80),
            "value": draw.normal(size=80).round(decimals),
            "q_value": draw.uniform(size=80).round(decimals),
        }
    ).assign(**keys)
    moved = labels.sample(frac=1, random_state=1).reset_index(drop=True)
    categories = {"some": WORDS[:10], "more": WORDS[5:]}
    pd.testing.assert_frame_equal(count_measures(labels), count_measures(moved))
    pd.testing.assert_frame_equal(
        share_measures(labels, categories), share_measures(moved, categories), rtol=1e-12
    )
    released = {"concept": "description", "value": "similarity"}
    first, again = labels.rename(columns=released), moved.rename(columns=released)
    for threshold in ("median", "mean", "significant"):
        pd.testing.assert_frame_equal(
            concept_counts(first, threshold), concept_counts(again, threshold)
        )
        pd.testing.assert_frame_equal(
            category_shares(first, categories, threshold),
            category_shares(again, categories, threshold),
        )


def test_splits_and_draws_do_not_depend_on_the_order_of_a_manifest():
    draw, shares = np.random.default_rng(10), {"train": 0.5, "validation": 0.25, "test": 0.25}
    manifest = pd.DataFrame(
        {"path": [f"{i:03d}.png" for i in range(90)], "kind": draw.choice(3, 90)}
    )
    manifest = manifest.astype(str).assign(split="all")
    rows = draw.permutation(90)
    moved = manifest.iloc[rows].reset_index(drop=True)

    def drawn(table):
        found = _splits(table["kind"], table["path"], shares, 0, "set")
        tasks = task_rows(table, "kind", shares)
        every = table["path"].iloc[some_rows(np.arange(90), 20, 0, table)]
        return (
            dict(zip(table["path"], found, strict=True)),
            {split: set(table["path"].iloc[part]) for split, part in tasks.items()},
            set(every),
        )

    assert drawn(manifest) == drawn(moved)


# --- what is handed over ------------------------------------------------------------------------


def handed_over():
    import torch

    values = NORMAL[:40, :4]
    frame = pd.DataFrame(values, index=np.arange(40) * 7 + 3)
    yield "tensor", torch.from_numpy(values).requires_grad_()
    yield "bfloat16", torch.from_numpy(values).to(torch.bfloat16)
    yield "half", torch.from_numpy(values).half()
    yield "frame", frame
    yield "nullable frame", frame.convert_dtypes()
    yield "lists", values.tolist()
    yield "rows of a frame", [row for _, row in frame.iterrows()]
    yield "list of tensors", list(torch.from_numpy(values))
    yield "Fortran's order", np.asfortranarray(values)


@pytest.mark.parametrize(
    ("name", "features"), handed_over(), ids=lambda x: x if isinstance(x, str) else ""
)
def test_tensors_and_tables_are_taken_as_they_come(name, features):
    values, texts, pictures = NORMAL[:40, :4], TEXTS[:5], PICTURES[:40]
    labels = np.repeat(["b", "a"], [25, 15])
    kinds = [
        pd.Series(labels, index=np.arange(40) * 3),
        pd.Series(pd.Categorical(labels, categories=["c", "a", "b"])),
        pd.Categorical(labels),
        labels.tolist(),
        tuple(labels),
        pd.Index(labels),
    ]
    expected = graph_convexity(values, labels)
    for kind in kinds:
        np.testing.assert_array_equal(told(graph_convexity(features, kind)), told(expected))
    weights, bias = NORMAL[:2, :4], np.zeros(2)
    exact = linear_head_convexity(values, labels, weights, bias, ["a", "b"])
    assert linear_head_convexity(features, kinds[0], weights, bias, ["a", "b"]).mean == exact.mean
    triplets = [[0, 1, 2], [3, 4, 5], [7, 6, 8]]
    accuracy = odd_one_out_accuracy(values, np.array(triplets))
    assert odd_one_out_accuracy(features, pd.DataFrame(triplets)) == accuracy
    one = label_neurons(values, pictures, texts, WORDS[:5], top_k=5)
    same_labels(
        one, label_neurons(features, pictures.tolist(), pd.DataFrame(texts), WORDS[:5], top_k=5)
    )
    moved = fit_transform(features, triplets, iterations=5)(features)
    np.testing.assert_array_equal(moved, fit_transform(values, triplets, iterations=5)(values))


def test_what_is_no_array_is_refused_in_one_line():
    import torch
    from scipy.sparse import csr_array

    labels = ["a", "a", "b", "b"]
    refused = {
        "sparse": [csr_array(np.eye(4)), torch.eye(4).to_sparse()],
        "must be": [np.array([["x"] * 2] * 4), pd.DataFrame({"x": list("abcd")}), np.eye(4) * 1j],
        "differ in length": [[[1.0], [1.0, 2.0], [1.0], [1.0]]],
        "masked": [np.ma.masked_array(np.eye(4), np.eye(4))],
        "NaN": [pd.DataFrame({"x": pd.array([1, 2, None, 4], dtype="Int64")})],
    }
    for message, values in refused.items():
        for features in values:
            with pytest.raises(StrataError, match=message):
                graph_convexity(features, labels, n_neighbors=1)
    for missing in (None, np.nan, pd.NA, pd.NaT):
        with pytest.raises(StrataError, match="labels: sample 2 has none"):
            graph_convexity(np.eye(4), ["a", "a", missing, "b"], n_neighbors=1)
    with pytest.raises(StrataError, match="one column"):
        graph_convexity(np.eye(4), pd.DataFrame({"x": labels}), n_neighbors=1)
    with pytest.raises(StrataError, match="4 samples, but 3 labels"):
        euclidean_convexity(np.eye(4), labels[:3], lambda points: points)
    for numbers in ([0, 0, 1, 1], torch.tensor([0, 0, 1, 1])):
        assert list(graph_convexity(np.eye(4), numbers, n_neighbors=1).per_concept) == [0, 1]
