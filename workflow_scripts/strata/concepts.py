"""Concept lists, and what the labels of a layer add up to: counts and categories.

Follows "From Colors to Classes" (arXiv 2503.24071): a neuron counts when its score is above its
layer's threshold. The functions take tables `layer, unit, description, similarity` (the form in
which the paper's labels were released), where `similarity` is the score of the label.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from strata.errors import StrataError
from strata.stats import percentile_interval

THRESHOLDS = ("median", "mean", "significant")
RELEASED_COLUMNS = ("layer", "unit", "description", "similarity")
_REST = ("unknown", "names", "abstract")  # categories that the paper leaves out of its figures


def read_concepts(path: str | Path) -> list[str]:
    """The concepts in a text file, one per line; blank lines are skipped.

    Raises
    ------
    StrataError
        The file is missing, has no concept, or has one twice.
    """
    path = Path(path)
    if not path.is_file():
        raise StrataError(f"{path}: no such concept list; it should hold one concept per line")
    lines: dict[str, int] = {}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        concept = line.strip()
        if concept in lines:
            raise StrataError(
                f"{path}: concept {concept!r} is in lines {lines[concept]} and {number}; keep one"
            )
        if concept:
            lines[concept] = number
    if not lines:
        raise StrataError(f"{path}: no concepts; it should hold one concept per line")
    return list(lines)


def read_categories(path: str | Path) -> dict[str, list[str]]:
    """Word lists `{category: [words]}` from a JSON file.

    Raises StrataError when the file is missing or has another form.
    """
    path = Path(path)
    if not path.is_file():
        raise StrataError(f"{path}: no such file of categories")
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise StrataError(f"{path}: not JSON: {error}") from None
    lists = isinstance(content, dict) and all(isinstance(v, list) for v in content.values())
    if not lists or not content:
        raise StrataError(f"{path}: should read {{category: [words]}}")
    return content


def shown_categories(categories: Mapping[str, Sequence[str]]) -> list[str]:
    """Categories that figures show: all but unknown, names and abstract, as in the paper."""
    return [name for name in categories if name not in _REST]


def read_released_labels(path: str | Path) -> pd.DataFrame:
    """Released neuron labels: a CSV with layer, unit, description, similarity (and images).

    Raises StrataError when the file or a column is missing.
    """
    path = Path(path)
    if not path.is_file():
        raise StrataError(f"{path}: no such file of labels")
    labels = pd.read_csv(path, keep_default_na=False)  # "nan" and "null" are words
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


def _by_layer(labels: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """Labelled neurons of each layer, in order of appearance; a constant neuron has no label."""
    missing = [column for column in RELEASED_COLUMNS if column not in labels]
    if missing:
        raise StrataError(f"labels: no column {missing[0]!r}; need {', '.join(RELEASED_COLUMNS)}")
    yield from labels[labels["description"].notna()].groupby("layer", sort=False)


def _above(layer: pd.DataFrame, threshold: str, alpha: float) -> np.ndarray:
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
        (name, layer.loc[_above(layer, threshold, alpha), "description"].nunique())
        for name, layer in _by_layer(labels)
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
    for name, layer in _by_layer(labels):
        words = layer.loc[_above(layer, threshold, alpha), "description"]
        if len(words):
            shares = {c: float(words.isin(members).mean()) for c, members in categories.items()}
            rows += [(name, category, share) for category, share in shares.items()]
    return pd.DataFrame(rows, columns=["layer", "category", "share"])


# --- the same with intervals, as measures -------------------------------------------------------


def _resamples(n: int, times: int, seed: int) -> np.ndarray:
    """Neurons drawn with replacement, (times, n)."""
    return np.random.default_rng(seed).integers(n, size=(times, n))


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
    low, high = percentile_interval(draws - draws.mean() + value)
    return max(0.0, low), high


def _share_interval(member: np.ndarray, picks: np.ndarray, above: np.ndarray):
    drawn = above.sum(axis=1)
    shares = (member[picks] & above).sum(axis=1)[drawn > 0] / drawn[drawn > 0]
    return percentile_interval(shares)


def _as_labels(measures: pd.DataFrame) -> pd.DataFrame:
    """The main similarity's rows of a labels measure (its first metric), as `layer, unit, ...`."""
    main = measures[measures["metric"] == measures["metric"].iloc[0]]
    return main.rename(columns={"concept": "description", "value": "similarity"})


def _usable(labels: pd.DataFrame) -> list[str]:
    """Thresholds that the labels allow: without a null there is no significance."""
    tested = "q_value" in labels and labels["q_value"].notna().any()
    return [t for t in THRESHOLDS if t != "significant" or tested]


def count_measures(
    measures: pd.DataFrame, *, bootstrap: int = 1000, alpha: float = 0.05, seed: int = 0
) -> pd.DataFrame:
    """Counts of one model's labels measure with bootstrap intervals over neurons.

    Metrics: n_concepts_median, n_concepts_mean, n_concepts_significant and share_significant (the
    last two where the labels have q-values). `n` is the number of labelled neurons of the layer.
    """
    labels, rows = _as_labels(measures), []
    for _, layer in _by_layer(labels):
        picks = _resamples(len(layer), bootstrap, seed)
        codes = pd.factorize(layer["description"])[0]
        for threshold in _usable(labels):
            value = len(set(codes[_above(layer, threshold, alpha)]))
            drawn = _above_in_resamples(layer, picks, threshold, alpha)
            bounds = _count_interval(value, codes, picks, drawn)
            rows.append(_row(layer, f"n_concepts_{threshold}", None, value, bounds, seed))
        if "significant" in _usable(labels):
            significant = (layer["q_value"] <= alpha).to_numpy()
            bounds = percentile_interval(significant[picks].mean(axis=1))
            value = significant.mean()
            rows.append(_row(layer, "share_significant", None, value, bounds, seed))
    return pd.DataFrame(rows)


def share_measures(
    measures: pd.DataFrame,
    categories: Mapping[str, Sequence[str]],
    *,
    bootstrap: int = 1000,
    alpha: float = 0.05,
    seed: int = 0,
) -> pd.DataFrame:
    """Category shares of one model's labels measure with bootstrap intervals over neurons.

    Metrics category_share_median, _mean and _significant; `concept` is the category, `n` the number
    of neurons above the threshold.
    """
    labels, rows = _as_labels(measures), []
    for _, layer in _by_layer(labels):
        picks = _resamples(len(layer), bootstrap, seed)
        members = {c: layer["description"].isin(w).to_numpy() for c, w in categories.items()}
        for threshold in _usable(labels):
            above = _above(layer, threshold, alpha)
            drawn = _above_in_resamples(layer, picks, threshold, alpha)
            for category, member in members.items() if above.any() else ():
                bounds = _share_interval(member, picks, drawn)
                metric, value = f"category_share_{threshold}", member[above].mean()
                row = _row(layer, metric, category, value, bounds, seed)
                rows.append(row | {"n": int(above.sum())})
    return pd.DataFrame(rows)


def _row(
    layer: pd.DataFrame, metric: str, concept: str | None, value: float, bounds, seed: int
) -> dict:
    first = layer.iloc[0]
    keys = {key: first[key] for key in ("model", "dataset", "layer", "layer_index")}
    interval = {"value": float(value), "low": bounds[0], "high": bounds[1]}
    counted = {"n": len(layer), "seed": seed}
    return keys | {"concept": concept, "metric": metric} | interval | counted
