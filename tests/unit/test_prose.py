"""The paper's numbers and tables, of tables that are made up: each macro beside its row."""

import re

import numpy as np
import pandas as pd
import pytest

from made_up import CHOICES, COMPARED, LAYERS, MODELS, STUDIES, concepts, grid, looks, tables_of
from strata.figures.models import describe_models
from strata.paper.cards import card_values, cards_table
from strata.paper.claims import claims_table
from strata.paper.concepts import counts_table
from strata.paper.convexity import profile_table
from strata.paper.data import data_values, skipped_text
from strata.paper.latex import macro_name, macros, percent, points, signed
from strata.paper.numbers import numbers_of
from strata.paper.sections import appendix, single_models, study_section
from strata.paper.text import listed, study_text

LAST = len(LAYERS) - 1


def told(kind, tables=None):
    study = STUDIES[kind]
    measures = tables_of(study) if tables is None else tables
    return *numbers_of("made", study, measures, looks()), measures


def value(table, **where):
    """The one value of the rows where columns are so."""
    for column, wanted in where.items():
        table = table[table[column] == wanted]
    return table["value"].item()


@pytest.mark.parametrize("kind", STUDIES)
def test_the_macros_of_a_study_are_latex(kind):
    values, table, _ = told(kind)
    for line in macros(values).splitlines():
        assert re.fullmatch(r"\\newcommand\{\\[A-Za-z]+\}\{.*\}", line), line
    assert not {name for name, each in values.items() if str(each) == "nan"}
    assert table.startswith("\\begin{tabular}") and table.endswith("\\end{tabular}")
    columns = {line.count(" & ") for line in table.splitlines() if " & " in line}
    assert len(columns) == 1  # every row has every cell


def test_counts_and_shares_of_a_study_of_concepts_are_those_of_their_layers():
    values, table, tables = told("concepts")
    counts = tables["counts"].query("metric == 'n_concepts_median' and model == 'vit'")
    by_layer = counts.set_index("layer_index")["value"]
    assert values["MadeVitCountFirst"] == by_layer[1] and values["MadeVitCountLast"] == by_layer[3]
    assert values["MadeVitCountEmbedding"] == by_layer[0]
    assert values["MadeVitCountMax"] == by_layer.max()
    assert values["MadeVitCountMaxLayer"] == by_layer.idxmax()
    assert values["MadeVitLayers"] == LAST and values["MadeVitNeurons"] == 24 * len(LAYERS)
    assert values["MadeModels"] == len(MODELS) and values["MadeAlpha"] == r"5.0\,\%"
    share = {"metric": "category_share_mean", "model": "mae", "layer_index": LAST}
    colors = value(tables["shares"], concept="colors", **share)
    assert values["MadeMaeColorsLast"] == percent(colors)
    significant = tables["counts"].query("metric == 'share_significant' and model == 'mae'")
    assert values["MadeMaeSignificant"] == percent(significant["value"].mean())  # n is the same
    row = next(line for line in table.splitlines() if line.startswith("ViT &"))
    cells = [re.search(r"\d+", cell)[0] for cell in row.split(" & ")[1:]]
    assert [int(cell) for cell in cells] == by_layer.tolist()


def test_a_share_of_all_neurons_weighs_layers_by_their_neurons():
    tables = concepts()
    counts = tables["counts"]
    rows = (counts["metric"] == "share_significant") & (counts["model"] == "vit")
    counts.loc[rows, "value"], counts.loc[rows, "n"] = [1.0, 0, 0, 0], [10, 30, 30, 30]
    values, _, _ = told("concepts", tables)
    assert values["MadeVitSignificant"] == percent(0.1)


def test_truth_and_scoreboard_are_told_by_way_and_category():
    values, _, tables = told("concepts")
    named = tables["truth"].query(
        "metric == 'names_best_factor' and concept == 'cosine' and model == 'vit'"
    )
    assert values["MadeVitNamedCosine"] == percent(named["value"].mean())
    board = {"model": "resnet", "layer_index": LAST}
    planted = board | {"metric": "category_share", "similarity": "planted", "concept": "colors"}
    assert values["MadeResnetPlantedColorsLast"] == percent(value(tables["scoreboard"], **planted))
    right = tables["scoreboard"].query(
        "metric == 'same_factor' and similarity == 'annotation' and model == 'resnet'"
        " and concept.isna()"
    )
    assert values["MadeResnetAnnotationSameFactor"] == percent(right["value"].mean())


@pytest.mark.parametrize(("contrast", "word"), [("first", "Gain"), ("twin", "OverTwin")])
def test_differences_are_told_of_the_last_layer(contrast, word):
    values, _, tables = told("concepts")
    where = {"model": "vit", "contrast": contrast, "layer_index": LAST}
    count = value(tables["differences"], metric="n_concepts_median_difference", **where)
    assert values[f"MadeVitCount{word}"] == rf"\ensuremath{{{count:+.1f}}}"
    share = {"metric": "category_share_mean_difference", "concept": "colors"}
    assert values[f"MadeVitColors{word}"] == points(value(tables["differences"], **share, **where))
    assert values[f"MadeVitColors{word}Says"] == "more"


def test_convexity_and_agreement_are_told_by_family():
    values, table, tables = told("convexity")
    where = {"model": "vit", "metric": "graph_convexity", "family": "texture"}
    last = value(tables["convexity"], layer_index=LAST, **where)
    assert values["MadeVitTextureLast"] == last
    answers = {"model": "mae", "metric": "accuracy", "layer_index": 1}
    assert values["MadeMaeAnswersFirst"] == percent(value(tables["alignment"], **answers))
    assert values["MadeAnswersChance"] == percent(0.4)
    assert values["MadeAnswersNoiseCeiling"] == percent(0.5)
    assert values["MadeVitKindHeadExact"] == value(tables["euclidean"], metric="head_exact")
    gain = value(tables["euclidean"], metric="euclidean_convexity_gain", layer_index=LAST)
    assert values["MadeVitKindEuclideanKindGain"] == signed(gain)
    mean = tables["transforms"].query("transform == 'naive' and metric == 'accuracy_after'")
    assert values["MadeNaiveAccuracyAfter"] == percent(mean["value"].mean())
    own = tables["transforms"].query(
        "transform == 'glocal' and metric == 'graph_convexity_before' and concept == 'kind'"
    )
    assert values["MadeGlocalKindBefore"] == pytest.approx(own["value"].mean())
    pooled = {"model": "all", "metric": "partial_correlation", "family": "kind"}
    assert values["MadePartialCorrelationAllKind"] == value(tables["relation"], **pooled)
    assert table.count("ViT") >= 2 and "0.4" in table


def test_without_answers_the_table_is_of_convexity():
    tables = tables_of(STUDIES["convexity"])
    study = STUDIES["convexity"] | {"triplets": []}
    del tables["alignment"], tables["relation"], tables["transforms"]
    _, table = numbers_of("made", study, tables, looks())
    assert table == profile_table(tables["convexity"], "graph_convexity", looks())
    assert "& kind &" in table and "& texture &" in table


def test_cuts_are_told_with_what_they_keep_and_save():
    values, table, tables = told("pruning")
    assert values["MadeVitWordKeptMostConvex"] == 2
    macs = tables["cost"].query("metric == 'macs' and model == 'vit'")["value"].tolist()
    assert values["MadeVitWordSavedMacs"] == percent(1 - macs[2] / macs[LAST])
    cut = {"metric": "accuracy", "model": "vit", "concept": "most_convex"}
    assert values["MadeVitWordMostConvex"] == percent(value(tables["comparison"], **cut))
    less = {"metric": "difference", "model": "vit", "concept": "full"}
    assert values["MadeVitWordOverFull"] == points(value(tables["comparison"], **less))
    assert values["MadeVitWordOverCkaRange"] == "[no interval]"
    pooled = value(tables["comparison"], metric="difference", model="all", concept="random")
    assert values["MadeOverRandom"] == points(pooled)
    assert values["MadeOverRandomAdjustedP"] == 0.04
    depth = tables["comparison"].query(
        "metric == 'depth_accuracy' and model == 'mae' and layers == 1"
    )
    assert values["MadeMaeWordDepthOne"] == percent(depth["value"].item())
    assert "2 of 3" in table and "oracle" in table
    assert {f"MadeVitWord{macro_name(c)}" for c in CHOICES} <= set(values)


def test_without_every_depth_there_is_no_oracle():
    tables = tables_of(STUDIES["pruning"])
    known = tables["comparison"]["concept"].isin(["oracle", "random_depth", "prefix"])
    tables["comparison"] = tables["comparison"][~known]
    values, table, _ = told("pruning", tables)
    assert "oracle" not in table and "MadeVitWordOracle" not in values
    assert table.count(" & ") == 3 * 6  # header and two networks


def test_a_model_without_a_layer_has_no_cell_there():
    counts = grid("n_concepts_median", 1, ["vit", "mae"])
    counts = counts[(counts["model"] == "vit") | (counts["layer_index"] > 0)]
    counts.loc[counts["model"] == "mae", ["low", "high"]] = np.nan
    table = counts_table(counts, {name: looks()[name] for name in ("vit", "mae")})
    row = next(line for line in table.splitlines() if line.startswith("MAE"))
    cells = row.removesuffix(" \\\\").split(" & ")
    assert len(cells) == 1 + len(LAYERS) and cells[1] == ""
    assert all(re.fullmatch(r"\d+", cell) for cell in cells[2:])  # no interval, no bracket


CARDS = [
    {"name": "vit_a", "objective": "supervised", "parameters": 1234567,
     "scores": {"object_accuracy": 0.875, "held_out_loss": 0.25}},
    {"name": "arrays", "parameters": None},
]  # fmt: skip


def test_cards_tell_what_is_known_of_a_model():
    values = card_values(CARDS)
    assert values == {
        "CardVitAParameters": 1234567,
        "CardVitAObjectAccuracy": r"87.5\,\%",
        "CardVitAHeldOutLoss": 0.25,
        "CardArraysParameters": "--",
    }
    lines = cards_table(CARDS).splitlines()
    assert r"vit\_a & supervised & 1,234,567 & object 0.88 \\" in lines
    assert r"arrays &  & -- & -- \\" in lines


def test_data_tell_their_sizes_and_what_was_left_out():
    photos = {"name": "photos", "n": 90, "families": {"kind": ["cat", "dog"]}}
    damaged = photos | {"unreadable": ["a.png"], "dropped_segments": 3}
    assert data_values([damaged]) == {
        "DataPhotosN": 90, "DataPhotosKindConcepts": 2, "DataPhotosSkipped": 1,
    }  # fmt: skip
    study = {"probing": ["photos"], "triplets": ["answers"]}
    answers = {"name": "answers", "dropped_answers": 4}
    text = skipped_text(study, {"photos": damaged, "answers": answers})
    assert "\\DataPhotosSkipped{} file of \\emph{photos} cannot be read" in text
    assert "nor did 3 labelled pieces" in text and "4 answers of \\emph{answers}" in text
    assert skipped_text(study, {"photos": photos, "answers": {"name": "answers"}}) == ""


def test_the_table_of_claims_has_a_row_for_each_verdict():
    known = {"study": "scenes", "case": "ViT: a_b", "value": -0.25, "low": -0.5, "high": 0.0,
             "detectable": 0.3, "n_supported": 1.0, "n_refuted": 2.0, "n_cases": 3.0}  # fmt: skip
    rows = [
        {"source": "Paper & one", "claim": "a", "says": "less with depth", "verdict": "supported"}
        | known,
        {"source": "Paper & one", "claim": "b", "says": "never run", "verdict": "not tested"}
        | {**dict.fromkeys(known, np.nan), "study": None},
        {"source": "Two", "claim": "c", "says": "many", "verdict": "undecided"}
        | known | {"value": 12.34, "high": np.nan},
    ]  # fmt: skip
    lines = claims_table(pd.DataFrame(rows)).splitlines()
    assert r"\multicolumn{6}{l}{\emph{Paper \& one}} \\" in lines
    first = (
        r"less with depth & scenes: ViT: a\_b & $-$0.25 [$-$0.50, 0.00] & 0.30 & 1/2/3 & supported"
    )
    assert first + r" \\" in lines
    assert r"never run & -- &  &  &  & not tested \\" in lines
    assert any("12 [$-$0.50, --]" in line for line in lines)


def test_what_was_done_is_told_by_the_kind_of_study():
    styles = looks()
    words = study_text("made", STUDIES["concepts"], styles)
    assert "ViT, MAE and resnet" in words or "ViT, MAE and ResNet" in words
    assert "with twins with random weights, with fine-tuned versions" in words
    assert "\\MadeConcepts{} concepts" in words and "\\MadeTopK{} most activating pictures" in words
    assert "\\MadePermutations{} permutations of the pictures" in words
    first = STUDIES["concepts"] | {"similarities": ["cosine_cubed"], "permutations": 0}
    other = study_text("made", first, styles, "audio")
    assert "among the \\DataScenesN{} sounds of \\emph{scenes}, by cosine cubed" in other
    assert "a CLAP did for sounds" in other and "significant" not in other
    chosen = {"direction": "both", "best": "auc", "columns": ["kind"], "computed": ["pitch"]}
    noted = STUDIES["concepts"] | {"concepts": "annotations", "annotations": chosen}
    by = study_text("made", noted, styles)
    assert "among label columns and numbers computed of the pictures" in by
    assert "activations, high or low tell best" in by and "area under the ROC curve" in by
    cut = study_text("made", STUDIES["pruning"], styles)
    assert "(word)" in cut and "Every depth was tried too." in cut and "\\MadeSeeds{} seeds" in cut
    alone = study_text("made", STUDIES["pruning"] | {"every_depth": False}, styles)
    assert "Every depth" not in alone
    heard = study_text("made", STUDIES["convexity"] | {"pairs": 50}, styles, "audio")
    assert "heard the \\DataScenesN{} sounds" in heard and "50 pairs of each concept" in heard
    assert "joins each sound to its" in heard and "measured on these pieces" in heard


def test_a_split_and_several_sets_are_named():
    study = STUDIES["concepts"] | {"probing": ["a", "b_c"], "split": "test"}
    text = study_text("made", study, looks())
    assert (
        "among the split test of the \\DataAN{} pictures of \\emph{a} and the \\DataBCN{} pictures"
        " of \\emph{b\\_c}" in text
    )
    assert listed(["a"]) == "a" and listed(["a", "b", "c&d"]) == "a, b and c\\&d"


def test_networks_that_are_all_twins_are_named_too():
    random = describe_models(["vit-random"], {"vit-random": {"weights": "random"}}, COMPARED)
    text = study_text("made", STUDIES["concepts"], random)
    assert "every layer of vit random" in text.replace("ViT", "vit").replace("(random)", "random")


def test_figures_of_single_models_are_the_appendix():
    study = STUDIES["concepts"]
    text = appendix("made", study, looks())
    names = re.findall(r"\\strataFigure\{made_(\w+)\}\{(\w+):", text)
    kinds = ("scores", "neurons")
    asked = [(m, kind) for m in ("vit", "mae", "resnet") for kind in kinds]
    assert [name for name, _ in names] == [f"{kind}_{m}" for m, kind in asked]
    assert single_models(text).startswith("\\section{Single models}")
    assert "Study: Made up \\& more." in text
    noted = study_section("made", study, written=["made"], note="Left out.")
    assert noted == "\\input{sections/made}\n\nLeft out.\n"
