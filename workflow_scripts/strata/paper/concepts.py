"""Numbers and the table of a study of concepts for the paper."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict

import numpy as np
import pandas as pd

from strata.data.words import shown_categories
from strata.dissect import DEFAULTS
from strata.figures.models import ModelStyle
from strata.paper.differences import CONTRASTS, difference_macros, in_last_layer
from strata.paper.latex import (
    Verbatim,
    escape,
    macro_name,
    parameter,
    percent,
    points,
    signed,
    table_of,
    whole,
)
from strata.paper.profiles import interval_cells, profile, table_layers
from strata.stats import LEVEL
from strata.tables import blocks_passed


def study_values(
    name: str, study: Mapping, measures: Mapping[str, pd.DataFrame], styles: Mapping
) -> dict[str, object]:
    """Macros of a study: {name: value}.

    `measures` has labels, counts, shares and their differences, and truth where it was scored. For
    each model:
    number of neurons and layers; the number of concepts in the first and last layer and where it
    is highest (0 is the embedding, which has its own macros where it was recorded), its rank
    correlation with depth; the first and last share of each category; the share of significant
    neurons; how often each similarity function names the planted truth; by truth and by each way of
    labelling, shares of categories and numbers of concepts in the first and last layer, and how
    often both agree; differences in the last layer, with their intervals.
    """
    values: dict[str, object] = {macro_name(name, "models"): len(styles)}
    for key in ("top_k", "permutations", "bootstrap", "alpha"):
        if key in study:
            values[macro_name(name, key)] = study[key] if key != "alpha" else percent(study[key])
    for model in styles:
        mine = {key: table[table["model"] == model] for key, table in measures.items()}
        found = _count_values(mine["counts"]) | _share_values(mine["shares"])
        main = mine["labels"][mine["labels"]["metric"] == mine["labels"]["metric"].iloc[0]]
        found |= {"neurons": len(main), "layers": int(blocks_passed(main).max())}
        if "truth" in mine and len(mine["truth"]):
            found |= _truth_values(mine["truth"])
        if "scoreboard" in mine and len(mine["scoreboard"]):
            found |= _scoreboard_values(mine["scoreboard"])
        values |= {macro_name(name, model, key): value for key, value in found.items()}
    return values | _difference_values(name, measures["differences"])


# The macro's words for each measure that differences are quoted of, and how they are written.
_QUOTED = {
    "n_concepts_median": ("count", whole),
    "share_significant": ("significant", points),
    "mean_best_auc": ("best auc", signed),
}


def _difference_values(name: str, table: pd.DataFrame) -> dict[str, object]:
    """Last layer less the first (Gain) or the best (BelowBest), less the random twin's (OverTwin)
    or that before fine-tuning (OverBase): of counts, significance, truth and each category.
    """
    values: dict[str, object] = {}
    shown = set(shown_categories(list(dict.fromkeys(table["concept"].dropna()))))
    for row in in_last_layer(table).itertuples():
        metric = row.metric.removesuffix("_difference")
        if metric == "category_share_mean" and row.concept in shown:
            words, spelled = row.concept.split(" and ")[0], points
        elif metric in _QUOTED:
            words, spelled = _QUOTED[metric]
        else:
            continue
        place = macro_name(name, row.model, words, CONTRASTS[row.contrast])
        values |= difference_macros(place, row, spelled)
    return values


def _count_values(counts: pd.DataFrame) -> dict[str, object]:
    from scipy.stats import spearmanr

    rows = counts[counts["metric"] == "n_concepts_median"].sort_values("layer_index")
    kinds, best = profile(rows)
    found: dict[str, object] = {f"count {kind}": int(value) for kind, value in kinds.items()}
    found["count max layer"] = best
    if len(rows) > 2 and rows["value"].nunique() > 1:
        found["count rho"] = float(spearmanr(rows["layer_index"], rows["value"]).statistic)
    tested = counts[counts["metric"] == "share_significant"]
    if len(tested):
        weights = tested["n"]
        found["significant"] = percent(np.average(tested["value"], weights=weights))
    return found


def _share_values(shares: pd.DataFrame) -> dict[str, object]:
    rows = shares[shares["metric"] == "category_share_mean"].sort_values("layer_index")
    found = {}
    for category in shown_categories(list(dict.fromkeys(rows["concept"]))):
        kinds, _ = profile(rows[rows["concept"] == category])
        short = category.split(" and ")[0]
        found |= {f"{short} {kind}": percent(kinds[kind]) for kind in kinds if kind != "max"}
    return found


def _truth_values(truth: pd.DataFrame) -> dict[str, object]:
    found = {}
    for similarity, rows in truth.groupby("concept", sort=False):
        for metric, key in (("names_best_factor", "named"), ("chance", "chance")):
            part = rows[rows["metric"] == metric]
            found[f"{key} {similarity}"] = percent(np.average(part["value"], weights=part["n"]))
    best = truth[truth["metric"] == "mean_best_auc"].drop_duplicates("layer_index")
    return found | {"best auc": float(np.average(best["value"], weights=best["n"]))}


def _scoreboard_values(board: pd.DataFrame) -> dict[str, object]:
    """By truth ("planted") and each way of labelling, shares of categories and numbers of concepts
    of the first and last layer; the share of neurons labelled rightly over all layers, and in the
    first and last."""
    found: dict[str, object] = {}
    board = board.sort_values("layer_index", kind="stable")
    for way, rows in board.groupby("similarity", sort=False):
        shares = rows[rows["metric"] == "category_share"]
        for category in shown_categories(list(dict.fromkeys(shares["concept"]))):
            kinds, _ = profile(shares[shares["concept"] == category])
            short = category.split(" and ")[0]
            found |= {f"{way} {short} {kind}": percent(kinds[kind]) for kind in ("first", "last")}
        kinds, _ = profile(rows[rows["metric"] == "n_concepts"])
        found |= {f"{way} concepts {kind}": int(kinds[kind]) for kind in ("first", "last", "max")}
        for metric in ("same_category", "same_factor"):
            part = rows[(rows["metric"] == metric) & rows["concept"].isna()]
            if len(part):
                found[f"{way} {metric}"] = percent(np.average(part["value"], weights=part["n"]))
                kinds, _ = profile(part)
                found |= {f"{way} {metric} {k}": percent(kinds[k]) for k in ("first", "last")}
    return found


def method_values() -> dict[str, object]:
    """Macros of what the method fixes: parameters of the similarity functions, intervals' level."""
    values: dict[str, object] = {macro_name("strata level"): Verbatim(f"{100 * LEVEL:g}\\,\\%")}
    for similarity, parameters in DEFAULTS.items():
        for key, value in asdict(parameters).items():
            if isinstance(value, (int, float)) and not isinstance(value, bool):
                values[macro_name(similarity, key)] = parameter(value)
    return values


def counts_table(counts: pd.DataFrame, styles: Mapping[str, ModelStyle]) -> str:
    """Number of concepts above the median by layer, with bootstrap intervals, a row a model."""
    rows = counts[counts["metric"] == "n_concepts_median"]
    layers = table_layers(rows)
    body = [
        [escape(look.label), *interval_cells(rows[rows["model"] == name], layers, shown=0)]
        for name, look in styles.items()
    ]
    return table_of(["model", *map(str, layers)], body, "l" + "r" * len(layers))
