"""Claims as they stand in a YAML file, checked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path

from strata.errors import StrataError, one_line

COMPARES = ("layers", "models", "base")
LAYERS = ("first", "last", "each")
EXPECTS = ("above", "below", "apart")
CASES = ("all", "most", "any", "both")
SELECTIONS = ("pretraining", "objectives", "convnets", "pretrained", "tuned", "random", "every")
_KINDS = ("concepts", "published_labels", "convexity", "pruning")


@dataclass(frozen=True)
class Claim:
    """A claim and what decides it.

    `kinds` are the kinds of study that can decide it, `measure` the table, and `where` the rows by
    values of columns; `main` names the column that has to be the study's first family, what its
    observers and tasks are about. Of a table with layers the row of one `layer` decides (of "each"
    the layers are cases), or a comparison: the last block less the first ("layers"), each pair of
    models in their last layers ("models"), or a fine-tuned model less its base in the last
    ("base"). It `expects` a value {above: x}, {below: x}, or {apart: x}: further than x from 0. Of
    several cases (models, families, concepts) `all` have to agree, or `most`; `any` one is enough,
    or `both` answers have to occur.
    """

    name: str
    source: str
    says: str
    kinds: Sequence[str]
    measure: str
    where: Mapping[str, object]
    expects: Mapping[str, float]
    models: str | None = None
    main: str | None = None
    layer: str | None = None
    compare: str | None = None
    cases: str = "all"
    file: str = field(default="", compare=False)

    @property
    def direction(self) -> str:
        return next(iter(self.expects))

    @property
    def threshold(self) -> float:
        return float(self.expects[self.direction])


def read_claims(files: Sequence[str | Path]) -> list[Claim]:
    """The claims of all `files`, in order.

    Raises
    ------
    StrataError
        A file is missing or no mapping, a claim stands twice, or a key is missing, unknown or has
        a value that means nothing; it names file, claim and key.
    """
    found: dict[str, Claim] = {}
    for file in map(Path, files):
        for name, entry in _content(file).items():
            if name in found:
                raise StrataError(f"{file}: {name} stands in {found[name].file} already")
            found[name] = _claim(file, str(name), entry)
    return list(found.values())


def _content(file: Path) -> Mapping:
    import yaml

    if not file.is_file():
        raise StrataError(f"{file}: no such file of claims")
    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8-sig"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise StrataError(f"{file}: no YAML: {one_line(error, 120)}") from None
    if not isinstance(content, dict) or not all(isinstance(e, dict) for e in content.values()):
        raise StrataError(f"{file}: write claims as `name: {{source: ..., says: ..., ...}}`")
    return content


def _claim(file: Path, name: str, entry: Mapping) -> Claim:
    where = f"{file}: {name}"
    keys = [f.name for f in fields(Claim) if f.name not in ("name", "file")]
    for key in entry:
        if key not in keys:
            raise StrataError(f"{where}: no key {key!r}; a claim has {', '.join(keys)}")
    needed = ("source", "says", "kinds", "measure", "where", "expects")
    for key in needed:
        if key not in entry:
            raise StrataError(f"{where}: {key} is missing")
    if not isinstance(entry["where"], dict) or not entry["where"]:
        raise StrataError(f"{where}: where is {entry['where']!r}, write {{column: value, ...}}")
    _check_expects(where, entry["expects"])
    kinds = entry["kinds"] if isinstance(entry["kinds"], list) else [entry["kinds"]]
    for kind in kinds:
        _check_one(where, "kinds", kind, _KINDS)
    for key, options in (("layer", LAYERS), ("compare", COMPARES), ("cases", CASES)):
        if key in entry:
            _check_one(where, key, entry[key], options)
    if "models" in entry and not str(entry["models"]).startswith("task:"):
        _check_one(where, "models", entry["models"], (*SELECTIONS, "task:NAME"))
    if "layer" in entry and "compare" in entry:
        raise StrataError(f"{where}: give layer or compare, not both")
    return Claim(name=name, file=str(file), **{**entry, "kinds": kinds})


def _check_expects(where: str, expects: object) -> None:
    right = isinstance(expects, dict) and len(expects) == 1 and next(iter(expects)) in EXPECTS
    value = next(iter(expects.values())) if right else None
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not right or not number:
        raise StrataError(f"{where}: expects is {expects!r}, write one of {{above: 0}}, "
                          "{below: 0} or {apart: 0}")  # fmt: skip
    if "apart" in expects and value < 0:
        raise StrataError(f"{where}: apart is {value}, a distance is not negative")


def _check_one(where: str, key: str, value: object, options: Sequence[str]) -> None:
    if value not in options:
        raise StrataError(f"{where}: {key} is {value!r}, use one of {', '.join(options)}")
