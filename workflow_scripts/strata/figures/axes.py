"""Furniture that figures share: depth axes, lines with bands, labels at line ends, panel grids."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator, PercentFormatter

from strata.errors import StrataError
from strata.figures import style
from strata.figures.models import ModelStyle
from strata.tables import blocks_passed, relative_depths

_LABEL = 6.5  # points
Look = tuple[str, Any, str]  # colour, line ("-" or matplotlib's (0, dashes)) and marker


def select(
    table: pd.DataFrame, styles: Mapping[str, ModelStyle], metric: str | None
) -> pd.DataFrame:
    """Rows of the models in `styles` (in that order), with columns for the layer axis.

    Adds `label` (display name), `layer_number` (1 for the first block, 0 for the embedding) and
    `relative_depth` (0 first block, 1 last).

    Raises
    ------
    StrataError
        There is nothing to draw.
    """
    rows = table.assign(layer_number=blocks_passed(table))
    rows = rows[rows["model"].isin(list(styles))]
    if metric is not None:
        rows = rows[rows["metric"] == metric]
    if rows.empty:
        raise StrataError(f"nothing to draw: no rows of {metric or 'models'} for {list(styles)}")
    order = {name: i for i, name in enumerate(styles)}
    rows = rows.assign(
        label=rows["model"].map({name: s.label for name, s in styles.items()}),
        relative_depth=relative_depths(rows["model"], rows["layer_number"]),
    )
    return rows.sort_values(["model", "layer_index"], key=_ranked(order), kind="stable")


def _ranked(order: dict[str, int]):
    return lambda column: column.map(order) if column.name == "model" else column


def drawn(rows: pd.DataFrame, *extra: str) -> pd.DataFrame:
    """The columns of a line figure's CSV."""
    columns = ["model", "label", *extra, "layer", "layer_number", "relative_depth"]
    return rows[[*columns, "value", "low", "high", "n"]].reset_index(drop=True)


def common_layers(rows: pd.DataFrame) -> int | None:
    """Number of layers when all models in `rows` have the same number, else None."""
    counts = rows.groupby("model")["layer_number"].max().unique()
    return int(counts[0]) if len(counts) == 1 else None


def layer_name(number: int) -> str:
    """The layer behind so many blocks, in words."""
    return f"layer {number}" if number else "embedding"


def depth_axis(ax: Axes, layers: int | None, *, bottom: bool = True, top: bool = True) -> None:
    """Relative depth below; above, the layer numbers when all models have `layers` layers.

    Call it when the panel is drawn: where a panel of the figure holds the embedding ("emb.", with
    number 0), all of them begin there.
    """
    first = min(map(_first_depth, ax.get_shared_x_axes().get_siblings(ax)))
    ax.set_xlim(first - 0.03, 1.03)
    ticks = {0: "0", 0.25: "", 0.5: "0.5", 0.75: "", 1: "1"}
    if first < 0:
        ticks |= {first: "emb.", 0: "0" if first < -0.15 else ""}
    ax.set_xticks(list(ticks), list(ticks.values()))
    ax.tick_params(labelbottom=bottom)
    if bottom:
        ax.set_xlabel("relative depth")
    if not (top and layers and layers > 1):
        return
    upper = ax.secondary_xaxis("top")
    least = 1 if _first_depth(ax) == 0 else 0
    step = 1 if layers <= 8 else math.ceil((layers - least) / 6)
    shown = range(least, layers + 1, step)
    upper.set_xticks([(i - 1) / (layers - 1) for i in shown], [str(i) for i in shown])
    upper.tick_params(length=1.5, pad=1, labelsize=6, colors=style.GREY)
    upper.spines["top"].set_visible(False)
    upper.set_xlabel("layer", fontsize=6, color=style.GREY, labelpad=1.5)


def _first_depth(ax: Axes) -> float:
    """Relative depth at which a panel's data begin: 0 at the first block, below it before that."""
    return min(0.0, round(ax.dataLim.x0, 6)) if np.isfinite(ax.dataLim.x0) else 0.0


def lines(
    ax: Axes,
    rows: pd.DataFrame,
    by: str,
    looks: Mapping[str, Look],
    x: str = "relative_depth",
    **shape,
) -> None:
    """A line of `value` over `x` for each value of column `by`, in its look, with a band from `low`
    to `high` where both are known.

    Lines break where a value is missing. Of the bands seaborn knows only those that it computes.
    `shape` goes to seaborn's lines.
    """
    rows = rows[rows[by].isin(list(looks))].sort_values(x, kind="stable")
    if rows.empty:
        return
    pieces = rows["value"].isna().groupby(rows[by]).cumsum()
    _curves(
        ax, rows.assign(piece=pieces), x, hue=by, style=by, units="piece",
        palette={name: color for name, (color, _, _) in looks.items()},
        dashes={name: "" if drawn == "-" else drawn[1] for name, (_, drawn, _) in looks.items()},
        markers={name: marker for name, (_, _, marker) in looks.items()},
        hue_order=list(looks), style_order=list(looks), **shape,
    )  # fmt: skip
    for name, mine in rows.groupby(by):
        low, high = mine["low"].to_numpy(float), mine["high"].to_numpy(float)
        ax.fill_between(mine[x], low, high, color=looks[name][0], alpha=0.16, linewidth=0)


def reference(ax: Axes, rows: pd.DataFrame, linestyle: tuple) -> None:
    """A grey line of the mean `value` of all rows at a depth."""
    look = {"color": style.GREY, "linestyle": linestyle, "linewidth": 1}
    _curves(ax, rows, "relative_depth", estimator="mean", **look)


def _curves(ax: Axes, rows: pd.DataFrame, x: str, **options) -> None:
    import seaborn  # which takes as long to load as the rest of a figure

    plain = {"estimator": None, "errorbar": None, "legend": False}
    edges = {"markeredgecolor": None, "markeredgewidth": None}  # as matplotlib has them
    seaborn.lineplot(rows, x=x, y="value", ax=ax, **plain | edges | options)
    ax.set(xlabel="", ylabel="")


def stack(ax: Axes, rows: pd.DataFrame, colors: Mapping[str, str]) -> None:
    """Shares of the concepts in `colors` by depth, one area upon another in this order."""
    wide = rows.pivot_table(index="relative_depth", columns="concept", values="value")
    wide = wide.reindex(columns=list(colors)).fillna(0)
    areas = ax.stackplot(wide.index, wide.T.to_numpy(), colors=list(colors.values()))
    for area, hatch in zip(areas, style.hatches(colors).values(), strict=True):
        area.set(hatch=hatch, edgecolor="white", linewidth=0.4)
    ax.grid(False)


def area_handles(colors: Mapping[str, str]) -> list[Patch]:
    """Legend entries of what `stack` draws."""
    return [
        Patch(facecolor=colors[name], edgecolor="white", linewidth=0, hatch=hatch, label=name)
        for name, hatch in style.hatches(colors).items()
    ]


def model_lines(ax: Axes, rows: pd.DataFrame, styles: Mapping[str, ModelStyle]) -> None:
    """A line for each model of `rows`, in its own look."""
    looks = {name: (look.color, look.linestyle, look.marker) for name, look in styles.items()}
    lines(ax, rows, "model", looks)


def value_axis(ax: Axes, label: str = "", percent: bool = False) -> None:
    """Value axis with few round ticks, in percent where asked."""
    ax.yaxis.set_major_locator(MaxNLocator(nbins=5, steps=[1, 2, 2.5, 5, 10]))
    if percent:
        ax.yaxis.set_major_formatter(PercentFormatter(xmax=1, decimals=0))
    if label:
        ax.set_ylabel(label)


def from_zero(panels: Sequence[Axes]) -> None:
    """Give all panels the value range from zero to a little above their highest value."""
    top = max(ax.dataLim.y1 for ax in panels)
    for ax in panels:
        ax.set_ylim(0, 1.05 * top if top > 0 else 1)


def handles(styles: Iterable[ModelStyle]) -> list[Line2D]:
    """Legend entries of models."""
    return [
        Line2D([], [], color=s.color, linestyle=s.linestyle, marker=s.marker, label=s.label)
        for s in styles
    ]


def legend_above(figure: Figure, entries: Sequence, columns: int = 4) -> None:
    """One compact legend above all panels, outside the data.

    Where it is wider than the figure it gets fewer columns, and the figure the height of the rows
    that it then has more, so that panels keep their size.
    """
    wanted = math.ceil(len(entries) / columns)
    for rows in range(wanted, len(entries) + 1):
        # Matplotlib fills legends by column; even rows need the fewest columns that do it.
        shape = {"loc": "outside upper center", "ncols": math.ceil(len(entries) / rows)}
        legend = figure.legend(handles=list(entries), **shape)
        figure.draw_without_rendering()
        box = legend.get_window_extent()
        if box.width <= figure.bbox.width or rows == len(entries):
            break
        legend.remove()
    more = (rows - wanted) / rows * box.height / figure.dpi
    figure.set_figheight(figure.get_figheight() + more)


def spread(positions: Sequence[float], sizes: Sequence[float], low: float, high: float):
    """Positions moved apart, in their order, so that items of `sizes` centred there do not overlap.

    Overlapping neighbours are pushed apart by equal amounts, again and again, within [low, high].
    """
    order = np.argsort(positions, kind="stable")
    y = np.asarray(positions, float)[order]
    size = np.asarray(sizes, float)[order]
    gaps = (size[:-1] + size[1:]) / 2
    for _ in range(500):
        overlap = gaps - np.diff(y)
        if (overlap <= 1e-3 * size.max()).all():
            break
        push = np.clip(overlap, 0, None) / 2
        y[:-1] -= push
        y[1:] += push
        y = np.clip(y, low + size / 2, high - size / 2)
    moved = np.empty_like(y)
    moved[order] = y
    return moved


def label_ends(figure: Figure, ax: Axes, ends: Sequence[tuple[float, str, str]]) -> None:
    """Name lines at their right end; `ends` holds (y of the end, label, colour).

    Labels are moved apart, with a thin leader to the line's end where they had to move.
    """
    texts = [
        ax.annotate(
            label,
            (1, y),
            xytext=(1.1, y),
            fontsize=_LABEL,
            color=color,
            va="center",
            linespacing=1.0,
            annotation_clip=False,
            arrowprops={"arrowstyle": "-", "color": color, "lw": 0.5, "shrinkA": 1, "shrinkB": 3},
        )
        for y, label, color in ends
    ]
    figure.draw_without_rendering()
    low, high = ax.get_ylim()
    unit = (high - low) / (ax.get_window_extent().height * 72 / figure.dpi)  # data per point
    sizes = [1.2 * _LABEL * unit * (1 + label.count("\n")) for _, label, _ in ends]
    margin = 0.6 * _LABEL * unit  # a label may stand half its height beyond the axis
    places = spread([y for y, _, _ in ends], sizes, low - margin, high + margin)
    for text, y in zip(texts, places, strict=True):
        text.set_position((1.1, y))


def fits_ends(n: int, height: float) -> bool:
    """Whether `n` line-end labels fit beside axes in a figure `height` inches high."""
    return n * 1.2 * _LABEL <= 0.7 * height * 72


def name_lines(
    figure: Figure, ax: Axes, rows: pd.DataFrame, styles: Mapping[str, ModelStyle]
) -> None:
    """Name each model of `rows` at its line's end, or in a legend above when they are too many.

    A random twin shares its model's colour, so one entry for all dashed lines names them.
    """
    present = [styles[name] for name in dict.fromkeys(rows["model"])]
    drawn_names = {s.name for s in present}
    twins = [s for s in present if s.role == "random" and s.base in drawn_names]
    named = [s for s in present if s not in twins]
    key = []
    if twins:
        dashed = {"linestyle": twins[0].linestyle, "label": "random weights"}
        key = [
            Line2D([], [], color=style.GREY, label="trained"),
            Line2D([], [], color=style.GREY, **dashed),
        ]
    if fits_ends(len(named), figure.get_size_inches()[1]):
        if key:
            legend_above(figure, key)
        last = rows.groupby("model")["value"].last()
        label_ends(figure, ax, [(last[s.name], s.label, s.color) for s in named])
    else:
        legend_above(figure, [*handles(named), *key], 2)


def panels(figure: Figure, n: int, columns: int, sharey: bool | str = True) -> list[Axes]:
    """`n` panels in rows of `columns`, sharing x and, if asked, y; unused places are left out."""
    columns = min(columns, n)
    rows = math.ceil(n / columns)
    grid = figure.subplots(rows, columns, sharex=True, sharey=sharey, squeeze=False).ravel()
    for ax in grid[n:]:
        ax.remove()
    return list(grid[:n])


def arrange(n: int) -> int:
    """Columns that lay out `n` panels evenly across the text width."""
    return n if n <= 5 else 3 if n == 6 else 4


def width(columns: int) -> float:
    """Of a figure with so many columns of panels: one panel is as wide as a column of text."""
    return style.DOUBLE if columns > 1 else style.SINGLE


def edges(i: int, n: int, columns: int) -> tuple[bool, bool, bool]:
    """(is lowest in its column, is in the first row, is in the first column) of panel `i`."""
    columns = min(columns, n)
    return i + columns >= n, i < columns, i % columns == 0
