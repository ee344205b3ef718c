"""Convexity and alignment as measures of layers, and their relation."""

import json

import numpy as np
import pandas as pd
import pytest
from scipy.stats import rankdata, spearmanr

from strata import StrataError
from strata.alignment.accuracy import odd_one_out_accuracy
from strata.alignment.judgements import Judgements, open_judgements
from strata.alignment.measures import alignment_measures
from strata.alignment.optimised import transform_measures
from strata.alignment.relation import relation_measures
from strata.convexity import graph_convexity
from strata.convexity.halved import halves_in_order
from strata.convexity.measures import convexity_measures
from strata.differences import with_deviates
from strata.figures.convexity import concept_points
from strata.tables import MEASURE_COLUMNS, read_measures, write_measures

PLACE = {"model": "m", "dataset": "d", "log": lambda line: None}


@pytest.fixture(scope="module")
def world():
    """60 samples of 20 items (3 each), two layers, families kind and hue, and triplets."""
    draw = np.random.default_rng(0)
    items = np.arange(60) % 20
    kinds = np.array(list("xy"))[(items < 10).astype(int)]
    labels = pd.DataFrame({"kind": kinds, "hue": draw.choice(list("rgb"), 60)})
    layers = [("first", draw.normal(size=(60, 6))), ("second", draw.normal(size=(60, 6)))]
    layers[1][1][:, 0] += 6 * (kinds == "x")
    rows = np.array([draw.choice(20, 3, replace=False) for _ in range(900)])
    answers = pd.DataFrame(rows, columns=["a", "b", "odd"]).assign(count=1)
    answers = answers.groupby(["a", "b", "odd"], as_index=False)["count"].sum()
    return items, labels, layers, answers


def judgements(world, **info):
    items, _, _, answers = world
    manifest = pd.DataFrame({"item": [f"i{n}" for n in range(20)], "split": "all"})
    manifest = manifest.assign(sample=range(20), index=range(20), group=list("pq") * 10)
    told = {"name": "t", "images": "d", "task": "odd_one_out", "chance": 1 / 3, **info}
    return Judgements.of(manifest, answers, told, pd.Series([f"i{n}" for n in items]))


def test_convexity_rows_are_those_of_the_function(world):
    _, labels, layers, _ = world
    table = convexity_measures(layers, labels, halves=0, permutations=9, **PLACE)
    assert list(table.columns[: len(MEASURE_COLUMNS)]) == list(MEASURE_COLUMNS)
    rows = table[(table["layer"] == "second") & (table["family"] == "kind")].set_index("metric")
    found = graph_convexity(layers[1][1], labels["kind"], halves=0, permutations=9)
    assert rows.loc["graph_convexity", "value"] == found.mean
    assert rows.loc["graph_convexity", "p_value"] == found.p_value == 0.1
    assert rows.loc["chance", "value"] == found.chance
    assert rows.loc["graph_convexity_normalised", "value"] == pytest.approx(found.normalised)
    assert set(rows.loc["graph_convexity_concept", "concept"]) == {"x", "y"}
    broken = labels.assign(hue=["only"] * 60)
    with pytest.raises(StrataError, match="m, layer first, hue: labels: 'only' is the only"):
        convexity_measures(layers, broken, **PLACE)


def test_alignment_rows_are_those_of_the_function(world):
    items, _, layers, answers = world
    ceiling = {"upper": [0.7, 0.6, 0.8], "lower": [0.6, 0.5, 0.7], "n": 9}
    each = judgements(world, noise_ceiling=ceiling)
    table = alignment_measures(layers, [each], **PLACE)
    rows = table[table["layer"] == "first"].set_index("metric")
    means = np.stack([layers[0][1][items == n].mean(axis=0) for n in range(20)])
    repeated = np.repeat(answers[["a", "b", "odd"]].to_numpy(), answers["count"], axis=0)
    assert rows.loc["accuracy", "value"] == pytest.approx(odd_one_out_accuracy(means, repeated))
    assert np.isnan(rows.loc["accuracy", "low"])  # of 20 items
    assert rows.loc["noise_ceiling", "high"] == 0.8 and rows.loc["chance", "value"] == 1 / 3
    assert set(rows.loc["accuracy_category", "concept"]) == {"group=p", "group=q"}


def test_transforms_tell_before_and_after(world):
    _, labels, layers, _ = world
    options = {"methods": ["naive", "glocal"], "grid": [0.1], "folds": 2, "halves": 4}
    table = transform_measures(layers[:1], labels, [judgements(world)], **options, **PLACE)
    assert set(table["transform"]) == {"naive", "glocal"}
    metrics = {"accuracy_before", "accuracy_after", "graph_convexity_before"}
    metrics |= {"graph_convexity_after", "accuracy_gain", "graph_convexity_gain"}
    assert metrics == set(table["metric"])
    before = table[(table["metric"] == "graph_convexity_before") & (table["concept"] == "kind")]
    found = graph_convexity(layers[0][1], labels["kind"], halves=0)
    assert before["value"].tolist() == [found.mean] * 2


def test_convexity_that_is_known_is_not_measured_again(world, tmp_path):
    _, labels, layers, _ = world
    options = {"methods": ["naive"], "grid": [0.1], "folds": 2, "halves": 4}
    halves = {family: halves_in_order(labels[family], 4) for family in labels}
    files = tmp_path / "measures.parquet", tmp_path / "deviates.parquet"
    write_measures(convexity_measures(layers, labels, halves=halves, **PLACE), *files)
    known = with_deviates(read_measures(str(files[0])), pd.read_parquet(files[1]))
    found = [
        transform_measures(layers[:1], labels, [judgements(world)], **options, **PLACE, before=each)
        for each in (None, known)
    ]
    pd.testing.assert_frame_equal(*found)
    moved = known.assign(value=0.125, low=0.1, high=0.2)
    other = transform_measures(
        layers[:1], labels, [judgements(world)], **options, **PLACE, before=moved
    )
    own = other["metric"] == "graph_convexity_before"
    assert other.loc[own, "value"].eq(0.125).all()  # it is these that are read
    with pytest.raises(StrataError, match="no convexity of 'kind' in layer first is known"):
        transform_measures(
            layers[:1], labels, [judgements(world)], **options, **PLACE,
            before=known[known["family"] != "kind"],
        )  # fmt: skip


def test_before_and_after_a_transform_are_about_the_same_samples(world):
    _, labels, layers, _ = world
    scored = np.arange(60) < 40
    options = {"methods": ["naive"], "grid": [0.1], "folds": 2, "halves": 0, "scored": scored}
    table = transform_measures(layers[:1], labels, [judgements(world)], **options, **PLACE)
    pairs = table[table["metric"].str.startswith("graph_convexity")].groupby("concept")["n"]
    sizes = labels[scored].apply(lambda family: (family.value_counts() ** 2).sum() - 40)
    assert pairs.nunique().eq(1).all() and pairs.first().to_dict() == sizes.to_dict()


def test_an_item_without_a_picture_is_named(world):
    manifest = pd.DataFrame({"item": ["i0", "i99"], "split": "all", "sample": 0, "index": 0})
    with pytest.raises(StrataError, match="t: item 'i99' has no sample in d"):
        Judgements.of(manifest, world[3], {"name": "t", "images": "d"}, pd.Series(["i0"]))


def test_judgements_are_opened_from_their_folder(world, tmp_path):
    world[3].to_parquet(tmp_path / "triplets.parquet")
    items = pd.DataFrame({"item": [str(n) for n in range(20)], "split": "all"})
    items.assign(sample=range(20), index=range(20)).to_parquet(tmp_path / "manifest.parquet")
    (tmp_path / "dataset.json").write_text(json.dumps({"name": "t", "images": "d"}))
    pictures = pd.DataFrame({"sample": range(30)})
    (each,) = open_judgements([str(tmp_path / "triplets.parquet")], {"t": "sample"}, pictures)
    assert each.n_items == 20 and each.items.tolist() == [*range(20), *[-1] * 10]
    assert len(each.rows) == 900


def points(models, layers=6, seed=0):
    draw, rows = np.random.default_rng(seed), {"graph_convexity": [], "accuracy": []}
    for model in models:
        depth = np.linspace(0, 1, layers)
        convexity = depth + draw.normal(0, 0.2, layers)
        accuracy = depth + 0.5 * convexity + draw.normal(0, 0.2, layers)
        for metric, family, values in (
            ("graph_convexity", "kind", convexity),
            ("accuracy", "t", accuracy),
        ):
            rows[metric] += [
                {"model": model, "dataset": "d", "layer": f"l{i}", "layer_index": i}
                | {"family": family, "metric": metric, "value": value}
                for i, value in enumerate(values)
            ]
    return (pd.DataFrame(found) for found in rows.values())


def test_correlations_equal_their_definitions():
    convexity, alignment = points([f"m{i}" for i in range(8)])
    found = relation_measures(convexity, alignment, {"all": [f"m{i}" for i in range(8)]})
    found = found.set_index("metric")
    x, y = convexity["value"], alignment["value"]
    assert found.loc["correlation", "value"] == pytest.approx(spearmanr(x, y).statistic)
    rx, ry, rz = (rankdata(v) for v in (x, y, convexity["layer_index"]))
    xy, xz, yz = (np.corrcoef(a, b)[0, 1] for a, b in ((rx, ry), (rx, rz), (ry, rz)))
    partial = (xy - xz * yz) / np.sqrt((1 - xz**2) * (1 - yz**2))
    assert found.loc["partial_correlation", "value"] == pytest.approx(partial)
    row = found.loc["correlation"]
    assert row["low"] < row["value"] < row["high"] and row["n"] == 48


def test_a_correlation_of_one_model_has_no_interval_and_of_nothing_is_refused():
    convexity, alignment = points(["m0"], layers=12)
    found = relation_measures(convexity, alignment, {"all": ["m0"]})
    assert found["low"].isna().all()
    few = [table[table["layer_index"] < 3] for table in (convexity, alignment)]
    for bad in ((convexity.assign(value=1.0), alignment), few):
        with pytest.raises(StrataError, match="four layers or more, and both to vary"):
            relation_measures(*bad, {"all": ["m0"]})
    with pytest.raises(StrataError, match=r"m0: layer l10 .number 10. has only alignment"):
        relation_measures(few[0], alignment, {"all": ["m0"]})


def test_concepts_meet_the_categories_of_their_own_family():
    def row(metric, family, concept, value):
        keys = {"model": "m", "layer": "l", "family": family, "concept": concept}
        return keys | {"metric": metric, "value": value}

    table = pd.DataFrame(
        [row("accuracy", "t", None, 0.5), row("accuracy_category", "t", "hue=red", 0.4)]
        + [row("accuracy_category", "t", "tool", 0.6)]
        + [
            row(metric, family, concept, 0.9)
            for metric in ("graph_convexity_concept", "concept_chance")
            for family, concept in (("hue", "red"), ("ground", "red"), ("kind", "tool"))
        ]
    )
    found = concept_points(table, ["m"])
    named = found[["family", "concept", "accuracy"]].to_numpy().tolist()
    assert named == [["hue", "red", 0.4], ["kind", "tool", 0.6]]
