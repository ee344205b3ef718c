"""A user's own folder as a data set, without code."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from strata.data.files import index_files, read_segments
from strata.data.manifest import write_dataset

_LAYOUT = ("labels", "families", "family", "pattern", "lists", "skip")


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
    }
    segments = read_segments(root, spec["segments"], manifest) if "segments" in spec else None
    write_dataset(directory, manifest, info, segments)
