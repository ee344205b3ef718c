"""Labels on halves of the pictures: which labels to trust, and what intervals are made of.

The pictures are halved at random several times (`strata.intervals.random_halves`), and the neurons
are labelled on each half apart, by the main similarity function with the same share of pictures as
top ones. How often the two halves, which have no picture in common, give a neuron the same label is
its stability (Lange, Roth, Braun & Buhmann 2004, "Stability-based validation": the same question
asked of clusters). It speaks about half as many pictures as the label rests on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from strata.data.splits import sample_order
from strata.dissect.dissection import Dissection
from strata.dissect.parameters import Parameters, similarity_parameters
from strata.dissect.softmax import SoftmaxSums
from strata.errors import StrataError
from strata.intervals import random_halves

Layers = Callable[[], Iterable[tuple[str, np.ndarray]]]
_LEAST = 4  # pictures: two in each half


def picture_halves(manifest: pd.DataFrame, splits: int, seed: int = 0) -> np.ndarray:
    """Which pictures of a probing set are in the first half of each split: (splits, pictures).

    `manifest` is a `ProbingSet`'s, with a column `dataset`: every data set is halved evenly, and
    drawn in an order of its own samples, so that neither rows' nor data sets' order matters and all
    models and layers have the same halves. With fewer than four pictures there are none, (0, n).
    """
    if len(manifest) < _LEAST or not splits:
        return np.zeros((0, len(manifest)), dtype=bool)
    names = manifest["dataset"].to_numpy().astype(str)
    rows = [np.flatnonzero(names == name) for name in np.unique(names)]
    order = np.concatenate([own[sample_order(manifest.iloc[own])] for own in rows])
    halves = np.zeros((splits, len(manifest)), dtype=bool)
    halves[:, order] = random_halves(names[order], splits, seed)
    return halves


def label_halves(
    layers: Layers,
    image_embeddings: np.ndarray,
    text_embeddings: np.ndarray,
    concepts: Sequence[str],
    halves: np.ndarray,
    *,
    similarity: str,
    top_k: int | None = None,
    seed: int = 0,
    sums: SoftmaxSums | None = None,
    memory_mb: float = 64,
    device: str = "cpu",
    backend: str | None = None,
) -> pd.DataFrame:
    """Labels of every neuron on each half of the pictures.

    `layers` is called for each half anew and gives names and activations (images, neurons): so no
    more is held than one labelling needs. `halves` (splits, images) are booleans, True for the
    first half. `top_k` is that of all pictures; a half has the same share of its own, rounded.
    Other arguments, and errors, as for `dissect_model`. There is no null.

    Returns
    -------
    Tidy table: layer, layer_index, unit, split, half (0 the first, 1 the second), concept (None for
    a neuron that is constant on the half) and value, the score.
    """
    whole = similarity_parameters(similarity, len(image_embeddings), top_k)
    images, texts = np.asarray(image_embeddings), np.asarray(text_embeddings)
    options = {"seed": seed, "memory_mb": memory_mb, "device": device, "backend": backend}
    tables = []
    for split, first in enumerate(np.asarray(halves, dtype=bool)):
        for half, rows in enumerate((np.flatnonzero(first), np.flatnonzero(~first))):
            own = None if sums is None else sums.of_rows(rows, images, texts)
            chosen = [_scaled(whole, len(rows), len(images))]
            dissection = Dissection(images[rows], texts, concepts, chosen, sums=own, **options)
            names = []
            for name, activations in layers():
                dissection.add(np.asarray(activations)[rows], n_images_shown=1)
                names.append(name)
            keys = {"split": split, "half": half}
            for index, (name, found) in enumerate(
                zip(names, dissection.tables(n_runners_up=0)[0], strict=True)
            ):
                tables.append(found.assign(layer=name, layer_index=index, **keys))
    if not tables:
        return tidy_halves(pd.DataFrame(columns=["unit", "label", "score", *_PLACE]))
    return tidy_halves(pd.concat(tables, ignore_index=True))


_PLACE = ("layer", "layer_index", "split", "half")


def tidy_halves(table: pd.DataFrame) -> pd.DataFrame:
    """The table that `label_halves` returns, from labels with the columns of their place."""
    table = table.rename(columns={"label": "concept", "score": "value"})
    columns = ["layer", "layer_index", "unit", "split", "half", "concept", "value"]
    types = dict.fromkeys(["layer_index", "unit", "split", "half"], "int64")
    return table[columns].astype(types | {"value": "float64"})


def _scaled(parameters: Parameters, n: int, n_all: int) -> Parameters:
    """The function's parameters for n of n_all pictures: the same share of them are top ones."""
    if not hasattr(parameters, "top_k"):
        return parameters
    return replace(parameters, top_k=max(1, round(parameters.top_k * n / n_all)))


def stability(half_labels: pd.DataFrame) -> pd.Series:
    """Share of the splits on whose two halves a neuron has the same label, by (layer, unit).

    `half_labels` is what `label_halves` returns. A neuron that is constant on a half, and so has no
    label there, does not agree on that split. Raises StrataError where a split lacks a half.
    """
    keys = ["layer", "unit", "split"]
    sides = [half_labels[half_labels["half"] == half].set_index(keys) for half in (0, 1)]
    first, second = (side["concept"] for side in sides)
    if len(first) != len(second) or not first.index.sort_values().equals(
        second.index.sort_values()
    ):
        raise StrataError("labels on halves: a neuron lacks one half of a split")
    same = first.notna() & (first == second.reindex(first.index))
    return same.groupby(level=["layer", "unit"], sort=False).mean().rename("stability")


def with_stability(labels: pd.DataFrame, half_labels: pd.DataFrame) -> pd.DataFrame:
    """A labels measure with the column `stability` of its main (first) similarity function.

    NaN for the other functions, for a neuron without a label, and where there are no halves.
    """
    found = stability(half_labels)
    places = pd.MultiIndex.from_frame(labels[["layer", "unit"]])
    values = found.reindex(places).to_numpy(dtype=float)
    main = (labels["metric"] == labels["metric"].iloc[0]) & labels["concept"].notna()
    return labels.assign(stability=np.where(main, values, np.nan))
