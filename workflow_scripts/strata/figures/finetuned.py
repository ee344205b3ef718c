"""Concepts before and after fine-tuning (figures 7 and 8 of "From Colors to Classes")."""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from strata.errors import StrataError
from strata.figures import axes, style
from strata.figures.concepts import Styles, mean_over_models, panel_categories
from strata.figures.models import display_name, finetuned_groups

# A task's line in figures that average over models: black before, then these in turn.
TASK_LOOKS = (
    ("#D55E00", "-", "s"),
    ("#56B4E9", "-", "^"),
    ("#009E73", "-", "D"),
    ("#CC79A7", "-", "v"),
)


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
    categories = panel_categories(rows, None)
    looks = _task_looks(groups)
    figure = style.new_figure(style.DOUBLE, 0.5 + 1.45 * -(-len(categories) // 3))
    means = []
    panels = axes.panels(figure, len(categories), 3)
    for i, ax in enumerate(panels):
        bottom, top, left = axes.edges(i, len(categories), 3)
        here = rows[rows["concept"] == categories[i]]
        mine = [
            mean_over_models(here[here["model"].isin(members.values())]).assign(
                concept=categories[i], group=looks[task][0]
            )
            for task, members in groups.items()
        ]
        axes.lines(ax, pd.concat(mine), "group", _of_groups(looks))
        means += mine
        layers = axes.common_layers(rows[rows["model"].isin(groups[""])])
        axes.depth_axis(ax, layers, bottom=bottom, top=top)
        axes.value_axis(ax, "share of neurons" if left else "", percent=True)
        ax.set_title(categories[i])
    axes.from_zero(panels)
    axes.legend_above(figure, _look_handles(looks))
    table = pd.concat(means, ignore_index=True)
    first = ["concept", "group"]
    return figure, table[[*first, *table.columns.drop(first)]]


def _of_groups(looks: dict[str, tuple]) -> dict[str, axes.Look]:
    return {name: look for name, *look in looks.values()}


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
    figure = style.new_figure(axes.width(columns), 0.55 + 1.5 * -(-len(models) // columns))
    parts = []
    panels = axes.panels(figure, len(models), columns)
    for i, ax in enumerate(panels):
        bottom, top, left = axes.edges(i, len(models), columns)
        tasks = {members[models[i]]: looks[task][0] for task, members in groups.items()}
        mine = rows[rows["model"].isin(list(tasks))]
        mine = mine.assign(group=mine["model"].map(tasks))
        axes.lines(ax, mine, "group", _of_groups(looks))
        parts.append(mine)
        axes.depth_axis(ax, axes.common_layers(mine), bottom=bottom, top=top)
        axes.value_axis(ax, "number of concepts" if left else "")
        ax.set_title(styles[models[i]].label)
    axes.from_zero(panels)
    axes.legend_above(figure, _look_handles(looks))
    return figure, axes.drawn(pd.concat(parts), "metric", "group")
