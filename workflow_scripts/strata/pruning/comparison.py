"""How well every criterion does over seeds, and how the convexity cut compares with it."""

from __future__ import annotations

import numpy as np
import pandas as pd

from strata.pruning.kept import CUT
from strata.stats import adjust_p_values, paired_test, t_interval
from strata.tables import blocks_passed, check_measures

_FEWEST_PAIRS = 3  # of model and task, to say anything over them


def compare_cuts(
    cuts: pd.DataFrame, trained: pd.DataFrame, *, seed: int, permutations: int = 9999
) -> pd.DataFrame:
    """How well every criterion does over seeds, and how the convexity cut compares with it.

    Metrics, for each model and task (`family`): accuracy (`concept` is the criterion; mean over
    seeds with a t interval; `layers` kept), and difference: accuracy of the convexity cut less that
    of the criterion, paired by seed, with a t interval and the p-value of a sign-flip test. They
    are about chance in training: split and test samples are the same for all seeds. `same` counts
    the seeds in which the criterion keeps the same layers as the convexity cut.

    Rows of model "all" are over models and tasks, each the mean of its seeds, which are no
    independent evidence of another model or task: `n` is the number of pairs of model and task,
    `same` of those without any difference, and the p-values are also adjusted over the criteria
    (`p_adjusted`, Benjamini and Hochberg). There are none for fewer than three pairs.

    Further criteria are made of the depths tried: oracle, the depth that validates best on average
    over seeds; and random_depth, the mean over all depths, which is what a depth drawn blindly
    would give.
    """
    runs = runs_by_criterion(cuts, trained)
    rows, pooled = [], {}
    for (model, task), mine in runs.groupby(["model", "family"], sort=False):
        wide = mine.pivot(index="seed", columns="criterion", values="accuracy")
        layers = mine.groupby("criterion")["layers"].mean()
        texts = mine.pivot(index="seed", columns="criterion", values="kept")
        place = {"model": model, "family": task, "dataset": mine["dataset"].iloc[0]}
        for criterion in dict.fromkeys(mine["criterion"]):
            own = {**place, "concept": criterion, "layers": layers[criterion], "n": len(wide)}
            own["same"] = int((texts[criterion] == texts[CUT]).sum())
            found = t_interval(wide[criterion].to_numpy())
            rows.append(own | {"metric": "accuracy"} | found._asdict())
            if criterion != CUT:
                gains = (wide[CUT] - wide[criterion]).to_numpy()
                pooled.setdefault(criterion, []).append(gains.mean())
                rows.append(own | {"metric": "difference"} | _compared(gains, seed, permutations))
    place = {"model": "all", "family": "all", "dataset": runs["dataset"].iloc[0]}
    pooled = {name: gains for name, gains in pooled.items() if len(gains) >= _FEWEST_PAIRS}
    together = [
        {**place, "concept": criterion, "layers": np.nan, "metric": "difference"}
        | {"n": len(gains), "same": int(np.sum(np.array(gains) == 0))}
        | _compared(np.array(gains), seed, permutations)
        for criterion, gains in pooled.items()
    ]
    adjusted = adjust_p_values(np.array([row["p_value"] for row in together]))
    together = [row | {"p_adjusted": p} for row, p in zip(together, adjusted, strict=True)]
    table = pd.DataFrame([*rows, *together]).assign(layer="all", layer_index=0, seed=seed)
    return check_measures(table, "comparison of cuts")


def _compared(gains: np.ndarray, seed: int, permutations: int) -> dict:
    return t_interval(gains)._asdict() | {"p_value": paired_test(gains, permutations, seed)}


def runs_by_criterion(cuts: pd.DataFrame, trained: pd.DataFrame) -> pd.DataFrame:
    """A row per model, task (`family`), criterion and seed: test accuracy and layers kept."""
    tests = trained[trained["metric"] == "test_accuracy"]
    keys = ["model", "family", "kept"]
    scores = tests[[*keys, "dataset", "seed", "value"]].rename(columns={"value": "accuracy"})
    fixed = cuts[~cuts["metric"].isin(["random", "prefix"])]
    drawn = cuts[cuts["metric"] == "random"]
    found = [
        fixed[[*keys, "metric", "value"]].merge(scores, on=keys),
        drawn[[*keys, "metric", "value", "seed"]].merge(scores, on=[*keys, "seed"]),
    ]
    runs = pd.concat(found).rename(columns={"metric": "criterion", "value": "layers"})
    prefixes = cuts.loc[cuts["metric"] == "prefix", [*keys, "value"]]
    if len(prefixes):
        runs = pd.concat([runs, *_depth_criteria(prefixes, trained, scores)])
    columns = ["model", "family", "dataset", "criterion", "seed", "layers", "kept", "accuracy"]
    return runs[columns].reset_index(drop=True)


def tradeoff_points(cuts: pd.DataFrame, trained: pd.DataFrame, cost: pd.DataFrame) -> pd.DataFrame:
    """A row per model, task (`family`) and criterion: accuracy (mean over seeds, t interval),
    layers kept and multiply-accumulates; every depth is there as the criterion prefix."""
    runs = runs_by_criterion(cuts, trained)
    runs = runs[runs["criterion"] != "random_depth"]
    tests = trained[trained["metric"] == "test_accuracy"]
    keys = ["model", "family", "kept"]
    scores = tests[[*keys, "seed", "value"]].rename(columns={"value": "accuracy"})
    prefixes = cuts[cuts["metric"] == "prefix"]
    prefixes = prefixes[[*keys, "value"]].merge(scores, on=keys)
    prefixes = prefixes.rename(columns={"value": "layers"}).assign(criterion="prefix")
    priced = cost[cost["metric"] == "macs"]
    priced = priced.assign(layers=blocks_passed(priced))
    macs = {(row.model, row.layers): row.value for row in priced.itertuples()}
    rows = []
    grouped = pd.concat([prefixes, runs]).groupby(
        ["model", "family", "criterion", "layers"], sort=False
    )
    for (model, task, criterion, layers), mine in grouped:
        found = t_interval(mine["accuracy"].to_numpy())
        place = {"model": model, "family": task, "criterion": criterion, "layers": int(layers)}
        rows.append(place | {"macs": macs[model, layers], "n": len(mine)} | found._asdict())
    return pd.DataFrame(rows)


def pareto_front(points: pd.DataFrame) -> pd.DataFrame:
    """The points than which none is both cheaper and better, from the cheapest."""
    ordered = points.sort_values(["macs", "value"], ascending=[True, False], kind="stable")
    best = ordered["value"].cummax().shift(fill_value=-np.inf)
    return ordered[ordered["value"] > best]


def _depth_criteria(
    prefixes: pd.DataFrame, trained: pd.DataFrame, scores: pd.DataFrame
) -> list[pd.DataFrame]:
    """The oracle over all depths, and the mean of all depths."""
    keys = ["model", "family", "kept"]
    depths = prefixes.rename(columns={"value": "layers"}).merge(scores, on=keys)
    validated = trained[trained["metric"] == "validation_accuracy"]
    validated = prefixes.merge(validated[[*keys, "seed"]].assign(score=validated["value"]), on=keys)
    means = validated.groupby(["model", "family", "kept", "value"], sort=False)["score"].mean()
    # The first of equal depths is the cheapest, since depths come in order.
    means = means.reset_index().sort_values("value", kind="stable")
    best = means.loc[means.groupby(["model", "family"])["score"].idxmax(), keys]
    oracle = depths.merge(best, on=keys).assign(criterion="oracle")
    blind = depths.groupby(["model", "family", "dataset", "seed"], sort=False, as_index=False)
    blind = blind.agg({"accuracy": "mean", "layers": "mean"})
    return [oracle, blind.assign(criterion="random_depth", kept="")]
