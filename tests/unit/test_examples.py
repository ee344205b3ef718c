"""What lies near some samples in every layer."""

import numpy as np
import pandas as pd
import pytest
from sklearn.neighbors import NearestNeighbors

from strata.activations.cache import ActivationCache
from strata.convexity.examples import EXAMPLES, NEIGHBORS, example_neighbors
from strata.data.manifest import Dataset
from strata.errors import StrataError

N = 90


def neighbors_of(folder, order, split="all"):
    """Neighbors in a data set whose samples stand in this order, named by their paths."""
    random = np.random.default_rng(0)
    layers = [np.round(random.normal(size=(N, 3))), random.normal(size=(N, 5))]
    splits = np.where(np.arange(N) % 3, "train", "test")
    table = {"sample": range(N), "path": [f"{i:02d}.png" for i in order], "split": splits[order]}
    info = {"name": "some", "root": ".", "modality": "image", "storage": "files"}
    with ActivationCache.create(folder, N, {"layers": ["one", "two"]}) as cache:
        cache.append([layer[order] for layer in layers])
    dataset = Dataset(folder, info, pd.DataFrame(table))
    return example_neighbors(folder, dataset, split, model="m"), layers


def named(found, order):
    """Rows by what samples are: (layer, sample, rank) and its neighbor."""
    keys = zip(found["layer"], order[found["sample"]], found["rank"], strict=True)
    return dict(zip(keys, order[found["neighbor"]], strict=True))


def test_neighbors_are_the_nearest(tmp_path):
    found, layers = neighbors_of(tmp_path / "a", np.arange(N))
    assert len(found) == 2 * EXAMPLES * NEIGHBORS and (found["n"] == N).all()
    search = NearestNeighbors(n_neighbors=NEIGHBORS + 1).fit(layers[1])
    distances, near = search.kneighbors(layers[1])
    for sample, rows in found[found["layer"] == "two"].groupby("sample"):
        assert rows["neighbor"].tolist() == near[sample, 1:].tolist()
        np.testing.assert_allclose(rows["value"], distances[sample, 1:], rtol=1e-6)
        assert rows["rank"].tolist() == [*range(1, NEIGHBORS + 1)]


def test_the_order_of_the_samples_plays_no_part(tmp_path):
    one, other = np.arange(N), np.random.default_rng(1).permutation(N)
    first, second = neighbors_of(tmp_path / "a", one)[0], neighbors_of(tmp_path / "b", other)[0]
    assert named(first, one) == named(second, other)


def test_a_split_knows_no_other_samples(tmp_path):
    found, _ = neighbors_of(tmp_path / "a", np.arange(N), "test")
    assert (found[["sample", "neighbor"]] % 3 == 0).all().all() and (found["n"] == N // 3).all()
    with pytest.raises(StrataError, match="no samples in split 'validation'"):
        neighbors_of(tmp_path / "b", np.arange(N), "validation")
