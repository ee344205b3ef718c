"""The paper as LaTeX, written from the measures: its numbers, tables and sections."""

from strata.paper.latex import macro_name, macros
from strata.paper.numbers import numbers_of

__all__ = [
    "macro_name",
    "macros",
    "numbers_of",
]
