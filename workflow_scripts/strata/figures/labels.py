"""The labels themselves: the most frequent by layer, and their scores."""

from __future__ import annotations

import numpy as np
import pandas as pd
import seaborn
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from strata.figures import axes, style
from strata.figures.concepts import Styles
from strata.figures.models import ModelStyle

_SEQUENTIAL = LinearSegmentedColormap.from_list(
    "strata", ["#FFFFFF", "#BFD7EA", "#5B9BC8", "#0072B2", "#08306B"]
)


def top_concepts(labels: pd.DataFrame, n: int) -> pd.DataFrame:
    """Share of each layer's neurons above its median score that carry each of the top concepts.

    `labels` holds one model and one metric, as `axes.select` gives them. The `n` concepts with the
    highest share in any layer are kept; the result is a table (concepts x layer numbers) ordered by
    mean depth.
    """
    median = labels.groupby("layer_number")["value"].transform("median")
    above = labels[labels["value"] > median]
    share = pd.crosstab(above["concept"], above["layer_number"], normalize="columns")
    share = share.reindex(columns=sorted(labels["layer_number"].unique()), fill_value=0.0)
    best = share.max(axis=1).sort_index().sort_values(ascending=False, kind="stable")
    share = share.loc[best.index[:n]]
    depth = (share * share.columns.to_numpy()).sum(axis=1) / share.sum(axis=1)
    return share.loc[depth.sort_values(kind="stable").index]


@style.styled
def concept_heatmap(
    labels: pd.DataFrame, styles: Styles, metric: str = "soft_wpmi", top: int = 14
) -> tuple[Figure, pd.DataFrame]:
    """Where each model's most frequent concepts live: concepts (by mean depth) against layers."""
    rows = axes.select(labels, styles, metric)
    models = [styles[m] for m in dict.fromkeys(rows["model"])]
    tables = [top_concepts(rows[rows["model"] == m.name], top) for m in models]
    columns = min(len(models), 4)
    lines = -(-len(models) // columns)
    figure = style.new_figure(style.DOUBLE, 0.35 + lines * (0.42 + 0.105 * max(map(len, tables))))
    grid = figure.subplots(lines, columns, squeeze=False).ravel()
    highest = max(table.to_numpy().max() for table in tables)
    for ax, model, table in zip(grid, models, tables, strict=False):
        step = 1 if len(table.columns) <= 8 else -(-(len(table.columns) - 1) // 6)
        seaborn.heatmap(
            table, ax=ax, cmap=_SEQUENTIAL, vmin=0, vmax=highest, cbar=False,
            linewidths=0.3, linecolor="white", xticklabels=step, yticklabels=True,
        )  # fmt: skip
        ax.tick_params(length=0, rotation=0)
        ax.tick_params(axis="y", labelsize=6)
        ax.grid(False)
        ax.set(title=model.label, xlabel="layer", ylabel="")
    for ax in grid[len(models) :]:
        ax.remove()
    cells, shown = grid[0].collections[0], list(grid[: len(models)])
    bar = figure.colorbar(cells, ax=shown, shrink=0.6, aspect=25, pad=0.01)
    bar.ax.yaxis.set_major_formatter("{x:.0%}")
    bar.set_label("share of neurons\nabove the median score", fontsize=6)
    bar.outline.set_visible(False)
    return figure, _long(models, tables)


def _long(models: list[ModelStyle], tables: list[pd.DataFrame]) -> pd.DataFrame:
    parts = []
    for model, table in zip(models, tables, strict=True):
        long = table.rename_axis(index="concept", columns="layer_number").stack().rename("share")
        long = long.reset_index()
        long.insert(0, "label", model.label)
        long.insert(0, "model", model.name)
        parts.append(long)
    return pd.concat(parts, ignore_index=True)


@style.styled
def score_histograms(
    labels: pd.DataFrame, model: ModelStyle, metric: str = "soft_wpmi", bins: int = 30
) -> tuple[Figure, pd.DataFrame]:
    """Scores of one model's labels, a panel a layer, with the median and mean thresholds."""
    rows = axes.select(labels, {model.name: model}, metric)
    layers = list(dict.fromkeys(rows["layer_number"]))
    columns = min(6, len(layers))
    lines = -(-len(layers) // columns)
    figure = style.new_figure(style.DOUBLE, 0.5 + 1.05 * lines)
    low, high = rows["value"].min(), rows["value"].max()
    edges = np.linspace(low, high if high > low else low + 1, bins + 1)
    parts = []
    for i, ax in enumerate(axes.panels(figure, len(layers), columns)):
        bottom, _, left = axes.edges(i, len(layers), columns)
        scores = rows.loc[rows["layer_number"] == layers[i], "value"].to_numpy()
        height, _ = np.histogram(scores, edges)
        seaborn.histplot(
            x=scores,
            bins=edges,
            ax=ax,
            element="step",
            color=style.REST_COLOR,
            alpha=1,
            linewidth=0,
        )
        ax.axvline(np.median(scores), color=model.color)
        ax.axvline(scores.mean(), color=model.color, linestyle=(0, (2, 1.5)))
        ax.set_title(axes.layer_name(layers[i]), pad=2)
        ax.tick_params(labelbottom=bottom)
        ax.set_xlabel("score" if bottom else "")
        ax.set_ylabel("neurons" if left else "")
        parts.append(
            pd.DataFrame(
                {
                    "model": model.name,
                    "layer_number": layers[i],
                    "bin_low": edges[:-1],
                    "bin_high": edges[1:],
                    "neurons": height,
                    "median": np.median(scores),
                    "mean": scores.mean(),
                }
            )
        )
    thresholds = (("median", "-"), ("mean", (0, (2, 1.5))))
    axes.legend_above(
        figure, [Line2D([], [], color=model.color, linestyle=s, label=t) for t, s in thresholds]
    )
    return figure, pd.concat(parts, ignore_index=True)
