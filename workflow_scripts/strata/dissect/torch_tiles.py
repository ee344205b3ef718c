"""Tiles of P on a GPU, or wherever torch computes: the same numbers as tiles.py, in float32."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import torch

from strata.dissect.products import Plan
from strata.errors import StrataError

_LOG_LIMIT = 80.0
_SORTED = 2**26  # values sorted at a time: 256 MB, and their numbers twice that


def tiles_on(device: str, images: np.ndarray) -> Callable[..., TorchTile]:
    """What makes tiles on `device`, where `images` (needed, d) are kept."""
    with _told(device):
        kept = torch.from_numpy(images).to(device)
    return lambda span, _, texts, whole: TorchTile(span, kept, texts, whole)


@contextmanager
def _told(device: str) -> Iterator[None]:
    """Full float32 products within; too little memory is told in one line."""
    before = torch.backends.cuda.matmul.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = False
    try:
        yield
    except torch.OutOfMemoryError:
        raise StrataError(
            f"dissection: the memory of {device} is too small; lower memory_mb, or use device: cpu"
        ) from None
    finally:
        torch.backends.cuda.matmul.allow_tf32 = before


class TorchTile:
    """As `tiles.Tile`; P stays on the device, arrays come from and go to numpy."""

    def __init__(self, span: slice, images: torch.Tensor, texts: np.ndarray, whole: bool):
        self.span, self.images, self.texts = span, images, texts[span]
        self.device = images.device
        with _told(self.device):
            # All of it, asked for or not: a GPU holds a tile, and gathers at random.
            self.whole = images @ self._here(self.texts).T

    def _here(self, array: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(np.ascontiguousarray(array)).to(self.device)

    def log_products(self, plan: Plan) -> np.ndarray:
        """sum_k log(base + rate_k S_kc), float32 (rows of the plan, width)."""
        with _told(self.device):
            inverse = self._here((1 / plan.totals).astype(np.float32))
            softmax = torch.exp(self.whole * plan.a) * inverse[:, None]
            # The products of this many factors stay within float32, as S lies between 0 and 1.
            largest = np.abs(np.log([plan.base, plan.base + plan.rate.max(initial=0)])).max()
            at_once = max(1, int(_LOG_LIMIT / max(largest, 1e-9)))
            logs = torch.zeros(plan.n_rows, len(self.texts), device=self.device)
            products = torch.ones_like(logs)
            counts = np.diff(plan.starts)
            longest = int(counts.max(initial=0))
            for rank in range(longest):
                rows = np.flatnonzero(counts > rank)
                at = plan.starts[rows] + rank
                factors = softmax[self._here(plan.image[at])]
                factors *= self._here(plan.rate[at].astype(np.float32))[:, None]
                factors += plan.base
                if len(rows) == plan.n_rows:
                    products *= factors
                else:
                    products[self._here(rows)] *= factors
                if (rank + 1) % at_once == 0 or rank + 1 == longest:
                    logs += products.log_()
                    products.fill_(1)
            return logs.cpu().numpy()

    def rank_errors(self, rows: np.ndarray, values: np.ndarray, power: int) -> np.ndarray:
        """Rank reorder's errors of neurons with images `rows` (neurons, k), (neurons, width)."""
        parts = []
        size = max(1, _SORTED // (rows.shape[1] * len(self.texts)))
        with _told(self.device):
            for start in range(0, len(rows), size):
                part = slice(start, start + size)
                places = self._here(rows[part].astype(np.int64))
                order = _order(self.whole[places])
                parts.append(self._errors(order, values[part], power))
            return torch.cat(parts).cpu().numpy()

    def drawn_errors(self, rows: np.ndarray, values: np.ndarray, power: int) -> np.ndarray:
        """The same with the images `rows` (k) in place of every neuron's."""
        with _told(self.device):
            order = _order(self.whole[self._here(rows.astype(np.int64))][None])
            size = max(1, _SORTED // order.numel())
            pieces = range(0, len(values), size)
            parts = [self._errors(order, values[i : i + size], power) for i in pieces]
            return torch.cat(parts).cpu().numpy()

    def _errors(self, order: torch.Tensor, values: np.ndarray, power: int) -> torch.Tensor:
        """mean_k |t_k - t'_k|^power, `order` (neurons or 1, k, width) by ascending cosine."""
        descending = self._here(values)[:, :, None].expand(-1, -1, order.shape[2])
        order = order.expand(len(values), -1, -1)
        difference = (descending.gather(1, order) - descending.flip(1)).abs_()
        return difference.pow_(power).mean(dim=1)

    def column_products(self, rows, centre: np.ndarray, power: int, columns) -> tuple:
        """As `tiles.Tile.column_products`."""
        with _told(self.device):
            powers = (self.whole[self._here(rows)] - self._here(centre)).pow_(power)
            squares = powers.double().square_().sum(dim=0).cpu().numpy()
            found = [(self._here(block).T @ powers).cpu().numpy() for block in columns]
        return found, squares


def _order(similar: torch.Tensor) -> torch.Tensor:
    return similar.argsort(dim=1, stable=True)
