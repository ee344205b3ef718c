"""What objects are made of: polygons in a square from -1 to 1, y downwards, each in a tone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

# Tones: the object's colour, the same darker, and three that do not depend on it.
MAIN, DARK, LIGHT, INK, ACCENT = range(1, 6)


class Part(NamedTuple):
    """A polygon (points, 2) in a tone, and whether it has a thin dark outline."""

    tone: int
    points: np.ndarray
    outlined: bool = True


def poly(tone: int, *points: tuple[float, float], outlined: bool = True) -> Part:
    return Part(tone, np.array(points, dtype=float), outlined)


def box(tone: int, left: float, top: float, right: float, bottom: float, outlined=True) -> Part:
    corners = ((left, top), (right, top), (right, bottom), (left, bottom))
    return poly(tone, *corners, outlined=outlined)


def oval(
    tone: int, x: float, y: float, rx: float, ry: float | None = None, turn=0.0, outlined=True
):
    """An ellipse, turned by `turn` degrees."""
    t = np.linspace(0, 2 * np.pi, 28, endpoint=False)
    u, v = rx * np.cos(t), (rx if ry is None else ry) * np.sin(t)
    a = np.deg2rad(turn)
    points = np.stack([x + u * np.cos(a) - v * np.sin(a), y + u * np.sin(a) + v * np.cos(a)], 1)
    return Part(tone, points, outlined)


def wedge(tone: int, x: float, y: float, r: float, start: float, stop: float) -> Part:
    """A piece of a disc between two angles, in degrees clockwise from the right."""
    t = np.deg2rad(np.linspace(start, stop, 18))
    return Part(tone, np.stack([x + r * np.cos(t), y + r * np.sin(t)], axis=1))


def line(tone: int, width: float, *points: tuple[float, float], outlined: bool = False) -> Part:
    """A line of some width through the points."""
    way = np.array(points, dtype=float)
    ahead = np.gradient(way, axis=0)
    ahead /= np.maximum(np.linalg.norm(ahead, axis=1, keepdims=True), 1e-9)
    side = np.stack([-ahead[:, 1], ahead[:, 0]], axis=1) * width / 2
    return Part(tone, np.concatenate([way + side, (way - side)[::-1]]), outlined)


def arc(tone: int, width: float, x: float, y: float, r: float, start: float, stop: float) -> Part:
    """A part of a ring between two angles, in degrees clockwise from the right."""
    t = np.deg2rad(np.linspace(start, stop, 20))
    return line(tone, width, *zip(x + r * np.cos(t), y + r * np.sin(t), strict=True))


def eye(x: float, y: float, r: float = 0.12) -> list[Part]:
    return [oval(LIGHT, x, y, r), oval(INK, x, y, r * 0.55, outlined=False)]


def wheels(y: float, r: float, centers: Sequence[float]) -> list[Part]:
    return [part for x in centers for part in (oval(INK, x, y, r), oval(LIGHT, x, y, r * 0.45))]


def around(n: int, x: float, y: float, r: float) -> list[tuple[float, float]]:
    """n points on a circle, the first one at the top."""
    t = np.linspace(-np.pi / 2, 3 * np.pi / 2, n, endpoint=False)
    return list(zip(x + r * np.cos(t), y + r * np.sin(t), strict=True))
