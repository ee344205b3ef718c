"""The one place of style, and the one way a figure reaches the disk."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import matplotlib as mpl
import pandas as pd
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from strata.whole import whole

SINGLE, DOUBLE = 3.35, 6.9  # inches: the paper's column and its text width
GREY = "#767676"

RC = {
    "font.family": "DejaVu Sans",  # ships with matplotlib, so the same everywhere
    "font.size": 7,
    "axes.titlesize": 7.5,
    "axes.labelsize": 7,
    "xtick.labelsize": 6.5,
    "ytick.labelsize": 6.5,
    "legend.fontsize": 6.5,
    "legend.frameon": False,
    "legend.handlelength": 2.4,
    "legend.columnspacing": 1.4,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.6,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.axisbelow": True,
    "grid.color": "#E4E4E4",
    "grid.linewidth": 0.5,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.major.size": 2.5,
    "ytick.major.size": 2.5,
    "lines.linewidth": 1.3,
    "lines.markersize": 2.6,
    "figure.dpi": 150,
    "savefig.dpi": 300,
    "pdf.fonttype": 42,
    "svg.fonttype": "path",
    "svg.hashsalt": "strata",
    "pdf.compression": 9,
    "hatch.linewidth": 0.35,
    "text.parse_math": False,  # words of data with two $ are no formula
}

CATEGORY_COLORS = {
    "colors": "#E69F00",
    "textures and materials": "#56B4E9",
    "natural elements and organisms": "#009E73",
    "objects and machines": "#0072B2",
    "places and buildings": "#D55E00",
    "activities": "#CC79A7",
}
REST_COLOR = "#D9D9D9"
# Of areas, by their place, so that they can be told apart without colours.
_HATCHES = ("", "/////", "..", "-----", "\\\\\\\\\\", "xxxx", "o", "+++++", "|||||")
_SPARE = ("#8C510A", "#B8A500", "#4D4D4D", "#7A9A01", "#B2182B")
_DATELESS = {
    "pdf": {"CreationDate": None, "ModDate": None, "Creator": "strata", "Producer": None},
    "svg": {"Date": None, "Creator": "strata"},
}


def category_colors(categories: Iterable[str]) -> dict[str, str]:
    """A fixed colour for each known category, and in order for the others the spare ones, then
    those of known categories that are not there."""
    categories = list(categories)
    free = [color for name, color in CATEGORY_COLORS.items() if name not in categories]
    spare = itertools.cycle([*_SPARE, *free])
    return {c: CATEGORY_COLORS.get(c) or next(spare) for c in categories}


def hatches(colors: Mapping[str, str]) -> dict[str, str]:
    """A hatch for each category, by its place; none for the rest."""
    free = itertools.cycle(_HATCHES)
    return {name: "" if color == REST_COLOR else next(free) for name, color in colors.items()}


def styled(function: Callable) -> Callable:
    """Run a figure function under `RC`, leaving the caller's matplotlib settings alone."""

    @functools.wraps(function)
    def wrapper(*args, **kwargs):
        with mpl.rc_context({**mpl.rcParamsDefault, **RC, "backend": mpl.rcParams["backend"]}):
            return function(*args, **kwargs)

    return wrapper


def new_figure(width: float, height: float, layout: str | None = "constrained") -> Figure:
    """A figure of `width` x `height` inches that needs no display and no global backend."""
    figure = Figure(figsize=(width, height), layout=layout)
    FigureCanvasAgg(figure)
    if layout == "constrained":
        figure.get_layout_engine().set(w_pad=0.03, h_pad=0.02, wspace=0.03, hspace=0.03)
    return figure


@styled
def save(figure: Figure, data: pd.DataFrame, stem: str | Path) -> list[Path]:
    """Write `stem`.pdf, .svg and .csv (what is drawn), whole or not at all.

    The same figure and table give the same bytes: no dates, fixed identifiers. `stem` is a path
    without a suffix; a suffix-like part of the name is kept.
    """
    stem = Path(stem)
    written = []
    for suffix in ("pdf", "svg", "csv"):
        path = stem.with_name(f"{stem.name}.{suffix}")
        with whole(path) as part:
            if suffix == "csv":
                data.to_csv(part, index=False, float_format="%.10g", lineterminator="\n")
            else:
                figure.savefig(part, format=suffix, metadata=_DATELESS[suffix])
        written.append(path)
    return written
