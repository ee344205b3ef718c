"""Does a representation agree with what people see as similar?

Odd-one-out (Muttenthaler et al. 2023, "Human alignment of neural network representations"): a
representation keeps the pair of a triplet that is most similar in it. In two-alternative sets the
pair of the two alternatives does not compete.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from strata.arrays import as_array
from strata.data.answers import TASKS, check_triplets, triplet_groups
from strata.errors import StrataError
from strata.stats import LEVEL, Estimate, percentile_interval

SIMILARITIES = ("cosine", "dot", "euclidean")


_MATRIX_BYTES = 2**31  # a similarity matrix larger than this is not made


_ROWS = 2**20  # triplets at a time


_DECIMALS = 12  # similarities closer than this, of the largest, are ties


def _prepared(embeddings: np.ndarray, similarity: str) -> np.ndarray:
    """Embeddings in float64, of unit length for the cosine."""
    if similarity not in SIMILARITIES:
        raise StrataError(f"similarity {similarity!r} is unknown: choose from {SIMILARITIES}")
    embeddings = as_array(embeddings, "embeddings").astype(np.float64)
    if embeddings.ndim != 2:
        raise StrataError(f"embeddings must have two dimensions, not shape {embeddings.shape}")
    bad = ~np.isfinite(embeddings).all(axis=1)
    if bad.any():
        raise StrataError(f"embeddings: item {int(bad.argmax())} is NaN or infinite")
    if similarity != "cosine":
        return embeddings
    lengths = np.linalg.norm(embeddings, axis=1, keepdims=True)
    if not lengths.all():
        raise StrataError(f"embeddings: item {int((lengths == 0).argmax())} is zero: no cosine")
    return embeddings / lengths


def similarity_matrix(embeddings: np.ndarray, similarity: str = "cosine") -> np.ndarray:
    """Similarities (items, items): cosine, dot product, or the negative Euclidean distance.

    They are rounded to twelve digits of the largest, so that equal ones are equal.
    """
    vectors = _prepared(embeddings, similarity)
    if similarity == "euclidean":
        from scipy.spatial.distance import cdist

        matrix = -cdist(vectors, vectors)
    else:
        matrix = vectors @ vectors.T
    return _rounded(matrix)


def _rounded(values: np.ndarray) -> np.ndarray:
    largest = np.abs(values).max()
    if not largest:
        return values
    unit = 10.0 ** (np.ceil(np.log10(largest)) - _DECIMALS)
    return np.round(values / unit)


def _pair_similarities(vectors: np.ndarray, similarity: str, first, second) -> np.ndarray:
    if similarity == "euclidean":
        return -np.linalg.norm(vectors[first] - vectors[second], axis=1)
    return np.einsum("id,id->i", vectors[first], vectors[second])


def triplet_credits(
    embeddings: np.ndarray,
    triplets: np.ndarray,
    similarity: str = "cosine",
    task: str = "odd_one_out",
) -> np.ndarray:
    """Whether the representation gives the answer of each triplet, (n,): 1 or 0.

    Of k equally similar best pairs each is as good an answer as another: the right one among them
    counts 1 / k.

    Raises StrataError as `check_triplets`, and for NaN, an item of length zero or unknown names.
    """
    if task not in TASKS:
        raise StrataError(f"task {task!r} is unknown: choose from {tuple(TASKS)}")
    triplets = check_triplets(triplets, len(embeddings))
    dense = 8 * len(embeddings) ** 2 <= _MATRIX_BYTES
    matrix = similarity_matrix(embeddings, similarity) if dense else None
    vectors = None if dense else _prepared(embeddings, similarity)
    credits = np.empty(len(triplets))
    for start in range(0, len(triplets), _ROWS):
        rows = slice(start, start + _ROWS)
        a, b, c = triplets[rows].T
        pairs = [(a, b), (a, c), (b, c)][: 3 if task == "odd_one_out" else 2]
        if dense:
            found = [matrix[i, j] for i, j in pairs]
        else:
            found = _rounded([_pair_similarities(vectors, similarity, i, j) for i, j in pairs])
        best = np.maximum.reduce(found)
        tied = sum((values == best).astype(np.int8) for values in found)
        credits[rows] = (found[0] == best) / tied
    return credits


def odd_one_out_accuracy(
    embeddings: np.ndarray, triplets: np.ndarray, similarity: str = "cosine"
) -> float:
    """Share of triplets (items, the odd one last) whose odd one the representation names.

    `embeddings` is (items, dimensions); chance is 1/3. Arguments and errors as `triplet_credits`.
    """
    return float(triplet_credits(embeddings, triplets, similarity).mean())


def item_means(features: np.ndarray, items: np.ndarray, n_items: int) -> np.ndarray:
    """Mean of the samples of each item, (n_items, dimensions).

    `items` gives each sample's item number, -1 for none. Raises StrataError for an item without
    any sample.
    """
    items = as_array(items, "items")
    counts = np.bincount(items[items >= 0], minlength=n_items)
    if (counts == 0).any():
        raise StrataError(f"item {int((counts == 0).argmax())} has no sample")
    order = np.argsort(items, kind="stable")[(items < 0).sum() :]
    starts = np.concatenate([[0], np.cumsum(counts)[:-1]])
    sums = np.add.reduceat(as_array(features, "features").astype(np.float64)[order], starts, axis=0)
    return sums / counts[:, None]


def mean_credit(
    credits: np.ndarray,
    groups: np.ndarray,
    *,
    bootstrap: int = 1000,
    seed: int = 0,
    level: float = LEVEL,
) -> Estimate:
    """Mean of `credits` with a bootstrap interval over triplets; repeats of one stay together.

    `groups` is `triplet_groups` of the rows. Triplets of the same size and sum are alike to the
    mean, so that their numbers in a resample are drawn at once (a multinomial), and millions of
    triplets cost no more than a few. One triplet has no interval (NaN).
    """
    sizes = np.bincount(groups)
    sixths = np.rint(6 * np.bincount(groups, weights=credits)).astype(np.int64)  # of 1, 1/2, 1/3
    present = sizes > 0
    largest = int(sizes.max()) + 1
    counts = np.bincount(sixths[present] * largest + sizes[present])
    kinds = np.flatnonzero(counts)
    n, value = int(present.sum()), float(np.mean(credits))
    if not bootstrap or n < 2:
        return Estimate(value, np.nan, np.nan)
    draws = np.random.default_rng(seed).multinomial(n, counts[kinds] / n, size=bootstrap)
    means = draws @ (kinds // largest / 6) / (draws @ (kinds % largest))
    return Estimate(value, *percentile_interval(means, level))


def category_credits(
    credits: np.ndarray,
    triplets: np.ndarray,
    members: pd.DataFrame,
    *,
    task: str = "odd_one_out",
    bootstrap: int = 1000,
    seed: int = 0,
) -> pd.DataFrame:
    """Accuracy by category, over the triplets in which an item of the category takes part.

    `members` is boolean (items, categories). Returns category, value, low, high, n (triplets); a
    category without triplets has no row.
    """
    rows, groups = [], triplet_groups(triplets, task)
    for category in members:
        part = members[category].to_numpy(bool)[triplets].any(axis=1)
        if part.any():
            found = mean_credit(credits[part], groups[part], bootstrap=bootstrap, seed=seed)
            rows.append({"category": category, **found._asdict(), "n": int(part.sum())})
    return pd.DataFrame(rows, columns=["category", "value", "low", "high", "n"])
