"""Graph convexity against igraph path by path, the field's package, and cases made by hand."""

import itertools

import igraph
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import skew

from strata import StrataError
from strata.convexity import graph_convexity, pair_scores, scores, tallies
from strata.convexity.graphs import component_sizes, neighbor_graph
from strata.convexity.neighbors import nearest
from strata.convexity.shortest_paths import score_paths, score_permuted
from strata.intervals import random_halves


def blobs(n, classes, dimensions=16, apart=0.5, seed=0):
    draw = np.random.default_rng(seed)
    labels = np.arange(n) % classes
    centres = draw.normal(size=(classes, dimensions)) * apart
    return centres[labels] + draw.normal(size=(n, dimensions)), labels


def igraph_scores(features, labels, pairs, k):
    """Every pair by itself on a graph built from the full distance matrix."""
    distances = np.linalg.norm(features[:, None] - features[None], axis=-1)
    np.fill_diagonal(distances, np.inf)
    nearest = np.argsort(distances, axis=1, kind="stable")[:, :k]
    edges = sorted({tuple(sorted((i, int(j)))) for i, row in enumerate(nearest) for j in row})
    graph = igraph.Graph(n=len(features), edges=edges)
    weights = [distances[edge] for edge in edges]
    scores = []
    for source, target in pairs:
        path = graph.get_shortest_paths(int(source), to=int(target), weights=weights)[0]
        inside = [labels[v] == labels[source] for v in path[1:-1]]
        scores.append((np.mean(inside) if inside else 1.0) if path else 0.0)
    return np.array(scores)


def all_pairs(labels):
    pairs = itertools.permutations(range(len(labels)), 2)
    return np.array([(i, j) for i, j in pairs if labels[i] == labels[j]])


@settings(max_examples=60)
@given(st.integers(12, 60), st.integers(2, 4), st.integers(1, 8), st.integers(0, 10**6))
def test_every_pair_equals_igraphs(n, classes, k, seed):
    features, labels = blobs(n, classes, dimensions=3, apart=2.0, seed=seed)
    pairs = all_pairs(labels)
    expected = igraph_scores(features, labels, pairs, k)
    np.testing.assert_allclose(pair_scores(features, labels, pairs, k), expected, atol=1e-12)
    found = graph_convexity(features, labels, k, halves=0)
    assert found.mean == pytest.approx(expected.mean(), abs=1e-12)
    assert found.n_pairs == len(pairs)
    for concept in range(classes):
        own = expected[labels[pairs[:, 0]] == concept].mean()
        assert found.per_concept[concept] == pytest.approx(own, abs=1e-12)


def test_the_same_answers_as_nnconvexity_pair_by_pair():
    graph = pytest.importorskip("nnconvexity.graph")
    features, labels = blobs(120, 4, dimensions=8, apart=1.0)
    pairs = all_pairs(labels)
    distances = graph.pd.DataFrame(graph.cdist(features, features))
    nearest, _ = graph.get_nearest_neighbors(distances, 10, 1)
    symmetric = np.maximum(nearest.to_numpy(), nearest.to_numpy().T)
    theirs = graph.Graph.Weighted_Adjacency(symmetric)
    expected = []
    for source, target in pairs:
        ids = np.flatnonzero(labels == labels[source])
        path = theirs.get_shortest_paths(source, to=target, weights=theirs.es["weight"])[0]
        expected.append(graph.is_path_in_concept(path, ids) if path else 0)
    np.testing.assert_allclose(pair_scores(features, labels, pairs), expected, atol=1e-12)
    mean, by_concept = graph.compute_graph_convexity(features, labels, max_n_paths=10**6)
    ours = graph_convexity(features, labels, halves=0)
    assert mean == round(100 * ours.mean, 2)
    assert by_concept == {c: round(100 * value, 2) for c, value in ours.per_concept.items()}


@pytest.mark.filterwarnings("ignore:Mean of empty slice", "ignore:invalid value")
def test_labels_that_are_not_positions_are_right_here_and_wrong_there():
    graph = pytest.importorskip("nnconvexity.graph")
    features, labels = blobs(80, 2, dimensions=8, apart=1.0)
    ours = graph_convexity(features, labels, halves=0)
    for names in (np.array([3, 7]), np.array(["cat", "dog"], dtype=object)):
        renamed = graph_convexity(features, names[labels], halves=0)
        assert renamed.mean == ours.mean
        assert list(renamed.per_concept.values()) == list(ours.per_concept.values())
    theirs, _ = graph.compute_graph_convexity(features, np.array([1, 2])[labels])
    assert theirs != round(100 * ours.mean, 2)


def test_two_clusters_far_apart_are_convex():
    features, labels = blobs(80, 2, apart=0.0)
    features[labels == 1] += 100
    found = graph_convexity(features, labels, permutations=50)
    assert found.mean == found.mean_over_concepts == 1
    assert np.isnan(found.low) and np.isnan(found.concepts_high)  # nothing varied
    assert found.unreachable == 0 and found.p_value == pytest.approx(1 / 51)
    assert found.chance < 0.8 and found.normalised == 1


def test_interleaved_concepts_are_near_chance():
    found = graph_convexity(*blobs(400, 4, apart=0.0), permutations=100)
    assert found.mean == pytest.approx(found.chance, abs=0.02)
    assert abs(found.normalised) < 0.03 and found.p_value > 0.01


def test_a_chain_through_another_concept():
    """a-b-b-a-a on a line: the pairs of a pass 2 of 2, 2 of 3 and 0 of 0 samples of b."""
    features = np.array([[0.0], [1.0], [2.1], [3.3], [4.6]])
    labels = ["a", "b", "b", "a", "a"]
    found = graph_convexity(features, labels, n_neighbors=1, halves=0)
    assert found.per_concept == {"a": pytest.approx((0 + 1 / 3 + 1) / 3), "b": 1.0}
    assert found.n_pairs == 8 and found.mean == pytest.approx((2 * (4 / 3) + 2) / 8)
    assert found.mean_over_concepts == pytest.approx((4 / 9 + 1) / 2)


def test_concepts_without_a_path_score_zero_and_are_counted():
    features = np.array([[0.0], [1.0], [100.0], [101.0]])
    found = graph_convexity(features, ["a", "b", "a", "b"], n_neighbors=1)
    assert found.mean == 0 and found.unreachable == 1
    assert component_sizes(neighbor_graph(features, 1)).tolist() == [2, 2]


def test_duplicates_are_joined_by_edges_of_no_length():
    features = np.repeat(np.random.default_rng(0).normal(size=(6, 3)), 4, axis=0)
    labels = np.tile(["a", "b"], 12)
    found = graph_convexity(features, labels, n_neighbors=3, halves=0)
    assert found.n_pairs == 24 * 11
    assert found.unreachable == pytest.approx(1 - 1 / 11)  # copies see one another only
    graph = neighbor_graph(features, 3)
    assert (graph.weights == 0).all() and len(graph.indices) == 24 * 3
    same = graph_convexity(np.ones((9, 2)), list("aabbccaab"), n_neighbors=8, halves=0)
    assert same.mean == 1  # all samples are one point: every pair is an edge


def test_ties_go_to_fewer_edges_then_to_a_draw():
    far = [[100.0, 0], [101, 0], [100, 1]]
    square = np.array([[0, 0], [1, 0], [0, 1], [1, 1], *far])
    found = set()  # by sample 1 or by sample 2, there as back
    for seed in range(12):
        options = {"n_neighbors": 2, "seed": seed}
        there, back = pair_scores(square, list("aababbb"), [[0, 3], [3, 0]], **options)
        assert there == back
        found.add(there)
    assert found == {0.0, 1.0}
    line = np.array([[0.0, 0], [1, 0], [2, 0], *far])
    assert pair_scores(line, list("ababbb"), [[0, 2]], n_neighbors=2).tolist() == [1.0]


def test_rotating_moving_and_scaling_change_nothing():
    features, labels = blobs(150, 3)
    turn = np.linalg.qr(np.random.default_rng(1).normal(size=(16, 16)))[0]
    halves = random_halves(labels, 10)
    first = graph_convexity(features, labels, halves=halves)
    moved = graph_convexity(features @ turn * 7 + 1000, labels, halves=halves)
    assert moved.mean == pytest.approx(first.mean, abs=1e-12)
    assert moved.low == pytest.approx(first.low, abs=1e-12)


def test_a_new_order_of_the_samples_changes_nothing():
    features, labels = blobs(150, 3)
    order = np.random.default_rng(1).permutation(150)
    first = graph_convexity(features, labels, halves=0)
    again = graph_convexity(features[order], labels[order], halves=0)
    for concept in range(3):
        assert again.per_concept[concept] == pytest.approx(first.per_concept[concept], abs=1e-12)


def test_the_mean_of_the_null_is_the_chance():
    features, labels = blobs(90, 3, dimensions=4)
    labels[:20] = 0  # concepts of different sizes
    found = graph_convexity(features, labels, n_neighbors=3, permutations=400, halves=0)
    means = []
    for seed in range(400):
        shuffled = np.random.default_rng([5, seed]).permutation(labels)
        one = graph_convexity(features, shuffled, n_neighbors=3, halves=0)
        means.append([one.mean, *(one.per_concept[c] for c in range(3))])
    expected = [found.chance, *found.concepts.sort_values("concept")["chance"]]
    errors = np.std(means, axis=0) / np.sqrt(400)
    assert (np.abs(np.mean(means, axis=0) - expected) < 4 * errors).all()
    better = np.mean([row[0] >= found.mean for row in means])
    assert found.p_value == pytest.approx(better, abs=0.1)


def test_what_calls_share_is_searched_once_and_changes_nothing(monkeypatch):
    """Equal rows, whose order goes by the labels, and other features get searches of their own."""
    searches, search = [], scores.surroundings
    monkeypatch.setattr(
        scores, "surroundings", lambda *given, **told: searches.append(1) or search(*given, **told)
    )
    features, labels = blobs(80, 4)
    copies = features.copy()
    copies[:9] = copies[0]
    shared = {}
    # The same rows in another order are known already.
    for rows, most in ((features, 1), (copies, 3), (features[::-1].copy(), 0), (2 * features, 1)):
        searches.clear()
        for named in (labels, np.arange(80) % 3, np.arange(80) // 20):
            both = [
                graph_convexity(rows, named, permutations=5, shared=kept) for kept in (shared, None)
            ]
            pd.testing.assert_frame_equal(both[0].concepts, both[1].concepts)
            assert both[0].tied == both[1].tied and both[0].p_value == both[1].p_value
        assert min(1, most) <= len(searches) - 3 <= most  # three of them by themselves


def test_permuted_labels_are_scored_as_by_paths_of_their_own():
    """Samples at one point (edges of no length) and in several components included."""
    draw = np.random.default_rng(0)
    features = np.concatenate([draw.normal(size=(50, 2)), 100 + draw.normal(size=(30, 2))])
    features[10:25] = features[10]
    graph = neighbor_graph(features, 4)
    codes = np.stack([draw.permutation(np.arange(80) % 5) for _ in range(7)]).astype(np.int32)
    sums = score_permuted(graph, codes)
    for labeling, own in zip(codes, sums.T, strict=True):
        targets = [np.setdiff1d(np.flatnonzero(labeling == labeling[i]), [i]) for i in range(80)]
        start = np.cumsum([0, *map(len, targets)])
        flat = np.concatenate(targets).astype(np.int32)
        scores = np.nan_to_num(score_paths(graph, labeling, np.arange(80), start, flat))
        np.testing.assert_allclose(own, np.add.reduceat(scores, start[:-1]), atol=1e-12)
    kept = {}
    for part in (codes[:3], codes[3:]):
        again = score_permuted(graph, part, kept)
        np.testing.assert_array_equal(again, score_permuted(graph, part))
    assert sorted(kept) == list(range(0, 80, 16))


def test_a_large_concept_is_searched_another_way_with_the_same_scores(monkeypatch):
    features, labels = blobs(120, 4, apart=0.3)
    labels = np.where(labels < 2, 0, labels)  # half of the samples, and two quarters
    found = {}
    for large in (1, 5, 1000):  # none is large, all are
        monkeypatch.setattr(tallies, "_LARGE", large)
        found[large] = graph_convexity(features, labels)
    pd.testing.assert_frame_equal(found[1].concepts, found[1000].concepts, check_exact=True)
    pd.testing.assert_frame_equal(found[1].concepts, found[5].concepts, check_exact=True)


def test_sampled_pairs_are_some_of_all():
    features, labels = blobs(300, 3, apart=0.3)
    every = graph_convexity(features, labels)
    some = graph_convexity(features, labels, pairs=2000, seed=3)
    assert some.n_pairs == 6000 and some.mean == pytest.approx(every.mean, abs=0.02)
    assert graph_convexity(features, labels, pairs=2000, seed=3).mean == some.mean
    assert graph_convexity(features, labels, pairs=10**6).mean == every.mean


def test_no_pair_is_drawn_twice():
    features, labels = blobs(60, 3, apart=0.3)  # 380 pairs of each
    every, most = (graph_convexity(features, labels, pairs=n).concepts for n in ("all", 379))
    left = every["value"] * 380 - most["value"] * 379  # the score of the pair that was not drawn
    assert left.between(-1e-9, 1 + 1e-9).all()


def test_hubness_is_the_skewness_of_occurrences():
    features, labels = blobs(100, 2)
    distances = np.linalg.norm(features[:, None] - features[None], axis=-1)
    np.fill_diagonal(distances, np.inf)
    counts = np.bincount(np.argsort(distances, axis=1)[:, :10].ravel(), minlength=100)
    assert graph_convexity(features, labels).hubness == pytest.approx(skew(counts))


def hard_cases():
    draw = np.random.default_rng(0)
    yield "lattice", np.stack(np.meshgrid(*[np.arange(4.0)] * 3), axis=-1).reshape(-1, 3)
    yield "an outlier", np.concatenate([draw.normal(size=(200, 20)), np.full((1, 20), 1e5)])
    yield "far away", draw.normal(size=(200, 20)) * 1e-3 + 1e4
    yield (
        "near copies",
        np.repeat(draw.normal(size=(40, 20)), 5, axis=0) + 1e-7 * draw.normal(size=(200, 20)),
    )
    yield "copies", np.repeat(draw.normal(size=(10, 20)), 20, axis=0)


@pytest.mark.parametrize(
    ("name", "features"), hard_cases(), ids=lambda x: x if isinstance(x, str) else ""
)
def test_neighbors_are_exact_where_rounding_misleads(name, features):
    features = features - features.mean(axis=0)
    neighbors, distances = nearest(features, 5)
    for row, (own, lengths) in enumerate(zip(neighbors, distances, strict=True)):
        every = np.sqrt(np.cumsum((features[row] - features) ** 2, axis=1)[:, -1])
        every[row] = np.inf
        assert own.tolist() == np.argsort(every, kind="stable")[:5].tolist()
        np.testing.assert_allclose(lengths, every[own], rtol=1e-14)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"labels": ["a"] * 19 + ["b"]}, "concept 'b' has one sample"),
        ({"labels": ["a"] * 20}, "'a' is the only concept"),
        ({"labels": ["a", "b"] * 9}, "20 samples, but 18 labels"),
        ({"labels": [None] + ["a", "b"] * 9 + ["b"]}, "sample 0 has none"),
        ({"n_neighbors": 20}, "n_neighbors is 20, but there are 20 samples"),
        ({"n_neighbors": 0}, "n_neighbors is 0"),
        ({"features": np.full((20, 2), np.nan)}, "sample 0 is NaN"),
        ({"features": np.ones(20)}, "two dimensions"),
        ({"pairs": "some"}, "pairs must be"),
        ({"pairs": 0}, "pairs must be"),
    ],
)
def test_bad_input_is_named(change, message):
    given_ = {"features": np.random.default_rng(0).normal(size=(20, 2)), "labels": ["a", "b"] * 10}
    with pytest.raises(StrataError, match=message):
        graph_convexity(**given_ | change)
