"""Nearest neighbors against all distances sorted, whatever the shape, the ties and the threads."""

from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strata import StrataError
from strata.convexity import graph_convexity, neighbor_graph
from strata.convexity.gpu import torch_candidates
from strata.convexity.neighbors import nearest, tiled_candidates

BY_TORCH = partial(torch_candidates, device="cpu")


def all_sorted(features, k):
    """Every distance in float64, each summed in the dimensions' order; ties by lower number."""
    totals = np.zeros((len(features), len(features)))
    for column in features.T:
        totals += (column[:, None] - column[None]) ** 2
    distances = np.sqrt(totals)
    np.fill_diagonal(distances, np.inf)
    order = np.argsort(distances, axis=1, kind="stable")[:, :k]
    return order, np.take_along_axis(distances, order, axis=1)


def centred(features):
    return features - features.mean(axis=0)


def check(features, k, **options):
    expected, lengths = all_sorted(features, k)
    found, distances = nearest(features, k, **options)
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(distances, lengths)


def problems():
    draw = np.random.default_rng(0)
    yield "two", draw.normal(size=(2, 3)), 1
    yield "three on a line", np.array([[0.0], [1.0], [2.0]]), 2
    yield "all others", draw.normal(size=(30, 4)), 29
    yield "one less than all candidates", draw.normal(size=(20, 4)), 10
    yield "one tile", draw.normal(size=(512, 5)), 7
    yield "one more than a tile", draw.normal(size=(513, 5)), 7
    yield "tiles that do not divide", draw.normal(size=(1300, 33)), 10
    yield "copies", np.repeat(draw.normal(size=(60, 6)), 10, axis=0), 12
    yield "one point", np.ones((40, 3)), 5
    yield "a lattice", np.round(draw.normal(size=(700, 3))), 10
    yield "tiny", draw.normal(size=(300, 8)) * 1e-30, 6
    yield "huge", draw.normal(size=(300, 8)) * 1e30, 6
    copies = np.repeat(draw.normal(size=(60, 6)), 10, axis=0)
    yield "near copies", copies + 1e-9 * draw.normal(size=copies.shape), 12
    yield "uneven", draw.normal(size=(400, 8)) * np.exp(4 * draw.normal(size=(400, 1))), 10


@pytest.mark.parametrize("candidates", [tiled_candidates, BY_TORCH], ids=["tiles", "torch"])
@pytest.mark.parametrize(
    ("name", "features", "k"), problems(), ids=lambda x: x if isinstance(x, str) else ""
)
def test_they_are_those_of_all_distances(name, features, k, candidates):
    check(centred(features), k, candidates=candidates)


@settings(deadline=None, max_examples=40)
@given(st.integers(2, 70), st.integers(1, 5), st.integers(0, 10**6))
def test_small_problems_with_many_ties(n, dimensions, seed):
    draw = np.random.default_rng(seed)
    features = draw.integers(3, size=(n, dimensions)).astype(float)
    check(centred(features), int(draw.integers(1, n)))


@pytest.mark.parametrize("side", [16, 100])
def test_the_size_of_the_tiles_changes_nothing(side):
    features = centred(np.random.default_rng(1).normal(size=(333, 9)))
    chosen, farthest = tiled_candidates(*single(features), 15, side)
    expected, worst = BY_TORCH(*single(features), 15)
    assert [set(row) for row in chosen] == [set(row) for row in expected]
    np.testing.assert_allclose(farthest, worst, rtol=1e-4, atol=1e-5)


def single(features):
    return features.astype(np.float32), ((features**2).sum(axis=1) / 2).astype(np.float32)


def test_the_number_of_threads_changes_nothing(monkeypatch):
    draw = np.random.default_rng(2)
    labels = np.arange(600) % 13
    for features in (draw.normal(size=(1200, 40)), np.round(draw.normal(size=(1200, 3)))):
        found = []
        for threads in (1, 2, 5):
            monkeypatch.setenv("OMP_NUM_THREADS", str(threads))
            graph = neighbor_graph(features)
            scores = graph_convexity(features[:600], labels, halves=2, permutations=2)
            table = scores.concepts.to_json(double_precision=15)
            found.append(([np.asarray(x).tobytes() for x in graph], scores.mean, scores.low, table))
        assert found[0] == found[1] == found[2]


def test_candidates_that_hide_a_neighbor_are_searched_again():
    """Of a source that says so itself: what it kept is no nearer than what it may have lost."""

    def careless(features, half, wanted):
        chosen, _ = tiled_candidates(features, half, wanted + 5)
        return chosen[:, 5:], np.full(len(features), -np.inf, dtype=np.float32)

    check(centred(np.random.default_rng(3).normal(size=(200, 6))), 8, candidates=careless)


def test_a_graph_has_an_edge_wherever_either_end_has_the_other():
    features = np.random.default_rng(4).normal(size=(150, 5))
    own, lengths = all_sorted(centred(features), 6)
    matrix = np.full((150, 150), np.inf)
    np.put_along_axis(matrix, own, lengths, axis=1)
    matrix = np.minimum(matrix, matrix.T)
    graph = neighbor_graph(features, 6)
    for sample in range(150):
        edges = slice(graph.indptr[sample], graph.indptr[sample + 1])
        expected = np.flatnonzero(np.isfinite(matrix[sample]))
        np.testing.assert_array_equal(graph.indices[edges], expected)
        np.testing.assert_allclose(graph.weights[edges], matrix[sample, expected], rtol=1e-15)
    np.testing.assert_array_equal(graph.occurrences, np.bincount(own.ravel(), minlength=150))


def test_torch_gives_the_same_convexity(monkeypatch):
    draw = np.random.default_rng(5)
    features, labels = draw.normal(size=(300, 24)), np.arange(300) % 4
    plain = graph_convexity(features, labels)
    monkeypatch.setattr("strata.convexity.graphs._candidates_on", lambda device: BY_TORCH)
    by_torch = graph_convexity(features, labels, device="cuda")
    assert by_torch.concepts.equals(plain.concepts) and by_torch.mean == plain.mean


def test_devices(monkeypatch):
    features = np.random.default_rng(6).normal(size=(30, 4))
    with pytest.raises(StrataError, match="'tpu' is unknown; use auto, cpu, cuda"):
        neighbor_graph(features, device="tpu")
    monkeypatch.setattr("strata.models.inference.has_gpu", lambda: False)
    assert neighbor_graph(features, device="auto").n == 30
    monkeypatch.setattr("strata.models.inference.find_spec", lambda name: None)
    with pytest.raises(StrataError, match="needs torch"):
        neighbor_graph(features, device="cuda")
    monkeypatch.setattr("strata.models.inference.has_gpu", lambda: True)
    assert neighbor_graph(features, device="auto").n == 30  # without torch, on the CPU
