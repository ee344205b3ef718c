"""Figures of the study of pruning. Tables are those of `strata.pruning`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from strata.figures import axes, style
from strata.figures.models import ModelStyle, family_name
from strata.pruning.comparison import pareto_front, tradeoff_points
from strata.pruning.kept import CUT
from strata.stats import t_interval

Styles = Mapping[str, ModelStyle]


class Look(NamedTuple):
    """How a criterion is called and drawn."""

    label: str
    color: str
    marker: str


CRITERIA = {
    "full": Look("all layers", "#000000", "o"),
    CUT: Look("most convex", "#D55E00", "*"),
    "one_standard_error": Look("within one standard error", "#E69F00", "P"),
    "depth_penalised": Look("depth-penalised", "#8C510A", "X"),
    "every_second": Look("every second", "#0072B2", "s"),
    "random": Look("random layers", "#767676", "v"),
    "block_influence": Look("block influence", "#009E73", "^"),
    "angular_distance": Look("angular distance", "#CC79A7", "<"),
    "cka": Look("CKA", "#56B4E9", ">"),
    "oracle": Look("oracle depth", "#000000", "D"),
    "random_depth": Look("any depth (mean)", "#B8A500", "d"),
}
_VARIANTS = (CUT, "one_standard_error", "depth_penalised")
_FRONT_END = "#EFEFEF"


def _entry(name: str, **more) -> Line2D:
    look = CRITERIA[name]
    shape = {"linestyle": "", "marker": look.marker, "color": look.color, "ms": 4} | more
    return Line2D([], [], label=look.label, **shape)


def _pairs(rows: pd.DataFrame, styles: Styles) -> list[tuple[str, str]]:
    """(model, task) pairs in the study's order: a row of panels per task."""
    tasks = list(dict.fromkeys(rows["family"]))
    return [(model, task) for task in tasks for model in styles if model in set(rows["model"])]


def _grid(n: int, columns: int, row: float) -> tuple[Figure, list[Axes]]:
    width = style.DOUBLE if n > 1 else style.SINGLE
    figure = style.new_figure(width, 0.55 + row * -(-n // columns))
    return figure, axes.panels(figure, n, columns, sharey=False)


@style.styled
def convexity_with_cuts(table: pd.DataFrame, styles: Styles) -> tuple[Figure, pd.DataFrame]:
    """Convexity of each family by layer, a panel each, with the layers where the cuts fall."""
    rows = axes.select(table, styles, "graph_convexity")
    families = list(dict.fromkeys(rows["family"]))
    cuts = table[table["metric"].isin(_VARIANTS) & table["model"].isin(list(styles))]
    figure, panels = _grid(len(families), len(families), 1.75)
    drawn = [rows]
    for i, (ax, family) in enumerate(zip(panels, families, strict=True)):
        mine = rows[rows["family"] == family]
        axes.model_lines(ax, mine, styles)
        for name in reversed(_VARIANTS):
            marks = mine.merge(
                cuts.loc[(cuts["family"] == family) & (cuts["metric"] == name), ["model", "layer"]],
                on=["model", "layer"],
            )
            if marks.empty:  # this model or family has no cut
                continue
            look = CRITERIA[name]
            size = 9 if name == CUT else 6
            ax.plot(
                marks["relative_depth"], marks["value"], linestyle="", marker=look.marker, ms=size,
                color=look.color, mec="white", mew=0.6, zorder=4, clip_on=False,
            )  # fmt: skip
            drawn.append(marks.assign(metric=name))
        axes.depth_axis(ax, axes.common_layers(mine))
        axes.value_axis(ax, "graph convexity" if i == 0 else "")
        ax.set_title(family_name(family))
    entries = axes.handles(styles[m] for m in dict.fromkeys(rows["model"]))
    marks = [_entry(name, ms=7 if name == CUT else 5) for name in _VARIANTS]
    axes.legend_above(figure, [*entries, *marks], 4 if len(families) > 1 else 2)
    return figure, axes.drawn(pd.concat(drawn), "metric", "family")


_BESIDE = 0.035  # of the axis, between choices that coincide


@style.styled
def tradeoff(table: pd.DataFrame, styles: Styles) -> tuple[Figure, pd.DataFrame]:
    """Test accuracy against multiply-accumulates, a panel per model and task.

    Choices that coincide stand side by side, the convexity cut and the oracle where they are.
    """
    points = tradeoff_points(table, table)
    front = {
        row.model: row.value for row in table[table["metric"] == "front_end_macs"].itertuples()
    }
    pairs = _pairs(points, styles)
    columns = max(2, len(dict.fromkeys(model for model, _ in pairs)))
    figure, panels = _grid(len(pairs), columns, 1.9)
    for i, (ax, (model, task)) in enumerate(zip(panels, pairs, strict=True)):
        mine = points[(points["model"] == model) & (points["family"] == task)]
        _tradeoff_panel(ax, mine, front[model])
        ax.set_title(f"{styles[model].label}, {family_name(task)}")
        axes.value_axis(ax, "test accuracy" if i % columns == 0 else "")
        if i + columns >= len(pairs):
            ax.set_xlabel("multiply-accumulates (millions)")
    shown = [name for name in CRITERIA if name in set(points["criterion"])]
    entries = [_entry(name, mfc="none" if name == "oracle" else None) for name in shown]
    entries += [
        Line2D([], [], color=style.GREY, marker=".", label="first layers, every depth"),
        Line2D([], [], color="#000000", lw=0.8, linestyle=(0, (2, 1.5)), label="Pareto front"),
        Patch(color=_FRONT_END, label="front end"),
    ]
    axes.legend_above(figure, entries, 5)
    return figure, points.reset_index(drop=True)


def _tradeoff_panel(ax: Axes, points: pd.DataFrame, front_end: float) -> None:
    scaled = points.assign(macs=points["macs"] / 1e6)
    top = scaled["macs"].max()
    ax.axvspan(0, front_end / 1e6, color=_FRONT_END, lw=0, zorder=0)
    prefix = scaled[scaled["criterion"] == "prefix"]
    if len(prefix):
        look = {"prefix": (style.GREY, "-", ".")}
        axes.lines(ax, prefix, "criterion", look, x="macs", linewidth=1)
    front = pareto_front(scaled)
    ax.step(
        [*front["macs"], top], [*front["value"], front["value"].iloc[-1]], where="post",
        color="#000000", lw=0.8, linestyle=(0, (2, 1.5)),
    )  # fmt: skip
    chosen = [name for name in CRITERIA if name in set(scaled["criterion"])]
    chosen.sort(key=lambda name: (name not in (CUT, "oracle"), name != CUT))
    places: list[tuple[float, float]] = []
    for name in chosen:
        point, look = scaled[scaled["criterion"] == name].iloc[0], CRITERIA[name]
        hollow = {"mfc": "none", "ms": 7.5, "mew": 0.9} if name == "oracle" else {"ms": 4.5}
        hollow |= {"ms": 8} if name == CUT else {}
        place = point["macs"], point["value"]
        if name != "oracle":  # which stands around the choice that it coincides with
            while any(_meet(place, other, top) for other in places):
                place = place[0] + _BESIDE * top, place[1]
            places.append(place)
        ax.plot(*place, marker=look.marker, color=look.color, **hollow)
    ax.set_xlim(0, max([top, *(x for x, _ in places)]) + 0.05 * top)


def _meet(place: tuple[float, float], other: tuple[float, float], top: float) -> bool:
    """Whether the marks of two choices would cover each other."""
    return abs(place[0] - other[0]) < 0.9 * _BESIDE * top and abs(place[1] - other[1]) < 0.04


@style.styled
def curves(table: pd.DataFrame, styles: Styles) -> tuple[Figure, pd.DataFrame]:
    """Validation accuracy by epoch, mean over seeds, a panel per model and task.

    The intervals are about new seeds and these samples alone (`about`): what each epoch answers to
    each sample is not kept. They end where accuracies do.
    """
    cuts = table[table["metric"].isin(list(CRITERIA))]
    epochs = table[table["metric"] == "validation_curve"]
    keys = ["model", "family", "kept"]
    fixed = cuts.loc[cuts["metric"] != "random", [*keys, "metric"]].merge(
        epochs[[*keys, "seed", "epoch", "value"]], on=keys
    )
    drawn_layers = cuts.loc[cuts["metric"] == "random", [*keys, "seed", "metric"]].merge(
        epochs[[*keys, "seed", "epoch", "value"]], on=[*keys, "seed"]
    )
    runs = _carried_forward(pd.concat([fixed, drawn_layers]))
    rows = []
    grouped = runs.groupby(["model", "family", "metric", "epoch"], sort=False)
    for (model, task, name, epoch), mine in grouped:
        value, *bounds = t_interval(mine["value"].to_numpy())
        low, high = np.clip(bounds, 0, 1).tolist()
        place = {"model": model, "family": task, "criterion": name, "epoch": int(epoch)}
        about = {"about": "seeds, of these samples"}
        rows.append(place | {"n": len(mine), "value": value, "low": low, "high": high} | about)
    data = pd.DataFrame(rows)
    pairs = _pairs(data, styles)
    columns = max(2, len(dict.fromkeys(model for model, _ in pairs)))
    figure, panels = _grid(len(pairs), columns, 1.7)
    for i, (ax, (model, task)) in enumerate(zip(panels, pairs, strict=True)):
        mine = data[(data["model"] == model) & (data["family"] == task)]
        _curve_panel(ax, mine)
        ax.set_title(f"{styles[model].label}, {family_name(task)}")
        axes.value_axis(ax, "validation accuracy" if i % columns == 0 else "")
        if i + columns >= len(pairs):
            ax.set_xlabel("epoch")
    shown = [name for name in CRITERIA if name in set(data["criterion"])]
    entries = [_entry(name, linestyle="-", ms=3) for name in shown]
    axes.legend_above(figure, entries, 5)
    return figure, data


def _carried_forward(runs: pd.DataFrame) -> pd.DataFrame:
    """Every training as long as the longest of its model and task, at its last value."""
    keys = ["model", "family", "metric", "seed"]
    parts = []
    for _, mine in runs.groupby(["model", "family"], sort=False):
        wide = mine.pivot_table(index=keys, columns="epoch", values="value", sort=False)
        long = wide.ffill(axis=1).reset_index().melt(keys, var_name="epoch", value_name="value")
        parts.append(long)
    return pd.concat(parts)


def _curve_panel(ax: Axes, rows: pd.DataFrame) -> None:
    """Bold and with their bands all layers and the cut, thin and without the others."""
    looks = {name: (look.color, "-", look.marker) for name, look in CRITERIA.items()}
    main = rows["criterion"].isin(["full", CUT])
    bare = rows[~main].assign(low=np.nan, high=np.nan)
    axes.lines(ax, bare, "criterion", looks, x="epoch", linewidth=0.8, markersize=2)
    bold = {"linewidth": 1.6, "markersize": 3, "zorder": 3}
    axes.lines(ax, rows[main], "criterion", looks, x="epoch", **bold)
    ax.xaxis.get_major_locator().set_params(integer=True)


@style.styled
def differences(table: pd.DataFrame, styles: Styles) -> tuple[Figure, pd.DataFrame]:
    """Accuracy of the convexity cut less that of each other choice, paired by seed and sample.

    Hollow without a line: a difference without an interval.
    """
    rows = table[table["metric"] == "difference"]
    names = [name for name in reversed(CRITERIA) if name in set(rows["concept"])]
    pairs = _pairs(rows[rows["model"] != "all"], styles)
    if (rows["model"] == "all").any():
        pairs.append(("all", "all"))
    figure = style.new_figure(style.DOUBLE, 0.55 + 0.17 * len(names))
    grid = figure.subplots(1, len(pairs), sharey=True, squeeze=False)[0]
    for ax, (model, task) in zip(grid, pairs, strict=True):
        mine = rows[(rows["model"] == model) & (rows["family"] == task)]
        _difference_points(ax, mine.assign(place=mine["concept"].map(names.index)))
        ax.axvline(0, color=style.GREY, lw=0.7, zorder=1)
        ax.set_yticks(range(len(names)), [CRITERIA[name].label for name in names])
        ax.set_ylim(-0.6, len(names) - 0.4)
        ax.tick_params(labelleft=ax is grid[0])
        ax.grid(axis="x")
        ax.tick_params(axis="x", labelsize=6)
        ax.xaxis.set_major_locator(MaxNLocator(nbins=4, steps=[1, 2, 5, 10]))
        label = f"{styles[model].label},\n{family_name(task)}" if model != "all" else "all"
        ax.set_title(label)
    figure.supxlabel("accuracy of the convexity cut less that of the other", fontsize=7)
    columns = ["model", "family", "concept", "value", "low", "high", "n", "same", "p_value"]
    return figure, rows.reindex(columns=[*columns, "p_adjusted", "about"]).reset_index(drop=True)


def _difference_points(ax: Axes, rows: pd.DataFrame) -> None:
    import seaborn.objects as so

    side = 1 if rows["value"].sum() >= 0 else -1  # of 0 on which most of the panel is
    for same in rows[rows["same"] == rows["n"]].itertuples():
        ax.annotate("same layers", (0, same.place), xytext=(3 * side, 0), va="center",
                    ha="left" if side > 0 else "right", textcoords="offset points",
                    fontsize=5.5, color=style.GREY)  # fmt: skip
    rows = rows[rows["same"] != rows["n"]]
    if rows.empty:
        return
    points = rows.assign(known=rows["low"].notna())
    (
        so.Plot(points, x="value", y="place", color="concept", fill="known")
        .add(so.Dot(pointsize=3.5, stroke=1), legend=False)
        .add(so.Range(linewidth=1.2), xmin="low", xmax="high", orient="y", legend=False)
        .scale(color={name: CRITERIA[name].color for name in points["concept"]},
               fill={True: True, False: False})
        .label(x="", y="")
        .on(ax)
        .plot()
    )  # fmt: skip


@style.styled
def layer_similarity(table: pd.DataFrame, styles: Styles) -> tuple[Figure, pd.DataFrame]:
    """CKA and angular distance between what enters layers, a column per model."""
    import seaborn

    metrics = {"cka": "CKA", "angular_distance": "angular distance"}
    rows = table[table["metric"].isin(list(metrics)) & table["model"].isin(list(styles))]
    models = [model for model in styles if model in set(rows["model"])]
    figure = style.new_figure(style.DOUBLE, 0.75 + 3.2 / len(models))
    grid = figure.subplots(1, 2 * len(models), squeeze=False)[0]
    for i, metric in enumerate(metrics):
        top = 1.0 if metric == "cka" else rows.loc[rows["metric"] == metric, "value"].max()
        for j, model in enumerate(models):
            ax = grid[i * len(models) + j]
            mine = rows[(rows["model"] == model) & (rows["metric"] == metric)]
            matrix = mine.pivot(index="layer_index", columns="other", values="value")
            names = ["in", *map(str, range(1, len(matrix)))]
            matrix = matrix.set_axis(names, axis=0).set_axis(names, axis=1)
            seaborn.heatmap(
                matrix, ax=ax, cmap="viridis", vmin=0, vmax=top, cbar=False, square=True,
                xticklabels=2, yticklabels=2,
            )  # fmt: skip
            ax.invert_yaxis()
            ax.tick_params(rotation=0, labelleft=j == 0)
            ax.grid(False)
            ax.set_title(f"{styles[model].label}\n{metrics[metric]}")
            ax.set(xlabel="after layer", ylabel="")
        own = list(grid[i * len(models) : (i + 1) * len(models)])
        bar = figure.colorbar(own[-1].collections[0], ax=own)
        bar.ax.tick_params(labelsize=6)
        bar.outline.set_visible(False)
    columns = ["model", "metric", "layer", "layer_index", "other", "value", "n"]
    return figure, rows[columns].reset_index(drop=True)


_COSTS = {
    "parameters": ("parameters (thousands)", 1e-3, "front_end_parameters"),
    "macs": ("multiply-accumulates (millions)", 1e-6, "front_end_macs"),
    "file_bytes": ("file (MB)", 1e-6, None),
    "memory_bytes": ("peak memory of a pass (MB)", 1e-6, None),
}
_SECONDS = {
    "latency": ("latency (ms)", 1e3, None),
    "epoch_seconds": ("training (seconds an epoch)", 1.0, None),
}


@style.styled
def cost(table: pd.DataFrame, styles: Styles) -> tuple[Figure, pd.DataFrame]:
    """What each depth costs, a panel per quantity; dashed, the part before the first layer."""
    return _by_depth(table, styles, _COSTS)


@style.styled
def seconds(table: pd.DataFrame, styles: Styles) -> tuple[Figure, pd.DataFrame]:
    """How long each depth takes: a clip, and an epoch of training."""
    return _by_depth(table, styles, _SECONDS)


def _by_depth(
    table: pd.DataFrame, styles: Styles, metrics: Mapping[str, tuple[str, float, str | None]]
) -> tuple[Figure, pd.DataFrame]:
    """A panel per metric, (title, scale, the metric that is its part before the first layer)."""
    rows = axes.select(table, styles, None)
    figure, panels = _grid(len(metrics), 2, 1.35)
    for i, (ax, (metric, (label, scale, front))) in enumerate(
        zip(panels, metrics.items(), strict=True)
    ):
        scaled = rows[rows["metric"] == metric].copy()
        scaled[["value", "low", "high"]] *= scale
        for place, (name, model) in enumerate(styles.items()):
            # Models of one shape cost the same: the first drawn is the widest, and stays visible.
            wide = 1.3 + 1.6 * (len(styles) - 1 - place) / max(1, len(styles) - 1)
            look = {name: (model.color, "-", model.marker)}
            axes.lines(ax, scaled, "model", look, x="layer_number", linewidth=wide)
            if front:
                value = rows.loc[(rows["model"] == name) & (rows["metric"] == front), "value"]
                ax.axhline(value.iloc[0] * scale, color=model.color, lw=0.9, linestyle=(0, (4, 2)))
        ax.set_ylim(bottom=0)
        ax.xaxis.get_major_locator().set_params(integer=True)
        axes.value_axis(ax)
        ax.set_title(label)
        if i >= len(metrics) - 2:
            ax.set_xlabel("layers kept")
    entries = axes.handles(styles.values())
    if any(front for _, _, front in metrics.values()):
        dashed = (0, (4, 2))
        entries += [Line2D([], [], color=style.GREY, lw=0.9, linestyle=dashed, label="front end")]
    axes.legend_above(figure, entries, 4)
    return figure, axes.drawn(rows, "metric")
