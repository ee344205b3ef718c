"""Euclidean convexity: is what lies between two samples of a concept classified as the concept?

Tětková et al. (Nature Communications 16, 5419, 2025): points on the segment between two samples,
classified by what follows in the network; the score of a pair is the share classified as the
concept, the concept's score the mean over its pairs. For a linear classifier the share of the whole
segment is known exactly (`linear_head_convexity`).
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from strata.arrays import as_array, as_labels, drawn_order
from strata.errors import StrataError
from strata.intervals import SharedMembers, share_of_samples, variance_interval
from strata.stats import Estimate, without_interval

_POINTS = 2048  # classified at a time
_LEAST = 8  # samples of each concept for an interval


@dataclass(frozen=True)
class EuclideanConvexity:
    """Scores as fractions; `low` and `high` bound the mean for new samples of the same concepts.

    Pairs share samples: the variance of each concept's mean is that of rows with shared members
    (`strata.intervals`), of the overall mean the sum over concepts; Student's t interval on the
    logit scale. NaN where a concept has fewer than 8 samples; near 0 and 1 as
    `strata.intervals.share_of_samples`.

    `mean` is over all pairs of all concepts, `mean_over_concepts` over the concepts' own means;
    `per_concept` maps a label to its score; `scores` has a row per pair: concept, first, second
    (sample numbers) and value.
    """

    mean: float
    low: float
    high: float
    mean_over_concepts: float
    n_pairs: int
    per_concept: dict[Hashable, float]
    scores: pd.DataFrame


def draw_pairs(labels: Sequence, pairs: str | int, seed: int) -> pd.DataFrame:
    """Unordered pairs of samples of the same concept: concept, first, second.

    "all", or for each concept as many as `pairs`, drawn without replacement.

    Raises StrataError for a concept with one sample, or `pairs` neither "all" nor positive.
    """
    if pairs != "all" and not (isinstance(pairs, int | np.integer) and pairs > 0):
        raise StrataError(f'pairs must be "all" or a positive number, not {pairs!r}')
    labels = pd.Series(list(labels), dtype=object)
    parts = []
    for number, (concept, members) in enumerate(labels.groupby(labels, sort=False).groups.items()):
        members = np.asarray(members)
        if len(members) < 2:
            raise StrataError(f"labels: concept {concept!r} has one sample; a pair needs two")
        first, second = np.triu_indices(len(members), k=1)
        if pairs != "all" and pairs < len(first):
            draw = np.random.default_rng([seed, number])
            chosen = np.sort(draw.choice(len(first), size=pairs, replace=False, shuffle=False))
            first, second = first[chosen], second[chosen]
        part = pd.DataFrame({"first": members[first], "second": members[second]})
        parts.append(part.assign(concept=pd.Series([concept] * len(part), dtype=object)))
    return pd.concat(parts, ignore_index=True)


def euclidean_convexity(
    features: np.ndarray,
    labels: Sequence,
    classify: Callable[[np.ndarray], Sequence],
    *,
    pairs: str | int | pd.DataFrame = 5000,
    points: int = 10,
    seed: int = 0,
) -> EuclideanConvexity:
    """Euclidean convexity of concepts in `features`, by `points` interior points of each segment.

    Parameters
    ----------
    features : (samples, ...): vectors, or tokens or maps with all their dimensions; these and
        labels as `strata.arrays` takes them
    classify : what follows in the network: an array like `features` to labels, many at a time
    pairs : unordered pairs of each concept, as `draw_pairs`; or a table of these, so that they are
        the same in several layers

    Raises
    ------
    StrataError
        As `draw_pairs`; no points; NaN features; labels and features of different lengths.
    """
    if points < 1:
        raise StrataError(f"points must be positive, not {points}")
    features, labels = _checked(features, labels)
    chosen = _pairs_in_drawn_order(features, labels, pairs, seed)
    steps = (np.arange(points) + 1) / (points + 1)
    shape = (1, points) + (1,) * (features.ndim - 1)
    weight = steps.reshape(shape).astype(features.dtype)
    values = np.empty(len(chosen))
    each = max(1, _POINTS // points)
    for start in range(0, len(chosen), each):
        part = chosen.iloc[start : start + each]
        first = features[part["first"].to_numpy()][:, None]
        second = features[part["second"].to_numpy()][:, None]
        between = (1 - weight) * first + weight * second
        found = np.asarray(classify(between.reshape(-1, *features.shape[1:])), dtype=object)
        right = found.reshape(len(part), points) == part["concept"].to_numpy()[:, None]
        values[start : start + each] = right.mean(axis=1)
    return _result(chosen.assign(value=values))


def linear_head_convexity(
    features: np.ndarray,
    labels: Sequence,
    weights: np.ndarray,
    bias: np.ndarray,
    classes: Sequence[Hashable],
    *,
    pairs: str | int | pd.DataFrame = 5000,
    seed: int = 0,
) -> EuclideanConvexity:
    """Exact Euclidean convexity for the classifier argmax(features weights' + bias).

    `features` is (samples, dimensions), `weights` (classes, dimensions). Along a segment every
    logit is linear, so that class c wins where all its margins over the others are positive: an
    intersection of half-lines, whose length is the score.

    Raises StrataError as `euclidean_convexity`, and for a concept that is no class.
    """
    features, labels = _checked(features, labels)
    chosen = _pairs_in_drawn_order(features, labels, pairs, seed)
    numbers = {name: i for i, name in enumerate(classes)}
    unknown = [concept for concept in dict.fromkeys(chosen["concept"]) if concept not in numbers]
    if unknown:
        raise StrataError(f"concept {unknown[0]!r} is no class of the head: {list(numbers)}")
    logits = features @ np.asarray(weights, dtype=np.float64).T + np.asarray(bias)
    own = chosen["concept"].map(numbers).to_numpy(dtype=int)
    values = segment_shares(
        logits[chosen["first"].to_numpy()], logits[chosen["second"].to_numpy()], own
    )
    return _result(chosen.assign(value=values))


def segment_shares(first: np.ndarray, second: np.ndarray, own: np.ndarray) -> np.ndarray:
    """Share of each segment on which class `own` has the highest logit, (pairs,).

    `first` and `second` (pairs, classes) are the logits at the ends, linear in between.
    """
    rows = np.arange(len(first))
    start = first[rows, own][:, None] - first
    slope = (second[rows, own][:, None] - second) - start
    start[rows, own] = np.inf  # against itself it never loses
    slope[rows, own] = 0.0
    with np.errstate(divide="ignore", invalid="ignore"):
        zero = -start / slope
    enters = np.where(slope > 0, zero, np.where((slope == 0) & (start < 0), np.inf, 0.0))
    leaves = np.where(slope < 0, zero, 1.0)
    low = np.clip(enters.max(axis=1), 0.0, None)
    high = np.clip(leaves.min(axis=1), None, 1.0)
    return np.clip(high - low, 0.0, 1.0)


def _checked(features: np.ndarray, labels: Sequence) -> tuple[np.ndarray, list]:
    features = as_array(features, "features")
    if features.dtype not in (np.float32, np.float64):
        # Points between samples have more digits than half precision.
        features = features.astype(np.float32 if features.dtype == np.float16 else np.float64)
    if not np.isfinite(features).all():
        raise StrataError("features hold NaN or infinite values")
    return features, as_labels(labels, len(features))


def _pairs_in_drawn_order(
    features: np.ndarray, labels: list, pairs: str | int | pd.DataFrame, seed: int
) -> pd.DataFrame:
    """The pairs given, or `draw_pairs` in an order that does not depend on the one of the rows."""
    if isinstance(pairs, pd.DataFrame):
        return pairs
    return pairs_in_order(labels, pairs, seed, drawn_order(features, labels, seed))


def pairs_in_order(
    labels: Sequence, pairs: str | int, seed: int, order: np.ndarray
) -> pd.DataFrame:
    """`draw_pairs` in an `order` of the rows that says what they are, such as `sample_order`."""
    chosen = draw_pairs([labels[i] for i in order], pairs, seed)
    places = {name: order[chosen[name].to_numpy()] for name in ("first", "second")}
    return chosen.assign(**places)


def euclidean_difference(first: EuclideanConvexity, second: EuclideanConvexity) -> Estimate:
    """first.mean - second.mean of the same pairs (in two layers, say) with its paired interval.

    None (NaN) as for the means; where only one of them has none for being near 1, it has.

    Raises StrataError when the pairs are not the same.
    """
    keys = ["concept", "first", "second"]
    if not first.scores[keys].equals(second.scores[keys]):
        raise StrataError("a paired difference needs scores of the same pairs")
    values = first.scores["value"] - second.scores["value"]
    return _stratified(first.scores.assign(value=values), share=False)


def _stratified(scores: pd.DataFrame, share: bool) -> Estimate:
    """Mean of the scores of pairs over all concepts, with its interval: concepts are strata."""
    value, variance, n_samples = float(scores["value"].mean()), 0.0, 0
    for _, own in scores.groupby("concept", sort=False):
        members = SharedMembers(own[["first", "second"]].to_numpy())
        if members.n_members < _LEAST:
            return without_interval(value)
        weight = len(own) / len(scores)
        variance += weight**2 * members.variance(own["value"].to_numpy())
        n_samples += members.n_members
    degrees = n_samples / 2 - scores["concept"].nunique()
    found = variance_interval(value, variance, degrees, share=share)
    return share_of_samples(found, n_samples) if share else found


def _result(scores: pd.DataFrame) -> EuclideanConvexity:
    mean = _stratified(scores, share=True)
    per_concept = scores.groupby("concept", sort=False)["value"].mean()
    first = scores.groupby("concept", sort=False)[["first", "second"]].min().min(axis=1)
    per_concept = per_concept[first.sort_values().index].to_dict()  # in order of first appearance
    return EuclideanConvexity(
        *mean, float(np.mean(list(per_concept.values()))), len(scores), per_concept, scores
    )
