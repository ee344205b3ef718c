"""The paper as LaTeX, written from the measures: its numbers, tables and sections."""

from strata.paper.cards import card_values, cards_table
from strata.paper.claims import claim_values, claims_table
from strata.paper.concepts import method_values
from strata.paper.data import data_values, skipped_text
from strata.paper.latex import Verbatim, latex_error, macro_name, macros, version_values
from strata.paper.numbers import numbers_of
from strata.paper.sections import appendix, single_models, study_section
from strata.paper.text import listed, study_text

__all__ = [
    "Verbatim",
    "appendix",
    "card_values",
    "cards_table",
    "claim_values",
    "claims_table",
    "data_values",
    "latex_error",
    "listed",
    "macro_name",
    "macros",
    "method_values",
    "numbers_of",
    "single_models",
    "skipped_text",
    "study_section",
    "study_text",
    "version_values",
]
