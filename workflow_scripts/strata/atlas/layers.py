"""Studies 2 and 3 for the atlas: convexity by concept and layer, neighbors, and cuts."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from strata.atlas.samples import Samples
from strata.atlas.writing import short
from strata.tables import blocks_passed

FAMILY, CONCEPT = "graph_convexity", "graph_convexity_concept"
_SEVERAL = ("prefix", "random")  # of these there are several cuts each
_COLUMNS = {"mean": "value", "low": "low", "high": "high"}


def layers_data(
    neighbors: pd.DataFrame,
    samples: Samples,
    *,
    convexity: pd.DataFrame | None = None,
    alignment: pd.DataFrame | None = None,
    cuts: pd.DataFrame | None = None,
    comparison: pd.DataFrame | None = None,
) -> dict:
    """A model's layers, with neighbors of examples and what was measured of the rest.

    `neighbors`: for each example its place in `samples` and, by layer, the places of its nearest.
    `families` (from `convexity`): for each its mean, low and high by layer and its concepts [[name,
    values by layer]]. `judgements` (from `alignment`): for each set of triplets accuracy, low and
    high by layer and the ceiling. `cuts`: what each criterion keeps for each family, with the
    accuracy of `comparison`.
    """
    layers = neighbors.drop_duplicates("layer_index").sort_values("layer_index")
    layers = layers.assign(block=blocks_passed)
    order = layers["layer_index"].tolist()
    told = {"layers": [[row.layer, int(row.block)] for row in layers.itertuples()]}
    told["neighbors"] = _neighbors(neighbors, order, samples)
    if convexity is not None:
        families = convexity.groupby("family", sort=False)
        told["families"] = {name: _family(rows, order) for name, rows in families}
    if alignment is not None:
        triplets = alignment.groupby("family", sort=False)
        told["judgements"] = {name: _judged(rows, order) for name, rows in triplets}
    if cuts is not None:
        told["cuts"] = _cuts(cuts, comparison)
    return told


def _by_layer(rows: pd.DataFrame, metric: str, order: Sequence[int]) -> dict:
    own = rows[(rows["metric"] == metric) & rows["concept"].isna()]
    own = own.set_index("layer_index").reindex(order)
    return {name: short(own[column], 3) for name, column in _COLUMNS.items()}


def _family(rows: pd.DataFrame, order: Sequence[int]) -> dict:
    concepts = rows[rows["metric"] == CONCEPT]
    by = concepts.pivot(index="concept", columns="layer_index", values="value")
    values = zip(by.index, by.reindex(columns=order).to_numpy(), strict=True)
    named = [[name, short(row, 3)] for name, row in values]
    return _by_layer(rows, FAMILY, order) | {"concepts": named}


def _judged(rows: pd.DataFrame, order: Sequence[int]) -> dict:
    ceiling = _by_layer(rows, "noise_ceiling", order)["mean"]
    return _by_layer(rows, "accuracy", order) | {"ceiling": ceiling}


def _neighbors(neighbors: pd.DataFrame, order: Sequence[int], samples: Samples) -> list[list]:
    ranked = neighbors.sort_values(["sample", "layer_index", "rank"])
    told = []
    for sample, rows in ranked.groupby("sample", sort=True):
        near = rows.groupby("layer_index")["neighbor"]
        places = [samples.add_all(near.get_group(index)) for index in order]
        told.append([samples.add(sample), places])
    return told


def _cuts(cuts: pd.DataFrame, comparison: pd.DataFrame | None) -> list[dict]:
    known = {}
    if comparison is not None:
        rows = comparison[comparison["metric"] == "accuracy"]
        keys = zip(rows["family"], rows["concept"], strict=True)
        values = zip(*(short(rows[column], 3) for column in _COLUMNS.values()), strict=True)
        known = dict(zip(keys, values, strict=True))
    return [
        {
            "family": row.family,
            "criterion": row.metric,
            "kept": row.kept,
            "accuracy": known.get((row.family, row.metric)),
        }
        for row in cuts[~cuts["metric"].isin(_SEVERAL)].itertuples()
    ]
