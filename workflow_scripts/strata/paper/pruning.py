"""Numbers and the table of a study of pruning for the paper."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import pandas as pd

from strata.figures.models import ModelStyle, family_name
from strata.paper.differences import difference_values
from strata.paper.latex import (
    Verbatim,
    escape,
    interval,
    macro_name,
    parameter,
    percent,
    points,
    table_of,
)
from strata.paper.profiles import profile
from strata.pruning.comparison import tradeoff_points
from strata.pruning.criteria import RULES
from strata.pruning.kept import CUT
from strata.tables import blocks_passed

_MILLION = 1e-6


def pruning_values(
    name: str, study: Mapping, measures: Mapping[str, pd.DataFrame], styles: Mapping
) -> dict[str, object]:
    """Macros of a study of pruning: {name: value}.

    `measures` has those of `strata.figures.catalogue.MEASURES`. For each model: convexity of each
    family in the first, last and best layer (0: the embedding), and differences in the last with
    their paired intervals; the front end's share of the cost; the memory and
    multiply-accumulates with all layers and with one. For each model and task: layers kept by each
    rule and by the oracle, accuracy of every criterion, what the convexity cut saves, its distance
    from the other criteria. The pooled differences with their p-values.
    """
    values: dict[str, object] = {macro_name(name, "models"): len(styles)}
    for key in ("n_neighbors", "halves", "permutations", "seeds", "similarity_samples"):
        values[macro_name(name, key)] = study[key]
    values[macro_name(name, "penalty")] = parameter(study["depth_penalty"])
    for key in ("epochs", "batch_size", "learning_rate", "head_factor", "patience"):
        if key in study["training"]:
            values[macro_name(name, key)] = parameter(study["training"][key])
    for table in ("selection", "convexity"):
        values |= _convexity_values(name, table, measures[table])
    values |= difference_values(name, measures["differences"])
    values |= _cost_values(name, measures["cost"])
    values |= _task_values(name, measures)
    return values | _difference_values(name, measures["comparison"])


def _convexity_values(name: str, table: str, measure: pd.DataFrame) -> dict[str, object]:
    """Convexity in the first, last and best layer of each model and family, and chance."""
    values: dict[str, object] = {}
    rows = measure[measure["metric"] == "graph_convexity"].sort_values("layer_index")
    for (model, family), mine in rows.groupby(["model", "family"], sort=False):
        kinds, best = profile(mine)
        place = (name, table, model, family)
        values |= {macro_name(*place, kind): float(value) for kind, value in kinds.items()}
        values[macro_name(*place, "max layer")] = best
    chance = measure[measure["metric"] == "chance"]
    for family, mine in chance.groupby("family", sort=False):
        values[macro_name(name, table, family, "chance")] = float(mine["value"].mean())
    return values


def _cost_values(name: str, cost: pd.DataFrame) -> dict[str, object]:
    values: dict[str, object] = {}
    for model, mine in cost.groupby("model", sort=False):
        mine = mine.assign(kept=blocks_passed(mine))
        by_depth = mine.pivot(index="kept", columns="metric", values="value").sort_index()
        full, one = by_depth.iloc[-1], by_depth.loc[1]
        values[macro_name(name, model, "layers")] = int(by_depth.index[-1])
        values[macro_name(name, model, "parameters")] = int(full["parameters"])
        values[macro_name(name, model, "macs")] = f"{full['macs'] * _MILLION:.1f}"
        values[macro_name(name, model, "macs one")] = f"{one['macs'] * _MILLION:.1f}"
        for key in ("parameters", "macs"):
            share = full[f"front_end_{key}"] / full[key]
            values[macro_name(name, model, "front end", key)] = percent(share)
        for key, row in (("full", full), ("one", one)):
            values[macro_name(name, model, "memory", key)] = f"{row['memory_bytes'] * _MILLION:.1f}"
    return values


def _saving(cost: pd.DataFrame, model: str, kept: int, metric: str) -> float:
    """Share of a cost that keeping the first `kept` layers saves."""
    rows = cost[(cost["model"] == model) & (cost["metric"] == metric)]
    values = rows["value"].set_axis(blocks_passed(rows)).sort_index()
    return 1 - values[kept] / values.iloc[-1]


def _task_values(name: str, measures: Mapping[str, pd.DataFrame]) -> dict[str, object]:
    values: dict[str, object] = {}
    cuts, cost = measures["cuts"], measures["cost"]
    for row in cuts[cuts["metric"].isin(RULES)].itertuples():
        values[macro_name(name, row.model, row.family, "kept", row.metric)] = int(row.value)
        if row.metric == CUT:
            for metric in ("parameters", "macs"):
                saved = percent(_saving(cost, row.model, int(row.value), metric))
                values[macro_name(name, row.model, row.family, "saved", metric)] = saved
    tests = measures["trained"]
    tests = tests[tests["metric"] == "test_accuracy"]
    for family, mine in tests.groupby("family", sort=False):
        values[macro_name(name, family, "test n")] = int(mine["n"].iloc[0])
    epochs = measures["trained"][measures["trained"]["metric"] == "loss_curve"]
    for family, mine in epochs.groupby("family", sort=False):
        values[macro_name(name, family, "train n")] = int(mine["n"].iloc[0])
    reached = tradeoff_points(measures["comparison"], cost)
    for row in reached[reached["criterion"] == "prefix"].itertuples():
        values |= _spread((name, row.model, row.family, "depth", str(row.layers)), row)
    rows = measures["comparison"]
    for row in rows[rows["metric"] == "accuracy"].itertuples():
        place = (name, row.model, row.family, row.concept)
        values |= _spread(place, row)
        if row.concept == "oracle":
            values[macro_name(*place, "layers")] = int(row.layers)
    for row in rows[(rows["metric"] == "difference") & (rows["model"] != "all")].itertuples():
        place = (name, row.model, row.family, "over", row.concept)
        values |= _spread(place, row, points)
        values[macro_name(*place, "p")] = _or_dash(row.p_value)
    return values


def _spread(place: tuple[str, ...], row, shown: Callable = percent) -> dict[str, object]:
    """A share (or a difference of shares) with its interval, or words that it has none."""
    return {
        macro_name(*place): shown(row.value),
        macro_name(*place, "range"): interval(row.low, row.high, shown),
    }


def _or_dash(value: float, shown: Callable = float) -> object:
    return shown(value) if math.isfinite(value) else Verbatim("--")


def _difference_values(name: str, comparison: pd.DataFrame) -> dict[str, object]:
    values: dict[str, object] = {}
    rows = comparison[(comparison["metric"] == "difference") & (comparison["model"] == "all")]
    for row in rows.itertuples():
        place = (name, "over", row.concept)
        values |= _spread(place, row, points)
        values[macro_name(*place, "n")] = int(row.n)
        values[macro_name(*place, "p")] = _or_dash(row.p_value)
        values[macro_name(*place, "adjusted p")] = _or_dash(row.p_adjusted)
    return values


def pruning_table(measures: Mapping[str, pd.DataFrame], styles: Mapping[str, ModelStyle]) -> str:
    """The paper's table: layers kept, accuracy with all layers, with the cut and at the oracle's
    depth (with the intervals of `strata.pruning.comparison.compare_cuts`), and what the cut saves;
    a row per model and task."""
    reached = tradeoff_points(measures["comparison"], measures["cost"])
    body = []
    for (model, task), mine in reached.groupby(["model", "family"], sort=False):
        found = mine.set_index("criterion")
        shown = ["full", CUT, *(["oracle"] if "oracle" in found.index else [])]
        cells = [_accuracy(found.loc[criterion]) for criterion in shown]
        kept = int(found.loc[CUT, "layers"])
        depths = [f"{kept or 'none'} of {int(found.loc['full', 'layers'])}"]
        depths += [str(int(found.loc["oracle", "layers"]) or "none")] if "oracle" in shown else []
        saved = [
            percent(_saving(measures["cost"], model, kept, key)) for key in ("macs", "parameters")
        ]
        label = escape(styles[model].label)
        body.append([label, escape(family_name(task)), *depths, *cells, *saved])
    oracle = len(shown) == 3
    header = ["model", "task", "kept", *(["oracle keeps"] if oracle else []), "all layers", "cut"]
    header += [*(["oracle"] if oracle else []), "MACs saved", "parameters saved"]
    return table_of(header, body, "ll" + "r" * (len(header) - 2))


def _accuracy(row: pd.Series) -> Verbatim:
    value, low, high = (f"{100 * row[key]:.1f}" for key in ("value", "low", "high"))
    return Verbatim(f"{value} [{low}, {high}]" if math.isfinite(row["low"]) else value)
