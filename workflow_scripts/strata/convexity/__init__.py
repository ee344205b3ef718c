"""How convex concepts are in a representation, on graphs and on straight lines.

`graph_convexity` follows shortest paths between a concept's samples, `euclidean_convexity` the
segments between them; `linear_head_convexity` is the latter, exact, for a linear classifier. What
needs numba (`neighbors`, `shortest_paths`) or torch (`remainder`) is imported where it is used.
"""

from strata.convexity.euclidean import (
    EuclideanConvexity,
    euclidean_convexity,
    linear_head_convexity,
)
from strata.convexity.graphs import NeighborGraph, component_sizes, neighbor_graph
from strata.convexity.scores import GraphConvexity, above_chance, graph_convexity, pair_scores

__all__ = [
    "EuclideanConvexity",
    "GraphConvexity",
    "NeighborGraph",
    "above_chance",
    "component_sizes",
    "euclidean_convexity",
    "graph_convexity",
    "linear_head_convexity",
    "neighbor_graph",
    "pair_scores",
]
