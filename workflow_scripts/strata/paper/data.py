"""What the data sets are, for the paper: how many samples, and which files are not among them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from strata.paper.latex import escape, macro_name


def data_values(infos: Iterable[Mapping]) -> dict[str, object]:
    """Macros of data sets (their `dataset.json`): samples, concepts of each family, and files that
    were skipped because they cannot be read."""
    values: dict[str, object] = {}
    for info in infos:
        values[macro_name("data", info["name"], "n")] = info["n"]
        for family, concepts in info.get("families", {}).items():
            values[macro_name("data", info["name"], family, "concepts")] = len(concepts)
        if "unreadable" in info:
            values[macro_name("data", info["name"], "skipped")] = len(info["unreadable"])
    return values


def skipped_text(study: Mapping, infos: Mapping[str, Mapping]) -> str:
    """LaTeX that says which files of a study's data cannot be read, and what went with them; empty
    where there are none. `infos` holds the data sets by name."""
    names = [*(study.get("probing") or [study.get("dataset")]), *study.get("triplets", [])]
    return " ".join(filter(None, (_skipped(infos[name]) for name in names if name in infos)))


def _skipped(info: Mapping) -> str:
    lost = len(info.get("unreadable", []))
    dropped = info.get("dropped_answers", 0)
    name = f"\\emph{{{escape(info['name'])}}}"
    if lost:
        count = f"\\{macro_name('data', info['name'], 'skipped')}{{}}"
        files = "file" if lost == 1 else "files"
        text = f"{count} {files} of {name} cannot be read and took no part"
        pieces = info.get("dropped_segments", 0)
        return f"{text}, nor did {pieces} labelled pieces of them." if pieces else f"{text}."
    if dropped:
        return (
            f"{dropped} answers of {name} are about items without a readable picture and left out."
        )
    return ""
