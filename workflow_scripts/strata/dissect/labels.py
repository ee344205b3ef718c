"""The table of labels: the best concept of each neuron, its rivals, and its p-value."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
import pandas as pd

from strata.dissect.best import Best
from strata.stats import adjust_p_values, permutation_p_values

LABEL_COLUMNS = (
    "unit",
    "label",
    "score",
    "runner_up",
    "margin",
    "p_value",
    "q_value",
    "images",
    "constant",
    "tied",
)


def label_table(
    best: Best,
    score: Callable[[np.ndarray], np.ndarray],
    constant: np.ndarray,
    tied: np.ndarray,
    concepts: np.ndarray,
    shown: np.ndarray,
    n_runners_up: int,
) -> pd.DataFrame:
    """The table of one layer by one function, as `label_neurons` describes it.

    `score` turns keys (neurons, m) into scores; `shown` (neurons, n) are the images to name. A
    constant neuron has no label. `concepts` are in the order of `best.numbers`.
    """
    keys = best.keys.astype(np.float64)
    keys[constant] = 0  # theirs may be infinite, and are not used
    values = score(keys)
    words = concepts[np.minimum(best.numbers, len(concepts) - 1)]
    margin = values[:, 0] - values[:, 1] if values.shape[1] > 1 else np.full(len(values), np.nan)
    p_values, q_values = _chances(best, constant)
    rivals = [";".join(row[1 : 1 + n_runners_up]) for row in words]
    images = [";".join(map(str, row)) for row in shown]
    table = {
        "unit": np.arange(len(words)),
        "label": _but_constant(words[:, 0], constant, None),
        "score": np.where(constant, 0.0, values[:, 0]),
        "runner_up": _but_constant(rivals, constant, ""),
        "margin": np.where(constant, 0.0, margin),
        "p_value": p_values,
        "q_value": q_values,
        "images": _but_constant(images, constant, ""),
        "constant": constant,
        "tied": np.where(constant, 0.0, tied),
    }
    return pd.DataFrame(table, columns=list(LABEL_COLUMNS))


def _but_constant(texts: Iterable[str], constant: np.ndarray, instead: str | None) -> pd.Series:
    """The texts of neurons, something else for the constant ones."""
    told = [instead if still else text for text, still in zip(texts, constant, strict=True)]
    return pd.Series(told, dtype="str")


def _chances(best: Best, constant: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """p- and q-values (neurons,): NaN without a null, 1 for constant neurons, which the others are
    not adjusted for."""
    p_values, q_values = np.full((2, len(constant)), np.nan)
    if best.null.shape[1]:
        p_values = np.where(constant, 1.0, permutation_p_values(best.keys[:, 0], best.null))
        q_values = np.ones(len(constant))
        q_values[~constant] = adjust_p_values(p_values[~constant])
    return p_values, q_values
