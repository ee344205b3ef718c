"""Soft weighted pointwise mutual information (Oikarinen & Weng, ICLR 2023, section 3.2).

score_jc = L_jc - lam log mean_neurons(exp L_jc),   L_jc = sum_k log(1 + p_k (S_kc - 1) + e)

S = softmax(a P) over the concepts, k over neuron j's `top_k` most activating images, best first,
p_k their probability of belonging to the neuron: from `p_start` linearly towards `p_end`.

Ties. Where t images activate the neuron alike and are to share the b places that are left after
the first r - b of r = `top_k`, the sum over those places is
(b / t) sum_tied log(1 + p (S_ic - 1) + e), p the mean p_k of these places: what is expected of a
random choice among them, with one p for all. Equal activations that all have a place are ordered
by a draw (`Problem.ranks`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class SoftWpmi:
    """Parameters of soft WPMI; `a` is the softmax's inverse temperature, `min_prob` e."""

    top_k: int = 100
    a: float = 10.0
    lam: float = 1.0
    p_start: float = 0.998
    p_end: float = 0.97
    min_prob: float = 1e-7

    def factors(self, n_concepts: int) -> tuple[np.ndarray, float, np.ndarray]:
        """(scale, base, rate), scale and rate by rank k: a term of L is
        log(scale_k (base + rate_k S))."""
        p = self._probabilities()
        scale = 1 - p + self.min_prob
        return scale, 1.0, p / scale

    def shared_factor(self, n_concepts: int, first: int) -> tuple[float, float]:
        """(scale, rate) of all places from number `first` on, shared by images that are tied."""
        p = float(self._probabilities()[first:].mean())
        return 1 - p + self.min_prob, p / (1 - p + self.min_prob)

    def _probabilities(self) -> np.ndarray:
        return self.p_start - np.arange(self.top_k) / self.top_k * (self.p_start - self.p_end)
