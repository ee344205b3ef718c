"""Labelled pieces of sounds, from a user's table."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from strata.data.user_tables import Paths, read_numbers, read_table, without_empty
from strata.errors import StrataError

_ROUNDING = 0.1  # seconds by which an annotator's last piece may go beyond the end


def read_segments(
    root: str | Path,
    file: str,
    manifest: pd.DataFrame,
    skipped: Sequence[str] = (),
    log: Callable[[str], None] = print,
) -> tuple[pd.DataFrame, int]:
    """Labelled pieces of sounds (sample, start, end, a column per family) from a table with the
    columns path, start and end (seconds) and at least one of labels, missing where a cell is empty;
    and how many pieces were dropped because they are of `skipped` files.

    Raises StrataError for a table that is missing or lacks a column, a path that is no sample, a
    piece that ends before it starts, or one that lies outside of its sound.
    """
    table = Path(root) / file
    if not table.is_file():
        raise StrataError(f"{table}: no such table of segments")
    keys = ("path", "start", "end")
    pieces = read_table(table, keys, log)
    families = [column for column in pieces if column not in keys]
    if not families:
        raise StrataError(f"{table}: no column of labels; it should have path, start, end and more")
    if "sample" in families:
        raise StrataError(f"{table}: column 'sample' is Strata's own number of a row; rename it")
    if not len(pieces):
        raise StrataError(f"{table}: the table has no rows")
    paths = Paths(Path(root), [*manifest["path"], *skipped])
    pieces["path"] = [
        paths.find(path, f"{table}, line {line}") for line, path in pieces["path"].items()
    ]
    lost = pieces["path"].isin(set(skipped))
    if lost.any():
        log(f"{table}: {lost.sum()} pieces of files that cannot be read are dropped")
    pieces = pieces[~lost].copy()
    if not len(pieces):
        raise StrataError(f"{table}: no piece of a file that can be read")
    samples = dict(zip(manifest["path"], range(len(manifest)), strict=True))
    for key in ("start", "end"):
        pieces[key] = read_numbers(pieces, key, table)
    pieces.insert(0, "sample", pieces["path"].map(samples))
    ordered = (pieces["start"] >= 0) & (pieces["start"] < pieces["end"])
    wrong = np.flatnonzero(pieces["sample"].isna() | ~ordered)
    if len(wrong):
        raise StrataError(
            f"{table}, line {pieces.index[wrong[0]]}: {pieces['path'].iloc[wrong[0]]!r} should be "
            "a sample, and start before end"
        )
    pieces = without_empty(pieces, families, table)
    _check_ends(Path(root), pieces, table)
    pieces = pieces.astype({"sample": int, "start": float, "end": float})
    pieces = pieces.sort_values(["sample", "start"], kind="stable").reset_index(drop=True)
    return pieces[["sample", "start", "end", *families]], int(lost.sum())


def _check_ends(root: Path, pieces: pd.DataFrame, table: Path) -> None:
    """Pieces lie in their sounds: other units than seconds are told here."""
    import soundfile

    for path, rows in pieces.groupby("path", sort=False):
        length = soundfile.info(root / path).duration
        outside = (rows["start"] >= length) | (rows["end"] > length + _ROUNDING)
        if outside.any():
            line = rows.index[outside.argmax()]
            raise StrataError(
                f"{table}, line {line}: {path!r} has {length:.3f} seconds, and the piece ends at "
                f"{rows['end'].loc[line]:g}; times should be in seconds"
            )
