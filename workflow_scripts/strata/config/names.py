"""Names that one entry of the configuration has for another."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import get_close_matches

from strata.errors import StrataError


def check_known(name: str, names: Iterable[str], where: str, kind: str) -> None:
    if name not in names:
        raise StrataError(f"config, {where}: unknown {kind} {name!r}{suggestion(name, names)}")


def suggestion(name: str, names: Iterable[str]) -> str:
    names = list(names)
    close = get_close_matches(str(name), names, n=1)
    return f"; did you mean {close[0]!r}?" if close else f"; known are {', '.join(names)}"


def names_of(datasets: Mapping, kind: str) -> list[str]:
    """Names of the data sets of a kind."""
    return [name for name, entry in datasets.items() if entry["kind"] == kind]


def modality_of(entry: Mapping) -> str:
    """What a data set holds: image, audio, table or triplets."""
    kinds = {"microworld": "image", "microspeech": "audio", "triplets": "triplets"}
    return kinds.get(entry["kind"]) or entry["modality"]
