"""Does a representation agree with what people see as similar?

Odd-one-out (Muttenthaler et al. 2023, "Human alignment of neural network representations"): a
representation keeps the pair of a triplet that is most similar in it. In two-alternative sets the
pair of the two alternatives does not compete.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from strata.arrays import as_array
from strata.data.answers import FEWEST_ITEMS, TASKS, check_triplets
from strata.errors import StrataError
from strata.intervals import SharedMembers
from strata.stats import Estimate

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


class Answers:
    """Answers to triplets, and which of them share items: what means over them have intervals by.

    `triplets` is (n, 3) item numbers; `counts` (n) how often each answer was given (1). Triplets
    share items, so that they are no independent samples: an interval speaks about new items of the
    same kind (`strata.intervals.SharedMembers`). Fewer than `FEWEST_ITEMS` have none, nor has
    anything where there are not `enough` of what is asked about.
    """

    def __init__(self, triplets: np.ndarray, counts: np.ndarray | None = None, enough: bool = True):
        self.at_least = FEWEST_ITEMS if enough else np.inf
        self.triplets = as_array(triplets, "triplets")
        n = len(self.triplets)
        self.counts = np.ones(n) if counts is None else as_array(counts, "counts").astype(float)
        self.shared = SharedMembers(self.triplets, self.counts)

    @property
    def n(self) -> int:
        """Number of answers."""
        return int(self.counts.sum())

    def among(self, rows: np.ndarray, enough: bool = True) -> Answers:
        """The answers that `rows` (booleans) mark; without intervals unless `enough`."""
        return Answers(self.triplets[rows], self.counts[rows], enough)

    def mean(self, credits: np.ndarray) -> Estimate:
        """Accuracy: mean of `credits` (n,) with its interval."""
        return self.shared.interval(credits, at_least=self.at_least, share=True)

    def difference(self, first: np.ndarray, second: np.ndarray) -> Estimate:
        """Mean of first - second, two representations' credits for the same answers, paired."""
        return self.shared.interval(np.subtract(first, second), at_least=self.at_least)

    def p_value(self, first: np.ndarray, second: np.ndarray) -> float:
        """Two-sided p-value of Student's t that belongs to `difference`; NaN where that is."""
        return self.shared.p_value(np.subtract(first, second), at_least=self.at_least)


def mean_credit(
    credits: np.ndarray, triplets: np.ndarray, counts: np.ndarray | None = None
) -> Estimate:
    """Mean of `credits` (n,) of triplets (n, 3) with an interval over new items (`Answers`)."""
    return Answers(triplets, counts).mean(credits)


def by_category(
    answers: Answers, members: pd.DataFrame
) -> Iterator[tuple[str, np.ndarray, Answers]]:
    """Each category with the rows in which an item of it takes part, and their answers.

    `members` is boolean (items, categories); a category without answers is left out. Intervals are
    about new items of the category too: with fewer than `FEWEST_ITEMS` of its own there are none.
    """
    for category in members:
        marks = members[category].to_numpy(bool)
        own = marks[answers.triplets]
        rows = own.any(axis=1)
        if rows.any():
            seen = len(np.unique(answers.triplets[own]))
            yield category, rows, answers.among(rows, enough=seen >= FEWEST_ITEMS)


def category_credits(
    credits: np.ndarray,
    triplets: np.ndarray,
    members: pd.DataFrame,
    counts: np.ndarray | None = None,
) -> pd.DataFrame:
    """Accuracy by category, over the triplets in which an item of the category takes part.

    `members` is boolean (items, categories). Returns category, value, low, high (over new items),
    n (answers); a category without triplets has no row.
    """
    rows = [
        {"category": category, **own.mean(np.asarray(credits)[part])._asdict(), "n": own.n}
        for category, part, own in by_category(Answers(triplets, counts), members)
    ]
    return pd.DataFrame(rows, columns=["category", "value", "low", "high", "n"])
