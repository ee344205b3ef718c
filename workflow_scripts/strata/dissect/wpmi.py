"""Weighted pointwise mutual information (Oikarinen & Weng, ICLR 2023, section 3.2).

score_jc = L_jc - lam log mean_neurons(exp L_jc),   L_jc = sum_k log(S_kc + e)

As soft WPMI (soft_wpmi.py), but each of the `top_k` images belongs to the neuron for certain. Of t
images that are to share b places each counts b / t.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Wpmi:
    """Parameters of WPMI; `a` is the softmax's inverse temperature, `min_prob` e."""

    top_k: int = 28
    a: float = 2.0
    lam: float = 0.6
    min_prob: float = 1e-7

    def factors(self, n_concepts: int) -> tuple[np.ndarray, float, np.ndarray]:
        """(scale, base, rate), scale and rate by rank k: a term of L is
        log(scale_k (base + rate_k S)); S is near 1 / concepts, the last two near 1."""
        one = np.ones(self.top_k)
        return one / n_concepts, self.min_prob * n_concepts, one * n_concepts

    def shared_factor(self, n_concepts: int, first: int) -> tuple[float, float]:
        """(scale, rate) of all places from number `first` on, shared by images that are tied."""
        return 1 / n_concepts, float(n_concepts)
