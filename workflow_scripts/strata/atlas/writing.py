"""Files that a page opened from a disk can read: scripts that hand over one value each."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from strata.whole import whole

PAGE = Path(__file__).with_name("page")
DIGITS = 4  # significant ones; a browser shows three


def write_data(path: str | Path, name: str, value: Any) -> None:
    """Write `value` as a script that calls `strata.take(name, value)`, complete or not at all.

    A browser lets a page from a disk load scripts, but no JSON. NaN becomes null.
    """
    text = json.dumps(value, ensure_ascii=True, separators=(",", ":"), allow_nan=False)
    with whole(path) as part:
        part.write_text(f"strata.take({json.dumps(name)},{text});\n")


def copy_page(folder: str | Path) -> None:
    """Copy the page itself, which is the same for all studies."""
    Path(folder).mkdir(parents=True, exist_ok=True)
    for file in sorted(PAGE.iterdir()):
        shutil.copyfile(file, Path(folder) / file.name)


def short(values: Sequence[float], digits: int = DIGITS) -> list[float | None]:
    """Numbers with so many significant digits; None for what is missing or not finite."""
    return [_short(value, digits) for value in values]


def _short(value: float | None, digits: int) -> float | None:
    if value is None or not math.isfinite(value):
        return None
    rounded = float(f"{value:.{digits}g}")
    return int(rounded) if rounded.is_integer() and abs(rounded) < 1e15 else rounded
