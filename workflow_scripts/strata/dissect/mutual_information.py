"""What soft WPMI and WPMI share: sums of logarithms over images, and the prior over neurons.

L_jc = sum_k log(scale_k (base + rate_k S_kc)),   score_jc = L_jc - lam log mean_neurons(exp L_jc)

S = softmax(a P) over the concepts. The factors are multiplied and the logarithm is taken at the
end, or whenever a product might leave float32's range: this is what makes it fast.
"""

from __future__ import annotations

import numpy as np

from strata.dissect.images import Survey
from strata.dissect.nulls import random_sets
from strata.dissect.problem import Problem
from strata.dissect.products import Plan, make_plan
from strata.dissect.scorer import Keys
from strata.dissect.shared_places import SharedPlaces
from strata.dissect.soft_wpmi import SoftWpmi
from strata.dissect.softmax import SoftmaxSums
from strata.dissect.ties import (
    Ties,
    find_ties,
    level_of,
    null_levels,
    tied_shares,
    ties_of_draws,
)
from strata.dissect.tiles import Tile
from strata.dissect.wpmi import Wpmi


class MutualInformation:
    """Scores of soft WPMI or WPMI; constant neurons are left out of their layer's prior.

    With lam = 1 a score is log n - log(1 + 1 / odds), n neurons, odds those of `odds_against_
    others`. It saturates at log n for every concept that one neuron dominates, so labels are chosen
    by the odds. With fewer than two neurons of a layer that vary, every score of it is 0.

    Null: random images in place of a neuron's top ones, the same draws for all neurons. A draw is
    scored in place of a neuron: the other n - 1 are (n - 1) / n of all observed. Where all images
    but r are tied, a draw has as many first images, and all the rest is tied in it, too; r is
    rounded up (`null_levels`): with more first images scores are greater by chance.
    """

    reads = "blocks"

    def __init__(self, problem: Problem, parameters: SoftWpmi | Wpmi, n_permutations: int):
        self.problem, self.parameters = problem, parameters
        self.draws = random_sets(problem.ranks, parameters.top_k, n_permutations, problem.seed)
        self.constant: list[np.ndarray] = []
        self.tied: list[np.ndarray] = []
        self.tops: list[np.ndarray] = []
        self.ties: list[Ties] = []
        self.plan: Plan
        self.shared: SharedPlaces | None = None
        self.level: list[np.ndarray] = []

    def add(self, activations: np.ndarray, survey: Survey) -> None:
        k = self.parameters.top_k
        self.tops.append(survey.top[:, :k].copy())
        self.constant.append(survey.constant)
        self.tied.append(tied_shares(survey, k))
        self.ties.append(find_ties(activations, survey, k, self.problem.memory_mb))

    def images(self) -> np.ndarray:
        if any(ties.others.any() for ties in self.ties):
            return np.arange(self.problem.n_images)
        at_borders = [ties.images for ties in self.ties]
        return np.unique(
            np.concatenate([self.draws.ravel(), *map(np.ravel, self.tops), *at_borders])
        )

    def start(self, needed: np.ndarray, sums: SoftmaxSums | None) -> None:
        levels = null_levels(self.ties, self.parameters.top_k) if len(self.draws) else []
        sizes = map(len, self.constant)
        self.level = [level_of(*each, levels) for each in zip(self.ties, sizes, strict=True)]
        parts = [*self.tops, *[self.draws] * (1 + len(levels))]
        rows = np.concatenate(parts)
        edges = np.cumsum([0, *map(len, parts)])
        n_images = self.problem.n_images
        drawn = [ties_of_draws(self.draws, first, n_images) for first in levels]
        ties = [*self.ties, ties_of_draws(self.draws[:0], 0, n_images), *drawn]
        self.tops.clear()
        a = self.parameters.a
        self.scale, base, rate = self.parameters.factors(self.problem.n_concepts)
        statistics = (sums.of(a)[needed], sums.least[needed], sums.greatest[needed])
        counts = np.full(len(rows), rows.shape[1])
        for part, first in zip(ties, edges, strict=False):
            counts[first + part.units] = part.first
        own, rank = np.nonzero(np.arange(rows.shape[1]) < counts[:, None])
        image = np.searchsorted(needed, rows[own, rank]).astype(np.int32)
        starts = np.concatenate([[0], np.cumsum(counts)])
        self.plan = make_plan(starts, image, rate[rank], len(needed), a, base, *statistics)
        if any(len(part.units) for part in ties):
            self.shared = SharedPlaces(
                self.parameters, self.problem.n_concepts, ties, edges, needed, statistics
            )
        self.ties.clear()

    def bytes_per_concept(self) -> float:
        # Products, their logarithms, and what the prior holds for a while.
        more = 0 if self.shared is None else self.shared.plan.n_rows
        return 4.0 * (3 * (self.plan.n_rows + more) + 2 * self.plan.block)

    def keys(self, tile: Tile) -> list[Keys]:
        table = tile.log_products(self.plan)
        if self.shared is not None:
            self.shared.add_to(table, tile)
        n_rows = sum(map(len, self.constant))
        drawn, found, first = table[n_rows:], [], 0
        for constant, level in zip(self.constant, self.level, strict=True):
            observed = table[first : first + len(constant)]
            found.append(self._layer_keys(observed, drawn, constant, level))
            first += len(constant)
        return found

    def _layer_keys(
        self, observed: np.ndarray, drawn: np.ndarray, constant: np.ndarray, level: np.ndarray
    ) -> Keys:
        """Replace a layer's L by its keys."""
        n, lam = int((~constant).sum()), self.parameters.lam
        n_draws = len(self.draws)
        if n < 2:
            observed[:] = 0
            return Keys(observed, np.zeros((1, n_draws)))
        if not level.any():
            drawn, level = drawn[:n_draws], np.zeros(1, dtype=np.int64)
        observed[constant] = -np.inf
        total = log_sum_exp(observed)
        others = (total + np.log1p(-1 / n)).astype(np.float32)
        # Every term also holds the sum of log(scale), the same for all neurons and concepts.
        shift = lam * np.log(n) + (1 - lam) * np.log(self.scale).sum()
        if lam == 1:
            null = [(row - others).max() for row in drawn]
            odds_against_others(observed, total)
        else:
            null = [(row - lam * np.logaddexp(others, row)).max() + shift for row in drawn]
            observed += (shift - lam * total).astype(np.float32)
        null = np.array(null, dtype=float).reshape(len(drawn) // max(1, n_draws) or 1, n_draws)
        return Keys(observed, null[level])

    def score(self, layer: int, keys: np.ndarray) -> np.ndarray:
        n = int((~self.constant[layer]).sum())
        if self.parameters.lam != 1 or n < 2:
            return keys
        return np.log(n) - np.logaddexp(0, -keys)


def log_sum_exp(table: np.ndarray) -> np.ndarray:
    """log of the sum over rows of exp(table), by column, in blocks of rows."""
    greatest = table.max(axis=0)
    total = np.zeros(table.shape[1])
    for start in range(0, len(table), 64):
        block = table[start : start + 64] - greatest
        total += np.exp(block, out=block).sum(axis=0, dtype=np.float64)
    return greatest + np.log(total)


def odds_against_others(table: np.ndarray, total: np.ndarray) -> None:
    """Replace L by log(exp L_jc / sum_{i != j} exp L_ic), given total_c = log sum_i exp L_ic.

    A concept's strongest neuron is treated apart: it may make up all of the sum, and then
    1 - exp(L - total) has no digits left.
    """
    columns = np.arange(table.shape[1])
    strongest = table.argmax(axis=0)
    peak = table[strongest, columns]
    table[strongest, columns] = -np.inf
    others = log_sum_exp(table)
    total = total.astype(np.float32)
    for start in range(0, len(table), 64):
        block = table[start : start + 64]
        block -= total
        share = np.exp(block)
        np.subtract(1, share, out=share)
        block -= np.log(share, out=share)
    table[strongest, columns] = peak - others
