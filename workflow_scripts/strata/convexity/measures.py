"""Graph convexity of every layer of a model as measures (`strata.tables`).

Further columns: `family`, the concept family that a row is about; `p_value`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import numpy as np
import pandas as pd

from strata.convexity.scores import GraphConvexity, above_chance, graph_convexity
from strata.errors import StrataError
from strata.stats import Estimate, without_interval
from strata.tables import finish_measures, layer_row


def convexity_measures(
    layers: Iterable[tuple[str, np.ndarray]],
    labels: pd.DataFrame,
    *,
    model: str,
    dataset: str,
    n_neighbors: int = 10,
    pairs: str | int = "all",
    permutations: int = 0,
    halves: int | Mapping[str, np.ndarray] = 10,
    seed: int = 0,
    log: Callable[[str], None] = print,
) -> pd.DataFrame:
    """Graph convexity of every family (column of `labels`) in every layer.

    Metrics: graph_convexity (mean over pairs), graph_convexity_concepts (mean over concepts),
    graph_convexity_normalised, chance, unreachable, hubness, tied_neighbors (the share of neighbors
    that were drawn among equally near samples); and graph_convexity_concept with its
    concept_chance for each concept. `halves` as for `graph_convexity`, a number or for each family
    which samples are in the first half of each split: where they are the same for two layers or
    models, the deviates of rows subtract. Errors as for `graph_convexity`, with the place named.
    """
    rows = []
    for layer, (name, features) in enumerate(layers):
        options = {"permutations": permutations, "seed": seed, "shared": {}}
        for family in labels:
            own = halves[family] if isinstance(halves, Mapping) else halves
            scored = (features, labels[family], n_neighbors, pairs)
            try:
                found = graph_convexity(*scored, halves=own, **options)
            except StrataError as error:
                raise StrataError(f"{model}, layer {name}, {family}: {error}") from None
            rows += _convexity_rows(layer, name, family, found)
        tied = f"; {found.tied:.0%} of neighbors drawn among equally near" if found.tied else ""
        log(f"{name}: convexity of {', '.join(labels)}{tied}")
    return finish_measures(rows, model, dataset, seed)


def _convexity_rows(layer: int, name: str, family: str, found: GraphConvexity) -> list[dict]:
    place, n = (layer, name, family), found.n_pairs
    mean = Estimate(found.mean, found.low, found.high)
    scaled = [float(above_chance(x, found.chance)) for x in mean]
    concepts = Estimate(found.mean_over_concepts, found.concepts_low, found.concepts_high)
    deviates, p_value = found.deviates, {"p_value": found.p_value}
    rows = [
        layer_row(*place, "graph_convexity", mean, n, deviates=deviates["mean"], **p_value),
        layer_row(
            *place, "graph_convexity_concepts", concepts, n, deviates=deviates["mean_over_concepts"]
        ),
        layer_row(
            *place,
            "graph_convexity_normalised",
            Estimate(*scaled),
            n,
            deviates=deviates["normalised"],
            **p_value,
        ),
    ]
    for metric in ("chance", "unreachable", "hubness"):
        rows.append(layer_row(*place, metric, without_interval(getattr(found, metric)), n))
    rows.append(layer_row(*place, "tied_neighbors", without_interval(found.tied), n))
    for concept in found.concepts.itertuples():
        own = {"concept": str(concept.concept), "p_value": concept.p_value}
        value = Estimate(concept.value, concept.low, concept.high)
        chance = without_interval(concept.chance)
        held = own | {"deviates": found.concept_deviates[concept.concept]}
        rows.append(layer_row(*place, "graph_convexity_concept", value, concept.n_pairs, **held))
        rows.append(layer_row(*place, "concept_chance", chance, concept.n_pairs, **own))
    return rows
