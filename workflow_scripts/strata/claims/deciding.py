"""Whether a study's tables support a claim, refute it, or leave it open."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np
import pandas as pd
from scipy.stats import norm

from strata.claims.reading import Claim
from strata.errors import StrataError
from strata.figures.catalogue import models_of, paired_models
from strata.stats import LEVEL
from strata.tables import blocks_passed

SUPPORTED, REFUTED, OPEN = "supported", "refuted", "undecided"
UNTESTED = "not tested"
_SHOWN = ("case", "metric", "value", "low", "high", "n", "expects", "detectable", "cases")
POWER = 0.8
# What tells the cases of a claim apart, where a table has it and the claim leaves it open.
_CASE = ("model", "family", "concept", "transform", "similarity", "triplets")
CASE_COLUMNS = (
    "claim", "source", "says", "study", "case", "metric", "value", "low", "high", "n", "expects",
    "detectable", "verdict", "cases",
)  # fmt: skip


def cases_of(claim: Claim, name: str, study: Mapping, table: pd.DataFrame) -> pd.DataFrame:
    """What each case of a study says of a claim, a row each (`CASE_COLUMNS`).

    The intervals of a claim with m cases are widened to hold together (Bonferroni, by the normal
    ratio); `detectable` is the smallest distance from the threshold that such an interval would
    have decided in `POWER` of draws, were it as wide. A value without an interval decides nothing.

    Raises
    ------
    StrataError
        `where` names a column that the table does not have, or leaves several rows for one case.
    """
    rows = _chosen(claim, study, table)
    try:
        cases = list(_cases(claim, study, rows))
    except StrataError as error:
        raise StrataError(
            f"{claim.file}: {claim.name}: {claim.measure} of {name}: {error}"
        ) from None
    found = pd.DataFrame(
        [
            {"case": case, "metric": claim.where.get("metric", ""), **_interval(part), "n": n}
            for case, part, n in cases
        ],
        columns=["case", "metric", "value", "low", "high", "n"],
    )
    many = max(len(found), 1)
    usual = norm.ppf(0.5 + LEVEL / 2)
    wide = norm.ppf(1 - (1 - LEVEL) / (2 * many)) / usual
    for end in ("low", "high"):
        found[end] = found["value"] + wide * (found[end] - found["value"])
    half = (found["high"] - found["low"]) / 2
    found["detectable"] = half * (1 + norm.ppf(POWER) / (wide * usual))
    found["verdict"] = [
        _verdict(claim, low, high) for low, high in zip(found["low"], found["high"], strict=True)
    ]
    told = {"claim": claim.name, "source": claim.source, "says": claim.says, "study": name}
    told |= {"expects": f"{claim.direction} {claim.threshold:g}", "cases": claim.cases}
    return found.assign(**told)[list(CASE_COLUMNS)]


def verdicts(claims: Sequence[Claim], cases: pd.DataFrame) -> pd.DataFrame:
    """One verdict for each claim and study that has cases of it, and a row "not tested" of a claim
    that has none.

    `case`, `value`, `low` and `high` are of the case that decides: that which supports the claim
    least, or most where one case is enough; of "most" the middle one.
    """
    rows = []
    for claim in claims:
        told = {"claim": claim.name, "source": claim.source, "says": claim.says}
        mine = cases[cases["claim"] == claim.name]
        if mine.empty:
            rows.append(told | {"verdict": UNTESTED})
        for study, part in mine.groupby("study", sort=False):
            verdict = _together(part["verdict"], claim.cases)
            # One that is not known must not stand for the one that refutes all.
            one_refutes = claim.cases == "all" and verdict == REFUTED
            of_it = part[part["verdict"] == verdict] if one_refutes else part
            margin = _margins(claim, of_it)
            order = margin.fillna(-np.inf).sort_values(kind="stable").index
            place = {"all": 0, "most": (len(order) - 1) // 2}.get(claim.cases, -1)
            shown = part.loc[order[place], list(_SHOWN)]
            rows.append(
                told
                | {"study": study, "verdict": verdict}
                | {"n_cases": len(part), "n_supported": int((part["verdict"] == SUPPORTED).sum())}
                | {"n_refuted": int((part["verdict"] == REFUTED).sum())}
                | shown.to_dict()
            )
    columns = ["claim", "source", "says", "study", "verdict", "n_cases", "n_supported"]
    return pd.DataFrame(rows, columns=[*columns, "n_refuted", *_SHOWN])


def _margins(claim: Claim, part: pd.DataFrame) -> pd.Series:
    """How far each case's value lies on the claim's side of its threshold, in half intervals."""
    half = ((part["high"] - part["low"]) / 2).clip(lower=1e-12)
    if claim.direction == "apart":
        return (part["value"].abs() - claim.threshold) / half
    sign = 1 if claim.direction == "above" else -1
    return sign * (part["value"] - claim.threshold) / half


def _chosen(claim: Claim, study: Mapping, table: pd.DataFrame) -> pd.DataFrame:
    where = dict(claim.where)
    if claim.main:
        where[claim.main] = study.get("families", [])[:1]
    for column, wanted in where.items():
        if column not in table:
            raise StrataError(
                f"{claim.file}: {claim.name}: {claim.measure} has no column {column!r}; it has "
                f"{', '.join(table.columns)}"
            )
        table = table[table[column].isin(wanted if isinstance(wanted, list) else [wanted])]
    if claim.models is None:
        return table
    wanted = selected(study, claim.models)
    if claim.compare == "base":
        bases = paired_models(study)["bases"]
        wanted = [*wanted, *(bases[model] for model in wanted)]
    return table[table["model"].isin(wanted)]


def selected(study: Mapping, selection: str) -> list[str]:
    """Models of a study by a selection of `strata.figures.catalogue.models_of`, or "task:NAME":
    those fine-tuned on that task."""
    kind, _, task = selection.partition(":")
    if kind == "task":
        return list(study.get("comparisons", {}).get("finetuned", {}).get(task, {}).values())
    return models_of(study, selection)


def _cases(claim: Claim, study: Mapping, rows: pd.DataFrame):
    """(case, its row or pair of rows, n) of a claim."""
    if claim.compare == "models":
        keys = [key for key in _keys(rows) if key != "model"]
        for case, part in _groups(rows, keys):
            last = {model: _layer(own, "last") for model, own in part.groupby("model", sort=False)}
            for one, other in combinations(last, 2):
                yield f"{case}{one} - {other}", [last[other], last[one]], last[one]["n"]
        return
    if claim.compare == "base":
        bases = paired_models(study)["bases"]
        keys = [key for key in _keys(rows) if key != "model"]
        for case, part in _groups(rows, keys):
            for tuned in selected(study, claim.models or "tuned"):
                ends = [part[part["model"] == model] for model in (bases[tuned], tuned)]
                if all(map(len, ends)):
                    pair = [_layer(own, "last") for own in ends]
                    yield f"{case}{tuned}", pair, pair[1]["n"]
        return
    keys = _keys(rows) + (["layer"] if claim.layer == "each" else [])
    for case, part in _groups(rows, keys):
        case = case.rstrip(", ")
        if claim.compare == "layers":
            pair = [_layer(part, end) for end in ("first", "last")]
            yield case, pair, pair[1]["n"]
        else:
            row = _layer(part, claim.layer) if claim.layer in ("first", "last") else _only(part)
            yield case, [row], row["n"]


def _keys(rows: pd.DataFrame) -> list[str]:
    """What tells cases apart: columns of more than one value, the model always."""
    return [k for k in _CASE if k in rows and (k == "model" or rows[k].nunique() > 1)]


def _groups(rows: pd.DataFrame, keys: list[str]):
    if not keys:
        yield "", rows
        return
    for values, part in rows.groupby(keys, sort=False, dropna=False):
        named = [str(value) for value in values if not pd.isna(value)]
        yield "".join(f"{value}, " for value in named), part


def _layer(rows: pd.DataFrame, end: str) -> pd.Series:
    """The row of the first or the last block; the embedding, where it was recorded, is before
    both."""
    order = blocks_passed(rows)
    blocks = order[order > 0] if (order > 0).any() else order
    return _only(rows[order == (blocks.max() if end == "last" else blocks.min())])


def _only(rows: pd.DataFrame) -> pd.Series:
    """The one row there is: which of several were taken would depend on their order."""
    if len(rows) == 1:
        return rows.iloc[0]
    several = [c for c in rows if c not in ("value", "low", "high") and rows[c].nunique() > 1]
    raise StrataError(f"{len(rows)} rows for one case; say which, they differ in {several}")


def _interval(rows: list[pd.Series]) -> dict[str, float]:
    """Value and interval of a row, or of the second less the first: of independent estimates, by
    Newcombe's hybrid (1998, Statistics in Medicine 17:873), too wide where the same samples make
    both go up."""
    if len(rows) == 1:
        return {end: float(rows[0][end]) for end in ("value", "low", "high")}
    first, second = rows
    value = second["value"] - first["value"]
    down = np.hypot(second["value"] - second["low"], first["high"] - first["value"])
    up = np.hypot(second["high"] - second["value"], first["value"] - first["low"])
    return {"value": float(value), "low": float(value - down), "high": float(value + up)}


def _verdict(claim: Claim, low: float, high: float) -> str:
    limit = claim.threshold
    if np.isnan(low) or np.isnan(high):
        return OPEN
    if claim.direction == "apart":
        return SUPPORTED if low > limit or high < -limit else (
            REFUTED if -limit <= low and high <= limit else OPEN
        )  # fmt: skip
    beyond, short = (low > limit, high < limit)
    if claim.direction == "below":
        beyond, short = short, beyond
    return SUPPORTED if beyond else REFUTED if short else OPEN


def _together(found: pd.Series, rule: str) -> str:
    """The verdict of a claim by those of its cases."""
    support, against = (found == SUPPORTED), (found == REFUTED)
    if rule == "all":
        return REFUTED if against.any() else SUPPORTED if support.all() else OPEN
    if rule == "most":
        half = len(found) / 2
        return SUPPORTED if support.sum() > half else REFUTED if against.sum() > half else OPEN
    if rule == "any":
        return SUPPORTED if support.any() else REFUTED if against.all() else OPEN
    if support.any() and against.any():
        return SUPPORTED
    return REFUTED if len(found) > 1 and (support.all() or against.all()) else OPEN
