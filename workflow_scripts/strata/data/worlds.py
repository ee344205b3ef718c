"""The rendered worlds by name, each with its factors, pictures, captions and words."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd

from strata.errors import StrataError

NAMES = ("shapes", "scenes")


class World(NamedTuple):
    """`families` name the values of every factor; `sample(n, seed)` draws factors,
    `render(factors, size, seed)` makes pictures of them. `caption(row, draw)` and `short_caption`
    are true of a row of factors, `vocabulary()` says which factors a word names, and `prompts()`
    the phrases that ask for each value of a factor.
    """

    families: Mapping[str, tuple[str, ...]]
    sample: Callable[..., pd.DataFrame]
    render: Callable[[pd.DataFrame, int, int], np.ndarray]
    caption: Callable[..., str]
    short_caption: Callable[..., str]
    vocabulary: Callable[[], dict[str, list[str]]]
    prompts: Callable[[], dict[str, dict[str, list[str]]]]


def world_named(name: str) -> World:
    """The world of that name. Raises StrataError for a name that is none."""
    if name == "shapes":
        from strata.data import factors, rendering
        from strata.data import shape_captions as captions

        words = captions
    elif name == "scenes":
        from strata.data.scenes import captions, factors, rendering, words
    else:
        raise StrataError(f"microworld: no world {name!r}; there are {', '.join(NAMES)}")
    return World(
        factors.FAMILIES,
        factors.sample_factors,
        rendering.render,
        captions.caption,
        captions.short_caption,
        words.vocabulary,
        captions.prompts,
    )
