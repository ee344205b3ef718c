"""LaTeX that the workflow writes, and figures that come with their data."""

import colorsys
import re
import subprocess
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.lines import Line2D

from strata.figures import drawing
from strata.figures.axes import legend_above
from strata.figures.catalogue import FIGURES, caption, counted, figure_names, models_of, stems
from strata.figures.catalogue import measures as taken
from strata.figures.models import FAMILY_COLORS, SPEECH_COLORS, ModelStyle, describe_models
from strata.figures.pruning import curves
from strata.figures.style import CATEGORY_COLORS, category_colors, new_figure, save
from strata.paper.claims import claim_values
from strata.paper.concepts import method_values
from strata.paper.convexity import convexity_values
from strata.paper.facts import figure_facts
from strata.paper.latex import (
    latex_error,
    macro_name,
    macros,
    number,
    parameter,
    percent,
    version_values,
)
from strata.paper.sections import appendix, study_section
from strata.paper.text import study_text
from strata.sources import commit, locked

PAPER = Path(__file__).parents[2] / "paper"
STUDY = {
    "kind": "published_labels",
    "title": "Labels & all",
    "models": {"vit": "a.csv", "mae": "b.csv", "vit_cub": "c.csv", "mae_cub": "d.csv"},
    "comparisons": {
        "pretraining": ["vit", "mae"],
        "finetuned": {"cub": {"vit": "vit_cub", "mae": "mae_cub"}},
    },
}


def test_names_of_macros_hold_letters_only():
    assert macro_name("vit_cub", "count first") == "VitCubCountFirst"
    assert macro_name("dinov2", "layer 12") == "DinovTwoLayerOneTwo"


def test_numbers_in_latex():
    assert number(12345) == "12{,}345"
    assert number(-0.25) == r"\ensuremath{-}0.250"
    assert number("a_b & c") == r"a\_b \& c"
    assert number(r"~\x^") == r"\textasciitilde{}\textbackslash{}x\textasciicircum{}"
    assert percent(0.1234) == r"12.3\,\%"
    assert parameter(1e-7) == r"\ensuremath{10^{-7}}"
    assert parameter(0.998) == "0.998" and parameter(100) == "100"
    assert macros({"Some": 3, "Other": percent(1)}) == (
        "\\newcommand{\\Some}{3}\n\\newcommand{\\Other}{100.0\\,\\%}\n"
    )


def test_the_prose_holds_no_number():
    """Results, parameters, counts: every number outside formulas is a macro."""
    formulas = r"\$[^$]*\$|\\\[.*?\\\]|\\begin\{(align|equation)\*?\}.*?\\end\{\1\*?\}"
    for path in sorted((PAPER / "sections").glob("*.tex")):
        commands = r"\\(label|autoref|ref|input|strata[A-Z]\w+|cite\w*)(\[[^]]*\])?\{[^}]*\}"
        prose = re.sub(formulas, "", path.read_text(), flags=re.DOTALL)
        assert not re.findall(r"(?<![A-Za-z\d])\d", re.sub(commands, "", prose)), path.name


def test_the_method_states_the_functions_own_parameters():
    values = method_values()
    assert values["SoftWpmiTopK"] == "100" and values["WpmiLam"] == "0.6"
    assert values["StrataLevel"] == r"95\,\%"


def test_a_study_without_prose_still_has_its_figures():
    text = study_section("mine", STUDY, written=[])
    assert text.startswith("\\onecolumn\n\\section{Labels \\& all}")
    figures = re.findall(r"\\strataFigure\{mine_(\w+)\}", text + appendix("mine", STUDY, styles()))
    assert sorted(figures) == sorted(figure_names(STUDY))
    own = study_section("mine", STUDY, written=["mine"])
    assert own == "\\input{sections/mine}\n"


CONVEXITY = {
    "kind": "convexity",
    "title": "Mine",
    "dataset": "photos",
    "split": "all",
    "families": ["breed"],
    "triplets": ["answers"],
    "pairs": "all",
    "models": ["vit", "mae"],
    "comparisons": {"pretraining": ["vit", "mae"], "controls": {}, "finetuned": {}},
}


@pytest.mark.parametrize(
    ("left_out", "has_not", "has"),
    [
        ("triplets", {"alignment", "relation"}, {"convexity", "specimen"}),
        ("families", {"convexity", "relation"}, {"alignment", "specimen"}),
    ],
)
def test_convexity_and_alignment_do_without_each_other(left_out, has_not, has):
    study = CONVEXITY | {left_out: []}
    assert set(figure_names(study)) == has
    assert has | has_not == set(figure_names(CONVEXITY))
    assert set(taken(CONVEXITY)) == {"alignment", "convexity", "relation", "differences"}
    assert set(taken(study)) == has - {"specimen"} | {"differences"}
    assert stems(study, "differences") == sorted(has - {"specimen"})
    assert stems(CONVEXITY, "differences") == ["convexity", "alignment"]


def test_the_paper_says_of_a_difference_what_its_interval_allows():
    row = {"model": "vit", "family": "breed", "metric": "graph_convexity_difference", "block": 3}
    rows = [
        row | {"contrast": "first", "value": 0.2, "low": 0.1, "high": 0.3},
        row | {"contrast": "twin", "value": -0.2, "low": -0.3, "high": -0.1},
        row | {"contrast": "base", "value": 0.1, "low": np.nan, "high": np.nan},
        row | {"block": 2, "contrast": "best", "value": -0.1, "low": -0.3, "high": 0.1},
    ]
    study = CONVEXITY | dict.fromkeys(("n_neighbors", "permutations", "halves"), 10)
    values = convexity_values("mine", study, {"differences": pd.DataFrame(rows)}, {})
    assert values["MineVitBreedConvexityGain"] == r"\ensuremath{+0.20}"
    assert values["MineVitBreedConvexityGainSays"] == "more"
    assert values["MineVitBreedConvexityOverTwinSays"] == "less"
    assert values["MineVitBreedConvexityOverBaseRange"] == "[no interval]"
    assert values["MineVitBreedConvexityOverBaseSays"] == "given without an interval"
    assert "MineVitBreedConvexityBelowBest" not in values


def test_models_without_a_twin_are_in_every_figure_beside_those_with_one():
    compared = CONVEXITY["comparisons"] | {"controls": {"mae": "mae-random"}}
    assert models_of({"comparisons": compared}, "with_twins") == ["vit", "mae", "mae-random"]


def test_versions_fine_tuned_on_every_task_are_compared_and_no_others():
    tuned = {"cub": {"vit": "vit-cub", "mae": "mae-cub"}, "blood": {"vit": "vit-blood"}}
    compared = {"pretraining": ["vit", "mae"], "finetuned": tuned}
    assert models_of({"comparisons": compared}, "finetuned") == ["vit", "vit-cub", "vit-blood"]
    apart = {"cub": {"mae": "mae-cub"}, "blood": {"vit": "vit-blood"}}
    assert models_of({"comparisons": compared | {"finetuned": apart}}, "finetuned") == []
    assert models_of({"comparisons": {"pretraining": ["vit"]}}, "finetuned") == []


def test_a_figures_facts_are_those_of_its_table():
    rows = {"label": ["A_b", "A_b"], "layer_number": [1, 2], "value": [0.5, 0.25], "n": [1000, 24]}
    told = figure_facts({"s_counts": pd.DataFrame(rows)}, {"s_counts": counted("counts")})
    about = "Networks: A b. Values from 0.25 to 0.5."
    assert told == f"\\strataFact{{s_counts}}{{24 to 1{{,}}000 neurons of a layer}}{{{about}}}\n"
    shown = pd.DataFrame({"sample": [3, 4], "word": ["one", "two"]})
    assert "{2 samples shown}{Shown: one; two.}" in figure_facts(
        {"f": shown}, {"f": "samples shown"}
    )


def test_every_figure_says_what_n_counts():
    assert all(counted(name) for name in FIGURES)
    assert counted("scores_vit") == "neurons" and counted("specimen") == "samples shown"


def test_the_paper_names_the_locked_versions_and_the_commit(tmp_path):
    lock = tmp_path / "requirements.txt"
    lock.write_text("# all\nnumpy==2.4.6\nscikit-learn==1.0  # a reason\n")
    assert version_values(locked(lock)) == {"VersionNumpy": "2.4.6", "VersionScikitLearn": "1.0"}
    assert commit(tmp_path) is None
    made = "git init -q && git -c user.name=a -c user.email=b commit -q --allow-empty -m c"
    subprocess.run(made, shell=True, cwd=tmp_path, check=True)
    clean = commit(tmp_path)
    assert re.fullmatch("[0-9a-f]{12}", clean)
    subprocess.run("git add requirements.txt", shell=True, cwd=tmp_path, check=True)
    assert commit(tmp_path) == f"{clean}-dirty"
    (tmp_path / "inside").mkdir()
    assert commit(tmp_path / "inside") is None  # another's repository around it


def test_a_study_without_prose_is_described():
    looks = describe_models(CONVEXITY["models"])
    text = study_text("mine", CONVEXITY, looks)
    assert "ViT and MAE saw the \\DataPhotosN{} pictures" in text
    assert "\\MineNNeighbors{}" in text and "\\MineAnswersChance{}" in text
    assert "Agreement with the triplets" in text and "\\TableMine" in text
    assert "ransforms" not in text
    fitted = {"methods": ["naive", "glocal"]}
    own = study_text("mine", CONVEXITY | {"transforms": fitted}, looks)
    assert "gLocal kept the neighborhoods of the items that it was fitted to." in own
    local = {"local_images": {"dataset": "net_val", "split": "all", "samples": 5120}}
    others = study_text("mine", CONVEXITY | {"transforms": fitted | local}, looks)
    assert "neighborhoods of at most 5120 of the \\DataNetValN{} samples of" in others
    alone = study_text("mine", CONVEXITY | {"triplets": []}, looks)
    assert "Alignment" not in alone and "\\caption{Graph convexity" in alone
    assert f"\\section{{Mine}}\n{text}" in study_section("mine", CONVEXITY, [], text)


def test_layers_below_chance_are_drawn_and_without_a_ceiling_too():
    rows = [
        {"model": "vit", "dataset": "d", "layer": f"l{i}", "layer_index": i, "family": "answers"}
        | {"concept": None, "metric": metric, "value": value, "n": 10, "seed": 0}
        | {"low": value - 0.1, "high": value + 0.1}
        for i, accuracy in enumerate((0.1, 0.3, 0.8))
        for metric, value in (("accuracy", accuracy), ("chance", 1 / 3))
    ]
    study = CONVEXITY | {"models": ["vit"], "comparisons": {"pretraining": ["vit"]}}
    figure, _ = draw("alignment", pd.DataFrame(rows), describe_models(["vit"]), study)
    low, high = figure.axes[0].get_ylim()
    assert low <= 0.1 and high >= 0.8
    shown = [text.get_text() for legend in figure.legends for text in legend.get_texts()]
    assert "chance" in shown


def test_a_legend_is_no_wider_than_its_figure():
    figure = new_figure(3.3, 2.0)
    figure.subplots()
    entries = [Line2D([], [], label=f"a rather long label {i}") for i in range(7)]
    legend_above(figure, entries, 5)
    figure.draw_without_rendering()
    assert figure.legends[0].get_window_extent().width <= figure.bbox.width
    assert figure.get_figheight() > 2.0
    roomy = new_figure(3.3, 2.0)
    legend_above(roomy, entries[:1], 5)
    assert roomy.get_figheight() == 2.0


def test_the_first_error_of_latex_is_told():
    log = "words\n./main.tex:12: Undefined control sequence.\nl.12 \\Nothing\n"
    assert "main.tex:12" in str(latex_error(log)) and "Undefined control" in str(latex_error(log))


def draw(name, table, looks, study):
    """A figure as rule plot_measure draws it."""
    entry = FIGURES[name]
    chosen = {model: looks[model] for model in models_of(study, entry.models)}
    return drawing.draw(entry.function, entry.measure, table, chosen, entry.options)


def styles():
    return describe_models(STUDY["models"], comparisons=STUDY["comparisons"])


def measures(metric, values=None):
    rows = [
        {"model": model, "dataset": "d", "layer": f"l{i}", "layer_index": i, "concept": concept}
        | {"metric": metric, "value": 0.1 + 0.1 * i, "low": 0.05, "high": 0.9, "n": 10, "seed": 0}
        for model in STUDY["models"]
        for i in range(3)
        for concept in (values or [None])
    ]
    return pd.DataFrame(rows)


@pytest.mark.parametrize(
    "name", ["counts", "finetuned_counts", "categories", "areas", "mean_shares"]
)
def test_a_figure_draws_what_its_data_say(name, tmp_path):
    kind = FIGURES[name].measure
    metric = {"counts": "n_concepts_median", "shares": "category_share_mean"}[kind]
    table = measures(metric, list(CATEGORY_COLORS) if kind == "shares" else None)
    figure, data = draw(name, table, styles(), STUDY)
    written = save(figure, data, tmp_path / name)
    assert [path.suffix for path in written] == [".pdf", ".svg", ".csv"]
    again = save(*draw(name, table, styles(), STUDY), tmp_path / "again")
    for one, other in zip(written, again, strict=True):
        assert one.read_bytes() == other.read_bytes()
    assert len(pd.read_csv(written[2]))
    assert caption(name, "95 %")


def test_a_model_looks_the_same_in_every_study():
    alone = describe_models(["mae"])["mae"]
    assert styles()["mae"].color == alone.color == FAMILY_COLORS["mae"]
    assert styles()["mae_cub"].color == alone.color
    assert styles()["mae_cub"].linestyle != alone.linestyle
    twin = describe_models(["mae", "mae-random"])["mae-random"]
    assert twin.role == "random" and twin.color != alone.color


# Viénot, Brettel & Mollon (1999): how linear RGB looks without one kind of cone.
DEUTAN = np.array([[0.29275, 0.70725, 0], [0.29275, 0.70725, 0], [-0.02234, 0.02234, 1]])
PROTAN = np.array([[0.11238, 0.88762, 0], [0.11238, 0.88762, 0], [0.00401, -0.00401, 1]])


@pytest.mark.parametrize(
    "palette",
    [FAMILY_COLORS, SPEECH_COLORS, CATEGORY_COLORS],
    ids=["models", "speech", "categories"],
)
@pytest.mark.parametrize("vision", [np.eye(3), DEUTAN, PROTAN], ids=["full", "deutan", "protan"])
def test_colours_can_be_told_apart_without_a_cone(palette, vision):
    seen = {}
    for name, color in palette.items():
        rgb = np.array([int(color[i : i + 2], 16) for i in (1, 3, 5)]) / 255
        linear = np.clip(vision @ rgb**2.2, 0, 1) ** (1 / 2.2)
        seen[name] = np.array([colorsys.rgb_to_yiq(*linear)]).ravel()
    names = list(seen)
    for i, one in enumerate(names):
        for other in names[i + 1 :]:
            assert np.abs(seen[one] - seen[other]).max() > 0.04, (one, other)


def test_categories_keep_their_colours():
    assert category_colors(["more", "colors"])["colors"] == CATEGORY_COLORS["colors"]
    assert len(set(category_colors(["a", "b", "colors"]).values())) == 3
    assert len(set(category_colors([f"family {i}" for i in range(11)]).values())) == 11


def test_a_name_with_a_dot_is_kept(tmp_path):
    figure = new_figure(1, 1)
    data = pd.DataFrame({"x": [1 / 3]})
    assert [p.name for p in save(figure, data, tmp_path / "a.b")] == [
        "a.b.pdf",
        "a.b.svg",
        "a.b.csv",
    ]


def test_the_papers_claims_are_counted_without_a_user_s_own():
    given = [("a", "x", "supported"), ("a", "y", "refuted"), ("b", None, "not tested")]
    verdicts = pd.DataFrame([*given, ("mine", "x", "supported")])
    verdicts.columns = ["claim", "study", "verdict"]
    assert claim_values(verdicts, ["a", "b"]) == {
        "ClaimsAll": 2,
        "ClaimsVerdicts": 2,
        "ClaimsSupported": 1,
        "ClaimsRefuted": 1,
        "ClaimsUndecided": 0,
        "ClaimsNotTested": 1,
    }


def test_the_band_of_an_accuracy_ends_where_accuracies_do():
    model = {"m": ModelStyle("m", "M", "pretrained", "m", "", "#000000", "-", "o")}
    place = {"model": "m", "family": "word", "kept": "0 1"}
    runs = [
        place | {"metric": "validation_curve", "epoch": epoch, "seed": seed, "value": value}
        for epoch, values in ((1, (0.0, 0.1, 0.9)), (2, (0.9, 1.0, 1.0)))
        for seed, value in enumerate(values)
    ]
    table = pd.DataFrame([*runs, place | {"metric": "full", "seed": 0, "value": 2.0}])
    _, data = curves(table, model)
    assert data["low"].tolist()[0] == 0 and data["high"].tolist() == [1, 1]
    assert 0 < data["low"].tolist()[1] < data["value"].tolist()[1] < 1
