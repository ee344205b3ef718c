"""Tiles of P: all images that some neuron needs, and a few of the concepts at a time."""

from __future__ import annotations

import numpy as np

from strata.dissect.products import Plan, log_products
from strata.dissect.ranks import errors_of_draw, errors_of_neurons


class Tile:
    """The concepts of `span`: `texts` (width, d) and P, their cosines with `images` (needed, d).

    With `whole` all of P is kept, for several to use it; else it is computed when asked for. What
    is heavy is a method, so that another machine can do it (torch_tiles.py).
    """

    def __init__(self, span: slice, images: np.ndarray, texts: np.ndarray, whole: bool):
        self.span, self.images, self.texts = span, images, texts[span]
        self.whole = images @ self.texts.T if whole else None

    def similar(self, rows: slice | np.ndarray) -> np.ndarray:
        """P at these of the needed images, (rows, width); not to be written to."""
        if self.whole is not None:
            return self.whole[rows]
        return self.images[rows] @ self.texts.T

    def log_products(self, plan: Plan) -> np.ndarray:
        """sum_k log(base + rate_k S_kc), float32 (rows of the plan, width)."""
        return log_products(self.similar, len(self.texts), plan)

    def rank_errors(self, rows: np.ndarray, values: np.ndarray, power: int) -> np.ndarray:
        """Rank reorder's errors of neurons with images `rows` (neurons, k), (neurons, width)."""
        return errors_of_neurons(self.whole, rows, values, power)

    def drawn_errors(self, rows: np.ndarray, values: np.ndarray, power: int) -> np.ndarray:
        """The same with the images `rows` (k) in place of every neuron's."""
        return errors_of_draw(self.whole, rows, values, power)

    def column_products(self, rows, centre: np.ndarray, power: int, columns) -> tuple:
        """Of the images `rows`: columns' (n, neurons) products with the columns (P - centre)^power,
        (neurons, width) for each of `columns`, and the squared lengths of the latter."""
        powers = self.similar(rows) - centre
        base = powers.copy()
        for _ in range(power - 1):
            powers *= base
        squares = np.einsum("ic,ic->c", powers, powers, dtype=np.float64)
        return [block.T @ powers for block in columns], squares
