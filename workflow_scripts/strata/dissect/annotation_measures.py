"""Labels by annotation of all layers of a model, as a measure like those of CLIP-Dissect."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd

from strata.dissect.annotation import Annotations
from strata.dissect.measures import label_measures

METRIC = "annotation_auc"


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
) -> pd.DataFrame:
    """Labels of every neuron of layers (name, activations (samples, neurons)), in their order.

    concept = label, metric = "annotation_auc", value = score; the other columns of
    `label_by_annotation` and category (`category_of`) are kept. Errors as there.
    """
    tables = []
    for index, (layer, activations) in enumerate(layers):
        table = annotations.label(activations, memory_mb=memory_mb)
        category = [None if pd.isna(label) else category_of(label) for label in table["label"]]
        table = table.assign(similarity=METRIC, category=category)
        told = {"n_images": annotations.n_samples, "seed": annotations.seed}
        told |= {"layer": layer, "layer_index": index}
        tables.append(label_measures(table, model=model, dataset=dataset, **told))
    return pd.concat(tables, ignore_index=True)
