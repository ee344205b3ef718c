"""README.md: the picture at its top, the badges and the table of claims, from `make paper`.

usage: readme.py take RESULTS    a run's verdicts and figures -> docs/claims.csv, docs/images, table
       readme.py table           the badges, and the table anew from the verdicts that are there
"""

import sys
import tomllib
from pathlib import Path
from xml.sax.saxutils import escape

import pandas as pd

ROOT = Path(__file__).resolve().parents[2]
README, VERDICTS, IMAGES = ROOT / "README.md", ROOT / "docs/claims.csv", ROOT / "docs/images"
START, END = "<!-- claims: tools/terminal/readme.py -->\n", "<!-- end of claims -->\n"
COLUMNS = ["claim", "source", "says", "study", "verdict", "n_cases", "n_supported", "n_refuted"]
COLUMNS += ["case", "value", "low", "high", "n", "expects"]
_MARKS = {"supported": "**supported**", "refuted": "**refuted**"}


def table(verdicts: pd.DataFrame) -> str:
    """The claims of each paper with the case that decides, its interval, and the verdict."""
    lines = []
    for source, part in verdicts.groupby("source", sort=False):
        lines += [f"| {source} | measured | verdict |", "|---|---|---|"]
        for row in part.itertuples():
            verdict = _MARKS.get(row.verdict, row.verdict)
            lines.append(f"| {row.says} | {_measured(row)} | {verdict} |")
        lines.append("")
    return "\n".join(lines)


def _measured(row) -> str:
    """The effect that decides, with its interval where it has one."""
    if pd.isna(row.value):
        return ""
    bounds = "no interval" if pd.isna(row.low) else f"{_short(row.low)} to {_short(row.high)}"
    return f"{_short(row.value)} ({bounds})"


def _short(value: float) -> str:
    return f"{value:.0f}" if abs(value) >= 10 else f"{value:.2f}"


def written(readme: str, verdicts: pd.DataFrame) -> str:
    """The README with the table between its marks."""
    before, _, rest = readme.partition(START)
    _, _, after = rest.partition(END)
    if not after:
        raise SystemExit(f"error: README.md: the lines {START.strip()} and {END.strip()} are gone")
    return f"{before}{START}\n{table(verdicts)}\n{END}{after}"


def badges() -> dict[str, str]:
    """Static badges, by file name: nothing is fetched to show them."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    least = project["requires-python"].removeprefix(">=")
    citation = (ROOT / "CITATION.cff").read_text()
    licence = citation.partition("\nlicense: ")[2].partition("\n")[0]
    told = {"licence": licence, "python": f"{least} or newer", "tests": "make test"}
    return {f"{left}.svg": _badge(left, right) for left, right in told.items()}


def _badge(left: str, right: str) -> str:
    first, second = (7 * len(text) + 12 for text in (left, right))
    width = first + second
    words = "".join(
        f'<text x="{middle}" y="14" text-anchor="middle" textLength="{length - 12}">'
        f"{escape(text)}</text>"
        for text, middle, length in (
            (left, first / 2, first),
            (right, first + second / 2, second),
        )
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="20" role="img" '
        f'aria-label="{escape(left)}: {escape(right)}">'
        f'<rect width="{width}" height="20" rx="3" fill="#00785A"/>'
        f'<path d="M3 0H{first}V20H3a3 3 0 0 1-3-3V3a3 3 0 0 1 3-3z" fill="#444C56"/>'
        f'<g fill="#FFF" font-family="DejaVu Sans,Verdana,sans-serif" font-size="11">{words}</g>'
        "</svg>\n"
    )


def main(arguments: list[str]) -> None:
    match arguments:
        case ["take", results]:
            from readme_picture import save_pictures

            verdicts = pd.read_csv(Path(results) / "claims/verdicts.csv")
            verdicts[COLUMNS].to_csv(VERDICTS, index=False, float_format="%.6g")
            save_pictures(Path(results) / "figures", IMAGES)
        case ["table"]:
            pass
        case _:
            raise SystemExit(__doc__)
    for name, badge in badges().items():
        (IMAGES / name).write_text(badge)
    README.write_text(written(README.read_text(), pd.read_csv(VERDICTS)))


if __name__ == "__main__":
    main(sys.argv[1:])
