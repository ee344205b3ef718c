"""Figures that compare labels with the planted truth of Microworld."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from strata.figures import axes, style
from strata.figures.models import ModelStyle

SIMILARITY_LOOKS = {
    "soft_wpmi": ("soft WPMI", "#0072B2", "o"),
    "wpmi": ("WPMI", "#56B4E9", "s"),
    "rank_reorder": ("rank reorder", "#E69F00", "^"),
    "cosine": ("cosine", "#009E73", "D"),
    "cosine_cubed": ("cosine cubed", "#CC79A7", "v"),
}
_DASHED = (0, (2, 2))
_CHANCE = Line2D([], [], color=style.GREY, linestyle=_DASHED, lw=1, label="chance")


def similarity_name(similarity: str) -> str:
    """Readable name of a similarity function."""
    return SIMILARITY_LOOKS.get(similarity, (similarity.replace("_", " "),))[0]


@style.styled
def truth_by_layer(
    truth: pd.DataFrame, styles: Mapping[str, ModelStyle], metric: str = "names_best_factor"
) -> tuple[Figure, pd.DataFrame]:
    """Share of neurons whose label names their true best factor, by similarity function.

    A panel a model. `truth` holds `metric` with the similarity function in `concept`, and the
    metric `chance` (mean over functions is drawn).
    """
    rows = axes.select(truth, styles, metric)
    chance = axes.select(truth, styles, "chance")
    chance = chance.groupby(["model", "layer_index"], as_index=False).agg(
        {
            "relative_depth": "first",
            "layer": "first",
            "layer_number": "first",
            "value": "mean",
            "label": "first",
            "n": "first",
        }
    )
    models = [styles[m] for m in dict.fromkeys(rows["model"])]
    looks = {
        s: SIMILARITY_LOOKS.get(s, (similarity_name(s), "#4D4D4D", "o"))
        for s in dict.fromkeys(rows["concept"])
    }
    columns = axes.arrange(len(models))
    figure = style.new_figure(axes.width(columns), 0.55 + 1.45 * -(-len(models) // columns))
    panels = axes.panels(figure, len(models), columns)
    for i, ax in enumerate(panels):
        bottom, top, left = axes.edges(i, len(models), columns)
        mine = rows[rows["model"] == models[i].name]
        lines = {name: (color, "-", marker) for name, (_, color, marker) in looks.items()}
        axes.lines(ax, mine, "concept", lines)
        axes.reference(ax, chance[chance["model"] == models[i].name], _DASHED)
        axes.depth_axis(ax, axes.common_layers(mine), bottom=bottom, top=top)
        axes.value_axis(ax, "correctly named" if left else "", percent=True)
        ax.set_title(models[i].label)
    axes.from_zero(panels)
    entries = [Line2D([], [], color=c, marker=m, label=name) for name, c, m in looks.values()]
    axes.legend_above(figure, [*entries, _CHANCE], 6)
    chance = chance.assign(metric="chance", concept="", low=np.nan, high=np.nan)
    return figure, axes.drawn(pd.concat([rows, chance]), "metric", "concept")


@style.styled
def best_auc_by_layer(
    truth: pd.DataFrame, styles: Mapping[str, ModelStyle]
) -> tuple[Figure, pd.DataFrame]:
    """Mean over neurons of the AUC with which each tells its best planted factor."""
    rows = axes.select(truth, styles, "mean_best_auc")
    rows = rows.drop_duplicates(["model", "layer_index"])
    figure = style.new_figure(style.SINGLE, 2.3)
    ax = figure.subplots()
    axes.model_lines(ax, rows, styles)
    axes.depth_axis(ax, axes.common_layers(rows))
    ax.set_ylabel("AUC of the best factor")
    axes.name_lines(figure, ax, rows, styles)
    return figure, axes.drawn(rows, "metric")
