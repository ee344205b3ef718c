"""How a picture of Microworld is drawn."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import pandas as pd

from strata.data.factors import COLORS, POSITIONS
from strata.errors import StrataError

_SUPERSAMPLE = 2  # drawn at twice the size and averaged down, for soft edges


def render(factors: pd.DataFrame, size: int, seed: int) -> np.ndarray:
    """Render each row of `factors` to an array (n, size, size, 3) of uint8.

    What the factors leave open (exact place, scale, tilt, mirror image, shade, phase and width of
    the texture) is drawn from the seed and the row's number in the table's index.

    Raises
    ------
    StrataError
        `size` is too small to draw in.
    """
    if size < 16:
        raise StrataError(f"microworld: size {size} is too small, use at least 16 pixels")
    images = np.empty((len(factors), size, size, 3), dtype=np.uint8)
    rows = zip(factors.index, factors.itertuples(index=False), strict=True)
    for i, (number, row) in enumerate(rows):
        images[i] = _render_one(row, size, np.random.default_rng([seed, number, 1]))
    return images


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
