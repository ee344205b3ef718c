"""Values and tables in LaTeX's spelling."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

import numpy as np

from strata.errors import StrataError

_DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


_SPECIAL = re.compile(r"[&%$#_{}\\~^]")


_SPELLED = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}


def macro_name(*parts: str) -> str:
    """A LaTeX macro's name from words: ("vit_cub", "count first") gives VitCubCountFirst."""
    words = re.findall(r"[A-Za-z]+|\d", " ".join(parts))
    return "".join(_DIGITS[int(w)].title() if w.isdigit() else w[0].upper() + w[1:] for w in words)


def macros(values: Mapping[str, object]) -> str:
    """LaTeX definitions of `values`: whole numbers as they are, others with three decimals."""
    lines = [f"\\newcommand{{\\{name}}}{{{number(value)}}}" for name, value in values.items()]
    return "\n".join(lines) + "\n"


def version_values(versions: Mapping[str, str]) -> dict[str, str]:
    """Macros of the packages' versions."""
    return {macro_name("version", name): Verbatim(value) for name, value in versions.items()}


def number(value: object) -> str:
    """A number in LaTeX's spelling; text is escaped."""
    if isinstance(value, Verbatim):
        return value
    if isinstance(value, (bool, str)) or value is None:
        return escape(str(value))
    if isinstance(value, (int, np.integer)):
        return f"{value:,}".replace(",", "{,}")
    return f"{value:.3f}".replace("-", r"\ensuremath{-}")


def parameter(value: float | int | None) -> str:
    """A parameter in LaTeX's spelling, with no more digits than it has; powers of ten as such."""
    if isinstance(value, float) and 0 < abs(value) < 1e-3:
        mantissa, exponent = f"{value:e}".split("e")
        times = "" if float(mantissa) == 1 else f"{float(mantissa):g}\\cdot "
        return Verbatim(f"\\ensuremath{{{times}10^{{{int(exponent)}}}}}")
    return Verbatim(f"{value:g}")


def percent(value: float) -> str:
    """A share as LaTeX percentage text."""
    return Verbatim(f"{100 * value:.1f}\\,\\%")


def points(value: float) -> str:
    """A difference of shares in percentage points, with its sign."""
    return Verbatim(f"\\ensuremath{{{100 * value:+.1f}}}")


def signed(value: float) -> str:
    """A difference with its sign."""
    return Verbatim(f"\\ensuremath{{{value:+.2f}}}")


def whole(value: float) -> str:
    """A difference of numbers of things with its sign; where it is none itself, one decimal."""
    decimals = 0 if value == int(value) else 1
    return Verbatim(f"\\ensuremath{{{value:+.{decimals}f}}}")


def interval(low: float, high: float, shown: Callable[[float], str] = number) -> str:
    """An interval in brackets, or in words that there is none."""
    if np.isnan(low) or np.isnan(high):
        return Verbatim("[no interval]")
    return Verbatim(f"[{shown(low)}, {shown(high)}]")


def escape(text: str) -> str:
    """Text with LaTeX's special characters made harmless."""
    return _SPECIAL.sub(lambda found: _SPELLED.get(found[0], f"\\{found[0]}"), text)


class Verbatim(str):
    """LaTeX that `number` must not escape."""


def table_of(header: list[str], rows: list[list[str]], columns: str) -> str:
    """A booktabs tabular; cells are LaTeX already."""
    body = " \\\\\n".join(" & ".join(row) for row in rows)
    head = " & ".join(header)
    return (
        f"\\begin{{tabular}}{{{columns}}}\n\\toprule\n{head} \\\\\n\\midrule\n"
        f"{body} \\\\\n\\bottomrule\n\\end{{tabular}}"
    )


def latex_error(log: str) -> StrataError:
    """The first error of a LaTeX log as one line."""
    found = re.search(r"^(?:[\w./-]+\.tex:\d+: |! )(.*(?:\n.*){0,3})", log, flags=re.MULTILINE)
    line = re.search(r"^[\w./-]+\.tex:\d+", log, flags=re.MULTILINE)
    reason = " ".join(found.group(1).split())[:200] if found else "see the log"
    return StrataError(f"{line.group(0) if line else 'paper'}: LaTeX stopped: {reason}")
