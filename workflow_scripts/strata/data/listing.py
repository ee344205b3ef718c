"""What lies in a folder: which files are samples, and what is left out and told."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from strata.data.user_tables import unseen_character
from strata.errors import StrataError

# What systems and programs leave behind, without a leading dot; compared in lower case.
_LEFTOVERS = {"thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r", "__macosx", "@eadir"}
_LEFTOVERS |= {"$recycle.bin", "system volume information", "lost+found"}


@dataclass(frozen=True)
class Listing:
    """Files below a folder: their sorted paths, and how many folders links led to once more."""

    files: tuple[str, ...]
    met_again: int = 0


def is_hidden(name: str) -> bool:
    """Whether a file or folder of this name is no part of anybody's data: hidden files, and what
    macOS, Windows and file servers leave behind (`._x.jpg`, `__MACOSX`, `Thumbs.db`)."""
    return name.startswith(".") or name.lower() in _LEFTOVERS


def list_files(root: str | Path) -> Listing:
    """All files below `root` but hidden ones; links are followed, and no folder is read twice.

    A folder that is there in its own right is listed under its own name, one that only links lead
    to under the shortest of them. A link that leads nowhere is a file that cannot be read.

    Raises
    ------
    StrataError
        A folder may not be read, or a file's name is not UTF-8, or has a line break or another
        character that is not seen.
    """
    root = str(root)
    files: list[str] = []
    seen = {os.path.realpath(root)}
    waiting, links, again = [root], [], 0
    while waiting or links:
        folder = waiting.pop() if waiting else links.pop(0)
        if os.path.islink(folder) and folder != root:
            place = os.path.realpath(folder)
            if place in seen:
                again += 1
                continue
            seen.add(place)
        for entry in _entries(folder):
            if is_hidden(entry.name):
                continue
            if entry.is_dir():
                if entry.is_symlink():
                    links.append(entry.path)
                else:
                    place = os.path.realpath(entry.path)
                    if place in seen:
                        again += 1
                        continue
                    seen.add(place)
                    waiting.append(entry.path)
            elif entry.is_file() or entry.is_symlink():
                files.append(os.path.relpath(entry.path, root))
        links.sort(key=lambda link: (link.count(os.sep), link))  # the shortest name is the folder's
    return Listing(tuple(sorted(map(_checked_name, files))), again)


def _entries(folder: str) -> list[os.DirEntry]:
    try:
        with os.scandir(folder) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except OSError as error:
        raise StrataError(f"{folder}: cannot be listed ({error.strerror})") from None


def _checked_name(path: str) -> str:
    try:
        path.encode("utf-8")
    except UnicodeEncodeError:
        shown = os.fsencode(path).decode("utf-8", errors="backslashreplace")
        raise StrataError(f"{shown}: the file's name is not UTF-8; rename it") from None
    if unseen_character(path) or any(each in path for each in "\n\r\t"):
        # It would be part of a label, or of a line of a report.
        raise StrataError(f"{path!r}: the file's name has a character that is not seen; rename it")
    return path


def left_out(
    listing: Listing, taken: Iterable[str], known: Iterable[str], wanted: Mapping[str, str]
) -> dict[str, int]:
    """Files of a listing that are neither samples (`taken`) nor the data set's own tables
    (`known`), counted by reason.

    `wanted` gives for each suffix of the modality why a file that has it was not taken; all others
    are counted by their type.
    """
    others = sorted(set(listing.files) - set(taken) - set(known))
    counts: Counter[str] = Counter()
    for path in others:
        suffix = os.path.splitext(path)[1].lower()
        counts[wanted.get(suffix) or f"of type {suffix or 'without suffix'}"] += 1
    if listing.met_again:
        counts["folders met again through a link"] = listing.met_again
    return dict(counts)


def in_words(counts: Mapping[str, int]) -> str:
    """Counts in words: "3 not in labels.csv, 2 of type .heic"."""
    return ", ".join(f"{count} {reason}" for reason, count in counts.items())
