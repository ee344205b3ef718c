"""Coverage of the intervals of study 1: labels, what they add up to, and how true they are.

A world has concepts with directions in the embeddings' space. A picture shows some of them and is
embedded as the sum of their directions with noise; a neuron answers to a concept (and less to
another), which is drawn from a distribution that does not change, as do pictures. New draws are new
pictures and new neurons; what is true is the mean over many such draws of the same sizes. Labels
are those of the cosine: by soft WPMI they depend on the other neurons, and there is no interval.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import pandas as pd

from strata.concepts.measures import share_measures
from strata.concepts.truth import score_truth
from strata.dissect import dissect_model, label_halves, picture_halves

SETTINGS: list[dict] = [
    {"pictures": 300, "neurons": 64, "concepts": 20, "strength": 4.0},
    {"pictures": 300, "neurons": 256, "concepts": 20, "strength": 2.0},
    {"pictures": 1000, "neurons": 64, "concepts": 60, "strength": 4.0},
    {"pictures": 1000, "neurons": 256, "concepts": 60, "strength": 2.0},
]
_WIDTH, _SPLITS, _DRAWS = 24, 10, 400


def _world(setting: dict) -> tuple[list[str], np.ndarray, np.ndarray]:
    """Words, directions (concepts, d) and how often each concept is a neuron's own."""
    draw = np.random.default_rng(setting["concepts"])
    n = setting["concepts"]
    directions = draw.normal(size=(n, _WIDTH))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    liked = 1 / (1.0 + np.arange(n))
    return [f"w{i:02d}" for i in range(n)], directions, liked / liked.sum()


def _draw(setting: dict, draw: np.random.Generator):
    words, directions, liked = _world(setting)
    n, m, c = setting["pictures"], setting["neurons"], setting["concepts"]
    shown = draw.random((n, c)) < np.linspace(0.25, 0.08, c)
    embedded = shown @ directions + 0.3 * draw.normal(size=(n, _WIDTH))
    own, other = (draw.choice(c, m, p=liked) for _ in range(2))
    strength = setting["strength"] * draw.random(m)
    activations = strength * shown[:, own] + 0.5 * strength * shown[:, other]
    activations = (activations + draw.normal(size=(n, m))).astype(np.float32)
    manifest = pd.DataFrame({"index": np.arange(n), "dataset": "d"})
    for i, word in enumerate(words):
        manifest[word] = np.where(shown[:, i], "yes", "no")
    return words, directions, embedded, activations, manifest


def _measures(setting: dict, draw: np.random.Generator, splits: int) -> pd.DataFrame:
    words, directions, embedded, activations, manifest = _draw(setting, draw)
    layers = [("l", activations)]
    given, seed = (embedded, directions, words), int(draw.integers(2**31))
    options = {"seed": seed}
    labels = dissect_model(
        layers,
        *given,
        model="m",
        dataset="d",
        similarities=["cosine"],
        log=lambda line: None,
        **options,
    )
    halves = picture_halves(manifest, splits, seed)
    found = label_halves(lambda: layers, *given, halves, similarity="cosine", **options)
    counted = {"bootstrap": 2, "seed": seed}
    vocabulary = {word: [f"{word}=yes"] for word in words}
    categories = {"few": words[:2], "half": words[2 : len(words) // 2]}
    true, _ = score_truth(labels, layers, manifest, vocabulary, found, halves, **counted)
    return pd.concat(
        [
            share_measures(labels, categories, found, **counted),
            true[true["metric"] != "chance"].assign(concept=None),
        ],
        ignore_index=True,
    )


def _named(setting: dict, table: pd.DataFrame) -> list[str]:
    size = f"{setting['pictures']} pictures, {setting['neurons']} neurons"
    size += f", {setting['concepts']} concepts"
    concepts = [f" ({c})" if isinstance(c, str) else "" for c in table["concept"]]
    return [f"{m}{c}, {size}" for m, c in zip(table["metric"], concepts, strict=True)]


def simulate(setting: dict, draw: np.random.Generator) -> list[tuple[str, float, float, float]]:
    """(name, low, high, value) of every interval about pictures and neurons of one data set."""
    table = _measures(setting, draw, _SPLITS)
    table = table[table["about"] == "pictures and neurons"]
    columns = (table["low"], table["high"], table["value"])
    return list(zip(_named(setting, table), *columns, strict=True))


def truth(setting: dict) -> dict[str, float]:
    """Mean of every measure over new pictures and neurons, of as many of both."""
    return _truth(tuple(sorted(setting.items())))


@cache
def _truth(items: tuple) -> dict[str, float]:
    setting = dict(items)
    draw = np.random.default_rng(1)
    tables = [_measures(setting, draw, 0) for _ in range(_DRAWS)]
    named = pd.concat([t.assign(name=_named(setting, t)) for t in tables])
    return named.groupby("name")["value"].mean().to_dict()
