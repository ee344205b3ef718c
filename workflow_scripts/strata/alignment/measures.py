"""Alignment of every layer of a model as measures (`strata.tables`).

Further columns: `family`, the set of triplets that a row is about; `p_value`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np
import pandas as pd

from strata.alignment.accuracy import category_credits, item_means, mean_credit, triplet_credits
from strata.alignment.judgements import Judgements
from strata.data.answers import triplet_groups
from strata.errors import StrataError
from strata.stats import Estimate, without_interval
from strata.tables import finish_measures, layer_row


def alignment_measures(
    layers: Iterable[tuple[str, np.ndarray]],
    judgements: Sequence[Judgements],
    *,
    model: str,
    dataset: str,
    similarity: str = "cosine",
    bootstrap: int = 1000,
    seed: int = 0,
    log: Callable[[str], None] = print,
) -> pd.DataFrame:
    """Accuracy of every layer on sets of triplets; an item is the mean of its pictures.

    Metrics: accuracy, accuracy_category (concept = category), and for reference chance,
    noise_ceiling and noise_ceiling_lower, the same in every layer.
    """
    rows = []
    prepared = [(each, each.rows) for each in judgements]
    groups = [triplet_groups(triplets, each.info["task"]) for each, triplets in prepared]
    options = {"bootstrap": bootstrap, "seed": seed}
    for layer, (name, features) in enumerate(layers):
        for (each, triplets), group in zip(prepared, groups, strict=True):
            place, task = (layer, name, each.name), each.info["task"]
            means = item_means(features, each.items, each.n_items)
            try:
                credits = triplet_credits(means, triplets, similarity, task)
            except StrataError as error:
                raise StrataError(f"{model}, layer {name}, {each.name}: {error}") from None
            found = mean_credit(credits, group, **options)
            rows.append(layer_row(*place, "accuracy", found, len(triplets)))
            rows += _references(place, each, len(triplets))
            by_category = category_credits(credits, triplets, each.members, task=task, **options)
            for found in by_category.itertuples():
                value = Estimate(found.value, found.low, found.high)
                more = {"concept": found.category}
                rows.append(layer_row(*place, "accuracy_category", value, found.n, **more))
        log(f"{name}: alignment with {', '.join(each.name for each in judgements)}")
    return finish_measures(rows, model, dataset, seed)


def _references(place: tuple, judgements: Judgements, n: int) -> list[dict]:
    """Chance and noise ceiling, where there is one."""
    info = judgements.info
    rows = [layer_row(*place, "chance", without_interval(info["chance"]), n)]
    if info.get("noise_ceiling"):
        for key, metric in (("upper", "noise_ceiling"), ("lower", "noise_ceiling_lower")):
            rows.append(layer_row(*place, metric, Estimate(*info["noise_ceiling"][key]), n))
    return rows
