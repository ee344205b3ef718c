"""What a scene shows, in plain English of varied wording and completeness."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from strata.data.scenes.factors import COLORS, KINDS, OBJECTS, REALMS, STUDIO, SURFACES, TEXTURES
from strata.data.scenes.words import (
    ACTIVITY_PHRASES,
    KIND_WORDS,
    OBJECT_WORDS,
    PLACE_PHRASES,
    POSITION_PHRASES,
    REALM_WORDS,
    SIZE_WORDS,
    plural,
    with_article,
)

_OPENINGS = ("", "", "", "a picture of ", "a drawing of ", "there is ", "here we see ")
_GROUNDS = ("background", "backdrop", "wall")
_BY_CLASS, _BY_KIND = 0.72, 0.95  # else by realm


def caption(row, draw: np.random.Generator) -> str:
    """A caption of a row of factors; what it leaves out is drawn, the object is always named."""
    words = [
        _one(SIZE_WORDS[row.size], draw) if draw.random() < 0.4 else "",
        row.object_color if draw.random() < 0.7 else "",
        row.surface if row.surface != "plain" and draw.random() < 0.5 else "",
    ]
    several = row.activity == "lined up"
    noun = _noun(row, draw)
    phrase = " ".join(word for word in (*words, plural(noun) if several else noun) if word)
    shown = f"three {phrase}" if several else with_article(phrase)
    if several and draw.random() < 0.4:
        shown = f"a row of {phrase}"
    parts = [shown]
    if draw.random() < 0.65:
        parts.append(_one(ACTIVITY_PHRASES[row.activity], draw))
    if draw.random() < 0.35:
        parts.append(_one(POSITION_PHRASES[row.position], draw))
    if draw.random() < 0.75:
        parts.append(background_phrase(row, draw))
    return _one(_OPENINGS, draw) + " ".join(parts)


def background_phrase(row, draw: np.random.Generator) -> str:
    """Where the scene is; of a studio the backdrop's colour, its texture, or both."""
    if row.place != STUDIO:
        return _one(PLACE_PHRASES[row.place], draw)
    way = draw.random()
    if way < 0.1:
        return _one(PLACE_PHRASES[STUDIO], draw)
    ground = _one(_GROUNDS, draw)
    color = row.background_color if way < 0.85 else ""
    texture = row.texture if way > 0.3 or not color else ""
    if texture and texture != "plain" and draw.random() < 0.5:
        phrase = " ".join(filter(None, (color, ground)))
        return f"before {with_article(phrase)} with {TEXTURES[texture]}"
    phrase = " ".join(filter(None, (color, texture, ground)))
    return f"before {with_article(phrase)}"


def short_caption(row, draw: np.random.Generator) -> str:
    """A word or short phrase that is true of the scene, so that bare words get a meaning too."""
    studio = row.place == STUDIO
    choices = [
        _noun(row, draw),
        _noun(row, draw),
        row.object_color,
        (row.surface, TEXTURES[row.surface])[draw.integers(2)],
        _one(SIZE_WORDS[row.size], draw),
        _one(POSITION_PHRASES[row.position], draw).split()[-1],
        _one(ACTIVITY_PHRASES[row.activity], draw),
        _one(PLACE_PHRASES[row.place], draw).split()[-1],
        row.background_color if studio else row.place,
        (row.texture, TEXTURES[row.texture])[draw.integers(2)] if studio else row.place,
        with_article(f"{row.object_color} {_noun(row, draw)}"),
        background_phrase(row, draw),
    ]
    return _one(choices, draw)


def _noun(row, draw: np.random.Generator) -> str:
    way = draw.random()
    if way < _BY_CLASS:
        return _one((row.object, row.object, *OBJECT_WORDS.get(row.object, ())), draw)
    if way < _BY_KIND:
        return _one((row.kind, *KIND_WORDS.get(row.kind, ())), draw)
    return _one(REALM_WORDS[row.realm], draw)


def _one(choices: Sequence[str], draw: np.random.Generator) -> str:
    return choices[draw.integers(len(choices))]


def prompts() -> dict[str, dict[str, list[str]]]:
    """For every factor, the phrases that ask for each of its values. An adjective stands before
    every kind, as a bare one may be the object's or the backdrop's."""

    def things(adjective: str) -> list[str]:
        return [with_article(f"{adjective} {kind}") for kind in KINDS]

    return {
        "object": {name: [name, *OBJECT_WORDS.get(name, ())] for name in OBJECTS},
        "kind": {kind: [kind, *KIND_WORDS.get(kind, ())] for kind in KINDS},
        "realm": {realm: list(REALM_WORDS[realm]) for realm in REALMS},
        "object_color": {color: things(color) for color in COLORS},
        "surface": {name: things(name) for name in SURFACES},
        "place": {name: list(phrases) for name, phrases in PLACE_PHRASES.items()},
        "background_color": {color: _grounds(color) for color in COLORS},
        "texture": {name: _grounds(name) for name in TEXTURES},
        "activity": {name: list(phrases) for name, phrases in ACTIVITY_PHRASES.items()},
        "size": {size: [p for w in words for p in things(w)] for size, words in SIZE_WORDS.items()},
        "position": {name: list(phrases) for name, phrases in POSITION_PHRASES.items()},
    }


def _grounds(adjective: str) -> list[str]:
    return [f"before {with_article(f'{adjective} {ground}')}" for ground in _GROUNDS]
