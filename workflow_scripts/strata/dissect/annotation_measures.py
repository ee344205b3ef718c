"""Labels by annotation of all layers of a model, as a measure like those of CLIP-Dissect."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd

from strata.dissect.annotation import Annotations
from strata.dissect.halves import Layers, tidy_halves
from strata.dissect.measures import label_measures
from strata.errors import StrataError

METRIC = "annotation_auc"
_NEURONS = 256  # whose samples are sorted at a time


def category_of(concept: str) -> str:
    """The column that a concept "column=value" or "column>0.1" is of."""
    return concept.split("=")[0].split(">")[0]


def annotation_measures(
    layers: Iterable[tuple[str, np.ndarray]],
    annotations: Annotations,
    *,
    model: str,
    dataset: str,
    memory_mb: float = 64,
    n_images_shown: int = 5,
) -> pd.DataFrame:
    """Labels of every neuron of layers (name, activations (samples, neurons)), in their order.

    concept = label, metric = "annotation_auc", value = score; the other columns of
    `label_by_annotation` and category (`category_of`) are kept, and `images`: the numbers of the
    samples that go with the label most, as many as `n_images_shown`. Errors as there.
    """
    tables = []
    for index, (layer, activations) in enumerate(layers):
        table = annotations.label(activations, memory_mb=memory_mb)
        category = [None if pd.isna(label) else category_of(label) for label in table["label"]]
        shown = _first_samples(activations, table["sign"].to_numpy(), annotations, n_images_shown)
        table = table.assign(similarity=METRIC, category=category, images=shown)
        table.loc[table["constant"], "images"] = ""
        told = {"n_images": annotations.n_samples, "seed": annotations.seed}
        told |= {"layer": layer, "layer_index": index}
        tables.append(label_measures(table, model=model, dataset=dataset, **told))
    return pd.concat(tables, ignore_index=True)


def _first_samples(
    activations: np.ndarray, signs: np.ndarray, annotations: Annotations, shown: int
) -> list[str]:
    """Samples by activation, or by how little where that is the sign; equals in a drawn order."""
    found = []
    for start in range(0, len(signs), _NEURONS):
        block = np.asarray(activations[:, start : start + _NEURONS], dtype=np.float32)
        for column, sign in zip(block.T, signs[start : start + _NEURONS], strict=True):
            order = np.lexsort((annotations.ranks, -sign * column))[:shown]
            found.append(";".join(map(str, order)))
    return found


def annotation_halves(
    layers: Layers,
    values: np.ndarray,
    concepts: Sequence[str],
    halves: np.ndarray,
    *,
    direction: str = "both",
    best: str = "deviation",
    min_positives: int = 5,
    seed: int = 0,
    memory_mb: float = 64,
) -> pd.DataFrame:
    """Labels of every neuron on each half of the samples, as `strata.dissect.label_halves`.

    `layers` is called for each half anew. `values` (samples, concepts) and the options are those of
    `label_by_annotation`; a half needs half as many positives, rounded up. There is no null.
    """
    chosen = {"direction": direction, "best": best, "seed": seed}
    chosen["min_positives"] = -(-min_positives // 2)
    tables = []
    for split, first in enumerate(np.asarray(halves, dtype=bool)):
        for half, rows in enumerate((np.flatnonzero(first), np.flatnonzero(~first))):
            try:
                prepared = Annotations(values[rows], concepts, **chosen)
            except StrataError as error:
                raise StrataError(f"labels on a half of the samples: {error}") from None
            for index, (name, activations) in enumerate(layers()):
                found = prepared.label(
                    np.asarray(activations)[rows], n_runners_up=0, memory_mb=memory_mb
                )
                place = {"layer": name, "layer_index": index, "split": split, "half": half}
                tables.append(found.assign(**place))
    empty = pd.DataFrame(
        columns=["unit", "label", "score", "layer", "layer_index", "split", "half"]
    )
    return tidy_halves(pd.concat(tables, ignore_index=True) if tables else empty)
