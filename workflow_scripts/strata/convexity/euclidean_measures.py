"""Euclidean convexity of a classifier from every layer of it as measures (`strata.tables`)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from strata.convexity.euclidean import (
    euclidean_convexity,
    euclidean_difference,
    linear_head_convexity,
    pairs_in_order,
)
from strata.errors import StrataError
from strata.stats import Estimate
from strata.tables import EMBEDDING, finish_measures, layer_row

if TYPE_CHECKING:
    from strata.convexity.remainder import CutClassifier


def euclidean_measures(
    classifier: CutClassifier,
    pictures: Sequence,
    labels: pd.Series,
    *,
    model: str,
    dataset: str,
    family: str,
    pairs: str | int = 5000,
    points: int = 10,
    order: np.ndarray | None = None,
    seed: int = 0,
    log: Callable[[str], None] = print,
) -> pd.DataFrame:
    """Euclidean convexity of a classifier's own classes from every layer to its answer.

    Metrics: euclidean_convexity (tokens or maps interpolated behind the layer and classified by the
    rest of the network), euclidean_convexity_gain (a layer less the first block, with the interval
    of the difference, paired on the pairs), and for what enters the last linear layer, in the row
    of the last layer, head_sampled (by `points`) and head_exact. All are of the same pairs, drawn
    in an `order` of the pictures (as they are; for a data set that of
    `strata.data.splits.sample_order`).

    Raises StrataError for a label that is none of the classes, besides those of the measures.
    """
    unknown = sorted(set(labels) - set(classifier.classes))
    if unknown:
        raise StrataError(f"{model}: {family} {unknown[0]!r} is none of its classes")
    layers, pooled = classifier.states(pictures)
    rows, labels = [], labels.tolist()
    order = np.arange(len(labels)) if order is None else order
    options = {"pairs": pairs_in_order(labels, pairs, seed, order)}
    first = None
    for layer, (name, states) in enumerate(zip(classifier.layers, layers, strict=True)):
        found = euclidean_convexity(
            states, labels, partial(classifier.classify_from, layer), points=points, **options
        )
        rows.append(_euclidean_row(layer, name, family, "euclidean_convexity", found))
        if first is not None:
            gain = euclidean_difference(found, first)
            metric = "euclidean_convexity_gain"
            rows.append(layer_row(layer, name, family, metric, gain, found.n_pairs))
        elif name != EMBEDDING:
            first = found
        log(f"{name}: Euclidean convexity {found.mean:.3f}")
    weights, bias, classes = classifier.head_weights, classifier.head_bias, classifier.classes

    def answer(between):
        return [classes[i] for i in (between @ weights.T + bias).argmax(axis=1)]

    sampled = euclidean_convexity(pooled, labels, answer, points=points, **options)
    exact = linear_head_convexity(pooled, labels, weights, bias, classes, **options)
    rows.append(_euclidean_row(layer, name, family, "head_sampled", sampled))
    rows.append(_euclidean_row(layer, name, family, "head_exact", exact))
    return finish_measures(rows, model, dataset, seed)


def _euclidean_row(layer: int, name: str, family: str, metric: str, found) -> dict:
    return layer_row(
        layer, name, family, metric, Estimate(found.mean, found.low, found.high), found.n_pairs
    )
