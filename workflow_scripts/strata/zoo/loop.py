"""One training loop for every objective."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

import numpy as np
import torch
from torch import nn

from strata.zoo.recipe import Schedule

_SECONDS_BETWEEN_LOGS = 20


def fit(
    module: nn.Module,
    loss_of: Callable[[np.ndarray, torch.Generator], torch.Tensor],
    n: int,
    schedule: Schedule,
    log: Callable[[str], None] = print,
) -> list[float]:
    """Train `module` in place and return the loss of every step.

    `loss_of(rows, draw)` computes the loss on the samples `rows` (a permutation of 0..n-1 is
    walked through again and again), with all randomness from the generator `draw`.
    """
    draw = torch.Generator().manual_seed(schedule.seed)
    torch.manual_seed(schedule.seed)
    optimizer = _optimizer(module, schedule)
    losses, order, started, logged = [], np.empty(0, dtype=int), time.monotonic(), 0.0
    module.train()
    for step in range(schedule.steps):
        if len(order) < schedule.batch_size:
            order = np.concatenate([order, torch.randperm(n, generator=draw).numpy()])
        rows, order = order[: schedule.batch_size], order[schedule.batch_size :]
        for group in optimizer.param_groups:
            group["lr"] = schedule.learning_rate * _pace(step, schedule)
        loss = loss_of(rows, draw)
        loss.backward()
        nn.utils.clip_grad_norm_(module.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        losses.append(float(loss.detach()))
        elapsed = time.monotonic() - started
        if elapsed - logged > _SECONDS_BETWEEN_LOGS or step == schedule.steps - 1:
            logged = elapsed
            rate = (step + 1) * schedule.batch_size / elapsed
            recent = np.mean(losses[-50:])
            log(f"step {step + 1}/{schedule.steps}  loss {recent:.4f}  {rate:.0f} samples/s")
    module.eval()
    return losses


def _optimizer(module: nn.Module, schedule: Schedule) -> torch.optim.Optimizer:
    """AdamW; biases, norms and embeddings of one dimension are not decayed."""
    trainable = [p for p in module.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in trainable if p.ndim >= 2], "weight_decay": schedule.weight_decay},
        {"params": [p for p in trainable if p.ndim < 2], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=schedule.learning_rate, betas=(0.9, 0.98))


def _pace(step: int, schedule: Schedule) -> float:
    """Share of the learning rate at a step: linear warm-up, then half a cosine."""
    warm = max(1, int(schedule.warmup * schedule.steps))
    if step < warm:
        return (step + 1) / warm
    return 0.5 * (1 + math.cos(math.pi * (step - warm) / max(1, schedule.steps - warm)))
