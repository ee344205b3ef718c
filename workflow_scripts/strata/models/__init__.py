"""Models on disk: fetched once, loaded offline ever after, their layers found by themselves."""

from strata.models.encoder import Encoder, load_encoder
from strata.models.fetching import fetch
from strata.models.layers import encoder_of, find_layers
from strata.models.twins import random_twin

__all__ = [
    "Encoder",
    "encoder_of",
    "fetch",
    "find_layers",
    "load_encoder",
    "random_twin",
]
