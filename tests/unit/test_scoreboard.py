"""The planted truth of a layer beside what each way of labelling says of it."""

import numpy as np
import pandas as pd
import pytest

from strata.concepts.scoreboard import (
    ANNOTATION,
    PLANTED,
    annotated_halves,
    factor_categories,
    scoreboard,
)
from strata.figures import axes, drawing, style
from strata.figures.catalogue import FIGURES
from strata.figures.models import describe_models

VOCABULARY = {
    "red": ["color=red"],
    "blue": ["color=blue"],
    "cat": ["object=cat"],
    "animal": ["object=cat", "object=dog"],
    "dog": ["object=dog"],
}
CATEGORIES = {"colors": ["red", "blue"], "animals": ["cat", "dog", "animal"], "tools": ["saw"]}


def neurons(rows):
    table = pd.DataFrame(rows, columns=["unit", "metric", "label", "factor"])
    named = [f in VOCABULARY.get(w, ()) for w, f in zip(table.label, table.factor, strict=True)]
    return table.assign(
        model="m", dataset="d", layer="l", layer_index=0, named=named, auc=0.9, score=1.0
    )


def value(board, way, metric, concept=None):
    rows = board[(board["similarity"] == way) & (board["metric"] == metric)]
    rows = rows[rows["concept"].isna() if concept is None else rows["concept"] == concept]
    assert len(rows) == 1
    return rows.iloc[0]


def test_a_factor_is_of_the_category_of_the_words_that_name_it():
    found = factor_categories(VOCABULARY | {"thing": ["object=cat"], "x": ["size=big"]}, CATEGORIES)
    assert found["color=red"] == "colors" and found["object=cat"] == "animals"
    assert found["size=big"] == "other"


def test_truth_labels_and_agreement_of_a_layer():
    table = neurons(
        [
            (0, "cosine", "red", "color=red"),
            (1, "cosine", "blue", "color=red"),
            (2, "cosine", "red", "object=cat"),
            (3, "cosine", "saw", "object=dog"),
        ]
    )
    board = scoreboard(table, VOCABULARY, CATEGORIES, bootstrap=50)
    assert value(board, PLANTED, "category_share", "colors")["value"] == 0.5
    assert value(board, PLANTED, "category_share", "tools")["value"] == 0.0
    assert value(board, "cosine", "category_share", "colors")["value"] == 0.75
    assert value(board, "cosine", "category_share", "tools")["value"] == 0.25
    assert value(board, PLANTED, "n_concepts")["value"] == 3
    assert value(board, "cosine", "n_concepts")["value"] == 3
    assert value(board, "cosine", "same_factor")["value"] == 0.25
    assert value(board, "cosine", "same_category", "colors")["value"] == 1.0
    assert value(board, "cosine", "same_category", "animals")["value"] == 0.0
    assert value(board, "cosine", "same_factor", "colors")["value"] == 0.5
    assert value(board, "cosine", "same_factor", "colors")["n"] == 2
    shares = board[(board["metric"] == "category_share") & (board["similarity"] == PLANTED)]
    assert shares["value"].sum() == pytest.approx(1) and (shares["low"] <= shares["value"]).all()


def test_where_neurons_compete_for_concepts_there_is_no_interval():
    rows = [(unit, "soft_wpmi", "red", "color=red") for unit in range(4)]
    board = scoreboard(neurons(rows), VOCABULARY, CATEGORIES, bootstrap=20)
    mine = board[board["similarity"] == "soft_wpmi"]
    assert mine["low"].isna().all() and len(mine)
    assert value(board, PLANTED, "category_share", "colors")["low"] > 0


def test_no_number_depends_on_the_order_of_neurons():
    draw = np.random.default_rng(0)
    words = list(VOCABULARY)
    rows = [
        (i, "cosine", words[draw.integers(5)], f"color={('red', 'blue')[draw.integers(2)]}")
        for i in range(60)
    ]
    table = neurons(rows)
    first = scoreboard(table, VOCABULARY, CATEGORIES, bootstrap=30)
    again = scoreboard(table.sample(frac=1, random_state=1), VOCABULARY, CATEGORIES, bootstrap=30)
    pd.testing.assert_frame_equal(first, again)


def test_halves_agree_on_neurons_that_tell_a_factor_and_not_on_noise():
    draw = np.random.default_rng(1)
    manifest = pd.DataFrame(
        {
            "color": draw.choice(["red", "blue"], 400),
            "object": draw.choice(["cat", "dog", "cow"], 400),
        }
    )
    clear = np.stack([manifest["color"] == "red", manifest["object"] == "cat"], axis=1)
    activations = np.concatenate([clear * 5.0, np.zeros((400, 50))], axis=1)
    activations = (activations + draw.normal(size=activations.shape)).astype(np.float32)
    labels = pd.DataFrame({"unit": range(52), "concept": "red", "metric": "cosine", "value": 1.0})
    labels = labels.assign(model="m", dataset="d", layer="l", layer_index=0)
    half = np.arange(400) % 2 == 0
    found = annotated_halves([("l", activations)], labels, manifest, VOCABULARY, half)
    assert found["metric"].eq(ANNOTATION).all() and len(found) == 52
    assert found["label"].tolist()[:2] == ["color=red", "object=cat"]
    assert found["named"].tolist()[:2] == [True, True] and found["named"][2:].mean() < 0.6
    board = scoreboard(found, VOCABULARY, CATEGORIES, bootstrap=20)
    assert set(board["similarity"]) == {ANNOTATION}


@pytest.mark.parametrize("name", ["passage", "truth_counts", "scoreboard", "scoreboard_factors"])
def test_a_figure_shows_truth_and_labels_of_every_layer(name):
    tables = [
        scoreboard(
            neurons(
                [
                    (i, way, ("red", "cat", "saw")[i % 3], ("color=red", "object=cat")[i % 2])
                    for i in range(40)
                    for way in ("soft_wpmi", "cosine", ANNOTATION)
                ]
            ).assign(model=model, layer=f"l{layer}", layer_index=layer),
            VOCABULARY,
            CATEGORIES,
            bootstrap=20,
        )
        for model in ("one", "twin")
        for layer in range(3)
    ]
    styles = describe_models(["one", "twin"])
    entry = FIGURES[name]
    table = pd.concat(tables, ignore_index=True)
    _, drawn = drawing.draw(entry.function, entry.measure, table, styles, entry.options)
    assert set(drawn["model"]) == {"one", "twin"} and set(drawn["layer"]) == {"l0", "l1", "l2"}
    ways = set(drawn["similarity"])
    assert {"soft_wpmi", "cosine"} < ways
    assert (PLANTED in ways) == (name in ("passage", "truth_counts"))
    assert (ANNOTATION in ways) == name.startswith("scoreboard")


def test_areas_are_told_apart_without_colours():
    colors = style.category_colors([*style.CATEGORY_COLORS, "sizes"]) | {"other": style.REST_COLOR}
    rows = pd.DataFrame({"concept": list(colors) * 2, "value": 1 / len(colors)})
    rows["relative_depth"] = np.repeat([0.0, 1.0], len(colors))
    ax = style.new_figure(3, 2).subplots()
    axes.stack(ax, rows, colors)
    drawn = [area.get_hatch() for area in ax.collections]
    assert drawn == [entry.get_hatch() for entry in axes.area_handles(colors)]
    assert len(set(drawn)) == len(colors) - 1  # what is in no category has none, as the first has
    assert drawn[-1] == drawn[0] == ""
