"""Figures of the concepts study: how many concepts, and which, at which depth.

The figures follow "From Colors to Classes" (arXiv 2503.24071); its figure numbers are named in the
docstrings. Tables are measures (`strata.tables`); `styles` comes from
`strata.figures.models.describe_models` and decides which models are drawn, in which order.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from strata.errors import StrataError
from strata.figures import axes, style
from strata.figures.models import ModelStyle

Styles = Mapping[str, ModelStyle]


def _by_layer(
    table: pd.DataFrame, styles: Styles, metric: str, ylabel: str, percent: bool
) -> tuple[Figure, pd.DataFrame]:
    rows = axes.select(table, styles, metric)
    figure = style.new_figure(style.SINGLE, 2.3)
    ax = figure.subplots()
    axes.model_lines(ax, rows, styles)
    axes.depth_axis(ax, axes.common_layers(rows))
    axes.value_axis(ax, ylabel, percent)
    axes.from_zero([ax])
    axes.name_lines(figure, ax, rows, styles)
    return figure, axes.drawn(rows, "metric")


@style.styled
def counts_by_layer(
    counts: pd.DataFrame, styles: Styles, metric: str = "n_concepts_median"
) -> tuple[Figure, pd.DataFrame]:
    """Distinct labels among a layer's neurons above the threshold (figure 2 of the paper).

    `metric` is n_concepts_median, n_concepts_mean or n_concepts_significant.
    """
    return _by_layer(counts, styles, metric, "number of concepts", percent=False)


@style.styled
def significance_by_layer(counts: pd.DataFrame, styles: Styles) -> tuple[Figure, pd.DataFrame]:
    """Share of neurons whose label beats the permutation null, trained models against twins."""
    return _by_layer(counts, styles, "share_significant", "significant neurons", percent=True)


@style.styled
def category_panels(
    shares: pd.DataFrame,
    styles: Styles,
    metric: str = "category_share_mean",
    categories: Iterable[str] | None = None,
) -> tuple[Figure, pd.DataFrame]:
    """Share of labelled neurons in each category, a panel each (figures 3 and 6 of the paper)."""
    rows = axes.select(shares, styles, metric)
    categories = panel_categories(rows, categories)
    rows = rows[rows["concept"].isin(categories)]
    columns = 3
    height = 0.5 + 1.45 * -(-len(categories) // columns)
    figure = style.new_figure(style.DOUBLE, height)
    layers = axes.common_layers(rows)
    panels = axes.panels(figure, len(categories), columns)
    for i, ax in enumerate(panels):
        bottom, top, left = axes.edges(i, len(categories), columns)
        axes.model_lines(ax, rows[rows["concept"] == categories[i]], styles)
        axes.depth_axis(ax, layers, bottom=bottom, top=top)
        axes.value_axis(ax, "share of neurons" if left else "", percent=True)
        ax.set_title(categories[i].replace("_", " "))
    axes.from_zero(panels)
    axes.legend_above(figure, axes.handles(styles[m] for m in dict.fromkeys(rows["model"])), 5)
    return figure, _ordered(axes.drawn(rows, "metric", "concept"), categories)


def panel_categories(rows: pd.DataFrame, categories: Iterable[str] | None) -> list[str]:
    """The asked categories, or all that some layer has: in the palette's order, then their own."""
    present = list(dict.fromkeys(rows["concept"]))
    if categories is None:
        some = rows.groupby("concept")["value"].max() > 0
        present = [c for c in present if some[c]] or present
        known = [c for c in style.CATEGORY_COLORS if c in present]
        return known + [c for c in present if c not in known]
    missing = [c for c in categories if c not in present]
    if missing:
        raise StrataError(f"no shares of categories {missing}; there are {present}")
    return list(categories)


def _ordered(table: pd.DataFrame, categories: list[str]) -> pd.DataFrame:
    rank = table["concept"].map({c: i for i, c in enumerate(categories)})
    return table.iloc[np.argsort(rank, kind="stable")].reset_index(drop=True)


def mean_over_models(rows: pd.DataFrame) -> pd.DataFrame:
    """Mean over models at each relative depth, with the range over models as `low` and `high`.

    `rows` has columns model, layer_number, relative_depth, value. Models of different depth are
    compared on the deepest one's layers by linear interpolation, from where all of them begin.
    `n` is the number of models.
    """
    deepest = max((g for _, g in rows.groupby("model")), key=len)
    begin = rows.groupby("model")["relative_depth"].min().max()
    deepest = deepest[deepest["relative_depth"] >= begin]
    grid = deepest["relative_depth"].to_numpy()
    values = np.array(
        [np.interp(grid, g["relative_depth"], g["value"]) for _, g in rows.groupby("model")]
    )
    spread = {"low": values.min(0), "high": values.max(0)} if len(values) > 1 else {}
    return pd.DataFrame(
        {
            "layer_number": deepest["layer_number"].to_numpy(),
            "relative_depth": grid,
            "value": values.mean(0),
            "low": np.nan,
            "high": np.nan,
            "n": len(values),
        }
        | spread
    )


@style.styled
def mean_category_shares(
    shares: pd.DataFrame,
    styles: Styles,
    metric: str = "category_share_mean",
    categories: Iterable[str] | None = None,
) -> tuple[Figure, pd.DataFrame]:
    """Category shares averaged over the models in `styles` (figure 1 of the paper).

    The band is the range over models. The paper draws four categories: pass them.
    """
    rows = axes.select(shares, styles, metric)
    categories = panel_categories(rows, categories)
    colors = style.category_colors(categories)
    figure = style.new_figure(style.SINGLE, 2.3)
    ax = figure.subplots()
    means = [mean_over_models(rows[rows["concept"] == c]).assign(concept=c) for c in categories]
    looks = {category: (color, "-", "o") for category, color in colors.items()}
    axes.lines(ax, pd.concat(means), "concept", looks)
    axes.depth_axis(ax, axes.common_layers(rows))
    axes.value_axis(ax, "share of neurons", percent=True)
    axes.from_zero([ax])
    ends = [
        (m["value"].iloc[-1], _short(c), colors[c]) for m, c in zip(means, categories, strict=True)
    ]
    axes.label_ends(figure, ax, ends)
    table = pd.concat(means, ignore_index=True)
    return figure, table[["concept", *table.columns.drop("concept")]]


def _short(category: str) -> str:
    """A label that fits beside an axis: long names break before the "and"."""
    return category.replace(" and ", "\nand ") if len(category) > 16 else category


@style.styled
def category_areas(
    shares: pd.DataFrame, styles: Styles, metric: str = "category_share_mean"
) -> tuple[Figure, pd.DataFrame]:
    """Categories as stacked areas by depth, a panel for each model; grey is in no category."""
    rows = axes.select(shares, styles, metric)
    categories = panel_categories(rows, None)
    colors = style.category_colors(categories)
    models = [styles[m] for m in dict.fromkeys(rows["model"])]
    columns = axes.arrange(len(models))
    height = 0.65 + 1.45 * -(-len(models) // columns)
    figure = style.new_figure(axes.width(columns), height)
    for i, ax in enumerate(axes.panels(figure, len(models), columns)):
        bottom, top, left = axes.edges(i, len(models), columns)
        mine = rows[rows["model"] == models[i].name]
        first = mine["relative_depth"].min()
        ax.axvspan(first, 1, color=style.REST_COLOR, lw=0, zorder=0)
        axes.stack(ax, mine, colors)
        axes.depth_axis(ax, axes.common_layers(mine), bottom=bottom, top=top)
        axes.value_axis(ax, "share of neurons" if left else "", percent=True)
        ax.set_xlim(min(0, rows["relative_depth"].min()), 1)
        ax.set_ylim(0, 1)
        ax.set_title(models[i].label)
    rest = {"none of these": style.REST_COLOR}
    axes.legend_above(figure, axes.area_handles(colors | rest), 4)
    return figure, axes.drawn(rows, "metric", "concept")
