"""The table of labels: the best concept of each neuron, its rivals, and its p-value."""

from __future__ import annotations

from collections.abc import Callable

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
    table = pd.DataFrame(
        {
            "unit": np.arange(len(words)),
            "label": words[:, 0],
            "score": values[:, 0],
            "runner_up": [";".join(row[1 : 1 + n_runners_up]) for row in words],
            "margin": values[:, 0] - values[:, 1] if values.shape[1] > 1 else np.nan,
            "images": [";".join(map(str, row)) for row in shown],
            "constant": constant,
            "tied": np.where(constant, 0.0, tied),
        }
    )
    table["p_value"] = table["q_value"] = np.nan
    if best.null.shape[1]:
        table["p_value"] = permutation_p_values(best.keys[:, 0], best.null)
        table.loc[~constant, "q_value"] = adjust_p_values(table.loc[~constant, "p_value"])
        table.loc[constant, ["p_value", "q_value"]] = 1.0
    table.loc[constant, ["score", "margin"]] = 0.0
    table.loc[constant, ["runner_up", "images"]] = ""
    table.loc[constant, "label"] = None
    return table[list(LABEL_COLUMNS)]
