"""Intervals of graph convexity and of Euclidean convexity on clouds whose centres are known."""

from functools import cache

import numpy as np

_TRUTH = 200  # draws whose mean is the truth
_SHARED = 5  # pieces of a sound


def _cloud(samples: int, classes: int, dimensions: int, apart: float, **more) -> dict:
    told = {"samples": samples, "classes": classes, "dimensions": dimensions, "apart": apart}
    return {"kind": "graph", **told, **more}


SETTINGS = [
    _cloud(200, 5, 8, 0.5),
    _cloud(200, 5, 8, 1.0),
    _cloud(200, 5, 8, 2.0),
    _cloud(60, 3, 8, 0.5),
    _cloud(60, 3, 8, 1.0),
    _cloud(500, 10, 64, 0.25),
    _cloud(500, 10, 64, 0.5),
    _cloud(200, 4, 8, 0.5, kind="pieces"),
    _cloud(60, 3, 3, 1.0, kind="euclidean"),
    _cloud(200, 5, 5, 1.0, kind="euclidean"),
    _cloud(60, 3, 3, 2.0, kind="euclidean"),
    _cloud(60, 3, 3, 3.0, kind="euclidean"),
    _cloud(200, 4, 8, 1.5, kind="pieces"),
]


def _place(setting: dict) -> str:
    return "{samples} points, {classes} classes at {apart}".format(**setting)


def _drawn(setting: dict, draw: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    n, classes, size = setting["samples"], setting["classes"], setting["dimensions"]
    labels = np.arange(n) % classes
    centres = np.random.default_rng(classes).normal(size=(classes, size)) * setting["apart"]
    noise = draw.normal(size=(n, size))
    if setting["kind"] == "pieces":
        # Pieces of a sound have much in common, whatever they are pieces of.
        sounds = draw.normal(size=(n // _SHARED, size))[np.arange(n) // _SHARED]
        noise = 0.7 * noise + 0.7 * sounds
    return centres[labels] + noise, labels


def simulate(setting: dict, draw: np.random.Generator) -> list[tuple[str, float, float, float]]:
    """Each interval of one simulated data set: name, low, high and value."""
    from strata.convexity import graph_convexity, linear_head_convexity
    from strata.convexity.halved import halves_in_order

    features, labels = _drawn(setting, draw)
    if setting["kind"] == "euclidean":
        size = setting["classes"]
        centres = np.random.default_rng(size).normal(size=(size, setting["dimensions"]))
        head = centres * setting["apart"]
        bias = -(head**2).sum(axis=1) / 2
        found = linear_head_convexity(features, labels, head, bias, range(size))
        return [(f"Euclidean convexity, {_place(setting)}", found.low, found.high, found.mean)]
    halves, name = 10, f"graph convexity, {_place(setting)}"
    if setting["kind"] == "pieces":
        halves = halves_in_order(labels, 10, clusters=np.arange(len(labels)) // _SHARED)
        name = f"graph convexity of pieces of sounds, {_place(setting)}"
    found = graph_convexity(features, labels, halves=halves)
    rows = [(name, found.low, found.high, found.mean)]
    for each in found.concepts.itertuples():
        rows.append((f"{name}, class {each.concept}", each.low, each.high, each.value))
    return rows


def truth(setting: dict) -> dict[str, float]:
    """The mean of each value over many draws of the same size."""
    return dict(_truth(tuple(setting.items())))


@cache
def _truth(setting: tuple) -> tuple[tuple[str, float], ...]:
    sums: dict[str, float] = {}
    for seed in range(_TRUTH):
        for name, _, _, value in simulate(dict(setting), np.random.default_rng([11, seed])):
            sums[name] = sums.get(name, 0.0) + value / _TRUTH
    return tuple(sums.items())
