"""The best concepts of each neuron, kept while tiles of concepts come in any order."""

from __future__ import annotations

from threading import Lock

import numpy as np

from strata.dissect.scorer import Keys


class Best:
    """A layer's best concepts by one function, and the greatest keys by chance.

    `keys` and `numbers` (neurons, m) of the concepts, best first. `order` (concepts,) gives each
    its number; of equal keys the lower number comes first. `null` is (neurons or 1, permutations).
    """

    def __init__(self, n_neurons: int, m: int, order: np.ndarray):
        self.keys = np.full((n_neurons, m), -np.inf, dtype=np.float32)
        self.numbers = np.full((n_neurons, m), len(order), dtype=np.int64)
        self.order = order
        self.null: np.ndarray | None = None
        self.lock = Lock()

    def add(self, span: slice, found: Keys) -> None:
        """Take the keys of the concepts of `span`; each concept once."""
        from strata.dissect.kernels import keep_best

        with self.lock:
            keep_best(found.keys, self.order[span], self.keys, self.numbers)
            null = found.null
            self.null = null if self.null is None else np.maximum(self.null, null)
