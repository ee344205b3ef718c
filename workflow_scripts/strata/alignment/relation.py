"""Convexity against alignment over the layers of models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from strata.errors import StrataError
from strata.intervals import variance_interval
from strata.stats import Estimate, without_interval
from strata.tables import blocks_passed, check_measures, layer_row, relative_depths

FEWEST_MODELS = 8  # with 4 of them 95 % intervals held 91 (benchmarks/results/coverage.md)
_MOST = 1 - 1e-9  # of a correlation, so that Fisher's z is finite


def relation_measures(
    convexity: pd.DataFrame,
    alignment: pd.DataFrame,
    groups: Mapping[str, Sequence[str]],
    *,
    seed: int = 0,
) -> pd.DataFrame:
    """Correlation of convexity with alignment over the layers of models.

    `groups` names sets of models. For each group, family of concepts and set of triplets (column
    `triplets`): correlation (Spearman) and partial_correlation given relative depth. Intervals
    speak about new models, as a model's layers are no independent draws: a jackknife that leaves
    out one model with all its layers (Efron & Tibshirani 1993, chapter 11), Student's t of one
    degree less than there are models, on Fisher's z; fewer than `FEWEST_MODELS` have none. A
    correlation that is not defined, because one side does not vary (or not beyond depth), has no
    row.
    """
    points = relation_points(convexity, alignment)
    rows = []
    for group, models in groups.items():
        for (family, triplets), part in points.groupby(["family", "triplets"], sort=False):
            part = part[part["model"].isin(list(models))]
            if len(part) < 4:
                continue
            for metric, controlled in (("correlation", False), ("partial_correlation", True)):
                found = _clustered_correlation(part, controlled)
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
    _check_same_layers(left, right)
    points = left.merge(right, on=keys)
    return points.assign(relative_depth=relative_depths(points["model"], points["block"]))


def _check_same_layers(convexity: pd.DataFrame, alignment: pd.DataFrame) -> None:
    """Raises StrataError where one table has a layer of a model that the other has not: it would
    drop out of the correlation."""
    keys = ["model", "layer", "layer_index"]
    found = [
        set(table[keys].itertuples(index=False, name=None)) for table in (convexity, alignment)
    ]
    if apart := sorted(found[0] ^ found[1]):
        model, layer, index = apart[0]
        has = "convexity" if apart[0] in found[0] else "alignment"
        raise StrataError(f"{model}: layer {layer} (number {index}) has only {has}")


def _rank_correlation(points: np.ndarray, controlled: bool) -> float:
    """Spearman's correlation of the first two columns, perhaps given the third (depth)."""
    from scipy.stats import rankdata

    ranks = rankdata(points, axis=0)
    x, y, depth = (ranks - ranks.mean(axis=0)).T
    if controlled and depth.any():
        x, y = (v - depth * (v @ depth) / (depth @ depth) for v in (x, y))
    length = np.sqrt((x @ x) * (y @ y))
    return float(x @ y / length) if length > 1e-9 else np.nan


def _clustered_correlation(part: pd.DataFrame, controlled: bool) -> Estimate:
    columns = ["convexity", "accuracy", "relative_depth"]
    value = _rank_correlation(part[columns].to_numpy(), controlled)
    models = part["model"].to_numpy()
    names = sorted(set(models))
    if len(names) < FEWEST_MODELS or not abs(value) < _MOST:
        return without_interval(value)
    left_out = [
        _rank_correlation(part.loc[models != name, columns].to_numpy(), controlled)
        for name in names
    ]
    if not np.isfinite(left_out).all():
        return without_interval(value)
    moved = np.arctanh(np.clip(left_out, -_MOST, _MOST))
    variance = (len(names) - 1) * moved.var()
    found = variance_interval(np.arctanh(value), variance, len(names) - 1)
    return Estimate(value, *map(float, np.tanh(found[1:])))
