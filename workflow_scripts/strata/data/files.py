"""Labels of pictures and sounds that lie in folders."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from strata.data.layouts import OWN, labelled_files, with_split
from strata.data.listing import in_words
from strata.data.manifest import write_dataset
from strata.data.reading import READERS, read_all, unreadable_error, write_report
from strata.data.segments import read_segments
from strata.data.user_tables import in_one_form


@dataclass(frozen=True)
class Index:
    """A manifest, and the account that goes to `dataset.json`.

    `left_out`: how many files are no samples, by reason; `read`: what was done to how many
    pictures or sounds; `unreadable`: a record of every file that was skipped, with path, reason,
    labels and row (the one that it would have had).
    """

    manifest: pd.DataFrame
    left_out: dict[str, int]
    read: dict[str, int]
    unreadable: list[dict]


def index_files(root: str | Path, layout: Mapping, **options) -> pd.DataFrame:
    """The manifest alone of `index_with_account`, which has the same parameters."""
    return index_with_account(root, layout, **options).manifest


def index_with_account(
    root: str | Path,
    layout: Mapping,
    *,
    modality: str,
    splits: Mapping[str, float] | None = None,
    seed: int = 0,
    name: str = "data set",
    unreadable: str = "stop",
    report: Path | None = None,
    log: Callable[[str], None] = print,
) -> Index:
    """Manifest (path, split, a column per concept family) of the files under `root`, and an
    account of what was left out and why.

    Parameters
    ----------
    layout
        Where labels and splits come from (`strata.data.layouts`).
    splits
        Share of each split, drawn within each class of the first family; without it, all samples
        are in the split "all" unless the table says otherwise.
    unreadable
        "stop", or "skip": files that are missing or cannot be read are left out as if they were
        not there.
    report
        Where all of them are listed, with reasons, if there are any (CSV).

    Raises
    ------
    StrataError
        A folder, a file or files are missing or unreadable, there is no class with files, a column
        is not there or cannot be a family.
    """
    root = Path(root)
    found = labelled_files(root, layout, modality, name, log)
    families = [column for column in found.manifest if column not in OWN]
    labels = {family: in_one_form(found.manifest[family]) for family in families}
    manifest = found.manifest.assign(**labels)

    def split(rows: pd.DataFrame) -> pd.DataFrame:
        return with_split(root, rows, layout, splits, seed, name)

    result = split(manifest)  # what is wrong with splits is told before the files are read
    read = read_all(root, manifest["path"].tolist(), modality)
    if report is not None:
        write_report(report, read.reasons)
    if read.reasons and (unreadable != "skip" or len(read.reasons) == len(manifest)):
        raise unreadable_error(root, read.reasons, report, all_lost=unreadable == "skip")
    if read.reasons:
        there = ~manifest["path"].isin(read.reasons)
        result = split(manifest[there].reset_index(drop=True))
    index = Index(result, found.left_out, read.notes, _skipped(manifest, read.reasons))
    _log_account(name, index, found.empty, log)
    return index


def _skipped(manifest: pd.DataFrame, reasons: Mapping[str, str]) -> list[dict]:
    """Records of the files that cannot be read, in order."""
    labels = manifest.drop(columns=["path", "split"], errors="ignore").astype(object)
    labels = labels.where(labels.notna(), None)
    return [
        {"path": path, "reason": reasons[path], "row": row, "labels": labels.iloc[row].to_dict()}
        for row, path in enumerate(manifest["path"])
        if path in reasons
    ]


def _log_account(name: str, index: Index, empty: Sequence[str], log: Callable) -> None:
    """One line on what an index holds and what it does not."""
    parts = [f"{len(index.manifest)} samples"]
    if index.left_out:
        parts.append(f"left out: {in_words(index.left_out)}")
    if empty:
        parts.append(f"class folders without files: {', '.join(empty)}")
    if index.unreadable:
        parts.append(f"cannot be read and skipped: {len(index.unreadable)}")
    if index.read:
        parts.append(f"as read: {in_words(index.read)}")
    log(f"{name}: {'; '.join(parts)}")


def index_dataset(
    directory: Path,
    root: Path,
    layout: Mapping,
    info: Mapping,
    more: Callable[[pd.DataFrame], dict] = lambda manifest: {},
    **options,
) -> None:
    """Write a data set of the files under `root`, with labelled pieces where the layout names a
    table of `"segments"`.

    `info` goes to `dataset.json`, with what `more` tells of the manifest, what was left out, and
    files that cannot be read: stopping, they are all listed in `unreadable.csv` in `directory`;
    skipped, in `dataset.json` too, with their labels. Options are those of `index_with_account`.
    """
    log = options.get("log", print)
    report = directory / "unreadable.csv"
    index = index_with_account(root, layout, name=directory.name, report=report, **options)
    account = {"left_out": index.left_out, "read": index.read, "unreadable": index.unreadable}
    segments = None
    if "segments" in layout:
        skipped = [record["path"] for record in index.unreadable]
        segments, dropped = read_segments(root, layout["segments"], index.manifest, skipped, log)
        account["dropped_segments"] = dropped
    info = {**info, **more(index.manifest), **account}
    write_dataset(directory, index.manifest, info, segments)


def content_digest(root: str | Path, paths: Sequence[str]) -> str:
    """A digest of the files at `paths` below `root`, by name and content."""
    found, root = hashlib.sha256(), Path(root)
    with ThreadPoolExecutor(READERS) as readers:
        for path, digest in zip(
            paths, readers.map(lambda p: sha256_of(root / p), paths), strict=True
        ):
            found.update(f"{path}={digest}\n".encode())
    return found.hexdigest()


def sha256_of(path: Path) -> str:
    """SHA-256 of a file's content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
