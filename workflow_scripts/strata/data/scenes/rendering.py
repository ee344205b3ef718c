"""How a scene is drawn.

What tells a factor is graded on purpose: a colour is in a pixel, a texture in a patch, an object in
its shape, a kind in what its objects share, an activity in how object, ground and shadow lie. What
the factors leave open (light, tilt, mirror image, exact place, shade, clutter, what is partly
hidden) is drawn for each picture.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd
from PIL import Image, ImageDraw

from strata.data.scenes.animals import ANIMALS
from strata.data.scenes.factors import COLORS, POSITIONS, SIZES, SMALLEST
from strata.data.scenes.growing import GROWING
from strata.data.scenes.made import MADE
from strata.data.scenes.patterns import grid, pattern
from strata.data.scenes.places import background, shaded
from strata.data.scenes.primitives import ACCENT, DARK, INK, LIGHT, MAIN
from strata.errors import StrataError

SHAPES = ANIMALS | GROWING | MADE

_SUPERSAMPLE = 2  # drawn at twice the size and averaged down, for soft edges
_GROUND = 0.92  # where objects stand
_COVER = 6  # tone of what hides an object
_TONES = {LIGHT: (246, 244, 236), INK: (24, 22, 26), ACCENT: (250, 196, 40)}
_CLUTTER = 0.4  # of the scenes have small things lying about
_SHRINK = {"flying": 0.85, "falling": 0.85, "lined up": 0.66}  # to have room
_TURN = {"standing": 7, "flying": 12, "lined up": 5, "hiding": 7}  # degrees either way


class _Instance(NamedTuple):
    """A copy of the object: middle and radius in shares of the side, turn in degrees, mirrored."""

    x: float
    y: float
    radius: float
    turn: float
    mirror: float


def render(factors: pd.DataFrame, size: int, seed: int) -> np.ndarray:
    """Render each row of factors to an array (n, size, size, 3) of uint8.

    What is drawn at random goes by the seed and the row's number in the table's index, and is in
    shares of the side: the same pictures come at any size, and in any parts. Raises StrataError
    for a size of less than 32 pixels.
    """
    if size < SMALLEST:
        raise StrataError(f"microworld: size {size} is too small, use at least {SMALLEST} pixels")
    images = np.empty((len(factors), size, size, 3), dtype=np.uint8)
    rows = zip(factors.index, factors.itertuples(index=False), strict=True)
    for i, (number, row) in enumerate(rows):
        images[i] = render_one(row, size, np.random.default_rng([seed, number, 1]))
    return images


def render_one(row, size: int, draw: np.random.Generator) -> np.ndarray:
    """One scene, (size, size, 3) uint8."""
    side = size * _SUPERSAMPLE
    # Each part draws from a stream of its own, so that none depends on what another drew.
    streams = [np.random.default_rng(draw.integers(2**63)) for _ in range(4)]
    pixels = background(row, side, streams[0])
    instances = _instances(row, streams[1])
    pixels = _shadows(pixels, row, instances)
    pixels = _objects(pixels, row, instances, streams[2])
    pixels = _light(pixels, streams[3])
    image = Image.fromarray(pixels.round().clip(0, 255).astype(np.uint8))
    return np.asarray(image.reduce(_SUPERSAMPLE))


def _instances(row, draw: np.random.Generator) -> list[_Instance]:
    """Where the object is, once or in a row."""
    radius = SIZES[row.size] * _SHRINK.get(row.activity, 1.0) * draw.uniform(0.93, 1.07)
    mirror = float(draw.choice([-1.0, 1.0]))
    # Large objects at the side are cut off a little, so that the side shows.
    room = 0.5 - 0.72 * radius
    x = 0.5 + POSITIONS[row.position] * room * 0.75 + draw.uniform(-0.025, 0.025)
    stands = _GROUND - radius + draw.uniform(-0.01, 0.02)
    high = radius + 0.02 + draw.uniform(0, 0.03)
    turn = draw.uniform(-1, 1) * _TURN.get(row.activity, 0)
    if row.activity == "flying":
        return [_Instance(x, high, radius, turn, mirror)]
    if row.activity == "falling":
        steep = draw.choice([-1, 1]) * draw.uniform(30, 60)
        return [_Instance(x, high + 0.35 * max(stands - high, 0), radius, steep, mirror)]
    if row.activity == "lying":
        side = draw.choice([-1, 1]) * draw.uniform(82, 98)
        return [_Instance(x, stands, radius, side, mirror)]
    if row.activity == "lined up":
        steps = radius * 1.7 * np.arange(-1, 2)
        return [_Instance(x + step, stands, radius, turn, mirror) for step in steps]
    return [_Instance(x, stands, radius, turn, mirror)]


def _shadows(pixels: np.ndarray, row, instances: list[_Instance]) -> np.ndarray:
    """Soft shadows on the ground, wide and faint below what is in the air."""
    x, y = grid(len(pixels))
    aloft = row.activity in ("flying", "falling")
    for each in instances:
        width, depth = each.radius * (0.75 if aloft else 0.95), 0.022 if aloft else 0.035
        far = ((x - each.x) / width) ** 2 + ((y - _GROUND - 0.015) / depth) ** 2
        dark = np.clip(1.3 - far, 0, 1) * (0.3 if aloft else 0.5)
        reach = slice(int(0.8 * len(pixels)), None)
        pixels[reach] *= 1 - dark[reach, :, None]
    return pixels


def _objects(
    pixels: np.ndarray, row, instances: list[_Instance], draw: np.random.Generator
) -> np.ndarray:
    """The object, what moves with it, and what hides it, over the background."""
    side = len(pixels)
    layer = Image.new("L", (side, side))
    canvas = ImageDraw.Draw(layer)
    _clutter(canvas, side, draw)
    if row.activity == "falling":
        _streaks(canvas, side, instances[0], draw)
    for each in instances:
        _place(canvas, side, row.object, each)
    if row.activity == "hiding":
        _hide(canvas, side, instances[0], draw)
    tones = np.asarray(layer)
    main = np.array(COLORS[row.object_color], float) * draw.uniform(0.92, 1.06)
    main = (main + draw.normal(0, 4, 3)).clip(0, 255)
    cover = (np.array((112, 100, 84)) * draw.uniform(0.7, 1.2, 3)).clip(0, 255)
    x, y = grid(side)
    shown = (tones == MAIN) | (tones == DARK)
    surface = np.zeros(tones.shape, np.float32)
    surface[shown] = pattern(row.surface, x[shown], y[shown], draw, 0.62)
    for tone, color in ((MAIN, main), (DARK, main * 0.66)):
        where = tones == tone
        pixels[where] = shaded(color, surface[where], 0.34)
    for tone, color in _TONES.items():
        pixels[tones == tone] = color
    where = tones == _COVER
    pixels[where] = shaded(cover, pattern("wooden", x[where], y[where], draw), 0.25)
    return pixels


def _place(canvas: ImageDraw.ImageDraw, side: int, name: str, each: _Instance) -> None:
    """Draw the object's parts; a thin dark outline keeps them apart from a similar background."""
    a = np.deg2rad(each.turn)
    turn = np.array([[np.cos(a), -np.sin(a)], [np.sin(a), np.cos(a)]])
    for tone, points, outlined in SHAPES[name]:
        placed = (points * [each.mirror, 1.0]) @ turn.T * each.radius + [each.x, each.y]
        flat = [(float(x), float(y)) for x, y in placed * side]
        canvas.polygon(flat, fill=tone, outline=INK if outlined else None)


def _clutter(canvas: ImageDraw.ImageDraw, side: int, draw: np.random.Generator) -> None:
    """Pebbles that mean nothing, in some scenes."""
    if draw.random() > _CLUTTER:
        return
    for x, y in draw.uniform((0.02, 0.86), (0.98, 0.99), (draw.integers(2, 6), 2)):
        r = draw.uniform(0.01, 0.022)
        tone = int(draw.choice([LIGHT, INK, _COVER]))
        box = ((x - r) * side, (y - 0.7 * r) * side, (x + r) * side, (y + 0.7 * r) * side)
        canvas.ellipse(box, fill=tone)


def _streaks(
    canvas: ImageDraw.ImageDraw, side: int, each: _Instance, draw: np.random.Generator
) -> None:
    """Lines above what falls."""
    for dx in (-0.55, -0.2, 0.15, 0.5):
        x = (each.x + (dx + draw.uniform(-0.08, 0.08)) * each.radius) * side
        low = (each.y - 0.75 * each.radius) * side
        high = max(low - draw.uniform(0.1, 0.2) * side, 1)
        canvas.line((x, high, x, low), fill=LIGHT, width=max(1, side // 75))


def _hide(
    canvas: ImageDraw.ImageDraw, side: int, each: _Instance, draw: np.random.Generator
) -> None:
    """A fence before the lower part of the object."""
    top = each.y + draw.uniform(0.05, 0.3) * each.radius
    left, right = each.x - 1.35 * each.radius, each.x + 1.35 * each.radius
    width = (right - left) / 9
    for i in range(5):
        x = left + 2 * i * width
        points = [
            (x, 0.97),
            (x, top),
            (x + width / 2, top - 0.03),
            (x + width, top),
            (x + width, 0.97),
        ]
        canvas.polygon([(a * side, b * side) for a, b in points], fill=_COVER, outline=INK)
    for y in (top + 0.06, 0.9):
        box = (left * side, y * side, right * side, (y + 0.035) * side)
        canvas.rectangle(box, fill=_COVER, outline=INK)


def _light(pixels: np.ndarray, draw: np.random.Generator) -> np.ndarray:
    """Light that falls from one side, a little warm or cold."""
    x, y = grid(len(pixels))
    angle, much = draw.uniform(0, 2 * np.pi), draw.uniform(0, 0.18)
    across, down = (np.float32(much * turn) for turn in (np.cos(angle), np.sin(angle)))
    slope = 1 + (x - np.float32(0.5)) * across + (y - np.float32(0.5)) * down
    gain = draw.uniform(0.82, 1.06) * (1 + draw.normal(0, 0.018, 3))
    return pixels * slope[..., None] * gain.astype(np.float32)
