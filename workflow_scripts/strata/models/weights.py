"""Weights as repositories hold them, one file or many, made one `model.safetensors`."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

from strata.errors import StrataError, one_line

# The first of these that a repository has is taken; an index names the files of large models.
WEIGHTS = (
    "model.safetensors",
    "model.safetensors.index.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
)
_PICKLED = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle", ".h5", ".msgpack")
_POINTER = b"version https://git-lfs"


def weight_files(folder: Path) -> list[Path]:
    """The file of weights that is taken from a folder, and those that it names if it is an index;
    empty where there is none. Files that an index names and that are missing are left out."""
    first = next((folder / name for name in WEIGHTS if (folder / name).is_file()), None)
    if first is None:
        return []
    parts = [folder / name for name in shards_of(first)]
    return [first, *(part for part in parts if part.is_file())]


def shards_of(file: Path) -> dict[str, list[str]]:
    """Names of the weights in each file that an index names; empty for what is no index.

    Raises StrataError for an index that cannot be read or that names a file elsewhere.
    """
    if not file.name.endswith(".index.json"):
        return {}
    found: dict[str, list[str]] = {}
    try:
        for key, part in json.loads(file.read_text())["weight_map"].items():
            found.setdefault(str(part), []).append(key)
    except (ValueError, KeyError, AttributeError, TypeError, RecursionError):
        raise StrataError(
            f"{file.name} is no index: it should map weights to files under weight_map"
        ) from None
    for part in found:
        if Path(part).name != part:
            raise StrataError(f"{file.name} names {part!r}, which is not a file beside it")
    return found


def gather_weights(folder: Path, target: Path, name: str) -> None:
    """Put the weights in `folder` into the one file `target`, in the dtype they have.

    Pickled weights are read with `weights_only`.

    Raises
    ------
    StrataError
        There are none, a file that an index names is missing or damaged, or does not hold the
        weights that the index says.
    """
    files = weight_files(folder)
    if not files:
        other = sorted(path.name for path in folder.glob("*") if path.suffix in _PICKLED)
        told = f"{other[0]} may run code and is not opened: " if other else ""
        raise StrataError(
            f"{name}: it has no model.safetensors; {told}only safetensors are loaded; save the "
            "weights so"
        )
    first = files[0]
    if first.name == "model.safetensors":
        check_weights(first, name)
        shutil.copyfile(first, target)
        return
    from safetensors.torch import save_file

    pickled = first.name.startswith("pytorch_model")
    read = _unpickled if pickled else _safe
    weights: dict = {}
    try:
        for part, keys in (shards_of(first) or {first.name: None}).items():
            weights |= _read_part(folder / part, keys, read, weights)
    except StrataError as error:
        raise StrataError(f"{name}: {error}") from None
    # Pickled weights may share memory, which safetensors do not know of.
    kept = {key: value.clone().contiguous() if pickled else value for key, value in weights.items()}
    save_file(kept, target, metadata={"format": "pt"})


def check_weights(file: Path, name: str) -> None:
    """Raise a StrataError for a file that is no safetensors, or whose header lies about it."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(file, framework="np"):
            pass
    except SafetensorError as error:
        with file.open("rb") as opened:
            pointer = opened.read(len(_POINTER)) == _POINTER
        told = "is a pointer of Git LFS: run git lfs pull" if pointer else f"is damaged: {error}"
        raise StrataError(f"{name}: {file.name} {' '.join(told.split())[:160]}") from None


def _read_part(file: Path, keys: list[str] | None, read: Callable, others: dict) -> dict:
    if not file.is_file():
        raise StrataError(f"its index names {file.name}, which is not there")
    found = read(file)
    if keys is not None and set(found) != set(keys):
        odd = sorted(set(found) ^ set(keys))[0]
        told = "lacks" if odd in keys else "also holds"
        raise StrataError(f"{file.name} {told} {odd}, which its index says otherwise")
    twice = sorted(set(found) & set(others))
    if twice:
        raise StrataError(f"{file.name} holds {twice[0]}, which another file holds too")
    return found


def _safe(file: Path) -> dict:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(file)
    except SafetensorError as error:
        raise StrataError(f"{file.name} is damaged: {str(error)[:80]}") from None


def _unpickled(file: Path) -> dict:
    import torch

    try:
        found = torch.load(file, map_location="cpu", weights_only=True)
        if not isinstance(found, dict) or not all(map(torch.is_tensor, found.values())):
            raise ValueError("its content is not tensors by name")
        return found
    except Exception as error:  # on damaged content it raises whatever it likes
        raise StrataError(
            f"{file.name} is damaged or holds more than weights, and is not loaded: "
            f"{one_line(error, 80)}"
        ) from None
