"""The generative factors of Microworld, and how they are drawn."""

from __future__ import annotations

import numpy as np
import pandas as pd

KINDS = {
    "animal": ("fish", "bird", "cat", "butterfly"),
    "plant": ("flower", "tree", "mushroom", "cactus"),
    "vehicle": ("car", "truck", "boat", "rocket"),
    "building": ("house", "tower", "castle", "tent"),
}


OBJECTS = tuple(name for members in KINDS.values() for name in members)


KIND_OF = {name: kind for kind, members in KINDS.items() for name in members}


COLORS = {
    "red": (206, 38, 44),
    "orange": (240, 134, 28),
    "yellow": (240, 214, 52),
    "green": (56, 150, 64),
    "blue": (44, 92, 200),
    "purple": (124, 58, 158),
    "pink": (242, 150, 190),
    "gray": (136, 138, 140),
}


# Each texture by its adjective, with the noun that captions use as often.
TEXTURES = {
    "plain": "plain",
    "striped": "stripes",
    "dotted": "dots",
    "checkered": "checks",
    "speckled": "speckles",
    "zigzag": "zigzags",
}


SIZES = {"small": ("small", "little"), "large": ("large", "big")}


POSITIONS = {"left": -1.0, "center": 0.0, "right": 1.0}


FAMILIES: dict[str, tuple[str, ...]] = {
    "object": OBJECTS,
    "kind": tuple(KINDS),
    "object_color": tuple(COLORS),
    "background_color": tuple(COLORS),
    "texture": tuple(TEXTURES),
    "size": tuple(SIZES),
    "position": tuple(POSITIONS),
}


def sample_factors(n: int, seed: int) -> pd.DataFrame:
    """Draw `n` rows of independent, uniform factors (object and background colours differ).

    Row i depends only on (seed, i), so a longer data set begins with the shorter one.
    """
    rows = []
    for i in range(n):
        draw = np.random.default_rng([seed, i])
        name = OBJECTS[draw.integers(len(OBJECTS))]
        first, second = draw.choice(len(COLORS), size=2, replace=False)
        rows.append(
            {
                "object": name,
                "kind": KIND_OF[name],
                "object_color": tuple(COLORS)[first],
                "background_color": tuple(COLORS)[second],
                "texture": tuple(TEXTURES)[draw.integers(len(TEXTURES))],
                "size": tuple(SIZES)[draw.integers(len(SIZES))],
                "position": tuple(POSITIONS)[draw.integers(len(POSITIONS))],
            }
        )
    return pd.DataFrame(rows, columns=list(FAMILIES))
