"""Microworld: small rendered pictures whose generative factors are known.

Every picture shows one object (a class under a superordinate kind, with a colour, a size and a
position) on a background (a colour and a texture), and carries a caption. Because the factors are
planted, every method that claims to find them can be scored.
"""

from __future__ import annotations

from collections.abc import Callable

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


def caption(row, draw: np.random.Generator, by_kind: float = 0.25) -> str:
    """One full English caption of a row of factors, with synonyms drawn at random.

    The object is named by its kind ("vehicle") with probability `by_kind`, else by its class.
    """
    noun = row.kind if draw.random() < by_kind else row.object
    size = SIZES[row.size][draw.integers(2)]
    place = {"left": " on the left", "right": " on the right", "center": " in the center"}
    where = place[row.position] if draw.random() < 0.5 else ""
    background = with_article(background_phrase(row, draw))
    return f"a {size} {row.object_color} {noun}{where} on {background}"


def with_article(phrase: str) -> str:
    """The phrase behind "a" or "an"."""
    return f"{'an' if phrase[0] in 'aeiou' else 'a'} {phrase}"


def background_phrase(row, draw: np.random.Generator) -> str:
    """The background in words: "blue striped background" or "blue background with stripes"."""
    if row.texture != "plain" and draw.random() < 0.5:
        return f"{row.background_color} background with {TEXTURES[row.texture]}"
    return f"{row.background_color} {row.texture} background"


def short_caption(row, draw: np.random.Generator) -> str:
    """A word or phrase that is true of the picture, so that bare words get a meaning too."""
    size = SIZES[row.size][draw.integers(2)]
    phrases: tuple[Callable[[], str], ...] = (
        lambda: row.object,
        lambda: row.kind,
        lambda: (row.object_color, row.background_color)[draw.integers(2)],
        lambda: (row.texture, TEXTURES[row.texture])[draw.integers(2)],
        lambda: (size, row.position)[draw.integers(2)],
        lambda: with_article(f"{row.object_color} {(row.object, row.kind)[draw.integers(2)]}"),
        lambda: with_article(background_phrase(row, draw)),
        lambda: f"a {size} {row.object}",
        lambda: f"a {row.object} on a {row.texture} background",
    )
    return phrases[draw.integers(len(phrases))]()


def vocabulary() -> dict[str, list[str]]:
    """Concept word -> the planted factors ("family=value") that it names.

    A colour word names the colour of the object as well as that of the background.
    """
    words: dict[str, list[str]] = {}
    for color in COLORS:
        words[color] = [f"object_color={color}", f"background_color={color}"]
    for adjective, noun in TEXTURES.items():
        for word in {adjective, noun}:
            words[word] = [f"texture={adjective}"]
    for size, synonyms in SIZES.items():
        for word in synonyms:
            words[word] = [f"size={size}"]
    for family, values in (("object", OBJECTS), ("kind", KINDS), ("position", POSITIONS)):
        for value in values:
            words[value] = [f"{family}={value}"]
    return dict(sorted(words.items()))


def make_microworld(
    n: int, size: int, seed: int, splits: dict[str, float]
) -> tuple[np.ndarray, pd.DataFrame]:
    """Pictures (n, size, size, 3) uint8, and a manifest with their factors and captions.

    `splits` gives each split's share; they are consecutive runs of samples, which is as good as
    random because the rows are independent draws.

    Raises
    ------
    StrataError
        Fewer than two pictures, or shares that do not add up to one.
    """
    if n < 2:
        raise StrataError(f"microworld: n is {n}, a data set needs at least 2 pictures")
    if not np.isclose(sum(splits.values()), 1.0):
        raise StrataError(f"microworld: splits {splits} must add up to 1")
    factors = sample_factors(n, seed)
    manifest = factors.copy()
    ends = np.round(np.cumsum(list(splits.values())) * n).astype(int)
    names = np.array(list(splits))
    manifest.insert(0, "sample", np.arange(n))
    manifest.insert(1, "index", np.arange(n))
    manifest.insert(2, "split", names[np.searchsorted(ends, np.arange(n), side="right")])
    manifest["caption"] = [
        caption(row, np.random.default_rng([seed, i, 2]))
        for i, row in enumerate(factors.itertuples(index=False))
    ]
    return render(factors, size, seed), manifest
