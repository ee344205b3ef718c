"""Convexity against alignment over the layers of models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from strata.errors import StrataError
from strata.stats import Estimate, percentile_interval
from strata.tables import blocks_passed, check_measures, layer_row, relative_depths


def relation_measures(
    convexity: pd.DataFrame,
    alignment: pd.DataFrame,
    groups: Mapping[str, Sequence[str]],
    *,
    bootstrap: int = 1000,
    seed: int = 0,
) -> pd.DataFrame:
    """Correlation of convexity with alignment over the layers of models.

    `groups` names sets of models. For each group, family of concepts and set of triplets (column
    `triplets`): correlation (Spearman) and partial_correlation given relative depth, with intervals
    by a bootstrap that draws models and keeps their layers together, as a model's layers are no
    independent draws; a group of one model has none. A correlation that is not defined, because
    one side does not vary (or not beyond depth), has no row.
    """
    points = relation_points(convexity, alignment)
    rows = []
    for group, models in groups.items():
        for (family, triplets), part in points.groupby(["family", "triplets"], sort=False):
            part = part[part["model"].isin(list(models))]
            if len(part) < 4:
                continue
            for metric, controlled in (("correlation", False), ("partial_correlation", True)):
                found = _clustered_correlation(part, controlled, bootstrap, seed)
                if np.isnan(found.value):
                    continue
                row = layer_row(0, "all", family, metric, found, len(part), triplets=triplets)
                rows.append(row | {"model": group, "dataset": part["dataset"].iloc[0]})
    if not rows:
        raise StrataError(
            "convexity cannot be related to alignment: that needs four layers or more, and both to "
            "vary over them"
        )
    return check_measures(pd.DataFrame(rows).assign(seed=seed), "relation")


def relation_points(convexity: pd.DataFrame, alignment: pd.DataFrame) -> pd.DataFrame:
    """A row per model, layer, family and set of triplets: convexity, accuracy, relative depth."""
    keys = ["model", "dataset", "layer", "layer_index"]
    left = convexity.assign(block=blocks_passed(convexity))
    left = left[left["metric"] == "graph_convexity"]
    left = left[[*keys, "block", "family", "value"]].rename(columns={"value": "convexity"})
    right = alignment[alignment["metric"] == "accuracy"]
    right = right[[*keys, "family", "value"]]
    right = right.rename(columns={"value": "accuracy", "family": "triplets"})
    points = left.merge(right, on=keys)
    return points.assign(relative_depth=relative_depths(points["model"], points["block"]))


def _rank_correlation(points: np.ndarray, controlled: bool) -> float:
    """Spearman's correlation of the first two columns, perhaps given the third (depth)."""
    from scipy.stats import rankdata

    ranks = rankdata(points, axis=0)
    x, y, depth = (ranks - ranks.mean(axis=0)).T
    if controlled and depth.any():
        x, y = (v - depth * (v @ depth) / (depth @ depth) for v in (x, y))
    length = np.sqrt((x @ x) * (y @ y))
    return float(x @ y / length) if length > 1e-9 else np.nan


def _clustered_correlation(
    part: pd.DataFrame, controlled: bool, bootstrap: int, seed: int
) -> Estimate:
    columns = ["convexity", "accuracy", "relative_depth"]
    value = _rank_correlation(part[columns].to_numpy(), controlled)
    # Models are drawn by their place among the names, whatever the order of the rows.
    models = [rows[columns].to_numpy() for _, rows in part.groupby("model", sort=True)]
    if np.isnan(value) or len(models) < 2:
        return Estimate(value, np.nan, np.nan)
    draw = np.random.default_rng(seed)
    drawn = np.empty(bootstrap)
    for number in range(bootstrap):
        chosen = draw.integers(len(models), size=len(models))
        drawn[number] = _rank_correlation(np.concatenate([models[i] for i in chosen]), controlled)
    return Estimate(value, *percentile_interval(drawn))
