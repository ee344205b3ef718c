"""Figures of the study of convexity and alignment.

Tables are measures of `strata.convexity` and `strata.alignment`; `styles` decides which models are
drawn, in which order.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain, cycle

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from strata.alignment.relation import relation_points
from strata.errors import StrataError
from strata.figures import axes, style
from strata.figures.finetuned import TASK_LOOKS
from strata.figures.models import ModelStyle, display_name, family_name, finetuned_groups

Styles = Mapping[str, ModelStyle]

_COLUMNS = 4  # of panels about one model
_DOTTED = (0, (1, 1.6))
_PRETRAINED = ("#000000", "-", "o")
_METHODS = {"before": ("before", "#000000", "-", "o")} | {
    "naive": ("naive", "#D55E00", "-", "s"),
    "glocal": ("gLocal", "#56B4E9", "-", "^"),
}
_COLORS, _MARKERS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7"), "os^D"
# Of families, all different: a colour that comes again has another marker.
_FAMILY_LOOKS = [(_COLORS[i % 4], _MARKERS[(i + i // 4) % 4]) for i in range(16)]


def _few_rows(n: int) -> int:
    """Columns of n panels: four, or five where that saves a row."""
    return 5 if -(-n // 5) < -(-n // 4) else min(n, 4)


def _grid(
    n: int, columns: int | None = None, row: float = 1.5, sharey: bool | str = True
) -> tuple[Figure, list, int]:
    """A figure of n panels; `row` is a row's height in inches."""
    columns = columns or _few_rows(n)
    rows = -(-n // columns)
    figure = style.new_figure(axes.width(columns), 0.6 + row * rows if columns > 1 else 2.5)
    return figure, axes.panels(figure, n, columns, sharey), columns


def _reference_entry(name: str) -> Line2D:
    return Line2D([], [], color=style.GREY, linestyle=_DOTTED, lw=1, label=name)


def _panels_by_family(
    rows: pd.DataFrame, references: pd.DataFrame, styles: Styles, ylabel: str
) -> tuple[Figure, list]:
    families = list(dict.fromkeys(rows["family"]))
    figure, panels, columns = _grid(len(families))
    layers = axes.common_layers(rows)
    for i, (ax, family) in enumerate(zip(panels, families, strict=True)):
        bottom, top, left = axes.edges(i, len(families), columns)
        axes.model_lines(ax, rows[rows["family"] == family], styles)
        for _, part in references[references["family"] == family].groupby("metric"):
            axes.reference(ax, part, _DOTTED)
        axes.depth_axis(ax, layers, bottom=bottom, top=top)
        axes.value_axis(ax, ylabel if left else "")
        ax.set_title(family_name(family))
    return figure, panels


@style.styled
def convexity_by_layer(table: pd.DataFrame, styles: Styles) -> tuple[Figure, pd.DataFrame]:
    """Graph convexity of each family, a panel each, with the chance level."""
    rows = axes.select(table, styles, "graph_convexity")
    chance = axes.select(table, styles, "chance")
    # Layers whose graph falls apart have a lower chance level: shown by the mean over models.
    figure, panels = _panels_by_family(rows, chance, styles, "graph convexity")
    for ax in panels:
        ax.set_ylim(0, 1.02)
    entries = axes.handles(styles[m] for m in dict.fromkeys(rows["model"]))
    axes.legend_above(figure, [*entries, _reference_entry("chance")], 5)
    return figure, axes.drawn(pd.concat([rows, chance]), "metric", "family")


@style.styled
def alignment_by_layer(table: pd.DataFrame, styles: Styles) -> tuple[Figure, pd.DataFrame]:
    """Accuracy on each set of triplets, a panel each, between chance and noise ceiling."""
    rows = axes.select(table, styles, "accuracy")
    named = table["metric"].isin(["chance", "noise_ceiling", "noise_ceiling_lower"])
    references = axes.select(table[named], styles, None)
    figure, panels = _panels_by_family(rows, references, styles, "agreement with the answers")
    # A layer may fall below chance, and triplets that were answered once have no ceiling.
    shown = pd.concat([rows["value"], references["value"]])
    for ax in panels:
        ax.set_ylim(0.95 * shown.min(), 1.02 * shown.max())
    entries = axes.handles(styles[m] for m in dict.fromkeys(rows["model"]))
    columns = 5 if len(panels) > 1 else 2
    ceiling = ", ceiling" if (references["metric"] != "chance").any() else ""
    entries = [*entries, _reference_entry(f"chance{ceiling}")]
    axes.legend_above(figure, entries, columns)
    return figure, axes.drawn(pd.concat([rows, references]), "metric", "family")


@style.styled
def relation(table: pd.DataFrame, styles: Styles) -> tuple[Figure, pd.DataFrame]:
    """Convexity against accuracy: a point per layer and model, a panel per family and triplets."""
    points = relation_points(table, table)
    points = points[points["model"].isin(list(styles))]
    pairs = list(points.groupby(["family", "triplets"], sort=False))
    figure, panels, columns = _grid(len(pairs), row=1.8)
    for i, (ax, ((family, triplets), part)) in enumerate(zip(panels, pairs, strict=True)):
        _, _, left = axes.edges(i, len(pairs), columns)
        looks = {name: (look.color, look.marker) for name, look in styles.items()}
        filled = part["model"].map(lambda name: styles[name].role == "pretrained")
        _scatter(ax, part[filled], "model", looks)
        _scatter(ax, part[~filled], "model", looks, hollow=True)
        ax.text(
            0.03, 0.97, _correlations(table, family, triplets), transform=ax.transAxes,
            va="top", fontsize=6,
        )  # fmt: skip
        axes.value_axis(ax, "agreement" if left else "")
        ax.set_xlabel("graph convexity")
        ax.set_title(family_name(family))
    low, high = points["accuracy"].min(), points["accuracy"].max()
    panels[0].set_ylim(low - 0.03 * (high - low), high + 0.4 * (high - low))
    axes.legend_above(figure, _point_entries(styles), 6)
    columns = ["model", "layer", "layer_index", "relative_depth", "family", "triplets"]
    return figure, points[[*columns, "convexity", "accuracy"]].reset_index(drop=True)


def _scatter(
    ax: Axes,
    points: pd.DataFrame,
    by: str,
    looks: Mapping[str, tuple[str, str]],
    hollow: bool = False,
) -> None:
    """Accuracy against convexity; `looks` has the colour and marker of each value of `by`."""
    import seaborn

    seaborn.scatterplot(
        points, x="convexity", y="accuracy", hue=by, style=by, ax=ax, s=12, linewidth=0,
        palette={name: color for name, (color, _) in looks.items()},
        markers={name: marker for name, (_, marker) in looks.items()}, legend=False,
    )  # fmt: skip
    if hollow and len(points):
        drawn = ax.collections[-1]
        drawn.set(edgecolor=drawn.get_facecolor(), linewidth=0.7)
        drawn.set_facecolor("none")


def _correlations(table: pd.DataFrame, family: str, triplets: str) -> str:
    """Spearman's correlation over all models, and given depth, as text."""
    lines = []
    for metric, symbol in (("correlation", "r"), ("partial_correlation", "r | depth")):
        chosen = (table["metric"] == metric) & (table["model"] == "all")
        chosen &= (table["family"] == family) & (table.get("triplets") == triplets)
        for row in table[chosen].itertuples():
            # Few networks have no interval.
            told = "" if np.isnan(row.low) else f" [{row.low:.2f}, {row.high:.2f}]"
            lines.append(f"{symbol} = {row.value:.2f}{told}")
    return "\n".join(lines)


def _point_entries(styles: Styles) -> list[Line2D]:
    """Bases by colour, roles by marker."""
    bases = {look.base: look.color for look in styles.values() if look.role == "pretrained"}
    labels = {name: look.label for name, look in styles.items()}
    entries = [
        Line2D([], [], linestyle="", marker="o", color=color, label=labels.get(base, base))
        for base, color in bases.items()
    ]
    others = {}
    for look in styles.values():
        if look.role == "random":
            others["random weights"] = look.marker
        elif look.role == "finetuned":
            others[f"fine-tuned: {display_name(look.task)}"] = look.marker
    grey = {"linestyle": "", "color": style.GREY, "mfc": "none", "mew": 0.7}
    return entries + [Line2D([], [], marker=m, label=text, **grey) for text, m in others.items()]


# --- what optimising does -----------------------------------------------------------------------


def _finetuned(
    table: pd.DataFrame, styles: Styles, metric: str, ylabel: str
) -> tuple[Figure, pd.DataFrame]:
    """A row per family, a column per base model, a line per task and one for before; of one base
    model a panel per family."""
    rows = axes.select(table, styles, metric)
    groups = finetuned_groups(styles)
    if not groups:
        raise StrataError("no model has all its fine-tuned versions: nothing to compare")
    bases, families = list(groups[""]), list(dict.fromkeys(rows["family"]))
    looks = dict(zip(groups, chain([_PRETRAINED], cycle(TASK_LOOKS)), strict=False))
    alone = len(bases) == 1 < len(families)
    shape = (_COLUMNS, 1.4, True) if alone else (len(bases), 1.3, "row")
    figure, panels, columns = _grid(len(bases) * len(families), *shape)
    drawn = []
    for i, ax in enumerate(panels):
        family = families[i // len(bases)]
        base = bases[i % len(bases)]
        bottom, top, left = axes.edges(i, len(panels), columns)
        tasks = {groups[task][base]: task for task in looks}
        mine = rows[rows["model"].isin(list(tasks)) & (rows["family"] == family)]
        mine = mine.assign(base=base, task=mine["model"].map(tasks))
        axes.lines(ax, mine, "task", looks)
        drawn.append(mine.replace({"task": {"": "pretrained"}}))
        layers = axes.common_layers(rows[rows["model"] == base])
        axes.depth_axis(ax, layers, bottom=bottom, top=top)
        named = len(families) > 1 and not alone
        axes.value_axis(ax, (family_name(family) if named else ylabel) if left else "")
        if i < columns or alone:
            ax.set_title(family_name(family) if alone else styles[base].label)
    entries = [
        Line2D([], [], color=c, linestyle=line, marker=m, label=display_name(task) or "pretrained")
        for task, (c, line, m) in looks.items()
    ]
    axes.legend_above(figure, entries, len(entries))
    return figure, axes.drawn(pd.concat(drawn), "base", "task", "metric", "family")


@style.styled
def finetuned_convexity(table: pd.DataFrame, styles: Styles) -> tuple[Figure, pd.DataFrame]:
    """Graph convexity of each family before and after fine-tuning."""
    return _finetuned(table, styles, "graph_convexity", "graph convexity")


@style.styled
def finetuned_alignment(table: pd.DataFrame, styles: Styles) -> tuple[Figure, pd.DataFrame]:
    """Agreement with each set of triplets before and after fine-tuning."""
    return _finetuned(table, styles, "accuracy", "agreement with the answers")


@style.styled
def euclidean_by_layer(table: pd.DataFrame, styles: Styles) -> tuple[Figure, pd.DataFrame]:
    """Euclidean convexity of classifiers, a panel per family, with the exact share of the head."""
    rows = axes.select(table, styles, "euclidean_convexity")
    exact = axes.select(table, styles, "head_exact")
    figure, panels = _panels_by_family(rows, exact.iloc[:0], styles, "Euclidean convexity")
    for ax, family in zip(panels, dict.fromkeys(rows["family"]), strict=True):
        for head in exact[exact["family"] == family].itertuples():
            color = styles[head.model].color
            ax.plot(1.0, head.value, linestyle="", marker="x", ms=5, mew=1.2, color=color)
        ax.set_ylim(0, 1.02)
    entries = axes.handles(styles[m] for m in dict.fromkeys(rows["model"]))
    cross = Line2D([], [], linestyle="", marker="x", color=style.GREY, label="head, exact")
    axes.legend_above(figure, [*entries, cross], 5)
    return figure, axes.drawn(pd.concat([rows, exact]), "metric", "family")


@style.styled
def transforms(table: pd.DataFrame, styles: Styles) -> tuple[Figure, pd.DataFrame]:
    """A row for alignment and each family's convexity, a column per model, a line per transform; of
    one model a panel for each."""
    rows = axes.select(table, styles, None)
    quantity = rows["metric"].str.rpartition("_")
    families = [f for f in dict.fromkeys(rows["concept"].dropna())]
    rows = rows.assign(
        quantity=np.where(quantity[0] == "accuracy", "agreement", rows["concept"]),
        # Before is the same for every method: it is drawn once.
        method=np.where(quantity[2] == "before", "before", rows["transform"]),
    ).drop_duplicates(["model", "layer_index", "quantity", "method", "family"])
    shown, models = ["agreement", *families], list(dict.fromkeys(rows["model"]))
    alone = len(models) == 1
    shape = (_COLUMNS, 1.4, False) if alone else (len(models), 1.25, "row")
    figure, panels, columns = _grid(len(shown) * len(models), *shape)
    for i, ax in enumerate(panels):
        what, model = shown[i // len(models)], models[i % len(models)]
        bottom, top, left = axes.edges(i, len(panels), columns)
        mine = rows[(rows["quantity"] == what) & (rows["model"] == model)]
        axes.lines(ax, mine, "method", {name: look for name, (_, *look) in _METHODS.items()})
        axes.depth_axis(ax, axes.common_layers(mine), bottom=bottom, top=top)
        axes.value_axis(ax, family_name(what) if left and not alone else "")
        if i < columns or alone:
            ax.set_title(family_name(what) if alone else styles[model].label)
    if not alone:
        _share_rows(panels, columns)
    entries = [
        Line2D([], [], color=c, linestyle=line, marker=m, label=label)
        for method, (label, c, line, m) in _METHODS.items()
        if method in set(rows["method"])
    ]
    axes.legend_above(figure, entries, len(entries))
    return figure, axes.drawn(rows, "family", "quantity", "method")


def _share_rows(panels: Sequence, columns: int) -> None:
    """One value range for each row of panels."""
    for first in range(0, len(panels), columns):
        row = panels[first : first + columns]
        low, high = min(ax.dataLim.y0 for ax in row), max(ax.dataLim.y1 for ax in row)
        for ax in row:
            ax.set_ylim(low - 0.06 * (high - low), high + 0.06 * (high - low))


# --- single concepts ----------------------------------------------------------------------------


@style.styled
def by_concept(table: pd.DataFrame, styles: Styles) -> tuple[Figure, pd.DataFrame]:
    """Convexity less chance against accuracy of the concepts that both measures know."""
    points = concept_points(table, list(styles))
    models = list(dict.fromkeys(points["model"]))
    families = list(dict.fromkeys(points["family"]))
    figure, panels, columns = _grid(len(models), row=1.8)
    looks = dict(zip(families, cycle(_FAMILY_LOOKS), strict=False))
    for i, (ax, model) in enumerate(zip(panels, models, strict=True)):
        _, _, left = axes.edges(i, len(models), columns)
        mine = points[points["model"] == model]
        _scatter(ax, mine.assign(convexity=mine["convexity"] - mine["chance"]), "family", looks)
        axes.value_axis(ax, "agreement" if left else "")
        ax.set_xlabel("convexity - chance")
        ax.set_title(f"{styles[model].label}, {mine['layer'].iloc[0]}")
    entries = [
        Line2D([], [], linestyle="", marker=m, color=c, label=family_name(family))
        for family, (c, m) in looks.items()
    ]
    axes.legend_above(figure, entries, len(entries))
    return figure, points.reset_index(drop=True)


def concept_points(table: pd.DataFrame, models: Sequence[str]) -> pd.DataFrame:
    """A row per concept that is also a category of the triplets, in the most aligned layer of each
    model: convexity, chance and accuracy."""
    table = table[table["model"].isin(models)]
    overall = table[table["metric"] == "accuracy"]
    best = overall.loc[overall.groupby("model")["value"].idxmax(), ["model", "layer"]]
    rows = table.merge(best, on=["model", "layer"])
    keys = ["model", "layer", "family", "concept"]
    convexity, chance = (
        rows.loc[rows["metric"] == metric, [*keys, "value"]].rename(columns={"value": name})
        for metric, name in (("graph_convexity_concept", "convexity"), ("concept_chance", "chance"))
    )
    accuracy = rows.loc[rows["metric"] == "accuracy_category", ["model", "concept", "value"]]
    accuracy = accuracy.rename(columns={"value": "accuracy", "concept": "category"})
    points = convexity.merge(chance, on=keys)
    # A set's categories are "family=value", or bare names where they come as marks. Where these
    # were measured themselves, an object that is called like one is not taken for it.
    named = points["family"] + "=" + points["concept"]
    points["category"] = named.where(named.isin(accuracy["category"]), points["concept"])
    measured = points["family"].isin(rows.loc[rows["metric"] == "accuracy_category", "family"])
    if measured.any():
        points = points[measured | points["category"].eq(named)]
    points = points.merge(accuracy, on=["model", "category"]).drop(columns="category")
    if points.empty:
        raise StrataError("no concept is also a category of the triplets: nothing to compare")
    order = {model: i for i, model in enumerate(models)}
    return points.sort_values("model", key=lambda column: column.map(order), kind="stable")
