"""The neuron labels that the authors of "From Colors to Classes" released."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from strata.concepts.counts import RELEASED_COLUMNS
from strata.errors import StrataError


def read_released_labels(path: str | Path) -> pd.DataFrame:
    """Released neuron labels: a CSV with layer, unit, description, similarity (and images).

    Raises StrataError when the file or a column is missing.
    """
    path = Path(path)
    if not path.is_file():
        raise StrataError(f"{path}: no such file of labels")
    # Words are words: "nan", "null" and "01" too.
    text = {"layer": "str", "description": "str", "images": "str"}
    labels = pd.read_csv(path, keep_default_na=False, dtype=text, encoding="utf-8-sig")
    missing = [column for column in RELEASED_COLUMNS if column not in labels]
    if missing:
        raise StrataError(f"{path}: no column {missing[0]!r}; needs {', '.join(RELEASED_COLUMNS)}")
    return labels.astype({"unit": "int64", "description": "str", "similarity": "float64"})


def released_measures(labels: pd.DataFrame, model: str, dataset: str) -> pd.DataFrame:
    """Released labels as a measure like our own (`strata.dissect.label_measures`).

    Layers are numbered in the order in which they appear. `n` is the number of neurons of the
    layer, because the release does not say on how many pictures it rests; p- and q-values are NaN.
    """
    layers = {name: number for number, name in enumerate(dict.fromkeys(labels["layer"]))}
    images = labels["images"] if "images" in labels else pd.Series("", index=labels.index)
    return pd.DataFrame(
        {
            "model": model,
            "dataset": dataset,
            "layer": labels["layer"],
            "layer_index": labels["layer"].map(layers),
            "concept": labels["description"],
            "metric": "soft_wpmi",
            "value": labels["similarity"],
            "low": np.nan,
            "high": np.nan,
            "n": labels.groupby("layer")["unit"].transform("size"),
            "seed": 0,
            "unit": labels["unit"],
            "q_value": np.nan,
            "images": [";".join(str(text).strip("[]").split()) for text in images],
            "constant": False,
        }
    )
