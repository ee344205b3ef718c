"""Figures of the concepts study: how many concepts, and which, at which depth.

The figures follow "From Colors to Classes" (arXiv 2503.24071); its figure numbers are named in the
docstrings. Tables are measures (`strata.tables`); `styles` comes from
`strata.figures.models.describe_models` and decides which models are drawn, in which order.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from strata.errors import StrataError
from strata.figures import axes, style
from strata.figures.models import ModelStyle, display_name, finetuned_groups

Styles = Mapping[str, ModelStyle]

_SEQUENTIAL = LinearSegmentedColormap.from_list(
    "strata", ["#FFFFFF", "#BFD7EA", "#5B9BC8", "#0072B2", "#08306B"]
)
# A task's line in figures that average over models: black before, then these in turn.
TASK_LOOKS = (
    ("#D55E00", "-", "s"),
    ("#56B4E9", "-", "^"),
    ("#009E73", "-", "D"),
    ("#CC79A7", "-", "v"),
)


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
    categories = _categories(rows, categories)
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
        ax.set_title(categories[i])
    axes.from_zero(panels)
    axes.legend_above(figure, axes.handles(styles[m] for m in dict.fromkeys(rows["model"])), 5)
    return figure, _ordered(axes.drawn(rows, "metric", "concept"), categories)


def _categories(rows: pd.DataFrame, categories: Iterable[str] | None) -> list[str]:
    """The asked categories, or all in `rows` in the palette's order and then their own."""
    present = list(dict.fromkeys(rows["concept"]))
    if categories is None:
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

    `rows` has columns model, relative_depth, value. Models of different depth are compared on the
    deepest one's layers by linear interpolation. `n` is the number of models.
    """
    grid = max((g["relative_depth"].to_numpy() for _, g in rows.groupby("model")), key=len)
    values = np.array(
        [np.interp(grid, g["relative_depth"], g["value"]) for _, g in rows.groupby("model")]
    )
    spread = {"low": values.min(0), "high": values.max(0)} if len(values) > 1 else {}
    return pd.DataFrame(
        {
            "layer_number": np.arange(1, len(grid) + 1),
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
    categories = _categories(rows, categories)
    colors = style.category_colors(categories)
    figure = style.new_figure(style.SINGLE, 2.3)
    ax = figure.subplots()
    means = []
    for category in categories:
        mean = mean_over_models(rows[rows["concept"] == category])
        axes.line(ax, mean, colors[category])
        means.append(mean.assign(concept=category))
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
    categories = _categories(rows, None)
    colors = style.category_colors(categories)
    models = [styles[m] for m in dict.fromkeys(rows["model"])]
    columns = axes.arrange(len(models))
    height = 0.65 + 1.45 * -(-len(models) // columns)
    figure = style.new_figure(style.DOUBLE, height)
    for i, ax in enumerate(axes.panels(figure, len(models), columns)):
        bottom, top, left = axes.edges(i, len(models), columns)
        mine = rows[rows["model"] == models[i].name]
        wide = mine.pivot_table(index="relative_depth", columns="concept", values="value")
        wide = wide.reindex(columns=categories).fillna(0)
        ax.set_facecolor(style.REST_COLOR)
        ax.stackplot(
            wide.index,
            wide.T.to_numpy(),
            colors=[colors[c] for c in categories],
            edgecolor="white",
            linewidth=0.4,
        )
        ax.grid(False)
        axes.depth_axis(ax, axes.common_layers(mine), bottom=bottom, top=top)
        axes.value_axis(ax, "share of neurons" if left else "", percent=True)
        ax.set_xlim(0, 1)
        ax.set_ylim(0, 1)
        ax.set_title(models[i].label)
    entries = [Patch(color=colors[c], label=c) for c in categories]
    axes.legend_above(figure, [*entries, Patch(color=style.REST_COLOR, label="none of these")], 4)
    return figure, axes.drawn(rows, "metric", "concept")


def _task_looks(groups: dict[str, dict[str, str]]) -> dict[str, tuple]:
    """{task: (display name, colour, line, marker)} with the pretrained models in black."""
    looks = {"": ("pretrained", "#000000", "-", "o")}
    for i, task in enumerate(t for t in groups if t):
        looks[task] = (display_name(task), *TASK_LOOKS[i % len(TASK_LOOKS)])
    return looks


def _groups(styles: Styles, bases: Iterable[str] | None) -> dict[str, dict[str, str]]:
    groups = finetuned_groups(styles, bases)
    if not groups:
        raise StrataError(f"no model of {list(styles)} has a version fine-tuned on every task")
    return groups


@style.styled
def finetuned_shares(
    shares: pd.DataFrame,
    styles: Styles,
    metric: str = "category_share_mean",
    bases: Iterable[str] | None = None,
) -> tuple[Figure, pd.DataFrame]:
    """Category shares before and after fine-tuning, mean over models (figure 7 of the paper).

    `bases` restricts the mean to these pretrained models (default: all with every task).
    """
    groups = _groups(styles, bases)
    rows = axes.select(shares, styles, metric)
    categories = _categories(rows, None)
    looks = _task_looks(groups)
    figure = style.new_figure(style.DOUBLE, 0.5 + 1.45 * -(-len(categories) // 3))
    means = []
    panels = axes.panels(figure, len(categories), 3)
    for i, ax in enumerate(panels):
        bottom, top, left = axes.edges(i, len(categories), 3)
        here = rows[rows["concept"] == categories[i]]
        for task, members in groups.items():
            mean = mean_over_models(here[here["model"].isin(members.values())])
            axes.line(ax, mean, *looks[task][1:])
            means.append(mean.assign(concept=categories[i], group=looks[task][0]))
        layers = axes.common_layers(rows[rows["model"].isin(groups[""])])
        axes.depth_axis(ax, layers, bottom=bottom, top=top)
        axes.value_axis(ax, "share of neurons" if left else "", percent=True)
        ax.set_title(categories[i])
    axes.from_zero(panels)
    axes.legend_above(figure, _look_handles(looks))
    table = pd.concat(means, ignore_index=True)
    first = ["concept", "group"]
    return figure, table[[*first, *table.columns.drop(first)]]


def _look_handles(looks: dict[str, tuple]) -> list[Line2D]:
    return [
        Line2D([], [], label=name, color=color, linestyle=linestyle, marker=marker)
        for name, color, linestyle, marker in looks.values()
    ]


@style.styled
def finetuned_counts(
    counts: pd.DataFrame,
    styles: Styles,
    metric: str = "n_concepts_median",
    bases: Iterable[str] | None = None,
) -> tuple[Figure, pd.DataFrame]:
    """Number of concepts before and after fine-tuning, a panel a model (figure 8 of the paper)."""
    groups = _groups(styles, bases)
    rows = axes.select(counts, styles, metric)
    looks = _task_looks(groups)
    models = list(groups[""])
    columns = axes.arrange(len(models))
    figure = style.new_figure(style.DOUBLE, 0.55 + 1.5 * -(-len(models) // columns))
    parts = []
    panels = axes.panels(figure, len(models), columns)
    for i, ax in enumerate(panels):
        bottom, top, left = axes.edges(i, len(models), columns)
        for task, members in groups.items():
            mine = rows[rows["model"] == members[models[i]]]
            axes.line(ax, mine, *looks[task][1:])
            parts.append(mine.assign(group=looks[task][0]))
        axes.depth_axis(ax, axes.common_layers(mine), bottom=bottom, top=top)
        axes.value_axis(ax, "number of concepts" if left else "")
        ax.set_title(styles[models[i]].label)
    axes.from_zero(panels)
    axes.legend_above(figure, _look_handles(looks))
    return figure, axes.drawn(pd.concat(parts), "metric", "group")


def top_concepts(labels: pd.DataFrame, n: int) -> pd.DataFrame:
    """Share of each layer's neurons above its median score that carry each of the top concepts.

    `labels` holds one model and one metric. The `n` concepts with the highest share in any layer
    are kept; the result is a table (concepts x layer numbers) ordered by mean depth.
    """
    median = labels.groupby("layer_index")["value"].transform("median")
    above = labels[labels["value"] > median]
    share = pd.crosstab(above["concept"], above["layer_index"] + 1, normalize="columns")
    share = share.reindex(columns=sorted(labels["layer_index"].unique() + 1), fill_value=0.0)
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
        mesh = ax.pcolormesh(
            table.to_numpy(),
            cmap=_SEQUENTIAL,
            vmin=0,
            vmax=highest,
            edgecolors="white",
            linewidth=0.3,
        )
        ax.invert_yaxis()
        ax.set_yticks(np.arange(len(table)) + 0.5, table.index, fontsize=6)
        step = 1 if len(table.columns) <= 8 else -(-(len(table.columns) - 1) // 6)
        ax.set_xticks(np.arange(len(table.columns))[::step] + 0.5, table.columns[::step])
        ax.tick_params(length=0)
        ax.grid(False)
        ax.set(title=model.label, xlabel="layer")
        ax.spines[:].set_visible(False)
    for ax in grid[len(models) :]:
        ax.remove()
    bar = figure.colorbar(mesh, ax=list(grid[: len(models)]), shrink=0.6, aspect=25, pad=0.01)
    bar.ax.yaxis.set_major_formatter("{x:.0%}")
    bar.set_label("share of neurons above the median score", fontsize=6)
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
    layers = list(dict.fromkeys(rows["layer_index"]))
    columns = min(6, len(layers))
    lines = -(-len(layers) // columns)
    figure = style.new_figure(style.DOUBLE, 0.5 + 1.05 * lines)
    low, high = rows["value"].min(), rows["value"].max()
    edges = np.linspace(low, high if high > low else low + 1, bins + 1)
    parts = []
    for i, ax in enumerate(axes.panels(figure, len(layers), columns)):
        bottom, _, left = axes.edges(i, len(layers), columns)
        scores = rows.loc[rows["layer_index"] == layers[i], "value"].to_numpy()
        height, _ = np.histogram(scores, edges)
        ax.stairs(height, edges, fill=True, color=style.REST_COLOR)
        ax.axvline(np.median(scores), color=model.color)
        ax.axvline(scores.mean(), color=model.color, linestyle=(0, (2, 1.5)))
        ax.set_title(f"layer {layers[i] + 1}", pad=2)
        ax.tick_params(labelbottom=bottom)
        ax.set_xlabel("score" if bottom else "")
        ax.set_ylabel("neurons" if left else "")
        parts.append(
            pd.DataFrame(
                {
                    "model": model.name,
                    "layer_number": layers[i] + 1,
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
