"""The picture at the top of README.md: what a run of the default study found, on light and dark."""

import sys
from collections.abc import Mapping
from pathlib import Path

import matplotlib as mpl
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "workflow_scripts"))
from strata.figures.style import CATEGORY_COLORS, RC, REST_COLOR, new_figure

INK = {"light": ("#1F2328", "#D0D7DE"), "dark": ("#E6EDF3", "#3D444D")}  # text, grid
TASKS = {"word": "#A05CF0", "speaker": "#12A0B0"}  # none of the categories', on either ground
NETWORK = {"dinov2-small": "DINOv2-small", "dinov2-small-random": "its twin, random weights"}


def save_pictures(figures: Path, images: Path) -> None:
    """Write result-light.svg and result-dark.svg from the tables of a run's figures."""
    images.mkdir(exist_ok=True)
    names = {"passage": "scenes_passage", "cuts": "spoken-digits_cuts"}
    names["depths"] = "spoken-digits_tradeoff"
    tables = {key: pd.read_csv(figures / f"{name}.csv") for key, name in names.items()}
    for ground, (ink, grid) in INK.items():
        colors = {"text.color": ink, "axes.labelcolor": ink, "axes.edgecolor": ink}
        colors |= {"xtick.color": ink, "ytick.color": ink, "grid.color": grid}
        colors |= {"axes.facecolor": "none", "figure.facecolor": "none"}
        with mpl.rc_context({**mpl.rcParamsDefault, **RC, **colors}):
            picture(tables, ink).savefig(
                images / f"result-{ground}.svg",
                metadata={"Date": None, "Creator": "strata"},
            )


def picture(tables: Mapping[str, pd.DataFrame], ink: str) -> Figure:
    """What neurons tell best, how convex words and speakers are, and what a cut costs, by depth."""
    figure = new_figure(8.4, 2.75)
    panels = figure.subplots(1, 4, gridspec_kw={"width_ratios": (1, 1, 1.1, 1.1)})
    planted = tables["passage"].query("similarity == 'planted'")
    for ax, (model, title) in zip(panels, NETWORK.items(), strict=False):
        _neurons(ax, planted[planted["model"] == model], title)
    panels[0].set_ylabel("neurons, by what they tell best")
    panels[1].tick_params(labelleft=False)
    _convexity(panels[2], tables["cuts"].query("metric == 'graph_convexity'"), ink)
    _accuracy(panels[3], tables["depths"].query("criterion == 'prefix'"))
    shown = [c for c in CATEGORY_COLORS if c != "activities"]
    entries = [Patch(color=CATEGORY_COLORS[c], label=c) for c in shown]
    entries.append(Patch(color=REST_COLOR, label="other"))
    figure.legend(handles=entries, loc="outside lower left", ncols=6, handlelength=1.2)
    return figure


def _neurons(ax: Axes, rows: pd.DataFrame, title: str) -> None:
    wide = rows.pivot_table(index="layer_number", columns="concept", values="value").fillna(0)
    named = [c for c in CATEGORY_COLORS if c != "activities"]
    rest = 1 - wide[named].sum(axis=1)
    colors = [*(CATEGORY_COLORS[c] for c in named), REST_COLOR]
    ax.stackplot(wide.index, *(wide[c] for c in named), rest, colors=colors)
    ax.set(title=title, xlabel="block", xlim=(wide.index.min(), wide.index.max()), ylim=(0, 1))
    ax.set_xticks([1, 4, 8, 12])
    ax.yaxis.set_major_formatter(mpl.ticker.PercentFormatter(1))
    ax.grid(False)


def _convexity(ax: Axes, rows: pd.DataFrame, ink: str) -> None:
    for (model, task), mine in rows.groupby(["model", "family"]):
        twin = model.endswith("random")
        style = {"linestyle": "--", "alpha": 0.7} if twin else {"marker": "o"}
        ax.plot(mine["layer_number"], mine["value"], color=TASKS[task], **style)
        if not twin:
            _band(ax, mine, "layer_number", task)
            _name(ax, mine["layer_number"], mine["value"], task)
    ax.plot([], [], "--", color=ink, alpha=0.7, label="random weights")
    ax.legend(loc="lower left")
    ax.set(title="Whisper tiny.en", xlabel="layer", ylabel="convexity", ylim=(0, 1.12))
    ax.set_xticks(sorted(rows["layer_number"].unique()))


def _accuracy(ax: Axes, rows: pd.DataFrame) -> None:
    for task, mine in rows.groupby("family"):
        ax.plot(mine["layers"], mine["value"], color=TASKS[task], marker="o")
        _band(ax, mine, "layers", task)
    ax.set(title="cut and fine-tuned", xlabel="layers kept", ylim=(0, 1.12))
    ax.set_ylabel("test accuracy")
    ax.set_xticks(sorted(rows["layers"].unique()))


def _band(ax: Axes, rows: pd.DataFrame, x: str, task: str) -> None:
    ax.fill_between(rows[x], rows["low"], rows["high"], color=TASKS[task], alpha=0.2, linewidth=0)


def _name(ax: Axes, x: pd.Series, y: pd.Series, task: str) -> None:
    highest = int(y.to_numpy().argmax())
    place = {
        "xytext": (0, 7),
        "textcoords": "offset points",
        "ha": "left" if highest == 0 else "center",
    }
    where = (x.iloc[highest], y.iloc[highest])
    ax.annotate(f"{task}s", where, color=TASKS[task], weight="bold", **place)
