"""The part of soft WPMI and WPMI that comes from images which share a neuron's last places."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from strata.dissect.products import Plan, make_plan
from strata.dissect.soft_wpmi import SoftWpmi
from strata.dissect.ties import Ties
from strata.dissect.tiles import Tile
from strata.dissect.wpmi import Wpmi


class SharedPlaces:
    """(b / t) sum_tied log(scale (base + rate S)) of b places and t tied images (soft_wpmi.py).

    Where all images but the first few are tied, their sum is that of all images less that of the
    few; the former is the same for all neurons with as many first ones. So what a sparse neuron
    costs is what its few images cost.
    """

    def __init__(
        self,
        parameters: SoftWpmi | Wpmi,
        n_concepts: int,
        ties: Sequence[Ties],
        edges: np.ndarray,
        needed: np.ndarray,
        statistics: tuple[np.ndarray, np.ndarray, np.ndarray],
    ):
        """`edges` (layers + 1) are the rows of the table at which layers begin; `statistics` the
        softmax's of the images `needed`, as `make_plan` takes them."""
        scale, base, _ = parameters.factors(n_concepts)
        first = np.concatenate([part.first for part in ties])
        others = np.concatenate([part.others for part in ties])
        shared = np.concatenate([part.shared for part in ties])
        places = parameters.top_k - first
        rates, offsets = {}, {}
        for number in np.unique(first).tolist():
            own_scale, rates[number] = parameters.shared_factor(n_concepts, number)
            # Rows of other neurons lack the sum of log(scale) over all their places.
            n = parameters.top_k - number
            offsets[number] = n * np.log(own_scale) - np.log(scale[number:]).sum()
        self.rows = np.concatenate([e + part.units for e, part in zip(edges, ties, strict=False)])
        self.weights = (np.where(others, -1, 1) * places / shared).astype(np.float32)[:, None]
        self.offsets = np.array([offsets[i] for i in first.tolist()], np.float32)[:, None]
        # Rows of all images, one for each number of first ones, stand behind those of neurons.
        self.levels, level = np.unique(first[others], return_inverse=True)
        self.whole = np.flatnonzero(others), len(first) + level
        counts = np.concatenate([np.diff(part.starts) for part in ties])
        images = [np.searchsorted(needed, part.images) for part in ties]
        images.append(np.tile(np.arange(len(needed)), len(self.levels)))
        counts = np.concatenate([counts, np.full(len(self.levels), len(needed))])
        rate = [rates[i] for i in [*first.tolist(), *self.levels.tolist()]]
        self.plan: Plan = make_plan(
            np.concatenate([[0], np.cumsum(counts)]),
            np.concatenate(images).astype(np.int32),
            np.repeat(np.array(rate), counts),
            len(needed),
            parameters.a,
            base,
            *statistics,
        )

    def add_to(self, table: np.ndarray, tile: Tile) -> None:
        """Add the shared places to the rows (neurons, width) of `table`."""
        found = tile.log_products(self.plan)
        part = self.weights * found[: len(self.rows)] + self.offsets
        neurons, whole = self.whole
        part[neurons] -= self.weights[neurons] * found[whole]
        table[self.rows] += part
