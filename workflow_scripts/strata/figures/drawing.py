"""A figure of the catalogue drawn from its measures."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING

from strata.data.words import shown_categories

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from strata.figures.models import ModelStyle

_MAIN_CATEGORIES = (  # the four of the paper's figure 1
    "colors",
    "textures and materials",
    "natural elements and organisms",
    "objects and machines",
)


def draw(
    function: str,
    measure: str,
    table: pd.DataFrame,
    styles: Mapping[str, ModelStyle],
    options: Mapping,
) -> tuple[Figure, pd.DataFrame]:
    """The figure that `function` ("module.name" in `strata.figures`) draws of a measure's table,
    with what is drawn; `styles` are those of the models in it, in order."""
    module, _, name = function.partition(".")
    options = dict(options)
    if measure == "shares":
        shown = shown_categories(list(dict.fromkeys(table["concept"])))
        table = table[table["concept"].isin(shown)]
        if name == "mean_category_shares":
            options["categories"] = [c for c in _MAIN_CATEGORIES if c in shown] or shown
    if measure == "labels":
        options["metric"] = table["metric"].iloc[0]
    return getattr(import_module(f"strata.figures.{module}"), name)(table, styles, **options)
