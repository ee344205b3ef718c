"""How clear, how manifold and how redundant neurons are, and which lie nearest a word.

What a neuron stands for is told by the pictures that activate it most, in the space of an
image-and-text model. Definitions: SemanticLens (Dreyer et al., "Mechanistic understanding and
validation of large AI models with SemanticLens", Nature Machine Intelligence 2025). Embeddings have
length 1 here before anything is averaged.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from strata.arrays import random_ranks
from strata.dissect.images import survey
from strata.dissect.problem import check_activations, check_embeddings, unit_rows
from strata.errors import StrataError
from strata.tables import check_measures

TOP = 30  # pictures that tell what a neuron stands for (half of all, of fewer than 60)
_LEAST = 3  # of them
NEAREST = 40  # neurons of a model that are kept for each word
BINS = 20  # of a neuron's activations
_BLOCK = 256  # neurons whose pictures' embeddings are held at once
_TINY = 1e-12  # pictures whose embeddings cancel each other have no direction
_ROUNDS = 50  # of 2-means; pictures seldom change sides after ten


class Portraits(NamedTuple):
    """`scores`: unit, clarity, polysemanticity, redundancy, nearest_unit, a row for each neuron
    that is not constant; `directions` (rows, dimensions): the means of their pictures' embeddings,
    of length 1."""

    scores: pd.DataFrame
    directions: np.ndarray


def describe_neurons(
    top: np.ndarray, image_embeddings: np.ndarray, units: np.ndarray | None = None
) -> Portraits:
    """Portraits of a layer's neurons.

    Parameters
    ----------
    top
        Each neuron's most activating pictures (neurons, k), k at least 3.
    image_embeddings
        (pictures, dimensions) of an image-and-text model.
    units
        Numbers of the neurons (neurons,), 0, 1, ... without them.

    clarity is the mean cosine between two of the pictures, -1/(k-1) to 1. polysemanticity is 1
    less the cosine between the centres of two clusters of them (2-means, begun at the principal
    axis), 0 to 2; where a cluster has one picture only, 1 less the mean cosine between the centre
    of all pictures and each. redundancy is the cosine between a neuron's direction and the nearest
    of the layer's other neurons, `nearest_unit` (of equally near ones the first; for a neuron
    alone NaN and -1).

    Raises StrataError for fewer than 3 pictures and embeddings of length 0.
    """
    top = np.asarray(top)
    if top.ndim != 2 or top.shape[1] < _LEAST:
        raise StrataError(f"top has shape {top.shape}; three pictures of each neuron are needed")
    images = unit_rows(image_embeddings, "image")
    parts = [_of_pictures(images[top[i : i + _BLOCK]]) for i in range(0, len(top), _BLOCK)]
    none = (np.empty(0), np.empty(0), np.empty((0, images.shape[1])))
    joined = zip(*parts, strict=True) if parts else ([array] for array in none)
    clarity, manifold, means = (np.concatenate(part) for part in joined)
    directions = means / np.maximum(np.linalg.norm(means, axis=1, keepdims=True), _TINY)
    units = np.arange(len(top)) if units is None else np.asarray(units)
    near, redundancy = _nearest(directions)
    table = {"unit": units, "clarity": clarity, "polysemanticity": manifold}
    table |= {"redundancy": redundancy, "nearest_unit": np.where(near < 0, -1, units[near])}
    return Portraits(pd.DataFrame(table), directions)


def describe_model(
    layers: Iterable[tuple[str, np.ndarray]],
    image_embeddings: np.ndarray,
    text_embeddings: np.ndarray,
    concepts: Sequence[str],
    *,
    model: str,
    dataset: str,
    seed: int = 0,
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Portraits of all neurons of a model, three tables: portraits, nearest and histograms.

    `layers` gives names and activations (pictures, neurons). portraits: measures `clarity`,
    `polysemanticity` and `redundancy` of each neuron that is not constant, with `unit` and
    `nearest_unit`; between equally activating pictures `seed` draws by what they are. nearest: for
    each concept the `NEAREST` neurons of the whole model whose direction has the largest cosine to
    its word, metric `cosine`. histograms: layer, layer_index, unit, low, high and `counts`
    ("3;0;..."; pictures in equal bins from low to high).

    Raises StrataError for shapes that do not fit and for activations that are NaN or infinite.
    """
    images = unit_rows(image_embeddings, "image")
    ranks = random_ranks(images, seed)
    words = unit_rows(text_embeddings, "text")
    check_embeddings(images, words)
    if len(concepts) != len(words):
        raise StrataError(f"{len(concepts)} concepts, but {len(words)} text embeddings")
    k = min(TOP, len(images) // 2)  # of all pictures all neurons have the same
    if k < _LEAST:
        raise StrataError(
            f"{dataset}: {len(images)} pictures do not tell neurons apart; {2 * _LEAST} are needed"
        )
    common = {"model": model, "dataset": dataset, "seed": seed}
    portraits, nearest, histograms = [], [], []
    for index, (name, activations) in enumerate(layers):
        where = common | {"layer": name, "layer_index": index}
        check_activations(activations, len(images))
        found = survey(activations, k, 64, ranks)
        units = np.flatnonzero(~found.constant)
        described = describe_neurons(found.top[units], images, units)
        told = described.scores.melt(["unit", "nearest_unit"], var_name="metric")
        portraits.append(told.dropna(subset="value").assign(**where))
        nearest.append(_nearest_to(words, described.directions, units).assign(**where))
        histograms.append(histogram(activations).assign(model=model, layer=name, layer_index=index))
    keys = {"low": np.nan, "high": np.nan}
    table = pd.concat(portraits).assign(concept=None, n=k, **keys)
    near = _best(pd.concat(nearest)).assign(metric="cosine", n=k, **keys)
    near["concept"] = np.asarray(concepts, dtype=object)[near["word"]]
    return (
        check_measures(table, f"portraits of {model}"),
        check_measures(near.drop(columns="word"), f"nearest neurons of {model}"),
        pd.concat(histograms, ignore_index=True),
    )


def histogram(activations: np.ndarray, bins: int = BINS) -> pd.DataFrame:
    """How a layer's activations (pictures, neurons) are spread: unit, low, high, counts."""
    activations = np.asarray(activations)
    low, high = activations.min(axis=0), activations.max(axis=0)
    width = np.where(high > low, high - low, 1).astype(np.float64)
    counts = np.zeros((activations.shape[1], bins), dtype=np.int64)
    neurons = np.arange(activations.shape[1])
    for row in activations:
        counts[neurons, np.minimum(((row - low) / width * bins).astype(int), bins - 1)] += 1
    text = [";".join(map(str, line)) for line in counts.tolist()]
    return pd.DataFrame({"unit": neurons, "low": low, "high": high, "counts": text})


def _of_pictures(pictures: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Clarity, polysemanticity and mean of embeddings (neurons, k, dimensions) of length 1."""
    pictures = pictures.astype(np.float64)
    k = pictures.shape[1]
    gram = pictures @ pictures.transpose(0, 2, 1)
    clarity = (gram.sum(axis=(1, 2)) - k) / (k * (k - 1))
    return clarity, _polysemanticity(gram), pictures.mean(axis=1)


def _polysemanticity(gram: np.ndarray) -> np.ndarray:
    first = _two_means(gram)
    sides = np.stack([first, ~first], axis=1).astype(np.float64)  # (neurons, 2, k)
    sums = sides @ gram @ sides.transpose(0, 2, 1)
    length = np.sqrt(np.maximum(gram.mean(axis=(1, 2)), _TINY))
    whole = gram.mean(axis=2) / length[:, None]
    alone = sides.sum(axis=2).min(axis=1) < 2
    lengths = np.sqrt(np.where(alone, 1, sums[:, 0, 0] * sums[:, 1, 1]))
    return 1 - np.where(alone, whole.mean(axis=1), sums[:, 0, 1] / lengths)


def _two_means(gram: np.ndarray) -> np.ndarray:
    """Which pictures are in the first of two clusters (neurons, k), by their products alone."""
    centred = gram - gram.mean(axis=1, keepdims=True)
    centred = centred - centred.mean(axis=2, keepdims=True)
    first = np.linalg.eigh(centred)[1][:, :, -1] > 0
    for _ in range(_ROUNDS):
        sides = np.stack([first, ~first], axis=1).astype(np.float64)
        sizes = np.maximum(sides.sum(axis=2, keepdims=True), 1)
        means = sides / sizes
        to_centre = means @ gram  # (neurons, 2, k)
        distance = (to_centre * means).sum(axis=2, keepdims=True) - 2 * to_centre
        closer = distance[:, 0] < distance[:, 1]
        closer = np.where((distance[:, 0] == distance[:, 1]), first, closer)
        if (closer == first).all():
            break
        first = closer
    return first


def _nearest(directions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Row of each direction's nearest other one (-1 without) and their cosine."""
    if len(directions) < 2:
        return np.full(len(directions), -1), np.full(len(directions), np.nan)
    cosines = directions @ directions.T
    np.fill_diagonal(cosines, -np.inf)
    near = cosines.argmax(axis=1)
    return near, cosines[np.arange(len(near)), near]


def _nearest_to(words: np.ndarray, directions: np.ndarray, units: np.ndarray) -> pd.DataFrame:
    """The layer's neurons nearest each word: word (its number), unit, value."""
    cosines = words @ directions.T
    order = np.argsort(-cosines, axis=1, kind="stable")[:, :NEAREST]
    values = np.take_along_axis(cosines, order, axis=1)
    numbers = np.repeat(np.arange(len(words)), order.shape[1])
    return pd.DataFrame({"word": numbers, "unit": units[order.ravel()], "value": values.ravel()})


def _best(nearest: pd.DataFrame) -> pd.DataFrame:
    keys, ascending = ["word", "value", "layer_index", "unit"], [True, False, True, True]
    ranked = nearest.sort_values(keys, ascending=ascending, kind="stable")
    return ranked.groupby("word", sort=False).head(NEAREST).reset_index(drop=True)
