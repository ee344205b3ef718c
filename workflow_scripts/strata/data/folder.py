"""A user's own folder as a data set, without code."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from strata.data.files import content_digest, index_files, read_segments
from strata.data.manifest import write_dataset

_LAYOUT = ("labels", "families", "family", "pattern", "lists", "skip")


def folder_state(root: str | Path) -> str:
    """A digest of the names, sizes and times of all files below `root`, hidden ones left out.

    It changes when a file is new, gone or changed; nothing is read. Empty for no such folder.
    """
    files = sorted(_files(str(root), set()))
    told = "\n".join(f"{os.path.relpath(path, root)} {size} {time}" for path, size, time in files)
    return hashlib.sha256(told.encode()).hexdigest()[:16] if files else ""


def _files(folder: str, seen: set[str]) -> Iterator[tuple[str, int, int]]:
    """(path, bytes, nanoseconds) of the files below a folder; links are followed, in no circle."""
    place = os.path.realpath(folder)
    if not os.path.isdir(folder) or place in seen:
        return
    seen.add(place)
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith("."):
                continue
            if entry.is_dir():
                yield from _files(entry.path, seen)
            elif entry.is_file():
                found = entry.stat()
                yield entry.path, found.st_size, found.st_mtime_ns


def index_folder(
    spec: Mapping, directory: str | Path, *, base: str | Path = ".", seed: int = 0
) -> None:
    """Index a `kind: folder` entry in `directory`; the files stay where they are.

    `spec` has `path` (relative to `base`), `modality`, and either `labels` (a CSV in that folder)
    or class folders, whose names become the column `family` (by default `class`), or another of the
    layouts of `strata.data.files.index_files`; and optionally `segments`, a table of labelled
    pieces of sounds (`strata.data.files.read_segments`).

    Raises
    ------
    StrataError
        As `strata.data.files.index_files`.
    """
    directory = Path(directory)
    root = (Path(base) / spec["path"]).resolve()
    layout = {key: spec[key] for key in _LAYOUT if key in spec}
    manifest = index_files(
        root,
        layout,
        modality=spec["modality"],
        splits=spec.get("splits"),
        seed=seed,
        name=directory.name,
    )
    info = {
        "name": directory.name,
        "kind": "folder",
        "modality": spec["modality"],
        "root": str(root),
        "licence": spec.get("licence", "the user's own"),
        "source": str(root),
        "storage": "files",
        "content": content_digest(root, manifest["path"]),
    }
    segments = read_segments(root, spec["segments"], manifest) if "segments" in spec else None
    write_dataset(directory, manifest, info, segments)
