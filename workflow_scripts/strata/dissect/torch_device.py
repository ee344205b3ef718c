"""Where a dissection computes, found without importing torch unless it is to be used."""

from __future__ import annotations

from pathlib import Path

from strata.errors import StrataError

DEVICES = ("cpu", "cuda", "auto")


def pick_torch_device(device: str, backend: str | None = None) -> str:
    """Torch's device for `device`, or "" for numpy and numba on the CPU.

    "auto" is CUDA where there is a GPU and torch finds it. `backend` "torch" takes torch on the
    CPU as well, which tests what runs on a GPU.

    Raises StrataError for an unknown device, and for CUDA without torch or without a GPU.
    """
    if device not in DEVICES:
        raise StrataError(f"device {device!r} is unknown: choose from {DEVICES}")
    if device == "auto" and not Path("/dev/nvidiactl").exists():
        device = "cpu"
    if device == "cpu":
        return "cpu" if backend == "torch" else ""
    try:
        import torch
    except ImportError:
        if device == "auto":
            return ""
        raise StrataError("device: cuda needs torch, which is not installed; use cpu") from None
    if torch.cuda.is_available():
        return "cuda"
    if device == "auto":
        return ""
    raise StrataError("device: cuda, but torch finds no CUDA device here; use auto or cpu")
