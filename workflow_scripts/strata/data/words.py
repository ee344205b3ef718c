"""Lists of words: concepts, their categories, and the factors that they name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from strata.data.user_tables import read_json, read_lines
from strata.errors import StrataError

_REST = ("unknown", "names", "abstract")  # categories that the paper leaves out of its figures


def read_concepts(path: str | Path) -> list[str]:
    """The concepts in a text file, one per line; blank lines are skipped.

    Raises
    ------
    StrataError
        The file is missing, has no concept, or has one twice.
    """
    path = Path(path)
    if not path.is_file():
        raise StrataError(f"{path}: no such concept list; it should hold one concept per line")
    lines: dict[str, int] = {}
    for number, concept in enumerate(read_lines(path), start=1):
        if concept in lines:
            raise StrataError(
                f"{path}: concept {concept!r} is in lines {lines[concept]} and {number}; keep one"
            )
        if concept:
            lines[concept] = number
    if not lines:
        raise StrataError(f"{path}: no concepts; it should hold one concept per line")
    return list(lines)


def read_categories(path: str | Path) -> dict[str, list[str]]:
    """Word lists `{category: [words]}` from a JSON file.

    Raises StrataError when the file is missing or has another form.
    """
    path = Path(path)
    if not path.is_file():
        raise StrataError(f"{path}: no such file of categories")
    content = read_json(path)
    lists = isinstance(content, dict) and all(isinstance(v, list) for v in content.values())
    if not lists or not content:
        raise StrataError(f"{path}: should read {{category: [words]}}")
    for category, words in content.items():
        if not all(isinstance(word, str) for word in words):
            raise StrataError(f"{path}: category {category!r} should hold words in quotes alone")
    return content


def shown_categories(categories: Mapping[str, Sequence[str]]) -> list[str]:
    """Categories that figures show: all but unknown, names and abstract, as in the paper."""
    return [name for name in categories if name not in _REST]
