"""Microworld: rendered pictures whose generative factors are known.

There are two worlds (`strata.data.worlds`). In the one of *shapes*, every picture shows one object
(a class under a superordinate kind, with a colour, a size and a position) on a background (a colour
and a texture). *Scenes* have sixty classes in a tree of kinds and realms, surfaces, places and
activities, light, clutter and things half hidden. Each picture carries a caption. Because the
factors are planted, every method that claims to find them can be scored.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from strata.data.factors import (
    COLORS,
    FAMILIES,
    KIND_OF,
    KINDS,
    OBJECTS,
    POSITIONS,
    SIZES,
    TEXTURES,
    sample_factors,
)
from strata.data.rendering import render
from strata.data.shape_captions import (
    background_phrase,
    caption,
    short_caption,
    vocabulary,
    with_article,
)
from strata.data.worlds import world_named
from strata.errors import StrataError

NOT_LABELS = ("caption",)  # columns of the manifest that are no families

# The world's face: its factors and their pictures come from their own modules.
__all__ = [
    "COLORS",
    "FAMILIES",
    "KINDS",
    "KIND_OF",
    "NOT_LABELS",
    "OBJECTS",
    "POSITIONS",
    "SIZES",
    "TEXTURES",
    "background_phrase",
    "caption",
    "make_microworld",
    "render",
    "sample_factors",
    "short_caption",
    "vocabulary",
    "with_article",
]


def make_microworld(
    n: int,
    size: int,
    seed: int,
    splits: dict[str, float],
    world: str = "shapes",
    **drawn,
) -> tuple[np.ndarray, pd.DataFrame]:
    """Pictures (n, size, size, 3) uint8, and a manifest with their factors and captions.

    `splits` gives each split's share; they are consecutive runs of samples, which is as good as
    random because the rows are independent draws. `drawn` goes to the world's `sample_factors`.

    Raises
    ------
    StrataError
        Fewer than two pictures, shares that do not add up to one, an unknown world, or a size too
        small for it.
    """
    if n < 2:
        raise StrataError(f"microworld: n is {n}, a data set needs at least 2 pictures")
    if not np.isclose(sum(splits.values()), 1.0):
        raise StrataError(f"microworld: splits {splits} must add up to 1")
    own = world_named(world)
    factors = own.sample(n, seed, **drawn)
    manifest = factors.copy()
    ends = np.round(np.cumsum(list(splits.values())) * n).astype(int)
    names = np.array(list(splits))
    manifest.insert(0, "sample", np.arange(n))
    manifest.insert(1, "index", np.arange(n))
    manifest.insert(2, "split", names[np.searchsorted(ends, np.arange(n), side="right")])
    manifest["caption"] = [
        own.caption(row, np.random.default_rng([seed, i, 2]))
        for i, row in enumerate(factors.itertuples(index=False))
    ]
    return own.render(factors, size, seed), manifest
