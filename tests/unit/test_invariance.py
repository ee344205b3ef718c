"""No value depends on what else is in a study, on names, on shards or on batches."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strata.activations.cache import ActivationCache, merge_shards
from strata.activations.extraction import extract
from strata.alignment.accuracy import triplet_credits
from strata.convexity.measures import convexity_measures
from strata.data import open_dataset
from strata.data.manifest import write_dataset
from strata.models.encoder import load_encoder

ZOO = Path(__file__).parents[2] / "resources" / "zoo"
few = settings(max_examples=8, derandomize=True)
seeds = st.integers(0, 2**16)


def quiet(line):
    pass


def convexity(features: np.ndarray, labels: pd.DataFrame) -> pd.DataFrame:
    told = {"model": "m", "dataset": "d", "permutations": 5, "halves": 2, "log": quiet}
    return convexity_measures([("block", features)], labels, **told)


@few
@given(seeds, st.booleans())
def test_another_family_changes_no_convexity(seed, copies):
    draw = np.random.default_rng(seed)
    features = draw.normal(size=(60, 3))
    if copies:  # then draws among equals are made
        features[:20] = features[0]
    labels = pd.DataFrame({"kind": draw.permutation(60) % 3, "place": draw.permutation(60) % 4})
    alone, both = (
        convexity(features, labels[["kind"]]),
        convexity(features, labels[["place", "kind"]]),
    )
    both = both[both["family"] == "kind"].reset_index(drop=True)
    pd.testing.assert_frame_equal(alone, both)


@few
@given(seeds)
def test_names_of_classes_change_no_convexity(seed):
    draw = np.random.default_rng(seed)
    features, codes = draw.normal(size=(60, 3)), draw.permutation(60) % 3
    numbers = convexity(features, pd.DataFrame({"kind": codes}))
    names = convexity(features, pd.DataFrame({"kind": np.array(["zoo", "$(a)", "b c"])[codes]}))
    pd.testing.assert_frame_equal(numbers.drop(columns="concept"), names.drop(columns="concept"))


@few
@given(seeds)
def test_a_rotation_changes_neither_convexity_nor_answers(seed):
    draw = np.random.default_rng(seed)
    features, codes = draw.normal(size=(60, 5)), draw.permutation(60) % 3
    turned = features @ np.linalg.qr(draw.normal(size=(5, 5)))[0]
    labels = pd.DataFrame({"kind": codes})
    for metric in ("graph_convexity", "graph_convexity_concept"):
        values = [
            table.loc[table["metric"] == metric, "value"].to_numpy()
            for table in (convexity(features, labels), convexity(turned, labels))
        ]
        np.testing.assert_allclose(*values, atol=1e-9)
    rows = np.array([draw.choice(60, 3, replace=False) for _ in range(50)])
    credits = [
        triplet_credits(x, rows, similarity="dot", task="odd_one_out") for x in (features, turned)
    ]
    np.testing.assert_array_equal(*credits)


@pytest.mark.parametrize("name", ["micro-vit", "micro-resnet"])
def test_batches_shards_and_order_change_no_activation(name, tmp_path):
    draw = np.random.default_rng(0)
    images = draw.integers(0, 256, (21, 48, 48, 3), dtype=np.uint8)
    order = draw.permutation(21)
    encoder, found = load_encoder(ZOO / name, device="cpu"), {}
    for folder, chosen in (("given", np.arange(21)), ("turned", order)):
        place = tmp_path / folder
        place.mkdir()
        np.save(place / "images.npy", images[chosen])
        table = pd.DataFrame({"split": "all", "index": range(21), "color": chosen % 2})
        info = {"name": folder, "modality": "image", "root": ".", "storage": "images.npy"}
        write_dataset(place, table, info)
        for size, shards in ((21, 1), (4, 3)):
            parts = [place / f"{size}-{i}" for i in range(shards)]
            for i, part in enumerate(parts):
                told = {"batch_size": size, "shard": (i, shards), "log": quiet}
                extract(encoder, open_dataset(place), part, **told)
            merge_shards(parts, place / str(size))
            cache = ActivationCache(place / str(size))
            rows = np.argsort(chosen)
            found[folder, size] = [cache.layer(i)[rows] for i in range(len(cache.layers))]
    first = found["given", 21]
    assert len(first) == len(encoder.layer_names)
    for other in found.values():
        for one, another in zip(first, other, strict=True):
            np.testing.assert_allclose(one, another, rtol=2e-4, atol=2e-5)
