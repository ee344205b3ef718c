"""Microworld: small rendered pictures whose generative factors are known.

Every picture shows one object (a class under a superordinate kind, with a colour, a size and a
position) on a background (a colour and a texture), and carries a caption. Because the factors are
planted, every method that claims to find them can be scored.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np
import pandas as pd

from strata.errors import StrataError

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

_SUPERSAMPLE = 2  # drawn at twice the size and averaged down, for soft edges


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


def render(factors: pd.DataFrame, size: int, seed: int) -> np.ndarray:
    """Render each row of `factors` to an array (n, size, size, 3) of uint8.

    What the factors leave open (exact place, scale, tilt, mirror image, shade, phase and width of
    the texture) is drawn from (seed, row number).

    Raises
    ------
    StrataError
        `size` is too small to draw in.
    """
    if size < 16:
        raise StrataError(f"microworld: size {size} is too small, use at least 16 pixels")
    images = np.empty((len(factors), size, size, 3), dtype=np.uint8)
    for i, row in enumerate(factors.itertuples(index=False)):
        images[i] = _render_one(row, size, np.random.default_rng([seed, i, 1]))
    return images


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


def _render_one(row, size: int, draw: np.random.Generator) -> np.ndarray:
    from PIL import Image, ImageDraw

    side = size * _SUPERSAMPLE
    ground = _shade(COLORS[row.background_color], draw)
    pattern = _texture(row.texture, side, draw)[..., None]
    contrast = np.clip(np.where(sum(ground) > 330, 0.58, 1.55) * np.array(ground), 0, 255)
    pixels = np.where(pattern, contrast + (np.array(ground) < 30) * 40, ground).clip(0, 255)
    image = Image.fromarray(pixels.astype(np.uint8), "RGB")
    _draw_object(ImageDraw.Draw(image), row, side, draw)
    return np.asarray(image.reduce(_SUPERSAMPLE))


def _shade(color: tuple[int, int, int], draw: np.random.Generator) -> tuple[int, ...]:
    """The colour, a little lighter or darker and with a slight cast."""
    jittered = np.array(color) * draw.uniform(0.9, 1.08) + draw.normal(0, 4, 3)
    return tuple(int(v) for v in jittered.clip(0, 255))


@lru_cache
def _grid(side: int) -> tuple[np.ndarray, np.ndarray]:
    axis = (np.arange(side, dtype=np.float32) + 0.5) / side
    return np.meshgrid(axis, axis)


def _texture(name: str, side: int, draw: np.random.Generator) -> np.ndarray:
    """Boolean (side, side): where the background shows its second tone."""
    x, y = _grid(side)
    angle, period = draw.uniform(0, np.pi), draw.uniform(0.14, 0.2)
    phase_u, phase_v = draw.uniform(0, 1, 2)
    u = (x * np.cos(angle) + y * np.sin(angle)) / period + phase_u
    v = (y * np.cos(angle) - x * np.sin(angle)) / period + phase_v
    if name == "plain":
        return np.zeros((side, side), dtype=bool)
    if name == "striped":
        return u % 1 < 0.5
    if name == "dotted":
        return (u % 1 - 0.5) ** 2 + (v % 1 - 0.5) ** 2 < 0.09
    if name == "checkered":
        return (u % 1 < 0.5) ^ (v % 1 < 0.5)
    if name == "zigzag":
        return (u + np.abs(v % 2 - 1)) % 1 < 0.5
    grain = 2 * _SUPERSAMPLE
    cells = draw.random((-(-side // grain), -(-side // grain))) < 0.3
    return np.kron(cells, np.ones((grain, grain), dtype=bool))[:side, :side]


def _draw_object(canvas, row, side: int, draw: np.random.Generator) -> None:
    radius = side * (draw.uniform(0.26, 0.30) if row.size == "small" else draw.uniform(0.39, 0.44))
    reach = side * (0.19 if row.size == "small" else 0.12)
    cx = side / 2 + POSITIONS[row.position] * reach + draw.uniform(-0.02, 0.02) * side
    cy = side / 2 + draw.uniform(-0.05, 0.05) * side
    tilt, mirror = np.deg2rad(draw.uniform(-12, 12)), draw.choice([-1.0, 1.0])
    main = _shade(COLORS[row.object_color], draw)
    tones = {
        "main": main,
        "dark": tuple(int(c * 0.6) for c in main),
        "light": (246, 244, 236),
        "ink": (24, 22, 26),
    }
    turn = np.array([[np.cos(tilt), -np.sin(tilt)], [np.sin(tilt), np.cos(tilt)]])
    for tone, points, outlined in _SHAPES[row.object]:
        placed = (points * [mirror, 1.0]) @ turn.T * radius + [cx, cy]
        flat = [(float(px), float(py)) for px, py in placed]
        # A thin dark outline keeps an object apart from a background of a similar colour.
        canvas.polygon(flat, fill=tones[tone], outline=tones["ink"] if outlined else None)


def _poly(tone: str, *points: tuple[float, float], outlined: bool = True):
    return tone, np.array(points, dtype=float), outlined


def _oval(tone: str, cx: float, cy: float, rx: float, ry: float, outlined: bool = True):
    t = np.linspace(0, 2 * np.pi, 20, endpoint=False)
    return tone, np.stack([cx + rx * np.cos(t), cy + ry * np.sin(t)], axis=1), outlined


def _box(tone: str, left: float, top: float, right: float, bottom: float, outlined: bool = True):
    return _poly(
        tone, (left, top), (right, top), (right, bottom), (left, bottom), outlined=outlined
    )


def _eye(x: float, y: float):
    return [_oval("light", x, y, 0.15, 0.15), _oval("ink", x, y, 0.08, 0.08)]


def _wheels(*centers: float):
    return [
        part
        for x in centers
        for part in (_oval("ink", x, 0.55, 0.24, 0.24), _oval("light", x, 0.55, 0.1, 0.1))
    ]


def _battlement(left: float, right: float, top: float, teeth: int):
    step = (right - left) / (2 * teeth - 1)
    return [
        _box("main", left + 2 * i * step, top, left + (2 * i + 1) * step, top + 0.22)
        for i in range(teeth)
    ]


_SHAPES = {
    "fish": [
        _poly("dark", (-0.4, 0), (-1, -0.55), (-0.85, 0), (-1, 0.55)),
        _poly("dark", (-0.2, -0.4), (0.2, -0.85), (0.45, -0.35)),
        _oval("main", 0.2, 0, 0.75, 0.5),
        *_eye(0.6, -0.1),
    ],
    "bird": [
        _box("ink", -0.1, 0.6, 0.0, 1.0, outlined=False),
        _box("ink", 0.2, 0.6, 0.3, 1.0, outlined=False),
        _poly("dark", (-0.4, 0.1), (-1, -0.25), (-0.95, 0.4)),
        _oval("main", 0, 0.25, 0.62, 0.45),
        _poly("light", (0.75, -0.5), (1.05, -0.35), (0.75, -0.2)),
        _oval("main", 0.5, -0.4, 0.38, 0.36),
        _poly("dark", (-0.35, 0.1), (0.3, 0.1), (-0.25, 0.6)),
        *_eye(0.58, -0.45),
    ],
    "cat": [
        _poly("dark", (-0.75, -0.2), (-0.8, -1), (-0.1, -0.55)),
        _poly("dark", (0.75, -0.2), (0.8, -1), (0.1, -0.55)),
        _oval("main", 0, 0.15, 0.85, 0.75),
        *_eye(-0.35, 0),
        *_eye(0.35, 0),
        _poly("ink", (-0.12, 0.3), (0.12, 0.3), (0, 0.45)),
        _poly("ink", (0.3, 0.45), (1.0, 0.35), (0.3, 0.5)),
        _poly("ink", (-0.3, 0.45), (-1.0, 0.35), (-0.3, 0.5)),
    ],
    "butterfly": [
        _oval("main", -0.5, -0.4, 0.5, 0.5),
        _oval("main", 0.5, -0.4, 0.5, 0.5),
        _oval("dark", -0.4, 0.45, 0.38, 0.42),
        _oval("dark", 0.4, 0.45, 0.38, 0.42),
        _oval("light", -0.5, -0.4, 0.2, 0.2),
        _oval("light", 0.5, -0.4, 0.2, 0.2),
        _oval("ink", 0, 0.05, 0.1, 0.8),
    ],
    "flower": [
        _box("dark", -0.07, 0.1, 0.07, 1.0),
        _poly("dark", (0, 0.8), (0.55, 0.35), (0.5, 0.75)),
        *[
            _oval("main", 0.45 * np.cos(a), -0.35 + 0.45 * np.sin(a), 0.3, 0.3)
            for a in np.linspace(0, 2 * np.pi, 6, endpoint=False)
        ],
        _oval("light", 0, -0.35, 0.27, 0.27),
    ],
    "tree": [
        _box("dark", -0.13, 0.5, 0.13, 1.0),
        _poly("main", (-0.85, 0.6), (0, -0.2), (0.85, 0.6)),
        _poly("main", (-0.68, 0.1), (0, -0.65), (0.68, 0.1)),
        _poly("main", (-0.5, -0.4), (0, -1.05), (0.5, -0.4)),
    ],
    "mushroom": [
        _poly("light", (-0.25, 0), (0.25, 0), (0.35, 0.95), (-0.35, 0.95)),
        _poly(
            "main",
            *[
                (0.95 * np.cos(a), 0.1 + 0.95 * np.sin(a))
                for a in np.linspace(np.pi, 2 * np.pi, 12)
            ],
        ),
        _oval("light", -0.4, -0.3, 0.16, 0.16),
        _oval("light", 0.1, -0.55, 0.16, 0.16),
        _oval("light", 0.5, -0.2, 0.16, 0.16),
    ],
    "cactus": [
        _box("main", -0.8, -0.1, -0.2, 0.15),
        _box("main", -0.85, -0.55, -0.58, 0.15),
        _box("main", 0.2, 0.15, 0.8, 0.4),
        _box("main", 0.58, -0.35, 0.85, 0.4),
        _oval("main", 0, -0.05, 0.3, 0.95),
        _box("ink", -0.12, -0.6, -0.06, 0.7, outlined=False),
        _box("ink", 0.08, -0.6, 0.14, 0.7, outlined=False),
        _box("dark", -0.5, 0.8, 0.5, 1.0),
    ],
    "car": [
        _poly("main", (-0.55, -0.05), (-0.3, -0.55), (0.35, -0.55), (0.6, -0.05)),
        _box("main", -1, -0.1, 1, 0.5),
        _poly("light", (-0.38, -0.1), (-0.22, -0.42), (0.0, -0.42), (0.0, -0.1)),
        _poly("light", (0.1, -0.1), (0.1, -0.42), (0.3, -0.42), (0.45, -0.1)),
        *_wheels(-0.55, 0.55),
    ],
    "truck": [
        _box("main", -1, -0.85, 0.35, 0.45),
        _box("dark", 0.4, -0.35, 1, 0.45),
        _box("light", 0.6, -0.22, 0.92, 0.08),
        *_wheels(-0.65, -0.1, 0.65),
    ],
    "boat": [
        _box("ink", -0.06, -1, 0.06, 0.4, outlined=False),
        _poly("light", (0.12, -0.95), (0.85, 0.2), (0.12, 0.2)),
        _poly("dark", (-0.12, -0.7), (-0.65, 0.2), (-0.12, 0.2)),
        _poly("main", (-1, 0.35), (1, 0.35), (0.65, 0.95), (-0.65, 0.95)),
    ],
    "rocket": [
        _poly("light", (-0.25, 0.6), (0.25, 0.6), (0, 1.1)),
        _poly("dark", (-0.3, 0.1), (-0.75, 0.75), (-0.3, 0.65)),
        _poly("dark", (0.3, 0.1), (0.75, 0.75), (0.3, 0.65)),
        _poly("main", (0, -1.05), (0.35, -0.5), (0.35, 0.65), (-0.35, 0.65), (-0.35, -0.5)),
        _oval("light", 0, -0.25, 0.18, 0.18),
    ],
    "house": [
        _box("main", -0.75, -0.15, 0.75, 0.9),
        _poly("dark", (-1, -0.1), (0, -0.95), (1, -0.1)),
        _box("ink", -0.18, 0.35, 0.18, 0.9),
        _box("light", -0.6, 0.1, -0.3, 0.4),
        _box("light", 0.3, 0.1, 0.6, 0.4),
    ],
    "tower": [
        *_battlement(-0.45, 0.45, -1.0, 3),
        _box("main", -0.4, -0.8, 0.4, 0.95),
        _box("light", -0.12, -0.55, 0.12, -0.2),
        _box("light", -0.12, 0.0, 0.12, 0.3),
        _box("ink", -0.16, 0.55, 0.16, 0.95),
    ],
    "castle": [
        *_battlement(-1, -0.45, -0.75, 2),
        *_battlement(0.45, 1, -0.75, 2),
        *_battlement(-0.4, 0.4, -0.25, 2),
        _box("dark", -0.5, -0.05, 0.5, 0.9),
        _box("main", -1, -0.55, -0.45, 0.9),
        _box("main", 0.45, -0.55, 1, 0.9),
        _oval("ink", 0, 0.5, 0.24, 0.3),
        _box("ink", -0.24, 0.5, 0.24, 0.9),
    ],
    "tent": [
        _poly("main", (-1, 0.8), (0, -0.8), (1, 0.8)),
        _poly("dark", (-0.35, 0.8), (0, -0.8), (0.35, 0.8)),
        _poly("ink", (-0.18, 0.8), (0, 0.0), (0.18, 0.8)),
    ],
}
