"""Which layers each criterion keeps of a model, for each task."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from strata.errors import StrataError
from strata.pruning.criteria import (
    RULES,
    Layers,
    angular_distance_layers,
    block_influence_layers,
    cka_layers,
    convexity_cut,
    every_second_layer,
    last_dropped,
    random_layers,
)
from strata.pruning.kept import CUT, kept_layers, kept_text
from strata.tables import check_measures


def choose_cuts(
    convexity: pd.DataFrame,
    similarity: pd.DataFrame,
    tasks: Sequence[str],
    *,
    seeds: Sequence[int],
    penalty: float,
    every_depth: bool = True,
) -> pd.DataFrame:
    """Which layers each criterion keeps of a pretrained model, for each task (`family`).

    The metric is the criterion, the value the number of layers kept, `n` that of the model. Beside
    the variants of the convexity cut: full; prefix, every depth (the oracle's material), or with
    `every_depth` off none; and the baselines at the depth of the convexity cut, of which random has
    a row for each seed.

    Raises StrataError for a task whose labels' convexity is not in the table.
    """
    table = []
    for task in tasks:
        scores = _scores(convexity, task)
        n = len(scores)
        errors = scores["error"].to_numpy()
        cuts = {
            rule: last_dropped(n, convexity_cut(scores["value"], rule, errors, penalty))
            for rule in RULES
        }
        keep = len(cuts[CUT])
        choices = [(rule, seeds[0], kept) for rule, kept in cuts.items()]
        choices.append(("full", seeds[0], last_dropped(n, n)))
        if every_depth:
            choices += [("prefix", seeds[0], last_dropped(n, depth + 1)) for depth in range(n)]
        choices += [(name, seeds[0], kept) for name, kept in _baselines(similarity, n, keep)]
        choices += [("random", seed, random_layers(n, keep, seed)) for seed in seeds]
        names = scores["layer"].tolist()
        table += [
            (task, metric, names[kept[-1]], kept[-1], len(kept), n, seed, kept_text(kept))
            for metric, seed, kept in choices
        ]
    columns = ["family", "metric", "layer", "layer_index", "value", "n", "seed", "kept"]
    table = pd.DataFrame(table, columns=columns).assign(
        model=convexity["model"].iloc[0],
        dataset=convexity["dataset"].iloc[0],
        concept=None,
        low=np.nan,
        high=np.nan,
    )
    return check_measures(table, "cuts")


def _scores(convexity: pd.DataFrame, task: str) -> pd.DataFrame:
    """Convexity of a task's labels by layer, with its standard error (half the interval's width in
    deviations)."""
    from scipy.stats import norm

    from strata.stats import LEVEL

    chosen = (convexity["metric"] == "graph_convexity") & (convexity["family"] == task)
    rows = convexity[chosen].sort_values("layer_index")
    if rows.empty:
        raise StrataError(f"no convexity of {task!r}: it should be one of the study's families")
    width = 2 * norm.ppf((1 + LEVEL) / 2)
    return rows.assign(error=(rows["high"] - rows["low"]) / width)


def _baselines(similarity: pd.DataFrame, n: int, keep: int) -> list[tuple[str, Layers]]:
    influence = similarity[similarity["metric"] == "block_influence"].sort_values("layer_index")
    return [
        ("every_second", every_second_layer(n, keep)),
        ("block_influence", block_influence_layers(influence["value"].to_numpy(), keep)),
        (
            "angular_distance",
            angular_distance_layers(_matrix(similarity, "angular_distance"), keep),
        ),
        ("cka", cka_layers(_matrix(similarity, "cka"), keep)),
    ]


def _matrix(table: pd.DataFrame, metric: str) -> np.ndarray:
    rows = table[table["metric"] == metric]
    return rows.pivot(index="layer_index", columns="other", values="value").to_numpy()


def cuts_of(table: pd.DataFrame, task: str, seed: int) -> list[Layers]:
    """The different choices of layers that one seed of a task needs, deepest last."""
    rows = table[table["family"] == task]
    rows = rows[(rows["metric"] != "random") | (rows["seed"] == seed)]
    return sorted({kept_layers(text) for text in rows["kept"]}, key=lambda kept: (len(kept), kept))
