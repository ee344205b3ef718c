"""Random small networks, tables and files: what no value depends on.

Not on the order of samples, the batch, shards, names of samples and classes, nor on an unrelated
data set, model, family or category beside. Sums of float32 in another order may differ in the last
digits (`CLOSE`); everything else is the same to 1e-12.
"""

import numpy as np
import pandas as pd
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from strata.activations.cache import ActivationCache, merge_shards
from strata.activations.extraction import extract
from strata.activations.probing import ProbingSet
from strata.alignment.judgements import Judgements
from strata.alignment.measures import (
    alignment_differences,
    alignment_measures,
    answers_of,
    layer_credits,
)
from strata.alignment.relation import relation_measures
from strata.compat import prepare_imports
from strata.concepts.measures import count_measures, share_measures
from strata.convexity.examples import example_neighbors
from strata.convexity.families import study_convexity
from strata.data import open_dataset
from strata.data.manifest import write_dataset
from strata.differences import paired_differences
from strata.dissect import label_by_annotation, label_neurons
from strata.models.encoder import load_encoder

prepare_imports()
import transformers  # noqa: E402 - after prepare_imports

FEW = settings(max_examples=4, derandomize=True, deadline=None)
MORE = settings(max_examples=8, derandomize=True, deadline=None)
CLOSE = {"rtol": 0, "atol": 1e-5}
SEEDS = st.integers(0, 10**6)


def quiet(line):
    pass


def data_set(folder, images, **columns):
    """Pictures in an array, in this order."""
    folder.mkdir(parents=True)
    np.save(folder / "images.npy", images)
    table = pd.DataFrame({"split": "all", "index": range(len(images)), **columns})
    info = {"name": "d", "modality": "image", "root": ".", "storage": "images.npy"}
    write_dataset(folder, table, info)
    return open_dataset(folder)


def network(folder, depth, heads, seed):
    """A small transformer of this depth with random weights, as a user would have it."""
    torch.manual_seed(seed)
    config = transformers.ViTConfig(
        hidden_size=8 * heads, num_hidden_layers=depth, num_attention_heads=heads,
        intermediate_size=16, image_size=16, patch_size=8,
    )  # fmt: skip
    transformers.ViTModel(config).save_pretrained(folder)
    size = {"height": 16, "width": 16}
    transformers.ViTImageProcessor(size=size).save_pretrained(folder)
    return load_encoder(folder, device="cpu")


def layers_of(folder):
    cache = ActivationCache(folder)
    return [np.array(cache.layer(index)) for index in range(len(cache.layers))]


@FEW
@given(st.integers(1, 3), st.integers(1, 2), st.integers(3, 9), st.integers(1, 9), SEEDS)
def test_a_samples_row_is_its_own_whatever_stands_beside_it(
    tmp_path_factory, depth, heads, n, batch, seed
):
    folder, draw = tmp_path_factory.mktemp("net"), np.random.default_rng(seed)
    images = draw.integers(0, 256, (n, 16, 16, 3), dtype=np.uint8)
    encoder, order = network(folder / "net", depth, heads, seed), draw.permutation(n)
    sets = [data_set(folder / "straight", images), data_set(folder / "mixed", images[order])]
    extract(encoder, sets[0], folder / "a", batch_size=n, log=quiet)
    extract(encoder, sets[1], folder / "b", batch_size=batch, log=quiet)
    shards = int(draw.integers(1, 4))
    for i in range(shards):
        extract(encoder, sets[0], folder / f"s{i}", batch_size=batch, shard=(i, shards), log=quiet)
    merge_shards([folder / f"s{i}" for i in range(shards)], folder / "joined")
    whole = layers_of(folder / "a")
    for first, mixed, joined in zip(
        whole, layers_of(folder / "b"), layers_of(folder / "joined"), strict=True
    ):
        np.testing.assert_allclose(mixed, first[order], **CLOSE)
        np.testing.assert_allclose(joined, first, **CLOSE)
    assert len(whole) == depth
    # A second data set behind the first in a probing set leaves the first's rows as they are.
    manifests = [each.directory / "manifest.parquet" for each in sets]
    both = ProbingSet.open(manifests, [folder / "a", folder / "b"])
    for (_, rows), first in zip(both.layers(), whole, strict=True):
        np.testing.assert_array_equal(rows[:n], first)


def cached(folder, features, order, names, **columns):
    """A data set of files in an order, and activations of two layers of them."""
    folder.mkdir()
    columns = {name: np.asarray(values)[order] for name, values in columns.items()}
    table = pd.DataFrame({"split": "all", "path": np.array(names)[order], **columns})
    info = {"name": "d", "modality": "image", "root": ".", "storage": "files"}
    write_dataset(folder / "d", table, info)
    with ActivationCache.create(folder / "m", len(order), {"layers": ["p", "q"]}) as writer:
        writer.append([features[order], features[order][:, :2]])
    return folder / "m", open_dataset(folder / "d")


@FEW
@given(SEEDS, st.booleans())
def test_convexity_depends_on_no_order_name_or_other_family(tmp_path_factory, seed, ties):
    folder, draw = tmp_path_factory.mktemp("convexity"), np.random.default_rng(seed)
    features = draw.normal(size=(40, 4)).round(0 if ties else 6).astype(np.float32)
    kinds, others = draw.permutation(np.repeat(list("xyz"), [18, 12, 10])), draw.integers(0, 2, 40)
    names = [f"{i:02d}.png" for i in range(40)]
    order, told = draw.permutation(40), {"model": "m", "log": quiet, "n_neighbors": 4, "halves": 3}
    given = {"kind": kinds, "other": others.astype(str)}
    first = study_convexity(
        *cached(folder / "a", features, np.arange(40), names, **given), ["kind"], **told
    )
    moved = study_convexity(
        *cached(folder / "b", features, order, names, **given), ["kind", "other"], **told
    )
    moved = moved[moved["family"] == "kind"]
    renamed = {"x": "third", "y": "first", "z": "second"}
    longer = {"kind": pd.Series(kinds).map(renamed), "other": given["other"]}
    again = study_convexity(
        *cached(folder / "c", features, order, [f"to/{n}" for n in names], **longer),
        ["kind"],
        **told,
    )
    again["concept"] = again["concept"].replace({new: old for old, new in renamed.items()})
    keys, values = ["layer", "metric", "concept"], ["value", "low", "high", "n"]
    tables = [t.fillna({"concept": ""}).set_index(keys)[values] for t in (first, moved, again)]
    for other in tables[1:]:
        pd.testing.assert_frame_equal(
            tables[0].sort_index(), other.sort_index(), check_dtype=False, rtol=0, atol=1e-12
        )


@FEW
@given(SEEDS)
def test_neighbors_are_the_same_samples_in_any_order(tmp_path_factory, seed):
    folder, draw = tmp_path_factory.mktemp("neighbors"), np.random.default_rng(seed)
    features = draw.integers(0, 3, size=(30, 3)).astype(np.float32)
    names = np.array([f"{i:02d}.png" for i in range(30)])
    found = []
    for place, order in enumerate((np.arange(30), draw.permutation(30))):
        table = example_neighbors(*cached(folder / str(place), features, order, names), model="m")
        near = [names[order][table[column]].tolist() for column in ("sample", "neighbor")]
        places = zip(table["layer"], near[0], table["rank"], strict=True)
        found.append(dict(zip(places, near[1], strict=True)))
    assert found[0] == found[1]


@FEW
@given(SEEDS, st.sampled_from(["soft_wpmi", "rank_reorder", "cosine"]))
def test_labels_depend_on_no_order_of_samples_neurons_or_words(seed, similarity):
    draw = np.random.default_rng(seed)
    pictures, texts = draw.normal(size=(30, 6)), draw.normal(size=(8, 6))
    activations, words = draw.normal(size=(30, 12)).astype(np.float32), np.array(list("abcdefgh"))
    rows, units, places = (draw.permutation(n) for n in (30, 12, 8))
    first = label_neurons(activations, pictures, texts, words, similarity, top_k=6)
    again = label_neurons(
        activations[rows][:, units], pictures[rows], texts[places], words[places], similarity,
        top_k=6,
    )  # fmt: skip
    assert again["label"].tolist() == first["label"].iloc[units].tolist()
    np.testing.assert_allclose(again["score"], first["score"].iloc[units], rtol=1e-4, atol=1e-4)


@MORE
@given(SEEDS)
def test_annotation_labels_depend_on_no_order_and_no_rare_concept_beside(seed):
    draw = np.random.default_rng(seed)
    activations = draw.normal(size=(40, 7)).round(1)
    marks = (draw.random((40, 4)) < 0.4).astype(float)
    marks[draw.random((40, 4)) < 0.1] = np.nan
    rare = np.zeros((40, 1))
    rare[0] = 1
    rows, names = draw.permutation(40), ["k=a", "k=b", "l=a", "l=b"]
    first = label_by_annotation(activations, marks, names)
    again = label_by_annotation(
        activations[rows], np.hstack([marks, rare])[rows], [*names, "rare=yes"]
    )
    assert again["label"].tolist() == first["label"].tolist()
    np.testing.assert_allclose(again["score"], first["score"], rtol=0, atol=1e-12)


@MORE
@given(SEEDS)
def test_counts_and_shares_depend_on_no_order_other_layer_or_other_category(seed):
    draw = np.random.default_rng(seed)
    labels = pd.DataFrame({"layer": np.repeat(["p", "q"], [20, 30])})
    labels["unit"] = labels.groupby("layer").cumcount()
    labels["layer_index"] = (labels["layer"] == "q").astype(int)
    labels["concept"] = draw.choice(list("abcdef"), 50)
    labels["value"] = draw.normal(size=50).round(1)
    labels = labels.assign(model="m", dataset="d", metric="cosine", q_value=draw.random(50))
    categories, options = {"some": ["a", "b"], "more": ["b", "c"]}, {"bootstrap": 40}
    moved = labels.sample(frac=1, random_state=seed % 1000).sort_values("layer", kind="stable")
    alone = moved[moved["layer"] == "p"]
    first, again = count_measures(labels, **options), count_measures(alone, **options)
    first = first[first["layer"] == "p"].reset_index(drop=True)
    pd.testing.assert_frame_equal(first, again.reset_index(drop=True))
    shares = share_measures(labels, categories, **options)
    shares = shares[shares["layer"] == "p"].reset_index(drop=True)
    other = share_measures(alone, {"unrelated": ["e"], **categories}, **options)
    other = other[other["concept"] != "unrelated"].reset_index(drop=True)
    pd.testing.assert_frame_equal(shares, other, rtol=1e-12)


def judged(draw, n):
    """A set of answers about n items, each of two samples, and the samples' items."""
    rows = np.array([draw.choice(n, 3, replace=False) for _ in range(60)])
    answers = pd.DataFrame(rows, columns=["a", "b", "odd"]).drop_duplicates()
    answers = answers.assign(count=draw.integers(1, 4, len(answers))).reset_index(drop=True)
    manifest = pd.DataFrame({"item": [f"i{k}" for k in range(n)], "split": "all"})
    manifest = manifest.assign(sample=range(n), index=range(n), group=draw.choice(list("pq"), n))
    linked = pd.Series([f"i{k}" for k in np.tile(np.arange(n), 2)])
    info = {"images": "d", "task": "odd_one_out", "chance": 1 / 3}
    return manifest, answers, info, linked


@FEW
@given(SEEDS)
def test_alignment_depends_on_no_order_and_no_other_set_or_model(seed):
    draw, place = np.random.default_rng(seed), {"dataset": "d", "log": quiet}
    manifest, answers, info, linked = judged(draw, 26)
    layers = [(name, draw.normal(size=(52, 5))) for name in ("p", "q")]
    one = Judgements.of(manifest, answers, info | {"name": "t"}, linked)
    more = [one, Judgements.of(manifest, answers.iloc[:9], info | {"name": "u"}, linked)]
    rows = draw.permutation(52)
    moved_rows = [(name, values[rows]) for name, values in layers]
    mixed = linked.iloc[rows].reset_index(drop=True)
    moved = [
        Judgements.of(manifest, each.answers, info | {"name": each.name}, mixed) for each in more
    ]
    first = alignment_measures(layers, [one], model="m", **place)
    again = alignment_measures(moved_rows, moved, model="m", **place)
    again = again[again["family"] == "t"].reset_index(drop=True)
    pd.testing.assert_frame_equal(first, again, rtol=1e-12)

    other = [(name, draw.normal(size=(52, 5))) for name in ("p", "q")]
    told = {"twins": {}, "bases": {}}
    credits = {"m": layer_credits(layers, [one], model="m", log=quiet).assign(model="m")}
    credits["o"] = layer_credits(other, [one], model="o", log=quiet).assign(model="o")
    both = pd.concat([alignment_measures(other, [one], model="o", **place), first])
    answered = {"t": answers_of(one)}
    alone = alignment_differences(first, {"m": credits["m"]}, answered, **told)
    beside = alignment_differences(both.reset_index(drop=True), credits, answered, **told)
    beside = beside[beside["model"] == "m"].reset_index(drop=True)
    pd.testing.assert_frame_equal(alone, beside)


def layer_table(draw, models, metric, family):
    """A measure of five layers of some models, with deviates."""
    rows = [
        {"model": model, "layer": f"l{i}", "layer_index": i, "value": draw.random(), "n": 9}
        | {"deviates": draw.normal(0, 0.01, 4)}
        for model in models
        for i in range(5)
    ]
    table = pd.DataFrame(rows).assign(dataset="d", concept=None, metric=metric, family=family)
    table["low"], table["high"] = table["value"] - 0.1, table["value"] + 0.1
    return table.assign(seed=0)


@FEW
@given(SEEDS)
def test_differences_and_correlations_depend_on_no_order_and_no_model_beside(seed):
    draw = np.random.default_rng(seed)
    models = ["m", "twin", "other"]
    convexity = layer_table(draw, models, "graph_convexity", "kind")
    alignment = layer_table(draw, models, "accuracy", "t").drop(columns="deviates")
    mixed = convexity.sample(frac=1, random_state=seed % 1000).reset_index(drop=True)
    own = convexity[convexity["model"] != "other"]
    keys = ["layer", "contrast", "other"]
    found = []
    for table in (own, mixed):
        rows = paired_differences(
            table, ["graph_convexity"], twins={"m": "twin", "other": "gone"}, bases={}
        )
        found.append(rows[rows["model"] == "m"].sort_values(keys).reset_index(drop=True))
    pd.testing.assert_frame_equal(*found)

    told = convexity.drop(columns="deviates"), mixed.drop(columns="deviates")
    groups = {"pair": ["m", "twin"]}
    few = relation_measures(
        told[0][told[0]["model"] != "other"], alignment[alignment["model"] != "other"], groups
    )
    many = relation_measures(told[1], alignment, groups | {"all": models})
    many = many[many["model"] == "pair"].reset_index(drop=True)
    pd.testing.assert_frame_equal(few, many, rtol=1e-12)
