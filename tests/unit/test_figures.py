"""Every figure of the catalogue, drawn of tables that are made up: what stands where."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.collections import PolyCollection
from matplotlib.colors import to_hex

from made_up import MODELS, SIMILARITIES, STUDIES, differences, grid, joined, looks, tables_of
from strata.figures import axes
from strata.figures.catalogue import FIGURES, figure_names, models_of
from strata.figures.drawing import draw
from strata.figures.models import describe_models
from strata.figures.style import new_figure, save

# Each figure once: studies of two kinds that have it draw it alike.
ALL = {
    name: kind
    for kind, study in reversed(STUDIES.items())
    for name in figure_names(study)
    if name in FIGURES
}
# A figure of each way of drawing: lines, areas, a heat map, points, points with intervals.
BY_KIND_OF_DRAWING = ("counts", "areas", "layers", "relation", "differences")


def drawn(kind, name, tables=None):
    study, entry, styles = STUDIES[kind], FIGURES[name], looks()
    tables = tables_of(study) if tables is None else tables
    table = joined(*(tables[measure] for measure in entry.measure.split("+")))
    models = {model: styles[model] for model in models_of(study, entry.models)}
    return draw(entry.function, entry.measure, table, models, entry.options)


@pytest.mark.parametrize("name", ALL)
def test_a_figure_shows_its_models(name):
    figure, data = drawn(ALL[name], name)
    assert len(data) and figure.axes
    if "model" in data:
        shown = set(models_of(STUDIES[ALL[name]], FIGURES[name].models)) | {"all"}
        assert set(data["model"]) <= shown


@pytest.mark.parametrize("name", BY_KIND_OF_DRAWING)
def test_the_same_tables_give_the_same_bytes(name, tmp_path):
    paths = [save(*drawn(ALL[name], name), tmp_path / word) for word in ("one", "two")]
    for one, two in zip(*paths, strict=True):
        assert one.read_bytes() == two.read_bytes()


def test_every_kind_of_study_has_all_of_its_figures():
    assert set(ALL) == set(FIGURES)


LOOKS = {"a": ("#0072B2", "-", "o"), "b": ("#D55E00", (0, (4, 2)), "s")}


def lines_of(rows, **shape):
    ax = new_figure(2, 2).subplots()
    axes.lines(ax, rows, "who", LOOKS, **shape)
    return ax


def profile(**columns):
    rows = pd.DataFrame(
        {"who": list("aaaabbbb"), "relative_depth": [0, 0.25, 0.75, 1] * 2, "value": 0.5}
    )
    return rows.assign(low=0.4, high=0.6).assign(**columns)


def test_lines_have_the_values_and_the_look_of_their_rows():
    values = [0.1, 0.2, 0.3, 0.4, 0.8, 0.7, 0.6, 0.5]
    rows = profile(value=values).sample(frac=1, random_state=0)  # in any order
    ax = lines_of(rows, linewidth=2)
    one, two = ax.lines
    assert one.get_xdata().tolist() == two.get_xdata().tolist() == [0, 0.25, 0.75, 1]
    assert one.get_ydata().tolist() == values[:4] and two.get_ydata().tolist() == values[4:]
    assert (one.get_color(), one.get_marker(), one.get_linestyle()) == ("#0072B2", "o", "-")
    assert (two.get_color(), two.get_marker(), two.get_linestyle()) == ("#D55E00", "s", "--")
    assert one.get_linewidth() == two.get_linewidth() == 2
    assert ax.get_xlabel() == ax.get_ylabel() == ""


def test_bands_are_the_tables_own_and_end_where_it_has_none():
    unknown = [0.4, np.nan, 0.4, 0.4, 0.3, 0.3, 0.3, 0.3]
    ax = lines_of(profile(low=unknown))
    first, second = (c for c in ax.collections if isinstance(c, PolyCollection))
    assert to_hex(first.get_facecolor()[0]) == "#0072b2"
    assert [np.ptp(path.vertices[:, 0]) for path in first.get_paths()] == [0, 0.25]
    low, high = second.get_paths()[0].vertices[:, 1].min(), second.get_paths()[0].vertices.max()
    assert low == 0.3 and high == 1  # the depth's
    assert [line.get_ydata().tolist() for line in ax.lines] == [[0.5] * 4] * 2


def test_a_line_breaks_where_a_value_is_missing_and_no_other_does():
    values = [0.1, np.nan, 0.3, 0.4, 0.8, 0.7, 0.6, 0.5]
    rows = profile(value=values).sort_values("relative_depth", kind="stable")
    drawn = [line.get_ydata().tolist() for line in lines_of(rows).lines]
    assert drawn == [[0.1], [0.3, 0.4], [0.8, 0.7, 0.6, 0.5]]


def test_lines_of_others_are_not_drawn():
    assert not lines_of(profile(who="c")).lines
    rows = profile(who=list("aaaacccc"))
    assert len(lines_of(rows).lines) == 1


def test_the_reference_is_the_mean_of_all_rows_at_a_depth():
    ax = new_figure(2, 2).subplots()
    axes.reference(ax, profile(value=[0, 0, 0, 0, 1, 0.5, 0.2, 0]), (0, (1, 1)))
    assert ax.lines[0].get_ydata() == pytest.approx([0.5, 0.25, 0.1, 0])


def test_differences_show_what_they_know():
    """An interval where there is one, hollow without; and words where both kept the same."""
    figure, data = drawn("pruning", "differences")
    panel = figure.axes[0]
    (points,) = (c for c in panel.collections if len(c.get_offsets()) > 1)
    mine = data[(data["model"] == "vit") & (data["concept"] != "one_standard_error")]
    assert sorted(points.get_offsets()[:, 0]) == sorted(mine["value"])
    hollow = [face[3] == 0 for face in points.get_facecolors()]
    assert sum(hollow) == 1
    x = points.get_offsets()[hollow.index(True), 0]
    assert x == mine.loc[mine["low"].isna(), "value"].item()
    ranges = [s for c in panel.collections if c is not points for s in c.get_segments()]
    assert sorted(s[0, 0] for s in ranges) == sorted(mine["low"].dropna())
    assert [t.get_text() for t in panel.texts] == ["same layers"]
    names = [tick.get_text() for tick in panel.get_yticklabels()]
    same = names.index("within one standard error")
    assert panel.texts[0].xy == (0, same)
    y = {name: i for i, name in enumerate(names)}
    place = dict(zip(points.get_offsets()[:, 0], points.get_offsets()[:, 1], strict=True))
    full = mine.loc[mine["concept"] == "full", "value"].item()
    assert place[full] == y["all layers"]


def test_twins_less_models_are_those_of_the_twin():
    tables = {"differences": differences("graph_convexity", family=["kind", "texture"])}
    figure, data = drawn("convexity", "twin_convexity", tables)
    assert set(data["twin"]) == {"random"} and set(data["model"]) == {"vit", "mae"}
    table = tables["differences"]
    asked = table[(table["contrast"] == "twin") & (table["family"] == "texture")]
    panel = next(ax for ax in figure.axes if ax.get_title() == "texture")
    shown = [line.get_ydata().tolist() for line in panel.lines[1:]]
    assert shown == [asked.loc[asked["model"] == m, "value"].tolist() for m in ("vit", "mae")]


def test_the_heat_map_counts_labels_of_neurons_above_the_median():
    tables = tables_of(STUDIES["concepts"])
    _, data = drawn("concepts", "heatmap", tables)
    assert set(data["model"]) == {"vit", "mae", "resnet"}
    assert (data.groupby(["model", "layer_number"])["share"].sum() <= 1 + 1e-9).all()


def test_histograms_count_every_neuron():
    from strata.figures.labels import score_histograms

    labels = tables_of(STUDIES["concepts"])["labels"]
    figure, data = score_histograms(labels, looks()["vit"])
    assert set(data.groupby("layer_number")["neurons"].sum()) == {24}
    first = labels.query("model == 'vit' and layer_index == 0 and metric == 'soft_wpmi'")["value"]
    assert data["median"].iloc[0] == np.median(first) and data["mean"].iloc[0] == first.mean()
    assert [ax.get_title() for ax in figure.axes] == ["embedding", "layer 1", "layer 2", "layer 3"]


def test_panels_of_one_model_and_of_one_family():
    """The layouts of studies that have but one network, or one family."""
    one = STUDIES["convexity"] | {"models": ["vit", "vit-kind"]}
    styles = {name: looks()[name] for name in ("vit", "vit-kind")}
    for name in ("finetuned_convexity", "finetuned_alignment", "transforms"):
        entry, tables = FIGURES[name], tables_of(one)
        table = joined(*(tables[measure] for measure in entry.measure.split("+")))
        shown = styles if name != "transforms" else {"vit": styles["vit"]}
        figure, _ = draw(entry.function, entry.measure, table, shown, entry.options)
        assert figure.axes
    alone = grid("graph_convexity", 1, ["vit"], family=["kind"])
    chance = grid("chance", 1, ["vit"], family=["kind"])
    figure, _ = draw(
        "convexity.convexity_by_layer",
        "convexity",
        joined(alone, chance),
        {"vit": styles["vit"]},
        {},
    )
    assert len(figure.axes) == 1


def test_made_up_tables_have_a_row_for_each_thing_once():
    table = grid("x", concept=SIMILARITIES)
    assert len(table) == len(MODELS) * 4 * 2
    assert not table.duplicated(["model", "layer", "concept"]).any()


def test_no_task_is_left_out_however_many_there_are():
    tasks = [f"task{i}" for i in range(6)]
    names = ["vit", *(f"vit-{task}" for task in tasks)]
    compared = {"finetuned": {task: {"vit": f"vit-{task}"} for task in tasks}}
    table = grid("graph_convexity", 1, names, family=["kind"])
    styles = describe_models(names, {}, compared)
    figure, data = draw("convexity.finetuned_convexity", "convexity", table, styles, {})
    assert set(data["task"]) == {"pretrained", *tasks}
    assert len(figure.axes[0].lines) == len(names)
