"""Samples through a network in batches: loaded one batch ahead, halved when memory runs out."""

from __future__ import annotations

import fcntl
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from strata.errors import StrataError

if TYPE_CHECKING:
    import torch

    from strata.data.manifest import Dataset

    Batch = torch.Tensor | list[torch.Tensor]

_AUTO_BATCH = {"cpu": 64, "cuda": 256}
_SECONDS_BETWEEN_REPORTS = 20
_SECONDS_BETWEEN_LOOKS = 2
DEVICES = ("auto", "cpu", "cuda")
PRECISIONS = ("float32", "bfloat16")


def pick_device(device: str = "auto") -> str:
    """The torch device for "auto" (CUDA where there is one), "cpu" or "cuda".

    With CUDA this process has a GPU for itself from now on (`claim`), which is torch's current one.
    Torch is loaded only where there may be a GPU.

    Raises StrataError for another name, and for "cuda" without torch or without a GPU.
    """
    if device not in DEVICES:
        raise StrataError(f"device: {device!r} is unknown; use {', '.join(DEVICES)}")
    if device == "cpu" or (device == "auto" and not (has_gpu() and find_spec("torch"))):
        return "cpu"
    if find_spec("torch") is None:
        raise StrataError("device: cuda needs torch, which is not installed here; use auto or cpu")
    import torch

    if not torch.cuda.is_available():
        if device == "auto":
            return "cpu"
        raise StrataError("device: cuda, but torch finds no CUDA device here; use auto or cpu")
    torch.cuda.set_device(_own_gpu())
    return "cuda"


def has_gpu() -> bool:
    """Whether this machine has NVIDIA's driver (Linux's, or that of WSL), without loading torch."""
    return any(Path(device).exists() for device in ("/dev/nvidiactl", "/dev/dxg"))


@cache
def _own_gpu() -> int:
    import torch

    count = torch.cuda.device_count()
    names = [str(torch.cuda.get_device_properties(number).uuid) for number in range(count)]
    return claim(names, Path(tempfile.gettempdir()) / f"strata-gpus-{os.getuid()}")


def claim(names: Sequence[str], directory: Path, log: Callable[[str], None] = print) -> int:
    """Number of the first of `names` that no other process has claimed; waits for one if need be.

    A claim is a lock on a file in `directory`, which the system drops when the process ends.
    """
    directory.mkdir(parents=True, exist_ok=True)
    files = [(directory / f"{name}.lock").open("w") for name in names]
    waiting = False
    while True:
        for number, file in enumerate(files):
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            _CLAIMS.append(file)
            return number
        if not waiting:
            log(f"all of {len(names)} GPUs are taken by other jobs; waiting for one")
        waiting = True
        time.sleep(_SECONDS_BETWEEN_LOOKS)


_CLAIMS: list = []  # open as long as the process lives


def mixed(device: str, precision: str = "float32") -> AbstractContextManager:
    """Where a network computes matrix products in `precision`; "float32" changes nothing.

    "bfloat16" is torch's automatic mixed precision: weights and sums stay in float32.
    """
    import torch

    if precision not in PRECISIONS:
        raise StrataError(f"precision: {precision!r} is unknown; use {' or '.join(PRECISIONS)}")
    if precision == "float32":
        return nullcontext()
    return torch.autocast(device, dtype=torch.bfloat16)


def pick_batch_size(batch_size: int | str, device: str) -> int:
    """Samples per forward pass; "auto" starts from what suits the device."""
    if batch_size == "auto":
        return _AUTO_BATCH.get(device, _AUTO_BATCH["cpu"])
    return int(batch_size)


def run_batches(
    dataset: Dataset,
    samples: Sequence[int],
    preprocess: Callable[[list], Batch],
    compute: Callable[[Batch], list[np.ndarray]],
    *,
    device: str,
    read: Callable[[int], Any] | None = None,
    batch_size: int | str = "auto",
    log: Callable[[str], None] = print,
) -> Iterator[list[np.ndarray]]:
    """`compute(batch)` of all samples in order, a list of arrays (batch, ...) at a time.

    `read` gets a sample, by default its picture; `preprocess` makes a tensor of pictures, or a list
    of tensors of sounds. The next batch is read and preprocessed while the present one is computed.
    A batch that does not fit into the device's memory is halved, and so are those behind it.
    """
    size, done = pick_batch_size(batch_size, device), 0
    progress = _Progress(len(samples), log)
    read = read or dataset.image

    def load(start: int) -> Batch:
        return preprocess([read(int(i)) for i in samples[start : start + size]])

    with ThreadPoolExecutor(max_workers=1) as reader:
        ahead = reader.submit(load, 0)
        while done < len(samples):
            batch = ahead.result()
            following = done + len(batch)
            if following < len(samples):
                ahead = reader.submit(load, following)
            for part, fitting in _halving(batch, compute, device):
                size = min(size, fitting) if fitting < len(batch) else size
                yield part
            done = following
            progress.report(done)


def _halving(
    batch: Batch, compute: Callable, device: str
) -> Iterator[tuple[list[np.ndarray], int]]:
    """Results of a batch, in as few pieces as memory allows, with the size that fitted."""
    import torch

    fitting, start = len(batch), 0
    while start < len(batch):
        try:
            part = compute(_moved(batch[start : start + fitting], device))
        except torch.OutOfMemoryError:
            if fitting == 1:
                raise StrataError(
                    f"one sample does not fit into the memory of {device}; use device: cpu"
                ) from None
            fitting = max(1, fitting // 2)
            torch.cuda.empty_cache()
            continue
        yield part, fitting
        start += fitting


def _moved(batch: Batch, device: str) -> Batch:
    if isinstance(batch, list):
        return [part.to(device) for part in batch]
    return batch.to(device)


class _Progress:
    """A line every now and then, and one at the end."""

    def __init__(self, total: int, log: Callable[[str], None]):
        self.total, self.log = total, log
        self.started = self.reported = time.monotonic()

    def report(self, done: int) -> None:
        now = time.monotonic()
        if done == self.total or now - self.reported > _SECONDS_BETWEEN_REPORTS:
            self.reported = now
            rate = done / max(now - self.started, 1e-9)
            self.log(f"{done}/{self.total} samples, {rate:.0f} per second")
