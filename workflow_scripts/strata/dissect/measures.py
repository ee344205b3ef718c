"""Labels as measures, the form that every stage of the workflow hands on."""

from __future__ import annotations

import numpy as np
import pandas as pd

from strata.tables import check_measures


def label_measures(
    table: pd.DataFrame,
    *,
    model: str,
    dataset: str,
    layer: str,
    layer_index: int,
    n_images: int,
    seed: int,
) -> pd.DataFrame:
    """Measure rows (strata.tables) from `label_with_all`'s table of one layer.

    concept = label (None for a constant neuron), metric = similarity function, value = score,
    n = number of probing images; unit, runner_up, margin, p_value, q_value, images, constant
    and tied are kept as further columns.
    """
    named = {"label": "concept", "similarity": "metric", "score": "value"}
    measures = table.rename(columns=named).assign(
        model=model,
        dataset=dataset,
        layer=layer,
        layer_index=layer_index,
        low=np.nan,
        high=np.nan,
        n=n_images,
        seed=seed,
    )
    return check_measures(measures, f"labels of {model}, layer {layer}")
