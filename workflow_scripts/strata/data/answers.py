"""Answers to triplets: their form, the questions they answer, and how far people agree.

Odd-one-out (Hebart et al. 2020): of three items a person names the odd one, which keeps the other
two together. Triplets are rows of three item numbers, the odd one last. Two-alternative (Lagunas et
al. 2019): which of two items is more similar to a reference. Rows are then reference, the item that
was chosen, the other.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd

from strata.arrays import as_array
from strata.errors import StrataError
from strata.intervals import SharedMembers
from strata.stats import Estimate

# Items below which means over triplets have no interval; it was seen to hold from 16 on
# (benchmarks/simulations/coverage_alignment.py), of kinds of items as simulated there.
FEWEST_ITEMS = 24
TASKS = {"odd_one_out": 1 / 3, "two_alternative": 1 / 2}  # with the accuracy of guessing


class NoiseCeiling(NamedTuple):
    """The best accuracy that any fixed answer to a triplet can have, given how people disagree.

    `upper` is the mean share of the most frequent answer, which is too high by chance when there
    are few answers; `lower` how often the majority of the others predicts an answer. With intervals
    over new items, which triplets share; none below `FEWEST_ITEMS`.
    """

    upper: Estimate
    lower: Estimate
    n_triplets: int
    n_responses: int


def check_triplets(triplets: np.ndarray, n_items: int) -> np.ndarray:
    """Triplets as (n, 3) int64.

    Raises
    ------
    StrataError
        No triplets, another shape, an item number outside 0..n_items - 1, an item twice in a row.
    """
    triplets = as_array(triplets, "triplets")
    if triplets.ndim != 2 or triplets.shape[1] != 3 or not len(triplets):
        raise StrataError(f"triplets must be rows of three items, not of shape {triplets.shape}")
    if triplets.dtype.kind not in "iu":
        raise StrataError(f"triplets must be item numbers, not {triplets.dtype}")
    outside = ((triplets < 0) | (triplets >= n_items)).any(axis=1)
    if outside.any():
        row = int(outside.argmax())
        raise StrataError(
            f"triplet {row} {triplets[row].tolist()} names an unknown item: there are {n_items}"
        )
    a, b, c = triplets.T
    twice = (a == b) | (a == c) | (b == c)
    if twice.any():
        row = int(twice.argmax())
        raise StrataError(f"triplet {row} {triplets[row].tolist()} names an item twice")
    return triplets.astype(np.int64, copy=False)


def triplet_groups(triplets: np.ndarray, task: str = "odd_one_out") -> np.ndarray:
    """Number of each row's question, (n,): repeats of a triplet have the same.

    A question of "odd_one_out" is a set of three items, of "two_alternative" a reference (the first
    of the row) and a set of two.
    """
    questions = _questions(triplets, task)
    a, b, c = questions.T
    n = int(questions.max()) + 1
    return pd.factorize((a * n + b) * n + c)[0]


def _questions(triplets: np.ndarray, task: str) -> np.ndarray:
    """Triplets without their answer: the items that compete in order of their numbers."""
    triplets = as_array(triplets, "triplets").astype(np.int64)
    if task == "odd_one_out":
        return np.sort(triplets, axis=1)
    return np.column_stack([triplets[:, 0], np.sort(triplets[:, 1:], axis=1)])


def noise_ceiling(
    triplets: np.ndarray,
    counts: np.ndarray | None = None,
    *,
    task: str = "odd_one_out",
    at_least: int = 2,
) -> NoiseCeiling:
    """Noise ceiling from triplets that were answered `at_least` times (twice or more).

    `triplets` is (answers, 3), the odd one last; `counts` how many people gave each answer (1). Of
    millions of answers to random triplets thousands meet by chance: at two answers each they raise
    `upper`, so that those that were repeated on purpose are better taken alone.

    Raises StrataError when no triplet was answered so often.
    """
    triplets = as_array(triplets, "triplets")
    n = len(triplets)
    counts = np.ones(n, np.int64) if counts is None else as_array(counts, "counts")
    groups = triplet_groups(triplets, task)
    choices = [0, 1, 2] if task == "odd_one_out" else [1, 2]
    place = (_questions(triplets, task)[:, choices] == triplets[:, 2:]).argmax(axis=1)
    answers = np.zeros((groups.max() + 1, len(choices)))
    np.add.at(answers, (groups, place), counts)
    most = int(answers.sum(axis=1).max())
    often = answers.sum(axis=1) >= max(2, at_least)
    answers = answers[often]
    if not len(answers):
        raise StrataError(
            f"noise ceiling: no triplet was answered {max(2, at_least)} times, but {most} at most"
        )
    total = answers.sum(axis=1)
    upper = answers.max(axis=1) / total
    lower = np.zeros(len(answers))
    for choice in range(len(choices)):
        # Leave one answer out: do the others' favourites predict it?
        others = answers.copy()
        others[:, choice] -= 1
        best = others == others.max(axis=1, keepdims=True)
        lower += answers[:, choice] / total * (best[:, choice] / best.sum(axis=1))
    asked = triplets[np.unique(groups, return_index=True)[1]][often]
    shared = SharedMembers(asked)
    bounds = [shared.interval(x, at_least=FEWEST_ITEMS, share=True) for x in (upper, lower)]
    return NoiseCeiling(*bounds, len(answers), int(total.sum()))
