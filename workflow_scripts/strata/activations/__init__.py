"""Activations of every layer, from one forward pass to arrays that open memory-mapped."""

from strata.activations.cache import ActivationCache, merge_shards
from strata.activations.extraction import extract
from strata.activations.importing import import_arrays
from strata.activations.pooling import POOLS
from strata.activations.probing import ProbingSet

__all__ = [
    "POOLS",
    "ActivationCache",
    "ProbingSet",
    "extract",
    "import_arrays",
    "merge_shards",
]
