"""Every file of a data set read once, so that what cannot be read is known at the start."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from strata.data import pictures, sounds
from strata.data.user_tables import is_there
from strata.errors import StrataError

READERS = 4  # threads; pictures and sounds are decoded outside of Python's lock
SUFFIXES = {"image": pictures.SUFFIXES, "audio": sounds.SUFFIXES}
_SHOWN = 3  # files that a message names; the others are in the report


@dataclass(frozen=True)
class Read:
    """What reading has shown: why files cannot be read, and what was done to how many others."""

    reasons: dict[str, str] = field(default_factory=dict)
    notes: dict[str, int] = field(default_factory=dict)


def read_all(root: Path, paths: Sequence[str], modality: str) -> Read:
    """Read the files at `paths` below `root` as pictures or sounds, as every later stage does."""
    look = {"image": _look, "audio": _listen}[modality]
    with ThreadPoolExecutor(READERS) as readers:
        found = list(readers.map(lambda path: _tried(look, root / path), paths))
    reasons = {path: one for path, one in zip(paths, found, strict=True) if isinstance(one, str)}
    counts = Counter(note for one in found if not isinstance(one, str) for note in one)
    return Read(reasons, dict(sorted(counts.items())))


def _tried(look: Callable[[Path], list[str]], path: Path) -> str | list[str]:
    """Why a file cannot be read; else the notes on how it was."""
    if not is_there(path):
        return "file is missing; its label is listed"
    try:
        return look(path)
    except StrataError as error:
        reason = str(error).removeprefix(f"{path}: ").removesuffix("; replace or remove it")
        return f"cannot be read ({reason})"


def _look(path: Path) -> list[str]:
    return pictures.read_picture(path)[1]


def _listen(path: Path) -> list[str]:
    return sounds.read_recording(path)[2]


def write_report(report: Path, reasons: dict[str, str]) -> None:
    """Write path and reason of every unreadable file as CSV, or remove a report of old."""
    if not reasons:
        report.unlink(missing_ok=True)
        return
    report.parent.mkdir(parents=True, exist_ok=True)
    with report.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("path", "reason"), *reasons.items()])


def unreadable_error(
    root: Path, reasons: dict[str, str], report: Path | None, all_lost: bool = False
) -> StrataError:
    """One line that names the first unreadable files, where all are listed, and the way out."""
    first = "; ".join(f"{root / path}: {reasons[path]}" for path in list(reasons)[:_SHOWN])
    more = f"; and {len(reasons) - _SHOWN} more" if len(reasons) > _SHOWN else ""
    listed = f"; all {len(reasons)} are listed in {report}" if report and len(reasons) > 1 else ""
    if all_lost:
        return StrataError(f"{first}{more}{listed}; no file is left to read")
    them = "it" if len(reasons) == 1 else "them"
    return StrataError(
        f"{first}{more}{listed}; replace or remove {them}, or leave {them} out by unreadable: skip"
    )
