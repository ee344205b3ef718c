"""How convex the categories of judged items are in every layer, to set beside their alignment.

Further columns: `family`, the set of triplets whose categories these are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np
import pandas as pd

from strata.alignment.judgements import Judgements, picture_categories
from strata.convexity.halved import halves_in_order
from strata.convexity.overlapping import overlapping_convexity
from strata.errors import StrataError
from strata.stats import Estimate, without_interval
from strata.tables import finish_measures, layer_row


def category_measures(
    layers: Iterable[tuple[str, np.ndarray]],
    judgements: Sequence[Judgements],
    *,
    model: str,
    dataset: str,
    n_neighbors: int = 10,
    pairs: str | int = "all",
    halves: int = 10,
    order: np.ndarray | None = None,
    seed: int = 0,
    log: Callable[[str], None] = print,
) -> pd.DataFrame:
    """Graph convexity of the categories of each set of triplets, which may overlap.

    Metrics, for each category (`concept`): graph_convexity_concept and concept_chance. A category
    with fewer than two pictures has no row. The pictures are halved in the same ways for all
    layers, drawn in `order` (rows of the pictures; as they are), which for a data set should be
    that of `strata.data.splits.sample_order`; so they are for all models.

    Raises StrataError as `overlapping_convexity`, with the place named.
    """
    rows = []
    options = {"n_neighbors": n_neighbors, "pairs": pairs, "seed": seed}
    marks = [(each.name, picture_categories(each)) for each in judgements]
    drawn = [
        halves_in_order(list(members.itertuples(index=False, name=None)), halves, order, seed)
        for _, members in marks
    ]
    for layer, (name, features) in enumerate(layers):
        for (family, members), own_halves in zip(marks, drawn, strict=True):
            try:
                found = overlapping_convexity(features, members, halves=own_halves, **options)
            except StrataError as error:
                raise StrataError(f"{model}, layer {name}, {family}: {error}") from None
            for each in found.itertuples():
                place, own = (layer, name, family), {"concept": str(each.concept)}
                value, n = Estimate(each.value, each.low, each.high), each.n_pairs
                chance = without_interval(each.chance)
                held = own | {"deviates": each.deviates}
                rows.append(layer_row(*place, "graph_convexity_concept", value, n, **held))
                rows.append(layer_row(*place, "concept_chance", chance, n, **own))
        log(f"{name}: convexity of the categories of {', '.join(each for each, _ in marks)}")
    return finish_measures(rows, model, dataset, seed)
