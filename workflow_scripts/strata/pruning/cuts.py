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
from strata.pruning.kept import CUT, cut_place, kept_layers, kept_text
from strata.tables import EMBEDDING, check_measures


def choose_cuts(
    convexity: pd.DataFrame,
    similarity: pd.DataFrame,
    tasks: Sequence[str],
    *,
    deviates: pd.DataFrame,
    seeds: Sequence[int],
    penalty: float,
    every_depth: bool = True,
) -> pd.DataFrame:
    """Which layers each criterion keeps of a pretrained model, for each task (`family`).

    The metric is the criterion, the value the number of layers kept, `n` that of the model; `kept`
    has their numbers (from 0), or "none". Beside the variants of the convexity cut: full; prefix,
    every depth (the oracle's material), or with `every_depth` off none; and the baselines at the
    depth of the convexity cut, of which random has a row for each seed. No layer may be kept where
    the convexity of the embedding was measured.

    `deviates` are those of the convexity of new samples (`strata.intervals`): columns layer,
    family, metric, split, value. The standard error of the rule of one is that of each layer's
    difference from the most convex one, on the same halves: layers of a model are measured on the
    same samples, and what is luck of these is common to them. A layer without deviates (few
    samples, or a convexity next to 1) is never within one standard error; where the most convex
    layer has none, the rule is that of the most convex layer.

    Raises StrataError for a task whose labels' convexity is not in the table, and for tables that
    are not about the same layers.
    """
    table = []
    for task in tasks:
        scores = _scores(convexity, task)
        errors = _paired_errors(scores, deviates, task)
        names = scores["layer"].tolist()
        fewest = 0 if names[0] == EMBEDDING else 1
        n = _blocks(names, similarity)
        options = {"penalty": penalty, "embedding": fewest == 0}
        options["errors"] = errors
        cuts = {
            rule: last_dropped(n, convexity_cut(scores["value"], rule, **options)) for rule in RULES
        }
        keep = len(cuts[CUT])
        choices = [(rule, seeds[0], kept) for rule, kept in cuts.items()]
        choices.append(("full", seeds[0], last_dropped(n, n)))
        if every_depth:
            depths = range(fewest, n + 1)
            choices += [("prefix", seeds[0], last_dropped(n, depth)) for depth in depths]
        choices += [(name, seeds[0], kept) for name, kept in _baselines(similarity, n, keep)]
        choices += [("random", seed, random_layers(n, keep, seed)) for seed in seeds]
        for metric, seed, kept in choices:
            row = {"family": task, "metric": metric, "value": len(kept), "n": n, "seed": seed}
            table.append(row | {"kept": kept_text(kept)} | cut_place(kept, names))
    table = pd.DataFrame(table).assign(
        model=convexity["model"].iloc[0],
        dataset=convexity["dataset"].iloc[0],
        concept=None,
        low=np.nan,
        high=np.nan,
    )
    return check_measures(table, "cuts")


def _scores(convexity: pd.DataFrame, task: str) -> pd.DataFrame:
    """Convexity of a task's labels by layer."""
    chosen = (convexity["metric"] == "graph_convexity") & (convexity["family"] == task)
    rows = convexity[chosen].sort_values("layer_index")
    if rows.empty:
        raise StrataError(f"no convexity of {task!r}: it should be one of the study's families")
    return rows


def _paired_errors(scores: pd.DataFrame, deviates: pd.DataFrame, task: str) -> np.ndarray:
    """Standard error of each layer's difference from the most convex one: the root of the mean
    square of the differences of their deviates; 0 where there are none of either."""
    chosen = (deviates["metric"] == "graph_convexity") & (deviates["family"] == task)
    wide = deviates[chosen].pivot(index="split", columns="layer", values="value")
    found = wide.reindex(columns=scores["layer"]).to_numpy(dtype=float)
    best = found[:, [int(np.argmax(scores["value"]))]]
    return np.nan_to_num(np.sqrt(np.square(found - best).sum(axis=0) / max(1, len(found))))


def _blocks(names: Sequence[str], similarity: pd.DataFrame) -> int:
    """Number of blocks of the model, whose layers both tables must name alike and in one order."""
    rows = similarity[similarity["metric"] == "block_influence"].sort_values("layer_index")
    blocks = [name for name in names if name != EMBEDDING]
    if blocks != rows["layer"].tolist():
        raise StrataError(
            f"convexity is of the layers {', '.join(blocks)}, similarity of "
            f"{', '.join(rows['layer'])}: a cut needs all blocks in their order"
        )
    return len(blocks)


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
