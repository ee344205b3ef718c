"""What a model costs: parameters, multiply-accumulates, bytes and seconds."""

from __future__ import annotations

import copy
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from strata.errors import StrataError
from strata.models.layers import encoder_of, find_layers
from strata.pruning.surgery import layer_stack

if TYPE_CHECKING:
    import torch
    from torch import nn


class Seconds(NamedTuple):
    """Median of repeated measurements, with the quartiles."""

    median: float
    low: float
    high: float


@dataclass(frozen=True)
class Cost:
    """The price of one forward pass of a model.

    `macs` are multiply-accumulates for the whole example; `front_end_*` is the part of what comes
    before the first layer (convolutions, patches, positions), which no cut of layers saves.
    `file_bytes` is the size of model.safetensors, `memory_bytes` the most memory that tensors of
    the pass hold at a time, weights not counted. `latency` is None when it was not measured.
    """

    parameters: int
    front_end_parameters: int
    macs: int
    front_end_macs: int
    file_bytes: int
    memory_bytes: int
    latency: Seconds | None


def cost(
    model: nn.Module,
    example: Mapping[str, torch.Tensor],
    *,
    repeats: int = 0,
    warmup: int = 5,
    threads: int = 1,
) -> Cost:
    """Price of `model` (a transformers encoder or classifier) on the arguments `example`.

    Multiply-accumulates are counted by torch's own counter, half its floating-point operations,
    with attention spelled out. Latency is the median of `repeats` passes after `warmup` others, by
    `threads` threads; without repeats it is not measured.

    Raises
    ------
    StrataError
        `repeats`, `warmup` or `threads` is negative, or there is no thread.
    """
    macs, front_end_macs = count_macs(model, example)
    latency = None
    if repeats:
        latency = seconds_of(lambda: _forward(model, example), repeats, warmup, threads)
    return Cost(
        parameters=_parameters(model.parameters()),
        front_end_parameters=_front_end_parameters(model, example),
        macs=macs,
        front_end_macs=front_end_macs,
        file_bytes=_file_bytes(model),
        memory_bytes=_memory_bytes(model, example),
        latency=latency,
    )


def _parameters(parameters) -> int:
    return sum(p.numel() for p in parameters)


def _front_end_parameters(model: nn.Module, example: Mapping[str, torch.Tensor]) -> int:
    """Parameters of the encoder but for those of its layers and of modules that run after them."""
    watched = copy.deepcopy(model).eval()
    encoder, reached, before, after = encoder_of(watched), [], set(), []
    _watch_layers(watched, lambda: reached.append(True))
    for module in encoder.modules():
        module.register_forward_pre_hook(
            lambda module, inputs: after.append(module) if reached else before.add(id(module))
        )
    _forward(watched, example)
    parts = [part for part in after if id(part) not in before]
    others = {id(p) for part in (*parts, *find_layers(watched).values()) for p in part.parameters()}
    return _parameters(p for p in encoder.parameters() if id(p) not in others)


def count_macs(model: nn.Module, example: Mapping[str, torch.Tensor]) -> tuple[int, int]:
    """Multiply-accumulates of a pass, and of what comes before the first layer."""
    from torch.utils.flop_counter import FlopCounterMode

    spelled = copy.deepcopy(model).eval()
    spelled.set_attn_implementation("eager")
    reached: list[int] = []
    with FlopCounterMode(display=False) as counter:
        _watch_layers(spelled, lambda: reached.append(counter.get_total_flops()))
        _forward(spelled, example)
    return counter.get_total_flops() // 2, reached[0] // 2


def _watch_layers(model: nn.Module, reach: Callable[[], None]) -> None:
    """Let a pass of the model call `reach` when it comes to its layers, be there any or none."""
    layers = find_layers(model)
    if layers:
        next(iter(layers.values())).register_forward_pre_hook(lambda module, inputs: reach())
        return
    _, empty = layer_stack(model)

    class Watched(type(empty)):
        def __iter__(self):
            reach()
            return iter(())

    empty.__class__ = Watched


def _forward(model: nn.Module, example: Mapping[str, torch.Tensor]) -> None:
    import torch

    with torch.no_grad():
        model(**example)


def _file_bytes(model: nn.Module) -> int:
    with tempfile.TemporaryDirectory() as folder:
        model.save_pretrained(folder)
        return (Path(folder) / "model.safetensors").stat().st_size


def _memory_bytes(model: nn.Module, example: Mapping[str, torch.Tensor]) -> int:
    """The most that the tensors of a pass hold at a time, from the allocator's own record."""
    import torch
    from torch.profiler import ProfilerActivity, profile

    if any(value.is_cuda for value in example.values()):
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        _forward(model, example)
        return torch.cuda.max_memory_allocated() - before
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # it would write to the terminal
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as recorded:
        _forward(model, example)
    events = recorded.profiler.kineto_results.events()
    changes = [event.nbytes() for event in events if event.name() == "[memory]"]
    return int(np.cumsum(changes).max())


def seconds_of(action: Callable[[], None], repeats: int, warmup: int, threads: int) -> Seconds:
    """Median seconds of `action` over `repeats` runs after `warmup` others.

    Raises StrataError for counts that make no sense.
    """
    if repeats < 1 or warmup < 0 or threads < 1:
        raise StrataError(
            f"timing: repeats {repeats}, warmup {warmup}, threads {threads}; needs a repeat and a "
            "thread at least"
        )
    with _threads(threads):
        for _ in range(warmup):
            action()
        _settle()
        taken = []
        for _ in range(repeats):
            started = time.perf_counter()
            action()
            _settle()
            taken.append(time.perf_counter() - started)
    low, median, high = np.quantile(taken, [0.25, 0.5, 0.75])
    return Seconds(float(median), float(low), float(high))


def training_step(model: nn.Module, batch: Mapping[str, torch.Tensor]) -> Callable[[], None]:
    """An action: one step of training a classifier on `batch`, all of one class."""
    import torch

    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-6)
    n = len(next(iter(batch.values())))

    def step() -> None:
        logits = model(**batch).logits
        wanted = torch.zeros(n, dtype=torch.long, device=logits.device)
        torch.nn.functional.cross_entropy(logits, wanted).backward()
        optimizer.step()
        optimizer.zero_grad()

    return step


def _settle() -> None:
    """Wait for work that a GPU still has to do."""
    import torch

    if torch.cuda.is_available():
        torch.cuda.synchronize()


@contextmanager
def _threads(n: int) -> Iterator[None]:
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(n)
    try:
        yield
    finally:
        torch.set_num_threads(before)
