"""Backgrounds: a studio's backdrop of a colour and a texture, and five kinds of surroundings."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from PIL import Image, ImageDraw

from strata.data.scenes.factors import COLORS, STUDIO
from strata.data.scenes.patterns import grid, pattern

Canvas = ImageDraw.ImageDraw
RGB = tuple[int, int, int]


def background(row, side: int, draw: np.random.Generator) -> np.ndarray:
    """Pixels (side, side, 3) float32, 0 to 255, of the place of a row of factors."""
    x, y = grid(side)
    if row.place == STUDIO:
        return shaded(COLORS[row.background_color], pattern(row.texture, x, y, draw), 0.3)
    image = Image.new("RGB", (side, side))
    _PLACES[row.place](ImageDraw.Draw(image), side, draw)
    return np.asarray(image, np.float32)


def shaded(color: Sequence[float], tones: np.ndarray, depth: float) -> np.ndarray:
    """A colour (3,), 0 to 255, made darker and lighter by tones of any shape: (..., 3) float32.

    Nearly black has no room below and nearly white none above: there a texture lightens or darkens
    alone, so that it shows on every colour.
    """
    color, tones = np.asarray(color, np.float32), tones[..., None]
    light = color.mean()
    if light > 205:
        return color * (1 + np.float32(1.6 * depth) * np.minimum(tones, 0))
    lift = np.float32(0.8 * depth) * (255 - color) + (55 if light < 60 else 0)
    change = np.where(tones < 0, np.float32(1.15 * depth) * color, lift)
    return (color + change * tones).clip(0, 255)


def _jittered(color: RGB, draw: np.random.Generator, much: float = 10) -> RGB:
    return tuple(int(v) for v in (np.array(color) + draw.normal(0, much, 3)).clip(0, 255))


def _sky(canvas: Canvas, side: int, horizon: float, draw: np.random.Generator) -> None:
    top, low = _jittered((98, 160, 226), draw), _jittered((206, 226, 240), draw)
    end = int(horizon * side)
    for y in range(end + 1):
        share = y / max(end, 1)
        canvas.line(
            (0, y, side, y), tuple(int(a + (b - a) * share) for a, b in zip(top, low, strict=True))
        )
    for _ in range(draw.integers(0, 4)):
        x, y = draw.uniform(0, 1), draw.uniform(0.03, 0.28)
        for dx, r in ((-0.07, 0.035), (0, 0.05), (0.07, 0.035)):
            _disc(canvas, side, x + dx, y, r * 1.4, r, (246, 248, 250))


def _disc(canvas: Canvas, side: int, x: float, y: float, rx: float, ry: float, color: RGB) -> None:
    canvas.ellipse(((x - rx) * side, (y - ry) * side, (x + rx) * side, (y + ry) * side), fill=color)


def _box(canvas: Canvas, side: int, left, top, right, bottom, color: RGB) -> None:
    canvas.rectangle((left * side, top * side, right * side, bottom * side), fill=color)


def _indoors(canvas: Canvas, side: int, draw: np.random.Generator) -> None:
    wall = _jittered(
        [(226, 214, 190), (196, 206, 196), (212, 196, 200), (200, 206, 220)][draw.integers(4)], draw
    )
    floor = _jittered([(150, 106, 66), (176, 140, 100), (120, 86, 60)][draw.integers(3)], draw)
    edge = draw.uniform(0.66, 0.74)
    _box(canvas, side, 0, 0, 1, edge, wall)
    _box(canvas, side, 0, edge, 1, 1, floor)
    darker = tuple(int(v * 0.8) for v in floor)
    for x in np.linspace(-0.6, 1.6, 12):
        canvas.line(
            (x * side, side, (0.5 + (x - 0.5) * 0.55) * side, edge * side),
            darker,
            max(1, side // 112),
        )
    _box(canvas, side, 0, edge - 0.035, 1, edge, (240, 238, 232))
    x = draw.choice([0.08, 0.62]) + draw.uniform(0, 0.06)
    _box(canvas, side, x, 0.08, x + 0.28, 0.42, (250, 250, 248))
    for i in (0, 1):
        for j in (0, 1):
            _box(
                canvas,
                side,
                x + 0.02 + 0.13 * i,
                0.1 + 0.16 * j,
                x + 0.13 + 0.13 * i,
                0.24 + 0.16 * j,
                _jittered((150, 196, 232), draw),
            )
    other = 0.7 - x if x < 0.5 else 0.1
    _box(canvas, side, other, 0.14, other + 0.2, 0.34, (92, 64, 40))
    _box(canvas, side, other + 0.02, 0.16, other + 0.18, 0.32, _jittered((196, 176, 150), draw, 30))


def _street(canvas: Canvas, side: int, draw: np.random.Generator) -> None:
    _sky(canvas, side, 0.7, draw)
    x = -draw.uniform(0, 0.15)
    while x < 1:
        width, top = draw.uniform(0.16, 0.28), draw.uniform(0.08, 0.34)
        color = _jittered(
            [(170, 120, 100), (150, 150, 156), (196, 180, 150), (120, 110, 120)][draw.integers(4)],
            draw,
        )
        _box(canvas, side, x, top, x + width, 0.72, color)
        pane = _jittered([(70, 84, 104), (244, 222, 140)][draw.integers(2)], draw)
        for wx in np.arange(x + 0.03, x + width - 0.04, 0.07):
            for wy in np.arange(top + 0.04, 0.64, 0.09):
                _box(canvas, side, wx, wy, wx + 0.035, wy + 0.05, pane)
        x += width + 0.005
    _box(canvas, side, 0, 0.71, 1, 0.78, _jittered((176, 174, 170), draw, 6))
    _box(canvas, side, 0, 0.78, 1, 1, _jittered((78, 78, 84), draw, 6))
    for x in np.arange(-draw.uniform(0, 0.25), 1, 0.25):
        _box(canvas, side, x, 0.875, x + 0.13, 0.9, (232, 228, 210))


def _hills(
    canvas: Canvas, side: int, base: float, height: float, color: RGB, draw, sharp=False
) -> None:
    x = np.linspace(0, 1, 25)
    if sharp:
        knots = np.linspace(-0.1, 1.1, 6) + draw.uniform(-0.06, 0.06, 6)
        heights = np.where(np.arange(6) % 2 == draw.integers(2), 1.0, 0.25) * draw.uniform(
            0.75, 1.1, 6
        )
        x = np.sort(np.concatenate([x, knots]))
        y = base - height * np.interp(x, knots, heights)
    else:
        y = base - height * (
            0.5 + 0.5 * np.sin(2 * np.pi * (x * draw.uniform(0.8, 1.6) + draw.random()))
        )
    points = [(a * side, b * side) for a, b in zip(x, y, strict=True)]
    canvas.polygon([*points, (side, side), (0, side)], fill=color)


def _meadow(canvas: Canvas, side: int, draw: np.random.Generator) -> None:
    _sky(canvas, side, 0.55, draw)
    _hills(canvas, side, 0.56, 0.1, _jittered((120, 176, 90), draw), draw)
    _hills(canvas, side, 0.66, 0.06, _jittered((96, 164, 66), draw), draw)
    blade = _jittered((58, 122, 44), draw)
    for x, y in draw.uniform((0, 0.7), (1, 1), (70, 2)):
        canvas.line(
            (x * side, y * side, (x + 0.012) * side, (y - 0.05) * side), blade, max(1, side // 112)
        )
    for x, y in draw.uniform((0, 0.7), (1, 0.98), (draw.integers(6, 14), 2)):
        color = [(250, 250, 250), (246, 220, 70), (236, 110, 130)][draw.integers(3)]
        _disc(canvas, side, x, y, 0.013, 0.013, color)


def _shore(canvas: Canvas, side: int, draw: np.random.Generator) -> None:
    horizon, beach = draw.uniform(0.4, 0.46), draw.uniform(0.68, 0.76)
    _sky(canvas, side, horizon, draw)
    _box(canvas, side, 0, horizon, 1, 1, _jittered((38, 116, 176), draw))
    for y in np.linspace(horizon + 0.03, beach - 0.02, 5):
        for x in draw.uniform(0, 1, 4):
            canvas.line(
                (x * side, y * side, (x + 0.1) * side, y * side),
                (150, 200, 226),
                max(1, side // 90),
            )
    x = np.linspace(0, 1, 25)
    line = beach + 0.02 * np.sin(2 * np.pi * (1.5 * x + draw.random()))
    for raised, color in ((0.02, (240, 246, 248)), (0.0, _jittered((230, 206, 150), draw))):
        points = [(a * side, (b - raised) * side) for a, b in zip(x, line, strict=True)]
        canvas.polygon([*points, (side, side), (0, side)], fill=color)


def _forest(canvas: Canvas, side: int, draw: np.random.Generator) -> None:
    _box(canvas, side, 0, 0, 1, 0.75, _jittered((60, 104, 66), draw))
    for x, y in draw.uniform((0, 0), (1, 0.4), (40, 2)):
        _disc(canvas, side, x, y, 0.09, 0.08, _jittered((44, 112, 54), draw, 16))
    _box(canvas, side, 0, 0.72, 1, 1, _jittered((104, 88, 54), draw))
    for x in np.linspace(0.02, 0.94, 7) + draw.uniform(-0.05, 0.05, 7):
        width, foot = draw.uniform(0.03, 0.07), draw.uniform(0.7, 0.8)
        _box(canvas, side, x, 0, x + width, foot, _jittered((84, 60, 42), draw, 8))
        _box(canvas, side, x, 0, x + width * 0.3, foot, _jittered((60, 42, 30), draw, 6))
    for x, y in draw.uniform((0, 0.78), (1, 1), (30, 2)):
        _disc(canvas, side, x, y, 0.02, 0.01, _jittered((150, 116, 50), draw, 20))


def _mountains(canvas: Canvas, side: int, draw: np.random.Generator) -> None:
    _sky(canvas, side, 0.7, draw)
    state = draw.bit_generator.state
    _hills(canvas, side, 0.72, 0.56, (244, 246, 250), draw, sharp=True)
    draw.bit_generator.state = state  # the same ridge, lower: what is above it is snow
    _hills(canvas, side, 0.8, 0.46, _jittered((112, 118, 136), draw, 0), draw, sharp=True)
    _hills(canvas, side, 0.74, 0.2, _jittered((88, 96, 112), draw), draw, sharp=True)
    _box(canvas, side, 0, 0.76, 1, 1, _jittered((126, 134, 110), draw))
    for x, y in draw.uniform((0, 0.78), (1, 0.98), (14, 2)):
        _disc(canvas, side, x, y, 0.025, 0.014, _jittered((150, 150, 146), draw))


_PLACES: dict[str, Callable[[Canvas, int, np.random.Generator], None]] = {
    "indoors": _indoors,
    "street": _street,
    "meadow": _meadow,
    "shore": _shore,
    "forest": _forest,
    "mountains": _mountains,
}
