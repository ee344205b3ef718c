"""Figures of the scoreboard: the planted truth of a layer above what each way of labelling says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from strata.figures import axes, style
from strata.figures.concepts import panel_categories
from strata.figures.models import ModelStyle
from strata.figures.truth import SIMILARITY_LOOKS, similarity_name

Styles = Mapping[str, ModelStyle]
PLANTED, ANNOTATION = "planted", "annotation"
_LOOKS = {
    PLANTED: ("planted truth", "#000000", "o"),
    **SIMILARITY_LOOKS,
    ANNOTATION: ("annotation", "#8C510A", "P"),
}


def _look(way: str) -> tuple[str, str, str]:
    return _LOOKS.get(way, (similarity_name(way), "#4D4D4D", "o"))


def _ways(rows: pd.DataFrame) -> list[str]:
    found = list(dict.fromkeys(rows["similarity"]))
    return sorted(found, key=lambda way: list(_LOOKS).index(way) if way in _LOOKS else len(_LOOKS))


@style.styled
def passage(board: pd.DataFrame, styles: Styles) -> tuple[Figure, pd.DataFrame]:
    """Category shares by depth as stacked areas: a column for each model, the planted truth in the
    first row and a row for each way of labelling under it."""
    rows = axes.select(board, styles, "category_share")
    rows = rows[rows["similarity"] != ANNOTATION]
    categories = panel_categories(rows, None)
    colors = style.category_colors([c for c in categories if c != "other"])
    colors["other"] = style.REST_COLOR
    ways, models = _ways(rows), [styles[m] for m in dict.fromkeys(rows["model"])]
    figure = style.new_figure(style.DOUBLE, 0.7 + 0.95 * len(ways))
    grid = figure.subplots(len(ways), len(models), sharex=True, sharey=True, squeeze=False)
    for i, way in enumerate(ways):
        for j, model in enumerate(models):
            mine = rows[(rows["similarity"] == way) & (rows["model"] == model.name)]
            axes.stack(grid[i, j], mine, colors)
            last, first = i == len(ways) - 1, i == 0
            axes.depth_axis(grid[i, j], axes.common_layers(mine), bottom=last, top=first)
            axes.value_axis(grid[i, j], _look(way)[0] if j == 0 else "", percent=True)
            grid[i, j].set_xlim(0, 1)
            grid[i, j].set_ylim(0, 1)
            if first:
                grid[i, j].set_title(model.label)
    named = {"none of these" if c == "other" else c: color for c, color in colors.items()}
    axes.legend_above(figure, axes.area_handles(named), 4)
    return figure, axes.drawn(rows, "metric", "similarity", "concept")


@style.styled
def concepts_by_truth(board: pd.DataFrame, styles: Styles) -> tuple[Figure, pd.DataFrame]:
    """Number of different planted factors that a layer's neurons tell best, and of different labels
    by each way, a panel for each model."""
    rows = axes.select(board, styles, "n_concepts")
    rows = rows[rows["similarity"] != ANNOTATION]
    models = [styles[m] for m in dict.fromkeys(rows["model"])]
    columns = axes.arrange(len(models))
    figure = style.new_figure(axes.width(columns), 0.6 + 1.45 * -(-len(models) // columns))
    panels = axes.panels(figure, len(models), columns)
    for i, (ax, model) in enumerate(zip(panels, models, strict=True)):
        bottom, top, left = axes.edges(i, len(models), columns)
        mine = rows[rows["model"] == model.name]
        _lines(ax, mine)
        axes.depth_axis(ax, axes.common_layers(mine), bottom=bottom, top=top)
        axes.value_axis(ax, "number of concepts" if left else "")
        ax.set_title(model.label)
    axes.from_zero(panels)
    axes.legend_above(figure, _entries(_ways(rows)), 6)
    return figure, axes.drawn(rows, "metric", "similarity")


@style.styled
def agreement(
    board: pd.DataFrame, styles: Styles, metric: str = "same_category"
) -> tuple[Figure, pd.DataFrame]:
    """Share of neurons that are labelled rightly, by the category of their planted best factor: a
    row of panels for each model, a column for each category, a line for each way.

    `metric` is same_category or same_factor. Categories that are the truth of fewer than
    `_FEWEST` neurons of a layer have no point there.
    """
    rows = axes.select(board, styles, metric)
    rows = rows[rows["concept"].notna() & (rows["n"] >= _FEWEST)]
    categories = panel_categories(rows.assign(value=1.0), None)
    models = [styles[m] for m in dict.fromkeys(rows["model"])]
    figure = style.new_figure(style.DOUBLE, 0.6 + 1.05 * len(models))
    grid = figure.subplots(len(models), len(categories), sharex=True, sharey=True, squeeze=False)
    for i, model in enumerate(models):
        layers = axes.common_layers(rows[rows["model"] == model.name])
        for j, category in enumerate(categories):
            ax = grid[i, j]
            _lines(ax, rows[(rows["model"] == model.name) & (rows["concept"] == category)])
            axes.depth_axis(ax, layers, bottom=i == len(models) - 1, top=i == 0)
            name = model.label.replace(" (", "\n(")  # a row is no higher than that
            axes.value_axis(ax, name if j == 0 else "", percent=True)
            if i == 0:
                ax.set_title(category.replace(" and ", "\nand "))
    axes.from_zero(list(grid.ravel()))
    axes.legend_above(figure, _entries(_ways(rows)), 6)
    return figure, axes.drawn(rows, "metric", "similarity", "concept")


_FEWEST = 5


def _lines(ax: Axes, rows: pd.DataFrame) -> None:
    looks = {way: _look(way) for way in _ways(rows)}
    lines = {way: (color, "-", marker) for way, (_, color, marker) in looks.items()}
    axes.lines(ax, rows, "similarity", lines)


def _entries(ways: Sequence[str]) -> list[Line2D]:
    return [
        Line2D([], [], color=color, marker=marker, label=name)
        for name, color, marker in map(_look, ways)
    ]
