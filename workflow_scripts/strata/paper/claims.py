"""The claims and their verdicts, for the paper."""

from __future__ import annotations

from collections.abc import Collection

import pandas as pd

from strata.paper.latex import Verbatim, escape, macro_name, table_of

_VERDICTS = ("supported", "refuted", "undecided", "not tested")


def read_verdicts(file: str) -> pd.DataFrame:
    """`verdicts.csv`, in which a study or a model may be named 1e3 or NA: that is its name."""
    text = dict.fromkeys(("claim", "source", "says", "study", "verdict", "case", "cases"), str)
    return pd.read_csv(file, dtype=text, keep_default_na=False, na_values=[""])


def claim_values(verdicts: pd.DataFrame, papers: Collection[str]) -> dict[str, object]:
    """Macros about the `papers`' own claims, by name: how many, and their verdicts, one for each
    study that decides a claim, of each kind. A user's own claims are in the table alone."""
    verdicts = verdicts[verdicts["claim"].isin(papers)]
    values: dict[str, object] = {"ClaimsAll": verdicts["claim"].nunique()}
    values["ClaimsVerdicts"] = int((verdicts["verdict"] != "not tested").sum())
    for verdict in _VERDICTS:
        values[macro_name("claims", verdict)] = int((verdicts["verdict"] == verdict).sum())
    return values


def claims_table(verdicts: pd.DataFrame) -> str:
    """What each claim says, the effect of the case that decides it in each study, the verdict."""
    body = []
    for source, part in verdicts.groupby("source", sort=False):
        body.append([f"\\multicolumn{{6}}{{l}}{{\\emph{{{escape(source)}}}}}"])
        for row in part.itertuples():
            if pd.isna(row.study):
                body.append([escape(row.says), "--", "", "", "", row.verdict])
                continue
            where = f"{escape(row.study)}: {escape(str(row.case))}"
            many = f"{row.n_supported:.0f}/{row.n_refuted:.0f}/{row.n_cases:.0f}"
            effect = f"{_short(row.value)} [{_short(row.low)}, {_short(row.high)}]"
            body.append(
                [escape(row.says), where, effect, _short(row.detectable), many, row.verdict]
            )
    header = ["claim", "study: case", "effect", "detectable", "for/against/of", "verdict"]
    return Verbatim(table_of(header, body, r"p{52mm}>{\raggedright}p{40mm}rrrl"))


def _short(value: float) -> str:
    if pd.isna(value):
        return "--"
    shown = f"{value:.0f}" if abs(value) >= 10 else f"{value:.2f}"
    return shown.replace("-", "$-$")
