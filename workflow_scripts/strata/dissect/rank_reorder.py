"""Rank reordering (Oikarinen & Weng, ICLR 2023, appendix A.1).

score_jc = -(mean_k |t_k - t'_k|^power / expected by chance) / (mean_k P_kc)^scale

t are neuron j's `top_k` greatest activations, k over their images, and t' the same values put in
the order of the images' cosines with concept c, P_kc.

Ties. An expected score over all choices among images that activate a neuron alike has no short
form; which of them are among the `top_k` is drawn, the same for all concepts (`Problem.ranks`).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from strata.dissect.images import Survey
from strata.dissect.nulls import random_sets
from strata.dissect.problem import Problem
from strata.dissect.scorer import Keys
from strata.dissect.softmax import SoftmaxSums
from strata.dissect.ties import tied_shares
from strata.dissect.tiles import Tile


@dataclass(frozen=True)
class RankReorder:
    """Rank reordering of the top images: `top_fraction` of all, or `top_k` when given.

    The original divides by the error of five random orders; here by the exact expectation over
    all orders, so that nothing is random. `power` is a positive whole number.
    """

    top_k: int | None = None
    top_fraction: float = 0.05
    power: int = 3
    scale: float = 0.5


class RankReorderScorer:
    """Scores of rank reorder. Null: random images in place of the neuron's top ones.

    A concept whose mean cosine over the images is not positive is divided by 1e-6 instead (the
    original would give NaN). A neuron whose top activations are all equal counts as constant.
    Held for the whole pass: 8 bytes for each neuron and top image, 4 for each neuron and dimension.
    """

    reads = "whole"

    def __init__(self, problem: Problem, parameters: RankReorder, n_permutations: int):
        self.problem, self.parameters = problem, parameters
        self.draws = random_sets(problem.ranks, parameters.top_k, n_permutations, problem.seed)
        self.constant: list[np.ndarray] = []
        self.tied: list[np.ndarray] = []
        self.tops: list[np.ndarray] = []
        self.scaled: list[np.ndarray] = []

    def add(self, activations: np.ndarray, survey: Survey) -> None:
        k, power = self.parameters.top_k, self.parameters.power
        values = survey.values[:, :k].astype(np.float64)
        expected = np.array([expected_error(row[::-1], power) for row in values])
        constant = survey.constant | (expected <= 0)
        values /= np.where(constant, 1, expected)[:, None] ** (1 / power)
        self.constant.append(constant)
        self.tied.append(tied_shares(survey, k))
        self.tops.append(survey.top[:, :k].copy())
        self.scaled.append(values.astype(np.float32))

    def images(self) -> np.ndarray:
        return np.unique(np.concatenate([self.draws, *self.tops]))

    def start(self, needed: np.ndarray, sums: SoftmaxSums | None) -> None:
        places = [np.searchsorted(needed, top) for top in self.tops]
        self.rows = np.concatenate(places).astype(np.uint32)
        self.drawn = np.searchsorted(needed, self.draws).astype(np.uint32)
        self.values = np.concatenate(self.scaled)
        self.edges = np.cumsum([0, *map(len, self.tops)])
        images = self.problem.images
        # The mean of cosines is the cosine of the mean.
        self.centres = np.stack([_mean(images, top) for part in self.tops for top in part])
        self.drawn_centres = [_mean(images, draw) for draw in self.draws]
        self.tops.clear()
        self.scaled.clear()

    def bytes_per_concept(self) -> float:
        return 4.0 * 3 * len(self.rows)

    def keys(self, tile: Tile) -> list[Keys]:
        power = self.parameters.power
        keys = tile.rank_errors(self.rows, self.values, power)
        keys /= -self._divisor(self.centres @ tile.texts.T)
        null = np.empty((len(keys), len(self.draws)), dtype=np.float32)
        for number, rows in enumerate(self.drawn):
            drawn = tile.drawn_errors(rows, self.values, power)
            drawn /= -self._divisor(tile.texts @ self.drawn_centres[number])
            null[:, number] = drawn.max(axis=1)
        return [Keys(keys[i:j], null[i:j]) for i, j in pairwise(self.edges)]

    def _divisor(self, mean: np.ndarray) -> np.ndarray:
        return np.maximum(mean, np.float32(1e-6)) ** np.float32(self.parameters.scale)

    def score(self, layer: int, keys: np.ndarray) -> np.ndarray:
        return keys


def _mean(images: np.ndarray, rows: np.ndarray) -> np.ndarray:
    return np.full(len(rows), 1 / len(rows), dtype=np.float32) @ images[rows]


def expected_error(values: np.ndarray, power: int) -> float:
    """Mean of |v_i - v_j|^power over all ordered pairs, i = j included (sorted ascending).

    It is the expected error of a random order. Binomial expansion with running sums: O(n).
    """
    values = values - values.mean()
    sums = [np.cumsum(values**m) - values**m for m in range(power + 1)]  # over smaller values
    binomial = 1.0
    total = 0.0
    for m in range(power + 1):
        total += binomial * (-1) ** m * float((values ** (power - m) * sums[m]).sum())
        binomial *= (power - m) / (m + 1)
    return 2 * max(total, 0.0) / len(values) ** 2
