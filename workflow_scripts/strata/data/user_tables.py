"""Tables and texts that people wrote, as they come: from Excel, Windows, a Mac or a script.

All cells are text: '01', 'NA' and 'null' are what they say. Cells and names of columns lose the
spaces around them and are in Unicode's composed form (NFC), as are all labels.
"""

from __future__ import annotations

import csv
import io
import json
import posixpath
import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from strata.errors import StrataError, one_line

_SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
_WORKBOOKS = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")
# Characters that nobody sees: two labels that differ in one look alike, and LaTeX stops at most.
_UNSEEN = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u200b\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ufffe\uffff"
    "\ud800-\udfff]"
)
_MARKS = {b"\xef\xbb\xbf": "utf-8-sig", b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}


def _quiet(line: str) -> None:
    pass


def read_text(path: str | Path, log: Callable[[str], None] = _quiet) -> str:
    """A text file in UTF-8, UTF-16, or else Windows-1252 (which is told), in composed form.

    Raises
    ------
    StrataError
        The file is a workbook, no text in any of these, or has a control character in it; or it
        cannot be opened.
    """
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise StrataError(f"{path}: cannot be read ({error.strerror})") from None
    if content.startswith(_WORKBOOKS):
        raise StrataError(f"{path}: is a workbook; save the table as CSV in UTF-8")
    encoding = next((name for mark, name in _MARKS.items() if content.startswith(mark)), "")
    if not encoding and b"\0" in content:
        encoding = {0: "utf-16-be", 1: "utf-16-le"}.get(content[:2].find(0), "utf-8")
    try:
        text = content.decode(encoding or "utf-8")
    except UnicodeDecodeError:
        try:
            text = content.decode("cp1252")
        except UnicodeDecodeError:
            text = "\0"
        log(f"{path}: not in UTF-8, read as Windows-1252")
    if "\0" in text:
        raise StrataError(f"{path}: no text in UTF-8, UTF-16 or Windows-1252; save it as UTF-8")
    unseen = _UNSEEN.search(text)
    if unseen:
        line = 1 + len(re.findall(r"\r\n|\r|\n", text[: unseen.start()]))
        raise StrataError(f"{path}, line {line}: {_told(unseen.group())}")
    return unicodedata.normalize("NFC", text)


def unseen_character(text: str) -> str:
    """What is wrong with text that has a control character or another that nobody sees; else ''."""
    unseen = _UNSEEN.search(text)
    return _told(unseen.group()) if unseen else ""


def _told(character: str) -> str:
    return f"holds U+{ord(character):04X}, a character that is not seen; remove it"


def read_json(path: str | Path, log: Callable[[str], None] = _quiet) -> Any:
    """Content of a JSON text (`read_text`).

    Raises
    ------
    StrataError
        It is no text or no JSON, has a key twice in one place, NaN or infinity for a number, or
        text with a control character.
    """
    text = read_text(path, log)
    try:
        content = json.loads(text, object_pairs_hook=_once, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        raise StrataError(f"{path}: not JSON: {one_line(error)}") from None
    waiting = [content]
    while waiting:
        part = waiting.pop()
        if isinstance(part, dict):
            waiting += [*part, *part.values()]
        elif isinstance(part, list):
            waiting += part
        elif isinstance(part, str) and unseen_character(part):
            raise StrataError(f"{path}: {part!r} {unseen_character(part)}")
    return content


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object none of whose keys takes the place of another."""
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"key {twice!r} is there twice")
    return found


def _no_number(name: str) -> float:
    raise ValueError(f"{name} is no number")


def read_lines(path: str | Path, log: Callable[[str], None] = _quiet) -> list[str]:
    """Lines of a text file without the spaces around them; empty ones are ''."""
    text = read_text(path, log).replace("\r\n", "\n").replace("\r", "\n")
    return [line.strip() for line in text.removesuffix("\n").split("\n")]


def read_table(
    path: str | Path, needed: Sequence[str] = (), log: Callable[[str], None] = _quiet
) -> pd.DataFrame:
    """A table of text with the columns of its first line; its index is each row's line.

    Columns are separated by commas, semicolons, tabs or bars: by what gives the `needed` columns.
    Quotes may hold separators and new lines. Empty lines, a column without a name (the row numbers
    that pandas writes, which is told) and what is missing at the end of a line are passed over.

    Raises
    ------
    StrataError
        The file is empty or no text, a needed column is missing, a column is there twice, a line
        has more values than there are columns, a quote does not end, or `sep=` names another
        separator.
    """
    text, separator = _opened(path, needed, log)
    records = _records(path, text, separator)
    _, header = next(records)
    repeated = [name for name in header if name and header.count(name) > 1]
    if repeated:
        raise StrataError(f"{path}: column {repeated[0]!r} is there twice; rename one")
    lines, rows = [], []
    for line, cells in records:
        if any(cells[len(header) :]):
            raise StrataError(
                f"{path}, line {line}: {len(cells)} values for {len(header)} columns; a value with "
                f"{_SEPARATORS[separator]} in it needs quotes"
            )
        lines.append(line)
        rows.append(cells[: len(header)] + [""] * (len(header) - len(cells)))
    table = pd.DataFrame(rows, columns=header, index=pd.Index(lines, dtype="int64"), dtype="str")
    if "" in header:
        log(f"{path}: a column without a name is left out")
        table = table.loc[:, [name != "" for name in header]]
    return table


def read_header(path: str | Path, needed: Sequence[str] = ()) -> list[str]:
    """Names of the columns of a table (`read_table`)."""
    text, separator = _opened(path, needed, _quiet)
    return [name for name in next(_records(path, text, separator))[1] if name]


def _opened(path: str | Path, needed: Sequence[str], log: Callable) -> tuple[str, str]:
    """Content and separator of a table, which has the needed columns."""
    text = read_text(path, log)
    declared = re.match(r"sep=(.)\r?\n", text)  # Excel's own way of telling
    text = text[declared.end() :] if declared else text
    if not text.strip():
        raise StrataError(f"{path}: the table is empty; its first line should name the columns")
    if declared and declared.group(1) not in _SEPARATORS:
        raise StrataError(
            f"{path}: sep={declared.group(1)} is no separator that is read; "
            f"use {', '.join(_SEPARATORS.values())}"
        )
    found = {}
    for separator in [declared.group(1)] if declared else _SEPARATORS:
        try:
            found[separator] = next(_records(path, text, separator), (0, []))[1]
        except StrataError:
            continue  # a quote that means something with another separator
    if not found:
        raise StrataError(f"{path}: the first line should name the columns; a quote does not end")
    if not any(found.values()):
        raise StrataError(f"{path}: the table is empty; its first line should name the columns")
    best = max(found, key=lambda each: (_count(needed, found[each]), len(found[each])))
    missing = [column for column in needed if column not in found[best]]
    if missing:
        has = ", ".join(filter(None, found[best]))
        raise StrataError(f"{path}: no column {missing[0]!r}; it has {has}")
    if best != ",":
        log(f"{path}: columns are separated by {_SEPARATORS.get(best, best)}")
    return text, best


def _count(needed: Sequence[str], header: Sequence[str]) -> int:
    return sum(column in header for column in needed)


def _records(path: str | Path, text: str, separator: str):
    """(line, cells without spaces around them) of every row that is not empty."""
    file = io.StringIO(text, newline="")
    reader = csv.reader(file, delimiter=separator, skipinitialspace=True, strict=True)
    while True:
        line = reader.line_num + 1
        try:
            cells = [cell.strip() for cell in next(reader)]
        except StopIteration:
            return
        except csv.Error as error:
            reason = str(error).replace("unexpected end of data", "a quote does not end")
            raise StrataError(f"{path}, line {line}: not a row of a table ({reason})") from None
        if any(cells):
            yield line, cells


def read_numbers(table: pd.DataFrame, column: str, path: str | Path) -> pd.Series:
    """A column of `read_table` as float64; a decimal comma is one.

    Raises StrataError for what is no finite number, with its line.
    """
    text = table[column].str.replace(",", ".", regex=False)
    numbers = pd.to_numeric(text, errors="coerce").astype("float64")
    wrong = numbers.isna() | numbers.abs().eq(float("inf"))
    if wrong.any():
        line = table.index[wrong.argmax()]
        value = table[column].loc[line]
        raise StrataError(f"{path}, line {line}: {column} should be a number, not {value!r}")
    return numbers


def check_filled(table: pd.DataFrame, columns: Sequence[str], path: str | Path) -> None:
    """Raise a StrataError that names the first line of a column of `read_table` that is empty."""
    for column in columns:
        empty = table[column] == ""
        if empty.any():
            line = table.index[empty.argmax()]
            raise StrataError(f"{path}, line {line}: column {column!r} is empty")


def without_empty(table: pd.DataFrame, columns: Sequence[str], path: str | Path) -> pd.DataFrame:
    """The table with the empty cells of these columns of labels missing: a column does not apply
    there. Raises StrataError for a column without any label."""
    table = table.assign(**{column: table[column].mask(table[column] == "") for column in columns})
    for column in columns:
        if table[column].isna().all():
            raise StrataError(f"{path}: column {column!r} is empty; fill it, or leave it out")
    return table


class Paths:
    """Files below a folder, found by the paths that people write.

    Found are `./a.png`, `a//b.png` and `a\\b.png`; an absolute path of the folder; and where only
    one file can be meant, one that differs in upper and lower case or in the form of its accents
    (a Mac decomposes them).
    """

    def __init__(self, root: Path, files: Iterable[str]):
        self.root = root
        self.respelled = 0
        self._files = set(files)
        self._alike: dict[str, list[str]] = defaultdict(list)
        for file in sorted(self._files):
            self._alike[_key(file)].append(file)

    def find(self, text: str, where: str) -> str:
        """The path below the folder of a file that is written as `text` at `where`.

        What is not there is returned in tidy form. Raises StrataError for a path that leaves the
        folder, or that may be two files.
        """
        if text in self._files:
            return text
        tidy = self._inside(text, where)
        if tidy in self._files or is_there(self.root / tidy):
            return tidy
        alike = self._alike.get(_key(tidy), [])
        if len(alike) > 1:
            raise StrataError(f"{where}: {text!r} may be {alike[0]!r} or {alike[1]!r}")
        if not alike:
            return tidy
        self.respelled += 1
        return alike[0]

    def _inside(self, text: str, where: str) -> str:
        slashes = text.replace("\\", "/")
        if slashes.startswith("/"):
            for root in (self.root, self.root.resolve()):
                if Path(slashes).is_relative_to(root):
                    slashes = Path(slashes).relative_to(root).as_posix()
        tidy = posixpath.normpath(slashes)
        if tidy.startswith(("/", "../")) or tidy in ("..", ".") or re.match(r"[A-Za-z]:/", tidy):
            raise StrataError(f"{where}: path {text!r} should be of a file below {self.root}")
        return tidy


def is_there(path: Path) -> bool:
    """Whether a path, as people write it, is of a file; not where it can be of none (too long)."""
    try:
        return path.is_file()
    except OSError:
        return False


def _key(path: str) -> str:
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", path).casefold())


def in_one_form(labels: pd.Series) -> pd.Series:
    """Labels as text in composed form, so that the same word is the same label; missing ones stay
    so."""
    return labels.astype("str").str.normalize("NFC").astype("str")
