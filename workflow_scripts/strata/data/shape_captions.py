"""What a picture of the world of shapes shows, in English."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from strata.data.factors import COLORS, FAMILIES, KINDS, OBJECTS, POSITIONS, SIZES, TEXTURES


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


def prompts() -> dict[str, dict[str, list[str]]]:
    """For every factor, the word or phrase that asks for each of its values."""
    found = {family: {value: [value] for value in values} for family, values in FAMILIES.items()}
    found["background_color"] = {color: [f"{color} background"] for color in COLORS}
    found["object_color"] = {color: [with_article(f"{color} object")] for color in COLORS}
    found["size"] = {size: [words[0]] for size, words in SIZES.items()}
    return found
