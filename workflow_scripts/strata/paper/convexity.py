"""Numbers and the table of a study of convexity and alignment for the paper."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from strata.figures.models import ModelStyle
from strata.paper.differences import (
    CONTRASTS,
    difference_macros,
    difference_values,
    in_last_layer,
)
from strata.paper.latex import (
    escape,
    interval,
    macro_name,
    parameter,
    percent,
    signed,
    table_of,
)
from strata.paper.profiles import interval_cells, profile, table_layers


def convexity_values(
    name: str, study: Mapping, measures: Mapping[str, pd.DataFrame], styles: Mapping
) -> dict[str, object]:
    """Macros of a study of convexity and alignment: {name: value}.

    `measures` has those of alignment, convexity, relation and transforms that were taken. For each
    model: convexity of each family in the first and last layer and where it is highest; accuracy in
    the first, last and best layer; both of the embedding (layer 0) where that was recorded. Chance
    and noise ceiling of each set of triplets; every correlation; what each transform does, mean
    over layers; differences in the last layer, with their paired intervals.
    """
    values: dict[str, object] = {macro_name(name, "models"): len(styles)}
    for key in ("n_neighbors", "permutations", "halves"):
        values[macro_name(name, key)] = study[key]
    for model in styles:
        found: dict[str, object] = {}
        for measure, metric in (("convexity", "graph_convexity"), ("alignment", "accuracy")):
            if measure in measures:
                found |= _profile_values(measures[measure], model, metric)
        values |= {macro_name(name, model, key): value for key, value in found.items()}
    if "alignment" in measures:
        references = ("chance", "noise_ceiling", "noise_ceiling_lower")
        known = measures["alignment"][measures["alignment"]["metric"].isin(references)]
        for (metric, triplets), rows in known.groupby(["metric", "family"]):
            values[macro_name(name, triplets, metric)] = percent(rows["value"].iloc[0])
    if "euclidean" in measures:
        for row in measures["euclidean"].itertuples():
            if row.metric.startswith("head"):
                values[macro_name(name, row.model, row.metric)] = float(row.value)
        for model in dict.fromkeys(measures["euclidean"]["model"]):
            found = _profile_values(measures["euclidean"], model, "euclidean_convexity")
            named = {macro_name(name, model, "euclidean", k): v for k, v in found.items()}
            values |= named
        values |= _gain_values(name, measures["euclidean"])
    if "relation" in measures:
        for row in measures["relation"].itertuples():
            place = macro_name(name, row.metric, row.model, row.family)
            values |= {place: row.value, place + "Range": interval(row.low, row.high)}
    if "differences" in measures:
        values |= difference_values(name, measures["differences"])
    if "transforms" in measures:
        values |= _transform_values(name, study, measures["transforms"])
    return values


def _gain_values(name: str, table: pd.DataFrame) -> dict[str, object]:
    """Euclidean convexity of the last layer less the first."""
    gains = table[table["metric"] == "euclidean_convexity_gain"]
    values: dict[str, object] = {}
    for row in in_last_layer(gains).itertuples():
        place = macro_name(name, row.model, "euclidean", row.family, CONTRASTS["first"])
        values |= difference_macros(place, row, signed)
    return values


def _profile_values(table: pd.DataFrame, model: str, metric: str) -> dict[str, object]:
    """First, last and best layer of a metric, for each family; apart, that of the embedding."""
    found: dict[str, object] = {}
    rows = table[(table["model"] == model) & (table["metric"] == metric)]
    for family, part in rows.sort_values("layer_index").groupby("family", sort=False):
        shown = percent if metric == "accuracy" else float
        kinds, best = profile(part)
        found |= {f"{family} {kind}": shown(value) for kind, value in kinds.items()}
        found[f"{family} max layer"] = best
    return found


def _transform_values(name: str, study: Mapping, table: pd.DataFrame) -> dict[str, object]:
    """Mean over models and layers before and after each transform, for alignment and families."""
    values: dict[str, object] = {}
    for key in ("folds", "alpha", "temperature"):
        values[macro_name(name, key)] = parameter(study["transforms"][key])
    for method, rows in table.groupby("transform", sort=False):
        for metric, part in rows.groupby("metric", sort=False):
            when = metric.rpartition("_")[2]
            if metric.startswith("accuracy"):
                values[macro_name(name, method, "accuracy", when)] = percent(part["value"].mean())
            else:
                for family, own in part.groupby("concept", sort=False):
                    values[macro_name(name, method, family, when)] = float(own["value"].mean())
    return values


def profile_table(
    table: pd.DataFrame, metric: str, styles: Mapping[str, ModelStyle], shown: int = 2
) -> str:
    """A metric by layer with its intervals, a row per model and family (or set of triplets)."""
    rows = table[table["metric"] == metric]
    layers = table_layers(rows)
    families = list(dict.fromkeys(rows["family"]))
    body = []
    for name, look in styles.items():
        for family in families:
            mine = rows[(rows["model"] == name) & (rows["family"] == family)]
            about = [escape(family.replace("_", " "))] if len(families) > 1 else []
            body.append([escape(look.label), *about, *interval_cells(mine, layers, shown)])
    about = ["concepts"] if len(families) > 1 else []
    header = ["model", *about, *map(str, layers)]
    return table_of(header, body, "l" * (1 + len(about)) + "r" * len(layers))
