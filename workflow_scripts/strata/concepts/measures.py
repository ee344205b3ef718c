"""Counts and shares of a model's labels as measures.

`about` says what a row's interval speaks about: "pictures and neurons" (`quadrants`), or "neurons"
alone, drawn anew with the labels they have: these pictures, and neurons as if their labels did not
depend on each other. The latter is too wide for soft WPMI (up to twice), whose neurons share out
the concepts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from strata.concepts.counts import THRESHOLDS, above_threshold, by_layer
from strata.concepts.quadrants import BOTH, NEURONS, have_own_labels, quadrants
from strata.intervals import deviate_interval, deviates
from strata.stats import percentile_interval
from strata.tables import blocks_passed


def _resamples(layer: pd.DataFrame, times: int, seed: int) -> np.ndarray:
    """Neurons drawn with replacement, (times, n): by score and label, not by their order."""
    order = layer.assign(place=np.arange(len(layer)))
    order = order.sort_values(["similarity", "description"])["place"].to_numpy()
    return order[np.random.default_rng(seed).integers(len(layer), size=(times, len(layer)))]


def _above_in_resamples(
    layer: pd.DataFrame, picks: np.ndarray, threshold: str, alpha: float
) -> np.ndarray:
    """Which drawn neurons count in each resample: the threshold is that of the resample."""
    if threshold == "significant":
        return (layer["q_value"] <= alpha).to_numpy()[picks]
    scores = layer["similarity"].to_numpy()[picks]
    return scores > getattr(np, threshold)(scores, axis=1, keepdims=True)


def _count_interval(value: float, codes: np.ndarray, picks: np.ndarray, above: np.ndarray):
    """Interval of a number of distinct labels.

    Drawing with replacement repeats neurons and so loses labels: the draws' spread is kept and
    their centre moved to the observed number.
    """
    seen = np.zeros((len(picks), codes.max() + 1), dtype=bool)
    rows = np.broadcast_to(np.arange(len(picks))[:, None], picks.shape)
    seen[rows[above], codes[picks][above]] = True
    draws = seen.sum(axis=1)
    low, high = percentile_interval(draws - draws.mean() + value, value)
    return max(0.0, low), high


def _share_interval(value: float, member: np.ndarray, picks: np.ndarray, above: np.ndarray):
    drawn = above.sum(axis=1)
    shares = (member[picks] & above).sum(axis=1)[drawn > 0] / drawn[drawn > 0]
    return percentile_interval(shares, value)


def _as_labels(measures: pd.DataFrame) -> pd.DataFrame:
    """The main similarity's rows of a labels measure (its first metric), as `layer, unit, ...`."""
    measures = measures.assign(block=blocks_passed(measures))
    main = measures[measures["metric"] == measures["metric"].iloc[0]]
    return main.rename(columns={"concept": "description", "value": "similarity"})


def _usable(labels: pd.DataFrame) -> list[str]:
    """Thresholds that the labels allow: without a null there is no significance."""
    tested = "q_value" in labels and labels["q_value"].notna().any()
    return [t for t in THRESHOLDS if t != "significant" or tested]


def count_measures(
    measures: pd.DataFrame, *, bootstrap: int = 1000, alpha: float = 0.05, seed: int = 0
) -> pd.DataFrame:
    """Counts of one model's labels measure with bootstrap intervals over neurons (column `about`).

    Metrics: n_concepts_median, n_concepts_mean, n_concepts_significant and share_significant (the
    last two where the labels have q-values). `n` is the number of labelled neurons of the layer.
    """
    labels, rows = _as_labels(measures), []
    for _, layer in by_layer(labels):
        picks = _resamples(layer, bootstrap, seed)
        codes = pd.factorize(layer["description"])[0]
        for threshold in _usable(labels):
            value = len(set(codes[above_threshold(layer, threshold, alpha)]))
            drawn = _above_in_resamples(layer, picks, threshold, alpha)
            bounds = _count_interval(value, codes, picks, drawn)
            rows.append(_row(layer, f"n_concepts_{threshold}", None, value, bounds, seed))
        if "significant" in _usable(labels):
            significant = (layer["q_value"] <= alpha).to_numpy()
            value = significant.mean()
            bounds = percentile_interval(significant[picks].mean(axis=1), value)
            rows.append(_row(layer, "share_significant", None, value, bounds, seed))
    return pd.DataFrame(rows)


def share_measures(
    measures: pd.DataFrame,
    categories: Mapping[str, Sequence[str]],
    half_labels: pd.DataFrame | None = None,
    *,
    bootstrap: int = 1000,
    alpha: float = 0.05,
    seed: int = 0,
) -> pd.DataFrame:
    """Category shares of one model's labels measure.

    Metrics category_share_median, _mean and _significant; `concept` is the category, `n` the number
    of neurons above the threshold. With `half_labels` (`strata.dissect.label_halves`) of a function
    whose labels are a neuron's own, shares by median and mean have intervals about pictures and
    neurons, and `deviates`; others are about neurons, by bootstrap. Significance is a matter of all
    pictures: a half would have less power, and so another share.
    """
    labels, rows = _as_labels(measures), []
    halved = _halves_of_layers(labels, half_labels)
    for name, layer in by_layer(labels):
        picks = _resamples(layer, bootstrap, seed)
        parts = [_as_halves(pair) for pair in quadrants(halved[name], seed)] if halved else []
        members = {c: layer["description"].isin(w).to_numpy() for c, w in categories.items()}
        for threshold in _usable(labels):
            above = above_threshold(layer, threshold, alpha)
            drawn = _above_in_resamples(layer, picks, threshold, alpha)
            words = [] if threshold == "significant" else _words_above(parts, threshold)
            for category, member in members.items() if above.any() else ():
                metric, value = f"category_share_{threshold}", member[above].mean()
                if words:
                    found = _share_deviates(words, set(categories[category]))
                    bounds = deviate_interval(value, found, share=True)[1:]
                    more = {"about": BOTH, "deviates": found}
                else:
                    bounds = _share_interval(value, member, picks, drawn)
                    more = {"about": NEURONS}
                row = _row(layer, metric, category, value, bounds, seed)
                rows.append(row | {"n": int(above.sum())} | more)
    return pd.DataFrame(rows)


def _halves_of_layers(labels: pd.DataFrame, half_labels: pd.DataFrame | None) -> dict:
    """Labels on halves by layer; none where a label is not a neuron's own."""
    if half_labels is None or not len(half_labels):
        return {}
    if not have_own_labels(labels["metric"].iloc[0]):
        return {}
    return dict(list(half_labels.groupby("layer", sort=False)))


def _as_halves(pair: tuple[pd.DataFrame, pd.DataFrame]) -> list[pd.DataFrame]:
    named = {"concept": "description", "value": "similarity"}
    return [part[part["concept"].notna()].rename(columns=named) for part in pair]


def _words_above(parts: list, threshold: str) -> list[list[list[str]]]:
    """Labels above the threshold, by split and side: the threshold is that of the side."""
    return [
        [side["description"][above_threshold(side, threshold, 0.0)].tolist() for side in pair]
        for pair in parts
    ]


def _share_deviates(words: list[list[list[str]]], members: set[str]) -> np.ndarray:
    """NaN for a split of which a side has no neuron above its threshold."""
    shares = [
        [np.mean([word in members for word in side]) if side else np.nan for side in pair]
        for pair in words
    ]
    return deviates(*np.array(shares).T)


def _row(
    layer: pd.DataFrame, metric: str, concept: str | None, value: float, bounds, seed: int
) -> dict:
    first = layer.iloc[0]
    keys = {key: first[key] for key in ("model", "dataset", "layer", "layer_index", "block")}
    interval = {"value": float(value), "low": bounds[0], "high": bounds[1]}
    counted = {"n": len(layer), "seed": seed, "about": NEURONS}
    return keys | {"concept": concept, "metric": metric} | interval | counted
