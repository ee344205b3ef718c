"""Which planted factors the words of a concept list name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from strata.data.user_tables import read_json
from strata.errors import StrataError


def read_vocabulary(path: str | Path) -> dict[str, list[str]]:
    """Which planted factors a word names: JSON `{word: ["family=value", ...]}`.

    Raises StrataError when the file is missing or has another form.
    """
    path = Path(path)
    if not path.is_file():
        raise StrataError(f"{path}: no such vocabulary")
    content = read_json(path)
    if not isinstance(content, dict):
        raise StrataError(f'{path}: should read {{word: ["family=value", ...]}}')
    for word, factors in content.items():
        named = isinstance(factors, list) and all(isinstance(each, str) for each in factors)
        if not named or not all("=" in each for each in factors):
            raise StrataError(f'{path}: {word!r} should map to ["family=value", ...]')
    return content


def factor_families(vocabulary: Mapping[str, Sequence[str]]) -> list[str]:
    """Families of the factors that a vocabulary names."""
    factors = [factor for named in vocabulary.values() for factor in named]
    return list(dict.fromkeys(factor.partition("=")[0] for factor in factors))
