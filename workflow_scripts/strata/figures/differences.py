"""Figures of differences between networks, with the paired intervals of `strata.differences`."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
from matplotlib.figure import Figure

from strata.data.words import shown_categories
from strata.figures import axes, style
from strata.figures.models import ModelStyle, family_name

_LABELS = {
    "graph_convexity_difference": "convexity less the twin's",
    "accuracy_difference": "agreement less the twin's",
    "category_share_mean_difference": "share less the twin's",
}


@style.styled
def over_twins(
    table: pd.DataFrame, styles: Mapping[str, ModelStyle], metric: str
) -> tuple[Figure, pd.DataFrame]:
    """Each model less its random twin by depth, a panel per family (or set of triplets, or category
    of labels)."""
    rows = axes.select(table[table["contrast"] == "twin"], styles, metric)
    about = "concept" if rows["family"].isna().all() else "family"
    families = list(dict.fromkeys(rows[about]))
    if about == "concept":
        moved = rows.groupby(about)["value"].agg(lambda each: each.abs().max()) > 0
        families = [c for c in shown_categories(families) if moved[c]] or families
        rows = rows[rows[about].isin(families)]
    columns = len(families) if len(families) <= 4 else 3
    height = 0.6 + 1.5 * -(-len(families) // columns) if columns > 1 else 2.5
    figure = style.new_figure(axes.width(columns), height)
    panels = axes.panels(figure, len(families), columns, True)
    layers = axes.common_layers(rows)
    for i, (ax, family) in enumerate(zip(panels, families, strict=True)):
        bottom, top, left = axes.edges(i, len(families), columns)
        ax.axhline(0, color=style.GREY, lw=0.8)
        axes.model_lines(ax, rows[rows[about] == family], styles)
        axes.depth_axis(ax, layers, bottom=bottom, top=top)
        axes.value_axis(ax, _LABELS[metric] if left else "")
        ax.set_title(family_name(family))
    told = [column for column in ("about",) if column in rows]
    axes.legend_above(figure, axes.handles(styles[m] for m in dict.fromkeys(rows["model"])), 5)
    return figure, axes.drawn(rows.assign(twin=rows["other"]), "metric", about, *told, "twin")
