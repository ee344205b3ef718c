"""Textures and materials as tones: arrays from -1 (darker) to 1 (lighter) over a square.

Each is drawn in shares of the picture's side, so that a picture is the same at any size. `scale`
shrinks the pattern for what is smaller than a backdrop.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np

_LATTICE = 64  # random values along a side, between which noise is interpolated


@lru_cache(4)
def grid(side: int) -> tuple[np.ndarray, np.ndarray]:
    """x and y of every pixel's middle, 0 to 1."""
    axis = (np.arange(side, dtype=np.float32) + 0.5) / side
    return np.meshgrid(axis, axis)


def pattern(
    name: str, x: np.ndarray, y: np.ndarray, draw: np.random.Generator, scale: float = 1.0
) -> np.ndarray:
    """Tones, float32, of a texture at points of the square, at an angle, phase and width that are
    drawn.
    """
    upright = name in ("brick", "wooden", "metallic", "furry", "scaly")
    angle = draw.uniform(-0.15, 0.15) if upright else draw.uniform(0, np.pi)
    period = draw.uniform(0.11, 0.17) * scale
    phase = draw.uniform(0, 1, 2)
    across, along = np.float32(np.cos(angle) / period), np.float32(np.sin(angle) / period)
    u = x * across + y * along + np.float32(phase[0])
    v = y * across - x * along + np.float32(phase[1])
    return _PATTERNS[name](u, v, draw).astype(np.float32)


def _sign(where: np.ndarray) -> np.ndarray:
    return np.where(where, 1.0, -0.6)


def _noise(u: np.ndarray, v: np.ndarray, draw: np.random.Generator) -> np.ndarray:
    """Smooth noise, 0 to 1, of about one bump per period."""
    values = draw.random((_LATTICE, _LATTICE), np.float32)
    i, j = np.floor(u).astype(int), np.floor(v).astype(int)
    s, t = u - i, v - j
    s, t = s * s * (3 - 2 * s), t * t * (3 - 2 * t)
    rows, columns = (i % _LATTICE, (i + 1) % _LATTICE), (j % _LATTICE, (j + 1) % _LATTICE)
    first, second = (
        values[rows[0], column] * (1 - s) + values[rows[1], column] * s for column in columns
    )
    return first * (1 - t) + second * t


def _cells(u: np.ndarray, v: np.ndarray, draw: np.random.Generator):
    """Distances to the two nearest of one random point per period, and the nearest one's number."""
    points = draw.random((_LATTICE, _LATTICE, 2), np.float32)
    i, j = np.floor(u).astype(int), np.floor(v).astype(int)
    first = np.full(u.shape, np.inf, np.float32)
    second, number = first.copy(), np.zeros(u.shape, int)
    for a in (-1, 0, 1):
        for b in (-1, 0, 1):
            row, column = (i + a) % _LATTICE, (j + b) % _LATTICE
            own = points[row, column]
            d = np.hypot(i + a + own[..., 0] - u, j + b + own[..., 1] - v)
            nearer = d < first
            second = np.where(nearer, first, np.minimum(second, d))
            number = np.where(nearer, row * _LATTICE + column, number)
            first = np.where(nearer, d, first)
    return first, second, number


def _plain(u, v, draw):
    return np.zeros(u.shape)


def _striped(u, v, draw):
    return _sign(u % 1 < 0.5)


def _dotted(u, v, draw):
    return _sign((u % 1 - 0.5) ** 2 + (v % 1 - 0.5) ** 2 < 0.08)


def _checkered(u, v, draw):
    return _sign((u % 1 < 0.5) ^ (v % 1 < 0.5))


def _zigzag(u, v, draw):
    return _sign((u + 0.8 * np.abs(v % 2 - 1)) % 1 < 0.5)


def _speckled(u, v, draw):
    shown = draw.random((_LATTICE, _LATTICE)) < 0.3
    i, j = (np.floor(w * 4).astype(int) % _LATTICE for w in (u, v))
    return _sign(shown[i, j])


def _wavy(u, v, draw):
    return _sign((u + 0.28 * np.sin(2 * np.pi * v * 0.6)) % 1 < 0.5)


def _latticed(u, v, draw):
    return np.where((u % 1 < 0.16) | (v % 1 < 0.16), 1.0, -0.3)


def _scaly(u, v, draw):
    v = v * 1.6
    row = np.floor(v)
    depth = np.full(u.shape, np.inf)
    for above in (0, 1):
        x = (u + 0.5 * ((row - above) % 2)) % 1 - 0.5
        reach = np.hypot(x * 2, (v - row + above) * 0.9)
        depth = np.where((reach < 1) & np.isinf(depth), reach, depth)
    return np.where(np.isinf(depth) | (depth > 0.85), -0.8, 0.7 - depth)


def _brick(u, v, draw):
    v = v * 1.3
    u = u * 0.65 + 0.5 * (np.floor(v) % 2)
    tone = draw.random((_LATTICE, _LATTICE))[
        np.floor(u).astype(int) % _LATTICE, np.floor(v).astype(int) % _LATTICE
    ]
    return np.where((u % 1 < 0.08) | (v % 1 < 0.16), 1.0, -0.55 + 0.4 * tone)


def _wooden(u, v, draw):
    grain = v * 2.2 + 1.3 * _noise(u * 0.35, v * 0.6, draw)
    plank = np.where(v * 0.55 % 1 < 0.04, -1.0, 0.0)
    return np.minimum(0.55 * np.sin(2 * np.pi * grain) + plank, 0.6 + plank)


def _marbled(u, v, draw):
    bent = _noise(u * 0.6, v * 0.6, draw) + 0.5 * _noise(u * 1.3, v * 1.3, draw)
    return 1.1 - 2.1 * np.abs(np.sin(np.pi * (u * 0.35 + 2.2 * bent))) ** 0.35


def _cracked(u, v, draw):
    first, second, number = _cells(u * 0.75, v * 0.75, draw)
    return np.where(second - first < 0.09, -1.0, 0.25 * ((number * 7919) % 13 / 6 - 1))


def _woven(u, v, draw):
    u, v = u * 1.3, v * 1.3
    over = (np.floor(u) + np.floor(v)) % 2 == 0
    thread = np.where(over, np.sin(np.pi * (v % 1)), np.sin(np.pi * (u % 1)))
    return np.where(over, 1.2, 0.5) * thread - 0.55


def _honeycombed(u, v, draw):
    v = v * 1.1547
    near = np.full(u.shape, np.inf)
    next_ = near.copy()
    row = np.floor(v)
    for a in (-1, 0, 1, 2):
        shift = 0.5 * ((row + a) % 2)
        base = np.floor(u - shift)
        for b in (0, 1):
            d = np.hypot(u - (base + b + shift), (v - row - a) * 0.866)
            next_ = np.where(d < near, near, np.minimum(next_, d))
            near = np.minimum(near, d)
    return np.where(next_ - near < 0.16, 1.0, -0.4)


def _starry(u, v, draw):
    x, y = u % 1 - 0.5, v % 1 - 0.5
    angle = np.arctan2(y, x)
    return _sign(np.hypot(x, y) < 0.25 + 0.14 * np.cos(5 * angle))


def _bubbly(u, v, draw):
    first, _, number = _cells(u, v, draw)
    radius = 0.28 + 0.2 * ((number * 7919) % 17 / 16)
    return np.where(np.abs(first - radius) < 0.07, 1.0, np.where(first < radius, 0.2, -0.5))


def _ringed(u, v, draw):
    middle = [np.floor(w.mean()) + draw.uniform(-1.5, 1.5) for w in (u, v)]
    return _sign(np.hypot(u - middle[0], v - middle[1]) % 1 < 0.5)


def _metallic(u, v, draw):
    sheen = np.sin(2 * np.pi * (0.22 * u + 0.3 * v)) ** 3
    brushed = _noise(u * 0.5, v * 14, draw) - 0.5
    return 0.95 * sheen + 0.5 * brushed


def _furry(u, v, draw):
    strand = _noise(u * 7 + 1.5 * _noise(u, v, draw), v * 1.3, draw)
    return 2.6 * (strand - 0.5)


def _faceted(u, v, draw):
    _, _, number = _cells(u * 0.8, v * 0.8, draw)
    return (number * 7919) % 23 / 11 - 1


_PATTERNS: dict[str, Callable] = {
    "plain": _plain,
    "striped": _striped,
    "dotted": _dotted,
    "checkered": _checkered,
    "zigzag": _zigzag,
    "speckled": _speckled,
    "wavy": _wavy,
    "latticed": _latticed,
    "scaly": _scaly,
    "brick": _brick,
    "wooden": _wooden,
    "marbled": _marbled,
    "cracked": _cracked,
    "woven": _woven,
    "honeycombed": _honeycombed,
    "starry": _starry,
    "bubbly": _bubbly,
    "ringed": _ringed,
    "metallic": _metallic,
    "furry": _furry,
    "faceted": _faceted,
}
