"""A user's own folder as a data set, without code."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Mapping
from pathlib import Path

from strata.data.files import content_digest, index_dataset
from strata.data.listing import list_files
from strata.errors import StrataError

_LAYOUT = ("labels", "families", "family", "pattern", "lists", "skip", "segments")


def folder_state(root: str | Path) -> str:
    """A digest of the names, sizes and times of all files below `root`, hidden ones left out.

    It changes when a file is new, gone or changed, behind a link too; nothing is read. Empty for no
    such folder; where listing it fails, the job tells why.
    """
    if not os.path.isdir(root):
        return ""
    try:
        files = list_files(root).files
    except StrataError:
        return "cannot be listed"
    told = "\n".join(f"{path} {_size_and_time(os.path.join(root, path))}" for path in files)
    return hashlib.sha256(told.encode()).hexdigest()[:16] if files else ""


def _size_and_time(path: str) -> str:
    """Bytes and nanoseconds of a file; "gone" for a link that leads nowhere."""
    try:
        found = os.stat(path)
    except OSError:
        return "gone"
    return f"{found.st_size} {found.st_mtime_ns}"


def index_folder(
    spec: Mapping,
    directory: str | Path,
    *,
    base: str | Path = ".",
    seed: int = 0,
    log: Callable[[str], None] = print,
) -> None:
    """Index a `kind: folder` entry in `directory`; the files stay where they are.

    `spec` has `path` (relative to `base`), `modality`, and either `labels` (a table in that folder)
    or class folders, whose names become the column `family` (by default `class`), or another of the
    layouts of `strata.data.files.index_with_account`; and optionally `segments`, a table of
    labelled pieces of sounds, and `unreadable: skip` (`strata.data.files.index_dataset`).

    Raises
    ------
    StrataError
        As `strata.data.files.index_dataset`.
    """
    directory = Path(directory)
    root = (Path(base) / spec["path"]).resolve()
    near = not os.path.isabs(spec["path"])  # then both may move together
    info = {
        "name": directory.name,
        "kind": "folder",
        "modality": spec["modality"],
        "root": os.path.relpath(root, directory.resolve()) if near else str(root),
        "licence": spec.get("licence", "the user's own"),
        "source": str(spec["path"]),
        "storage": "files",
    }
    index_dataset(
        directory,
        root,
        {key: spec[key] for key in _LAYOUT if key in spec},
        info,
        lambda manifest: {"content": content_digest(root, manifest["path"])},
        modality=spec["modality"],
        splits=spec.get("splits"),
        seed=seed,
        unreadable=spec.get("unreadable", "stop"),
        log=log,
    )
