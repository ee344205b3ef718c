"""Probable nearest neighbors by torch, on a GPU. Importing this module loads torch."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch

_PRODUCTS = 2**27  # held at a time


def torch_candidates(
    single: np.ndarray, half: np.ndarray, wanted: int, device: str
) -> tuple[np.ndarray, np.ndarray]:
    """As `neighbors.tiled_candidates`, by blocks of rows."""
    samples = torch.from_numpy(single).to(device)
    halves = torch.from_numpy(half).to(device)
    chosen = np.empty((len(single), wanted), dtype=np.int32)
    farthest = np.empty(len(single), dtype=np.float32)
    step = max(1, _PRODUCTS // len(single))
    with _full_precision():
        for start in range(0, len(single), step):
            rows = slice(start, min(start + step, len(single)))
            values = torch.addmm(halves, samples[rows], samples.T, alpha=-1)
            itself = torch.arange(rows.stop - start, device=device)
            values[itself, itself + start] = torch.inf
            least, numbers = values.topk(wanted, dim=1, largest=False)
            chosen[rows] = numbers.cpu().numpy()
            farthest[rows] = least[:, -1].cpu().numpy()
    return chosen, farthest


@contextmanager
def _full_precision() -> Iterator[None]:
    """Products with all of float32's digits: those of TF32 are rounded a thousand times coarser."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)
