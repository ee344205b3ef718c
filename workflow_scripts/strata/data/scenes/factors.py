"""The generative factors of a scene, and how they are drawn.

Every scene shows an object (a class under a kind, under one of two realms) with a colour and a
surface, doing something, at a size and a position, in a place. A studio's backdrop has a colour and
a texture; other places have none, and these columns do not apply (missing).
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from strata.errors import StrataError

REALMS: dict[str, dict[str, tuple[str, ...]]] = {
    "living": {
        "mammal": ("cat", "dog", "rabbit", "elephant", "giraffe"),
        "bird": ("duck", "owl", "penguin", "flamingo", "parrot"),
        "marine animal": ("fish", "whale", "octopus", "crab", "turtle"),
        "insect": ("butterfly", "bee", "ladybug", "spider", "snail"),
        "plant": ("pine", "palm", "cactus", "tulip", "sunflower"),
        "fruit": ("apple", "banana", "cherry", "pineapple", "mushroom"),
    },
    "made": {
        "vehicle": ("car", "truck", "bus", "bicycle", "train"),
        "craft": ("sailboat", "rocket", "airplane", "balloon", "submarine"),
        "building": ("house", "tower", "castle", "tent", "church"),
        "furniture": ("chair", "table", "lamp", "bed", "clock"),
        "tool": ("hammer", "key", "scissors", "umbrella", "ladder"),
        "dish": ("cup", "bottle", "teapot", "fork", "cake"),
    },
}

KINDS = {kind: members for kinds in REALMS.values() for kind, members in kinds.items()}
OBJECTS = tuple(name for members in KINDS.values() for name in members)
KIND_OF = {name: kind for kind, members in KINDS.items() for name in members}
REALM_OF = {kind: realm for realm, kinds in REALMS.items() for kind in kinds}

# Some are near to each other on purpose: crimson to red, navy to blue, teal to green and cyan.
COLORS = {
    "red": (214, 40, 40),
    "crimson": (150, 14, 46),
    "orange": (243, 134, 28),
    "yellow": (246, 218, 50),
    "olive": (118, 120, 40),
    "lime": (158, 214, 44),
    "green": (40, 138, 60),
    "teal": (0, 124, 126),
    "cyan": (72, 206, 226),
    "blue": (40, 92, 208),
    "navy": (24, 32, 98),
    "purple": (118, 54, 164),
    "magenta": (216, 44, 170),
    "pink": (246, 158, 192),
    "brown": (118, 70, 36),
    "beige": (222, 202, 162),
    "white": (240, 240, 238),
    "gray": (132, 134, 138),
    "black": (28, 28, 32),
}

# Textures and materials by adjective, with the noun that captions use as often.
TEXTURES = {
    "plain": "plain",
    "striped": "stripes",
    "dotted": "dots",
    "checkered": "checks",
    "zigzag": "zigzags",
    "speckled": "speckles",
    "wavy": "waves",
    "latticed": "lattice",
    "scaly": "scales",
    "brick": "bricks",
    "wooden": "wood",
    "marbled": "marble",
    "cracked": "cracks",
    "woven": "weave",
    "honeycombed": "honeycomb",
    "starry": "stars",
    "bubbly": "bubbles",
    "ringed": "rings",
    "metallic": "metal",
    "furry": "fur",
    "faceted": "facets",
}

# Of the object's own surface, those that show on a small patch.
SURFACES = ("plain", "striped", "dotted", "checkered", "wooden", "brick", "metallic", "furry")
PLAIN_SHARE = 0.4

STUDIO = "studio"
PLACES = (STUDIO, "indoors", "street", "meadow", "shore", "forest", "mountains")
STUDIO_SHARE = 0.5

ACTIVITIES = ("standing", "flying", "falling", "lying", "lined up", "hiding")

SMALLEST = 32  # pixels along a side of a picture

# Radius of the object as a share of the picture's side, and the words for it.
SIZES = {"small": 0.24, "medium": 0.32, "large": 0.42}
POSITIONS = {"left": -1.0, "center": 0.0, "right": 1.0}

FAMILIES: dict[str, tuple[str, ...]] = {
    "object": OBJECTS,
    "kind": tuple(KINDS),
    "realm": tuple(REALMS),
    "object_color": tuple(COLORS),
    "surface": SURFACES,
    "place": PLACES,
    "background_color": tuple(COLORS),
    "texture": tuple(TEXTURES),
    "activity": ACTIVITIES,
    "size": tuple(SIZES),
    "position": tuple(POSITIONS),
}

# What goes with a kind where factors are correlated: place, colour, surface.
TYPICAL: Mapping[str, tuple[str, str, str]] = {
    "mammal": ("meadow", "brown", "furry"),
    "bird": ("forest", "orange", "striped"),
    "marine animal": ("shore", "cyan", "striped"),
    "insect": ("meadow", "red", "dotted"),
    "plant": ("forest", "green", "plain"),
    "fruit": ("indoors", "yellow", "dotted"),
    "vehicle": ("street", "blue", "metallic"),
    "craft": ("shore", "white", "plain"),
    "building": ("street", "beige", "brick"),
    "furniture": ("indoors", "crimson", "wooden"),
    "tool": ("indoors", "gray", "metallic"),
    "dish": ("indoors", "navy", "checkered"),
}


def sample_factors(n: int, seed: int, correlation: float = 0.0) -> pd.DataFrame:
    """Draw `n` rows of factors, uniform, but that half of the scenes are in the studio and two in
    five objects plain.

    Independent, but that object and backdrop differ in colour and that activities and the rest know
    nothing of each other; with a `correlation` of r, place, colour and surface of the object are
    each, with probability r, the typical ones of its kind instead (`TYPICAL`). Row i depends only
    on (seed, i, r), so that a longer data set begins with the shorter one.

    Raises StrataError when `correlation` is not between 0 and 1.
    """
    if not 0 <= correlation <= 1:
        raise StrataError(f"microworld: correlation is {correlation}, it must lie in 0 to 1")
    rows = [_row(np.random.default_rng([seed, i]), correlation) for i in range(n)]
    return pd.DataFrame(rows, columns=list(FAMILIES))


def _row(draw: np.random.Generator, correlation: float) -> dict:
    name = OBJECTS[draw.integers(len(OBJECTS))]
    kind = KIND_OF[name]
    first, second = (list(COLORS)[i] for i in draw.choice(len(COLORS), size=2, replace=False))
    texture = list(TEXTURES)[draw.integers(len(TEXTURES))]
    patterned = SURFACES[1 + draw.integers(len(SURFACES) - 1)]
    surface = "plain" if draw.random() < PLAIN_SHARE else patterned
    elsewhere = PLACES[1 + draw.integers(len(PLACES) - 1)]
    place = STUDIO if draw.random() < STUDIO_SHARE else elsewhere
    typical = draw.random(3) < correlation
    place, color, surface = (
        own if chosen else drawn
        for own, drawn, chosen in zip(TYPICAL[kind], (place, first, surface), typical, strict=True)
    )
    backdrop = second if second != color else first
    return {
        "object": name,
        "kind": kind,
        "realm": REALM_OF[kind],
        "object_color": color,
        "surface": surface,
        "place": place,
        "background_color": backdrop if place == STUDIO else None,
        "texture": texture if place == STUDIO else None,
        "activity": ACTIVITIES[draw.integers(len(ACTIVITIES))],
        "size": list(SIZES)[draw.integers(len(SIZES))],
        "position": list(POSITIONS)[draw.integers(len(POSITIONS))],
    }
