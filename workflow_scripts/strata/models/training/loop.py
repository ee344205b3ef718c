"""One training loop for every objective: with validation it stops early, and it can be resumed."""

from __future__ import annotations

import copy
import math
import os
import pickle
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import nn

from strata.models.training.recipe import Schedule

_SECONDS_BETWEEN_LOGS = 20
_STEPS_BETWEEN_CHECKPOINTS = 500  # of a training that is not validated on its way
# At least: a state is four times the weights, and most trainings of a cut are over sooner.
_SECONDS_BETWEEN_CHECKPOINTS = 20


@dataclass(frozen=True)
class Watch:
    """Validation during training: `score()`, larger is better, after every `every` steps.

    Training ends when the score has not risen for `patience` validations, and the best state is
    kept.
    """

    score: Callable[[], float]
    every: int
    patience: int


@dataclass
class History:
    """What a training went through: the loss of every step, and the score of each validation with
    the number of steps before it; `best` is the place of the best score (None without a watch)."""

    losses: list[float] = field(default_factory=list)
    steps: list[int] = field(default_factory=list)
    scores: list[float] = field(default_factory=list)

    @property
    def best(self) -> int | None:
        return int(np.argmax(self.scores)) if self.scores else None

    def is_over(self, patience: int) -> bool:
        """Whether the last `patience` scores have brought nothing better."""
        return self.best is not None and len(self.scores) - 1 - self.best >= patience


def fit(
    module: nn.Module,
    loss_of: Callable[[np.ndarray, torch.Generator], torch.Tensor],
    n: int,
    schedule: Schedule,
    log: Callable[[str], None] = print,
    *,
    head: Collection[nn.Parameter] = (),
    head_factor: float = 1.0,
    watch: Watch | None = None,
    checkpoint: Path | None = None,
) -> History:
    """Train `module` in place.

    `loss_of(rows, draw)` computes the loss on the samples `rows` (a permutation of 0..n-1 is
    walked through again and again), with all randomness from the generator `draw`. The parameters
    in `head`, which start from nothing, learn faster by `head_factor`. With `checkpoint` a file
    holds the state of a validation (every 500 steps without one), written every 20 seconds at
    most: a run that was killed goes on from there, and ends as if it had not been.
    """
    run = _Run(module, schedule, _optimizer(module, schedule, head, head_factor))
    if checkpoint and checkpoint.is_file():
        run.resume(checkpoint)
        log(f"resumed at step {run.step}")
    started, first, logged, saved = time.monotonic(), run.step, 0.0, 0.0
    module.train()
    while run.step < schedule.steps and not (watch and run.history.is_over(watch.patience)):
        run.advance(loss_of, n)
        due = run.step % (watch.every if watch else _STEPS_BETWEEN_CHECKPOINTS) == 0
        if watch and (due or run.step == schedule.steps):
            module.eval()
            run.validate(watch.score())
            module.train()
        elapsed = time.monotonic() - started
        if checkpoint and due and elapsed - saved >= _SECONDS_BETWEEN_CHECKPOINTS:
            run.save(checkpoint)
            saved = elapsed
        if elapsed - logged > _SECONDS_BETWEEN_LOGS or run.step == schedule.steps:
            logged = elapsed
            rate = (run.step - first) * schedule.batch_size / elapsed
            recent = np.mean(run.history.losses[-50:])
            log(f"step {run.step}/{schedule.steps}  loss {recent:.4f}  {rate:.0f} samples/s")
    if run.best_state is not None:
        module.load_state_dict(run.best_state)
    module.eval()
    return run.history


class _Run:
    """A training at some step: all that a resumed run needs."""

    def __init__(self, module: nn.Module, schedule: Schedule, optimizer: torch.optim.Optimizer):
        self.module, self.schedule, self.optimizer = module, schedule, optimizer
        self.draw = torch.Generator().manual_seed(schedule.seed)
        torch.manual_seed(schedule.seed)
        np.random.seed(schedule.seed % 2**32)  # transformers masks frames with numpy's generator
        self.paces = [group["lr"] for group in self.optimizer.param_groups]
        self.step, self.order = 0, torch.empty(0, dtype=torch.long)
        self.history = History()
        self.best_state: dict | None = None

    def advance(self, loss_of: Callable, n: int) -> None:
        """One step of gradient descent."""
        size = self.schedule.batch_size
        if len(self.order) < size:
            self.order = torch.cat([self.order, torch.randperm(n, generator=self.draw)])
        rows, self.order = self.order[:size].numpy(), self.order[size:]
        for group, rate in zip(self.optimizer.param_groups, self.paces, strict=True):
            group["lr"] = rate * _pace(self.step, self.schedule)
        loss = loss_of(rows, self.draw)
        loss.backward()
        nn.utils.clip_grad_norm_(self.module.parameters(), 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.history.losses.append(float(loss.detach()))
        self.step += 1

    def validate(self, score: float) -> None:
        """Note a score, and keep the state if it is the best."""
        self.history.steps.append(self.step)
        self.history.scores.append(float(score))
        if self.history.best == len(self.history.scores) - 1:
            self.best_state = copy.deepcopy(self.module.state_dict())

    def save(self, path: Path) -> None:
        """Write the whole state to `path`, complete or not at all."""
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(path.name + ".part")
        kind, keys, place, has_gauss, gauss = np.random.get_state()
        state = {
            "step": self.step,
            "order": self.order,
            "history": vars(self.history),
            "module": self.module.state_dict(),
            "best": self.best_state,
            "optimizer": self.optimizer.state_dict(),
            "draw": self.draw.get_state(),
            "torch": torch.get_rng_state(),
            "numpy": [kind, torch.from_numpy(keys.astype(np.int64)), place, has_gauss, gauss],
            "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
        }
        torch.save(state, part)
        os.replace(part, path)

    def resume(self, path: Path) -> None:
        """Take up the state in `path`; one that cannot be read is left aside."""
        try:
            state = torch.load(path, map_location="cpu", weights_only=True)
        except (pickle.UnpicklingError, EOFError, RuntimeError):
            return
        self.step, self.order, self.best_state = state["step"], state["order"], state["best"]
        self.history = History(**state["history"])
        self.module.load_state_dict(state["module"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.draw.set_state(state["draw"])
        torch.set_rng_state(state["torch"])
        kind, keys, place, has_gauss, gauss = state["numpy"]
        np.random.set_state((kind, keys.numpy().astype(np.uint32), place, has_gauss, gauss))
        if torch.cuda.is_available():
            torch.cuda.set_rng_state_all(state["cuda"])


def _optimizer(
    module: nn.Module, schedule: Schedule, head: Collection[nn.Parameter], head_factor: float
) -> torch.optim.Optimizer:
    """AdamW; biases, norms and embeddings of one dimension are not decayed."""
    fast = {id(p) for p in head}
    trainable = [p for p in module.parameters() if p.requires_grad]
    slow = [p for p in trainable if id(p) not in fast]
    quick = [p for p in trainable if id(p) in fast]
    rate = schedule.learning_rate
    groups = [
        {"params": [p for p in part if (p.ndim >= 2) == wide], "weight_decay": decay, "lr": pace}
        for part, pace in ((slow, rate), (quick, rate * head_factor))
        for wide, decay in ((True, schedule.weight_decay), (False, 0.0))
    ]
    return torch.optim.AdamW([g for g in groups if g["params"]], betas=(0.9, 0.98))


def _pace(step: int, schedule: Schedule) -> float:
    """Share of the learning rate at a step: linear warm-up, then half a cosine."""
    warm = max(1, int(schedule.warmup * schedule.steps))
    if step < warm:
        return (step + 1) / warm
    return 0.5 * (1 + math.cos(math.pi * (step - warm) / max(1, schedule.steps - warm)))
