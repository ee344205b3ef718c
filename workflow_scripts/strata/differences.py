"""Differences between layers and between networks, paired on the samples both were measured on.

Two measures whose intervals come from the same random halves (`strata.intervals`) have the deviates
d - d' of their difference: what moves both alike, such as an easy half, cancels. Whether two
intervals overlap says little about that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
import pandas as pd

from strata.errors import StrataError
from strata.intervals import deviate_interval, t_p_value
from strata.stats import Estimate, without_interval
from strata.tables import DEVIATES, MEASURE_COLUMNS, blocks_passed, check_measures

_PLACE = ["family", "concept", "metric"]


def with_deviates(measures: pd.DataFrame, deviates: pd.DataFrame) -> pd.DataFrame:
    """Measures with the array of each row's deviates; NaN for a row without.

    `deviates` is the tidy table that `strata.tables.write_measures` writes. Raises StrataError when
    it holds a row that the measures do not have.
    """
    keys = [c for c in ("model", "layer", "family", "concept", "metric") if c in deviates]
    ordered = deviates.assign(place=_places(deviates, keys)).sort_values("split", kind="stable")
    held = {key: part.to_numpy() for key, part in ordered.groupby("place")["value"]}
    places = _places(measures, keys)
    if not set(held) <= set(places) or len(set(places)) != len(places):
        raise StrataError("deviates: they are not those of the measures beside them")
    return measures.assign(**{DEVIATES: [held.get(place, np.nan) for place in places]})


def _places(table: pd.DataFrame, keys: Sequence[str]) -> list[str]:
    """What a row is about, in one text; a family or concept that is missing is empty."""
    text = table[list(keys)].astype(object).fillna("").astype(str)
    return ["\x1f".join(row) for row in text.itertuples(index=False, name=None)]


def paired_differences(
    measures: pd.DataFrame,
    metrics: Sequence[str],
    *,
    twins: Mapping[str, str],
    bases: Mapping[str, str],
    paired: Callable[[pd.Series, pd.Series], tuple[Estimate, float]] | None = None,
) -> pd.DataFrame:
    """Differences of `metrics` between layers and networks of one study, with paired intervals.

    `measures` has a column `deviates` (`with_deviates`), or `paired` gives the difference of two of
    its rows with its interval and p-value; `twins` maps a model to its random twin,
    `bases` a fine-tuned model to the one that it began as. A row per model, layer, family, concept,
    metric (with "_difference" behind it) and `contrast` (a layer less the model's "first" block or
    its "best" layer; a network less its random "twin", or a fine-tuned one less its "base", in the
    same layer): value, low, high, and `p_value`
    (two-sided, of the same t); `other` is the layer or the model that was taken off. The best layer
    is the one whose value was highest here, which flatters it: an interval that holds zero says
    that another may be as good. One layer without any other network gives no rows. What measures
    say their intervals are about (`about`) stays beside the differences.

    Raises StrataError for an unknown metric.
    """
    if missing := [metric for metric in metrics if not (measures["metric"] == metric).any()]:
        raise StrataError(f"differences: no metric {missing[0]!r} in the measures")
    paired = paired or difference_by_deviates
    table = measures[measures["metric"].isin(list(metrics))]
    table = table.assign(block=blocks_passed(measures)[table.index])
    for column in set(_PLACE) - set(table):
        table[column] = None
    rows = []
    for _, part in table.groupby(_PLACE, dropna=False, sort=False):
        part = part.set_index("layer", drop=False)
        layers = dict(tuple(part.groupby("model", sort=False)))
        for model, own in layers.items():
            for contrast, layer, other, name in _contrasts(model, own, layers, twins, bases):
                found, p_value = paired(own.loc[layer], other)
                rows.append(_row(own.loc[layer], other, found) | {"p_value": p_value})
                rows[-1] |= {"contrast": contrast, "other": name}
    columns = [*MEASURE_COLUMNS, "block", "family", "contrast", "other", "p_value"]
    columns += [column for column in ("about",) if column in measures]
    return check_measures(pd.DataFrame(rows, columns=columns), "differences")


def _contrasts(
    model: str,
    own: pd.DataFrame,
    layers: Mapping[str, pd.DataFrame],
    twins: Mapping[str, str],
    bases: Mapping[str, str],
) -> Iterator[tuple[str, str, pd.Series, str]]:
    """contrast, layer, the row that is taken off, and its name."""
    blocks = own[own["block"] > 0]
    first, best = blocks["block"].idxmin(), own["value"].idxmax()
    for layer in own.index:
        for contrast, other in (("first", first), ("best", best)):
            if layer != other:
                yield contrast, layer, own.loc[other], str(other)
        for contrast, others in (("twin", twins), ("base", bases)):
            name = others.get(model)
            if name in layers and layer in layers[name].index:
                yield contrast, layer, layers[name].loc[layer], str(name)


def _row(own: pd.Series, other: pd.Series, found: Estimate) -> dict:
    kept = ["model", "dataset", "layer", "layer_index", "block", "family", "concept", "seed"]
    kept += [column for column in ("about",) if column in own]
    place = {"metric": f"{own['metric']}_difference", "n": min(own["n"], other["n"])}
    return own[kept].to_dict() | found._asdict() | place


def difference_by_deviates(own: pd.Series, other: pd.Series) -> tuple[Estimate, float]:
    """Difference of two rows that were cut in the same halves; without an interval where neither
    row has one, as of two scores near 1, whose halves do not tell how they vary."""
    value = float(own["value"] - other["value"])
    if np.isnan(own["low"]) and np.isnan(other["low"]):
        return without_interval(value), np.nan
    both = [row[DEVIATES] for row in (own, other)]
    alike = all(np.ndim(x) == 1 for x in both) and len(both[0]) == len(both[1])
    moved = both[0] - both[1] if alike else np.empty(0)
    found = deviate_interval(value, moved)
    if np.isnan(found.low):
        return found, np.nan
    return found, t_p_value(value, float(np.mean(moved**2)), len(moved) - 1)
