"""Edges that small faults moved unseen (tests/mutants.py): each test notices one of them."""

import importlib
import inspect
import pkgutil
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from strata import StrataError
from strata.activations.cache import ActivationCache, merge_shards
from strata.alignment.accuracy import Answers
from strata.alignment.categories import category_measures
from strata.alignment.judgements import Judgements
from strata.alignment.local import local_batches
from strata.alignment.measures import alignment_measures
from strata.concepts.measures import _above_in_resamples
from strata.concepts.released import read_released_labels, released_measures
from strata.concepts.scoreboard import ANNOTATION, PLANTED, _count
from strata.convexity.graphs import _rounded_mean
from strata.convexity.measures import convexity_measures
from strata.data.answers import TASKS
from strata.data.triplets import _from_table
from strata.dissect import SoftWpmi, label_neurons, similarity_scores
from strata.dissect.annotated import Annotated, listed_annotations
from strata.dissect.annotation_ranks import tie_factors
from strata.dissect.ties import Ties, null_levels
from strata.pruning.convexity import _rows_of
from strata.pruning.similarity import LayerSimilarities, similarity_measures

PLACE = {"model": "m", "dataset": "d", "log": lambda line: None}
ROOMS = ("alignment", "concepts", "convexity", "dissect", "pruning")
DEFAULTS = {"n_neighbors": 10, "seed": 0, "level": 0.95, "enough": True}


@pytest.mark.parametrize("room", ROOMS)
def test_one_argument_has_one_default_wherever_it_stands(room):
    found = {}
    folder = importlib.import_module(f"strata.{room}").__path__
    for each in pkgutil.iter_modules(folder, f"strata.{room}."):
        # One needs a GPU; the other shows neighbors, and measures nothing by them.
        if each.name in ("strata.convexity.gpu", "strata.convexity.examples"):
            continue
        for name, made in vars(importlib.import_module(each.name)).items():
            if inspect.isfunction(made) and made.__module__ == each.name:
                for argument in inspect.signature(made).parameters.values():
                    known = DEFAULTS.get(argument.name, argument.empty)
                    if known is not argument.empty and argument.default is not argument.empty:
                        found[f"{each.name}.{name}({argument.name})"] = argument.default == known
    wrong = [place for place, right in found.items() if not right]
    assert found and not wrong


def test_some_of_the_answers_have_intervals_unless_told_otherwise():
    draw = np.random.default_rng(0)
    answers = Answers(np.array([draw.choice(30, 3, replace=False) for _ in range(200)]))
    credits = draw.integers(0, 2, 200)
    every = np.ones(200, bool)
    assert answers.among(every).mean(credits) == answers.mean(credits)
    assert np.isnan(answers.among(every, enough=False).mean(credits).low)


def judged(names=("i0", "i1", "i2", "i3"), linked=("i0", "i1", "i2", "i3")):
    manifest = pd.DataFrame({"item": names, "group": list("ppqq")[: len(names)]})
    manifest = manifest.assign(sample=range(len(names)), index=range(len(names)), split="all")
    answers = pd.DataFrame({"a": [0, 1], "b": [1, 2], "odd": [2, 3], "count": [1, 2]})
    told = {"name": "t", "images": "d", "task": "odd_one_out", "chance": 1 / 3}
    return Judgements.of(manifest, answers, told, pd.Series(linked))


def test_an_item_that_nothing_shows_is_named():
    with pytest.raises(StrataError, match="t: item 'i2' has no sample in d"):
        judged(linked=("i0", "i1", "i3", "i3"))


def test_a_category_that_cannot_be_scored_is_told_with_its_place():
    with pytest.raises(StrataError, match="m, layer first, t: n_neighbors is 9"):
        category_measures([("first", np.eye(4))], [judged()], n_neighbors=9, **PLACE)


def test_measures_of_alignment_have_the_columns_of_measures_alone():
    table = alignment_measures([("first", np.eye(4)), ("second", np.eye(4))], [judged()], **PLACE)
    assert not {"index", "level_0"} & set(table) and list(table.index) == list(range(len(table)))
    assert table["layer_index"].is_monotonic_increasing


def test_three_pictures_are_a_batch_and_two_are_none():
    assert [sorted(rows) for rows in local_batches(list("cab"), batch_size=3)] == [[0, 1, 2]]
    with pytest.raises(StrataError, match="2 pictures have no neighborhoods"):
        local_batches(list("ab"), batch_size=3)
    with pytest.raises(StrataError, match="needs three pictures or more, not 2"):
        local_batches(list("abcd"), batch_size=2)


def test_a_neuron_at_the_threshold_of_its_resample_does_not_count():
    layer = pd.DataFrame({"similarity": [1.0, 2.0, 3.0], "q_value": [0.05, 0.06, 0.01]})
    picks = np.array([[0, 1, 2], [2, 2, 2]])
    found = _above_in_resamples(layer, picks, "median", 0.05)
    assert found.tolist() == [[False, False, True], [False] * 3]
    found = _above_in_resamples(layer, picks, "significant", 0.05)
    assert found.tolist() == [[True, False, True], [True] * 3]


def test_released_labels_have_no_seed_of_their_own_and_a_missing_file_is_named(tmp_path):
    labels = pd.DataFrame({"layer": ["a", "a", "b"], "unit": [0, 1, 0], "description": list("xyz")})
    table = released_measures(labels.assign(similarity=0.5), "m", "d")
    assert set(table["seed"]) == {0} and table["n"].tolist() == [2, 2, 1]
    with pytest.raises(StrataError, match=r"none\.csv: no such file of labels"):
        read_released_labels(tmp_path / "none.csv")


@pytest.mark.parametrize("way", [PLANTED, ANNOTATION, "cosine"])
def test_numbers_of_concepts_have_intervals_where_neurons_are_drawn(way):
    labels = np.random.default_rng(1).choice(list("abcdefgh"), 30)
    [row] = _count(pd.DataFrame({"label": labels}), way, 200, 0)
    assert row["value"] == len(set(labels)) and row["low"] <= row["value"] <= row["high"]


@pytest.mark.parametrize("column", [(5, 4, 3, 3, 1, 0), (5, 0, 0, 0, 0, 0)])
def test_pictures_at_the_border_share_its_places(column):
    """A few of them, or all the rest."""
    draw = np.random.default_rng(0)
    images, texts = (
        x / np.linalg.norm(x, axis=1, keepdims=True) for x in draw.normal(size=(2, 6, 4))
    )
    logits = 10 * images @ texts.T
    softmax = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    p, column = 0.998 - np.arange(3) / 3 * (0.998 - 0.97), np.array(column, dtype=np.float32)
    first, shared = (column > column[2]).sum(), column == column[2]
    decided = np.log(1 + p[:first, None] * (softmax[:first] - 1) + 1e-7).sum(axis=0)
    border = np.log(1 + p[first:].mean() * (softmax[shared] - 1) + 1e-7).sum(axis=0)
    wanted = decided + (3 - first) / shared.sum() * border
    options = {"top_k": 3, "parameters": {"lam": 0.0}}
    scores = similarity_scores(np.stack([column, column], axis=1), images, texts, **options)
    np.testing.assert_allclose(scores[0], wanted, rtol=1e-4)


def test_a_neuron_whose_first_pictures_are_alike_has_no_order_to_go_by():
    draw = np.random.default_rng(0)
    images, texts = draw.normal(size=(2, 6, 4))
    columns = np.array([[1, 1, 1, 0, 0, 0], [5, 4, 3, 2, 1, 0]], dtype=np.float32).T
    labels = label_neurons(columns, images, texts, list("abcdef"), "rank_reorder", top_k=3)
    assert labels["constant"].tolist() == [True, False]


def test_nulls_are_drawn_for_a_few_numbers_of_first_pictures():
    """1, 2, 3, 4, 6, 8, 12, ...: the next that is no less than a neuron's."""
    first = np.array([1, 3, 5, 6, 9, 19])
    none = np.zeros(0, dtype=int)
    ties = Ties(np.arange(6), first, np.ones(6), np.ones(6, dtype=bool), none, none)
    assert null_levels([ties], 20) == [1, 3, 6, 12]
    assert null_levels([ties._replace(others=np.zeros(6, dtype=bool))], 20) == []


def test_shards_of_two_ways_of_pooling_are_not_joined(tmp_path):
    for name, pooling in (("first", "mean"), ("second", "class token")):
        with ActivationCache.create(
            tmp_path / name, 2, {"layers": ["a"], "pooling": pooling}
        ) as writer:
            writer.append([np.ones((2, 3))])
    with pytest.raises(StrataError, match="second: pooling differs from the first shard's"):
        merge_shards([tmp_path / "first", tmp_path / "second"], tmp_path / "whole")


def test_shares_of_ties_by_hand():
    """1 - sum (t^3 - t) / (n^3 - n)."""
    rows = np.array([[1.0, 2, 3, 4], [1, 1, 2, 3], [1, 1, 2, 2], [5, 5, 5, 5]])
    np.testing.assert_allclose(tie_factors(rows), [1, 1 - 6 / 60, 1 - 12 / 60, 0])


def test_a_concept_is_used_when_enough_have_it_and_enough_lack_it():
    values = pd.DataFrame({"k=a": [1.0] * 5, "k=b": [1.0, 1, 1, 0, 0], "k=c": [1.0, 0, 0, 0, 0]})
    rare = pd.DataFrame({"concept": [], "category": [], "has": [], "lacks": []})
    table = listed_annotations(Annotated(values, rare), 2).set_index("concept")
    assert table["used"].to_dict() == {"k=a": False, "k=b": True, "k=c": False}


def test_places_of_one_probability_share_what_each_has_alone():
    alike = SoftWpmi(top_k=4, p_start=0.9, p_end=0.9)
    scale, _, rate = alike.factors(10)
    assert alike.shared_factor(10, 2) == pytest.approx((scale[2], rate[2]))
    falling = SoftWpmi(top_k=4, p_start=0.8, p_end=0.4)  # 0.8, 0.7, 0.6, 0.5
    e = falling.min_prob
    assert falling.shared_factor(10, 2) == pytest.approx((0.45 + e, 0.55 / (0.45 + e)))


def test_the_mean_that_features_lose_is_theirs_and_of_any_order():
    features = np.random.default_rng(2).normal(2.0**20, 1, size=(50, 3))
    found = _rounded_mean(features)
    np.testing.assert_allclose(found, features.mean(axis=0), atol=2.0**-3)
    assert (found == _rounded_mean(features[::-1])).all()


def test_what_was_drawn_among_equally_near_is_said_where_anything_was():
    labels, said = pd.DataFrame({"kind": list("xy") * 12}), []
    place = PLACE | {"log": said.append}
    draw = np.random.default_rng(3)
    lattice = np.repeat(draw.normal(size=(2, 2)), 12, axis=0)
    for features in (draw.normal(size=(24, 2)), lattice):
        convexity_measures([("first", features)], labels, n_neighbors=3, halves=0, **place)
    assert "equally near" not in said[0] and "drawn among equally near" in said[1]


def test_chance_is_one_over_the_pairs_that_compete():
    assert TASKS == {"odd_one_out": 1 / 3, "two_alternative": 1 / 2}


def test_the_line_of_a_wrong_count_is_told(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("a,b,odd,count\nx,y,z,1\nx,z,y,many\ny,z,x,2\n")
    with pytest.raises(StrataError, match="line 3: count should be a whole number, not 'many'"):
        _from_table(path, list("xyz"))
    path.write_text("a,b,odd\nx,y,z\nx,zz,y\n")
    with pytest.raises(StrataError, match="line 3: unknown item 'zz'"):
        _from_table(path, list("xyz"))


def test_a_family_without_a_part_of_its_own_is_measured_on_every_sample():
    manifest = pd.DataFrame({"split": ["train", "train", "test"]})
    task = SimpleNamespace(rows={"train": np.array([1])})
    assert _rows_of("kind", {}, "all", manifest).tolist() == [0, 1, 2]
    assert _rows_of("kind", {}, "train", manifest).tolist() == [0, 1]
    assert _rows_of("kind", {"kind": task}, "train", manifest).tolist() == [1]


def test_block_influence_has_no_second_place():
    square = np.arange(9.0).reshape(3, 3) / 9
    found = LayerSimilarities(np.array([0.2, 0.3]), square, square.T, 7)
    table = similarity_measures(found, ["a", "b"], model="m", dataset="d", seed=0)
    own = table[table["metric"] == "block_influence"]
    assert own["other"].tolist() == [-1, -1] and own["layer"].tolist() == ["a", "b"]
    angles = table[table["metric"] == "angular_distance"].set_index(["layer_index", "other"])
    assert angles["value"].loc[(1, 2)] == square[1, 2] and len(angles) == 9
    assert set(table["n"]) == {7}
