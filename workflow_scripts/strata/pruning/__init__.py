"""Cutting transformers where they are most convex, against other ways to choose layers.

`convexity_cut` and the criteria beside it choose layers, `prune` takes the others out of a model,
`cost` says what is left to pay. The modules `convexity`, `cuts`, `tuning`, `costs` and `comparison`
make tables of it all.
"""

from strata.pruning.criteria import (
    angular_distance_layers,
    block_influence_layers,
    cka_layers,
    convexity_cut,
    every_second_layer,
    last_dropped,
    random_layers,
)
from strata.pruning.price import Cost, cost
from strata.pruning.similarity import LayerSimilarities, layer_similarities
from strata.pruning.surgery import n_layers, prune

__all__ = [
    "Cost",
    "LayerSimilarities",
    "angular_distance_layers",
    "block_influence_layers",
    "cka_layers",
    "convexity_cut",
    "cost",
    "every_second_layer",
    "last_dropped",
    "layer_similarities",
    "n_layers",
    "prune",
    "random_layers",
]
