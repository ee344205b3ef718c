"""How well every criterion does over seeds, and how the convexity cut compares with it."""

from __future__ import annotations

import numpy as np
import pandas as pd

from strata.errors import StrataError
from strata.pruning.crossed import crossed_interval
from strata.pruning.kept import CUT
from strata.stats import adjust_p_values, without_interval
from strata.tables import ALL_LAYERS, blocks_passed, check_measures

PREFIX = "prefix"
_FEWEST_PAIRS = 3  # of model and task, to say anything over them
_KEYS = ["model", "family", "kept"]


def compare_cuts(
    cuts: pd.DataFrame, trained: pd.DataFrame, answers: pd.DataFrame, *, seed: int
) -> pd.DataFrame:
    """How well every criterion does over seeds, and how the convexity cut compares with it.

    Metrics, for each model and task (`family`): accuracy (`concept` is the criterion; `layers`
    kept); depth_accuracy, that of every depth (`layers`, concept "prefix"); and difference:
    accuracy of the convexity cut less that of the criterion, paired by seed and sample, with the
    p-value of its being 0. Intervals are about what `about` says, new speakers and new seeds where
    there are enough (`strata.pruning.crossed.crossed_interval`). `n` is the number of seeds, `same`
    counts those in which the criterion keeps the same layers as the convexity cut. `answers` are
    those of `strata.pruning.tuning.Tuned`.

    Rows of model "all" are the mean over models and tasks: `n` is the number of pairs of model and
    task, `same` of those without any difference. Where all tasks keep the same column apart in the
    same data set, the intervals are about its new values and new seeds, for these models and tasks,
    and the p-values are also adjusted over the criteria (`p_adjusted`, Benjamini and Hochberg).
    Otherwise they have neither: tasks tested on other people and on other clips of the same people
    share what varies in part, and pairs that share samples are no independent evidence. There are
    no such rows for fewer than three pairs.

    Further criteria are made of the depths tried: oracle, the depth that validates best on average
    over seeds; and random_depth, the mean over all depths, which is what a depth drawn blindly
    would give.

    Raises StrataError where an answer to a sample is missing.
    """
    runs = runs_by_criterion(cuts, trained)
    rows, pooled = [], {}
    for (model, task), mine in runs.groupby(["model", "family"], sort=False):
        given = _Answers.of(answers, model, task)
        found = _by_criterion(mine, given, cuts)
        texts = mine.pivot(index="seed", columns="criterion", values="kept")
        place = {"model": model, "family": task, "dataset": mine["dataset"].iloc[0]}
        for criterion, right in found.items():
            chosen = mine[mine["criterion"] == criterion]
            own = {**place, "concept": criterion, "layers": chosen["layers"].mean()}
            own |= {"n": len(chosen), "same": int((texts[criterion] == texts[CUT]).sum())}
            accuracy = given.interval(right, share=True)
            rows.append(own | {"metric": "accuracy"} | accuracy | {"p_value": np.nan})
            if criterion != CUT:
                gains = found[CUT] - right
                pooled.setdefault(criterion, []).append((given, gains))
                rows.append(own | {"metric": "difference"} | given.interval(gains))
        rows += _depth_rows(place, cuts, given)
    place = {"model": "all", "family": "all", "dataset": runs["dataset"].iloc[0]}
    together = [
        {**place, "concept": criterion, "layers": np.nan, "metric": "difference"} | _pooled(pairs)
        for criterion, pairs in pooled.items()
        if len(pairs) >= _FEWEST_PAIRS
    ]
    p_values = np.array([row["p_value"] for row in together])
    adjusted = np.full(len(together), np.nan)
    adjusted[np.isfinite(p_values)] = adjust_p_values(p_values[np.isfinite(p_values)])
    together = [row | {"p_adjusted": p} for row, p in zip(together, adjusted, strict=True)]
    table = pd.DataFrame([*rows, *together]).assign(layer=ALL_LAYERS, layer_index=0, seed=seed)
    return check_measures(table, "comparison of cuts")


class _Answers:
    """What the trainings of a model on a task answer, by what they keep and their seed."""

    def __init__(self, right: dict, seeds: list[int], clusters: np.ndarray, apart: str | None):
        self.right, self.seeds = right, seeds
        self.clusters, self.apart = clusters, apart

    @classmethod
    def of(cls, answers: pd.DataFrame, model: str, task: str) -> _Answers:
        mine = answers[(answers["model"] == model) & (answers["family"] == task)]
        if mine.empty:
            raise StrataError(f"answers: none of {model} on {task!r}")
        wide = mine.pivot(index=["cluster", "sample"], columns=["kept", "seed"], values="right")
        if wide.isna().any(axis=None):
            kept, seed = wide.columns[wide.isna().any()][0]
            raise StrataError(
                f"answers: {model} on {task!r} with layers {kept} and seed {seed} has none to some "
                "samples; all trainings of a task answer the same ones"
            )
        right = {key: wide[key].to_numpy(dtype=float) for key in wide}
        apart = mine["apart"].iloc[0]
        seeds = sorted(set(mine["seed"]))
        clusters = wide.index.get_level_values("cluster").to_numpy()
        return cls(right, seeds, clusters, apart if isinstance(apart, str) else None)

    def over_seeds(self, kept: str) -> np.ndarray:
        """Answers of one choice of layers, (seeds, samples)."""
        return np.stack([self.right[kept, seed] for seed in self.seeds])

    def interval(self, values: np.ndarray, share: bool = False) -> dict:
        clusters, name = (self.clusters, self.apart) if self.apart else (None, "sample")
        return crossed_interval(values, clusters, name, share=share)._asdict()


def _by_criterion(runs: pd.DataFrame, given: _Answers, cuts: pd.DataFrame) -> dict[str, np.ndarray]:
    """Answers (seeds, samples) of each criterion in a model and task: fractions for random_depth,
    of which they are the mean over all depths."""
    found = {}
    for criterion, mine in runs.groupby("criterion", sort=False):
        if criterion == "random_depth":
            own = (cuts["model"] == mine["model"].iloc[0]) & (
                cuts["family"] == mine["family"].iloc[0]
            )
            texts = cuts.loc[own & (cuts["metric"] == PREFIX), "kept"]
            found[criterion] = np.mean([given.over_seeds(text) for text in texts], axis=0)
        else:
            texts = mine.set_index("seed")["kept"]
            found[criterion] = np.stack([given.right[texts[s], s] for s in given.seeds])
    return found


def _depth_rows(place: dict, cuts: pd.DataFrame, given: _Answers) -> list[dict]:
    mine = cuts[(cuts["model"] == place["model"]) & (cuts["family"] == place["family"])]
    rows = []
    for depth in mine[mine["metric"] == PREFIX].itertuples():
        found = given.interval(given.over_seeds(depth.kept), share=True)
        own = {**place, "concept": PREFIX, "metric": "depth_accuracy", "layers": depth.value}
        rows.append(own | {"n": len(given.seeds), "same": 0} | found | {"p_value": np.nan})
    return rows


def _pooled(pairs: list[tuple[_Answers, np.ndarray]]) -> dict:
    """The mean difference over pairs of model and task, with its interval where they share what
    varies: the same seeds, and samples and clusters of one kind."""
    means = [gains.mean() for _, gains in pairs]
    row = {"n": len(pairs), "same": int(np.sum([not gains.any() for _, gains in pairs]))}
    first, shape = pairs[0][0], pairs[0][1].shape
    alike = all(
        given.apart == first.apart and gains.shape == shape and given.seeds == first.seeds
        and np.array_equal(given.clusters, first.clusters)
        for given, gains in pairs
    )  # fmt: skip
    if alike:
        found = first.interval(np.mean([gains for _, gains in pairs], axis=0))
        return row | found | {"about": f"{found['about']}, of these models and tasks"}
    none = without_interval(np.mean(means))._asdict()
    return row | none | {"p_value": np.nan, "about": ""}


def runs_by_criterion(cuts: pd.DataFrame, trained: pd.DataFrame) -> pd.DataFrame:
    """A row per model, task (`family`), criterion and seed: test accuracy and layers kept."""
    tests = trained[trained["metric"] == "test_accuracy"]
    scores = tests[[*_KEYS, "dataset", "seed", "value"]].rename(columns={"value": "accuracy"})
    fixed = cuts[~cuts["metric"].isin(["random", PREFIX])]
    drawn = cuts[cuts["metric"] == "random"]
    found = [
        fixed[[*_KEYS, "metric", "value"]].merge(scores, on=_KEYS),
        drawn[[*_KEYS, "metric", "value", "seed"]].merge(scores, on=[*_KEYS, "seed"]),
    ]
    runs = pd.concat(found).rename(columns={"metric": "criterion", "value": "layers"})
    prefixes = cuts.loc[cuts["metric"] == PREFIX, [*_KEYS, "value"]]
    if len(prefixes):
        runs = pd.concat([runs, *_depth_criteria(prefixes, trained, scores)])
    columns = ["model", "family", "dataset", "criterion", "seed", "layers", "kept", "accuracy"]
    return runs[columns].reset_index(drop=True)


def tradeoff_points(comparison: pd.DataFrame, cost: pd.DataFrame) -> pd.DataFrame:
    """A row per model, task (`family`) and criterion: accuracy with its interval (as in the table
    of `compare_cuts`), layers kept and multiply-accumulates; every depth is there as the criterion
    prefix."""
    depths = comparison[comparison["metric"] == "depth_accuracy"]
    chosen = comparison[comparison["metric"] == "accuracy"]
    chosen = chosen[chosen["concept"] != "random_depth"]
    priced = cost[cost["metric"] == "macs"]
    priced = priced.assign(layers=blocks_passed(priced))
    macs = {(row.model, row.layers): row.value for row in priced.itertuples()}
    found = pd.concat([depths, chosen]).rename(columns={"concept": "criterion"})
    found = found.assign(layers=found["layers"].astype(int))
    found["macs"] = [macs[key] for key in zip(found["model"], found["layers"], strict=True)]
    columns = ["model", "family", "criterion", "layers", "macs", "n", "value", "low", "high"]
    return found[[*columns, "about"]].reset_index(drop=True)


def pareto_front(points: pd.DataFrame) -> pd.DataFrame:
    """The points than which none is both cheaper and better, from the cheapest."""
    ordered = points.sort_values(["macs", "value"], ascending=[True, False], kind="stable")
    best = ordered["value"].cummax().shift(fill_value=-np.inf)
    return ordered[ordered["value"] > best]


def _depth_criteria(
    prefixes: pd.DataFrame, trained: pd.DataFrame, scores: pd.DataFrame
) -> list[pd.DataFrame]:
    """The oracle over all depths, and the mean of all depths."""
    depths = prefixes.rename(columns={"value": "layers"}).merge(scores, on=_KEYS)
    validated = trained[trained["metric"] == "validation_accuracy"]
    validated = validated[[*_KEYS, "seed", "value"]].rename(columns={"value": "score"})
    validated = prefixes.merge(validated, on=_KEYS)
    means = validated.groupby(["model", "family", "kept", "value"], sort=False)["score"].mean()
    # The first of equal depths is the cheapest, since depths come in order.
    means = means.reset_index().sort_values("value", kind="stable")
    best = means.loc[means.groupby(["model", "family"])["score"].idxmax(), _KEYS]
    oracle = depths.merge(best, on=_KEYS).assign(criterion="oracle")
    blind = depths.groupby(["model", "family", "dataset", "seed"], sort=False, as_index=False)
    blind = blind.agg({"accuracy": "mean", "layers": "mean"})
    return [oracle, blind.assign(criterion="random_depth", kept="")]
