"""What the labels of a layer add up to: counts and categories.

Follows "From Colors to Classes" (arXiv 2503.24071): a neuron counts when its score is above its
layer's threshold. The functions take tables `layer, unit, description, similarity` (the form in
which the paper's labels were released), where `similarity` is the score of the label.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pandas as pd

from strata.errors import StrataError

THRESHOLDS = ("median", "mean", "significant")


RELEASED_COLUMNS = ("layer", "unit", "description", "similarity")


def by_layer(labels: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """Labelled neurons of each layer, in order of appearance; a constant neuron has no label."""
    missing = [column for column in RELEASED_COLUMNS if column not in labels]
    if missing:
        raise StrataError(f"labels: no column {missing[0]!r}; need {', '.join(RELEASED_COLUMNS)}")
    yield from labels[labels["description"].notna()].groupby("layer", sort=False)


def above_threshold(layer: pd.DataFrame, threshold: str, alpha: float) -> np.ndarray:
    """Which neurons of a layer count, as booleans."""
    if threshold not in THRESHOLDS:
        raise StrataError(f"threshold {threshold!r} is unknown: use {', '.join(THRESHOLDS)}")
    if threshold == "significant":
        if "q_value" not in layer:
            raise StrataError("threshold 'significant' needs a column q_value in the labels")
        return (layer["q_value"] <= alpha).to_numpy()
    scores = layer["similarity"]
    return (scores > getattr(scores, threshold)()).to_numpy()


def concept_counts(
    labels: pd.DataFrame, threshold: str = "median", alpha: float = 0.05
) -> pd.DataFrame:
    """Distinct labels among the neurons of each layer above a threshold (figures 2 and 8).

    Parameters
    ----------
    labels
        layer, unit, description, similarity; `q_value` for the threshold "significant".
    threshold
        "median" or "mean": scores strictly above the layer's; "significant": q_value <= alpha.

    Returns
    -------
    DataFrame with layer (order of appearance) and n_concepts.
    """
    rows = [
        (name, layer.loc[above_threshold(layer, threshold, alpha), "description"].nunique())
        for name, layer in by_layer(labels)
    ]
    return pd.DataFrame(rows, columns=["layer", "n_concepts"])


def category_shares(
    labels: pd.DataFrame,
    categories: Mapping[str, Sequence[str]],
    threshold: str = "mean",
    alpha: float = 0.05,
) -> pd.DataFrame:
    """Share of each layer's neurons above a threshold whose label is in a category (figure 3).

    A word that stands in several categories counts in each. A layer without any neuron above the
    threshold has no row. Arguments as for `concept_counts`.

    Returns
    -------
    DataFrame with layer, category and share (a fraction).
    """
    rows = []
    for name, layer in by_layer(labels):
        words = layer.loc[above_threshold(layer, threshold, alpha), "description"]
        if len(words):
            shares = {c: float(words.isin(members).mean()) for c, members in categories.items()}
            rows += [(name, category, share) for category, share in shares.items()]
    return pd.DataFrame(rows, columns=["layer", "category", "share"])
