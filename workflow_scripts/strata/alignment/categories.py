"""How convex the categories of judged items are in every layer, to set beside their alignment.

Further columns: `family`, the set of triplets whose categories these are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np
import pandas as pd

from strata.alignment.judgements import Judgements, picture_categories
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
    bootstrap: int = 1000,
    seed: int = 0,
    log: Callable[[str], None] = print,
) -> pd.DataFrame:
    """Graph convexity of the categories of each set of triplets, which may overlap.

    Metrics, for each category (`concept`): graph_convexity_concept and concept_chance. A category
    with fewer than two pictures has no row.

    Raises StrataError as `overlapping_convexity`, with the place named.
    """
    rows = []
    options = {"n_neighbors": n_neighbors, "pairs": pairs, "bootstrap": bootstrap, "seed": seed}
    marks = [(each.name, picture_categories(each)) for each in judgements]
    for layer, (name, features) in enumerate(layers):
        for family, members in marks:
            try:
                found = overlapping_convexity(features, members, **options)
            except StrataError as error:
                raise StrataError(f"{model}, layer {name}, {family}: {error}") from None
            for each in found.itertuples():
                place, own = (layer, name, family), {"concept": str(each.concept)}
                value, n = Estimate(each.value, each.low, each.high), each.n_pairs
                chance = without_interval(each.chance)
                rows.append(layer_row(*place, "graph_convexity_concept", value, n, **own))
                rows.append(layer_row(*place, "concept_chance", chance, n, **own))
        log(f"{name}: convexity of the categories of {', '.join(each for each, _ in marks)}")
    return finish_measures(rows, model, dataset, seed)
