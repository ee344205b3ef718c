"""The macros and the table of every kind of study."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from strata.paper.concepts import counts_table, study_values
from strata.paper.convexity import convexity_values, profile_table


def numbers_of(
    name: str, study: Mapping, measures: Mapping[str, pd.DataFrame], styles: Mapping
) -> tuple[dict[str, object], str]:
    """The macros and the table of a study, by its kind."""
    if study["kind"] == "pruning":
        from strata.paper.pruning import pruning_table, pruning_values

        values = pruning_values(name, study, measures, styles)
        return values, pruning_table(measures, styles)
    if study["kind"] == "convexity":
        values = convexity_values(name, study, measures, styles)
        if "alignment" in measures:
            return values, profile_table(measures["alignment"], "accuracy", styles, shown=3)
        return values, profile_table(measures["convexity"], "graph_convexity", styles)
    values = study_values(name, study, measures, styles)
    return values, counts_table(measures["counts"], styles)
