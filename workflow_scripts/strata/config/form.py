"""The form of a configuration: the JSON schema, with its errors in words."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from strata.config.names import suggestion
from strata.data.user_tables import unseen_character
from strata.errors import StrataError

SCHEMA = Path("rules/schemas/config.schema.json")


# Keys of texts for people, which YAML may fold over lines; all others are names and paths.
_PROSE = ("title", "label", "licence", "source", "origin", "template")
_LONGEST = 100  # characters of a name, which is part of files' names, with others
_DEEPEST = 20  # levels; more are a loop of YAML's anchors
_KINDS = {
    "integer": "a whole number",
    "number": "a number",
    "string": "text",
    "object": "keys with values",
    "array": "a list",
    "boolean": "true or false",
    "null": "nothing",
}


def check_form(config: Mapping, schema: Mapping) -> None:
    """Check a configuration against the schema.

    Raises
    ------
    StrataError
        A key is unknown, missing or no text; a value is of another kind, not finite, or has a
        character in it that is not seen.
    """
    from jsonschema.exceptions import best_match

    for where, told in _odd_values(config):
        raise StrataError(f"config, {': '.join(where) or 'top level'}: {told}")
    error = best_match(_validator(schema).iter_errors(config))
    if error is None:
        return
    where = ": ".join(map(str, error.absolute_path)) or "top level"
    raise StrataError(f"config, {where}: {_told(error)}")


def _validator(schema: Mapping):
    """A validator to which 3.0 is no whole number: what counts by it would fail, hours later."""
    from jsonschema import Draft202012Validator, validators

    def is_whole(checker, value) -> bool:
        return isinstance(value, int) and not isinstance(value, bool)

    kinds = Draft202012Validator.TYPE_CHECKER.redefine("integer", is_whole)
    return validators.extend(Draft202012Validator, type_checker=kinds)(schema)


def _odd_values(value: Any, where: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], str]]:
    """Keys and values that no schema tells apart, with where they are: what YAML makes of words
    like `no` and 1, numbers that are none, and characters that are not seen."""
    if len(where) > _DEEPEST:
        yield where[:3], "leads back into itself; write it without an anchor"
    elif isinstance(value, Mapping):
        for key, part in value.items():
            if not isinstance(key, str):
                yield where, f"key {key!r} should be text; put it in quotes"
            elif _unseen(key):
                yield where, f"key {key!r} {_unseen(key)}"
            else:
                yield from _odd_values(part, (*where, key))
    elif isinstance(value, list):
        for place, part in enumerate(value):
            yield from _odd_values(part, (*where, str(place)))
    elif isinstance(value, str):
        folded = bool(where) and where[-1] in _PROSE
        told = _unseen(" ".join(value.split("\n")) if folded else value)
        if told:
            yield where, f"{_short(value)} {told}"
    elif isinstance(value, float) and not math.isfinite(value):
        yield where, f"{value} should be a finite number"
    elif isinstance(value, int) and abs(value) >= 2**63:
        yield where, f"{_short(value)} is too large"
    elif not isinstance(value, int | float | None):
        yield where, f"{_short(value)} is a {type(value).__name__}; put it in quotes for text"


def _unseen(text: str) -> str:
    """What is wrong with a name or a value in one line; '' where nothing is."""
    if "\n" in text or "\r" in text:
        return "has a line break in it; write it in one line"
    return unseen_character(text)


def _short(value: Any) -> str:
    """A value as it is told, in one line."""
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) >= 10**60:
        return "a number of more than 60 digits"  # which Python may refuse to write out
    told = " ".join(repr(value).split())
    return told if len(told) <= 100 else f"{told[:97]}..."


def _told(error) -> str:
    """A validation error in words."""
    if "propertyNames" in error.absolute_schema_path:
        return (
            f"name {_short(error.instance)} should be letters, digits, ., _ and -, begin with a "
            f"letter or digit, and have up to {_LONGEST} characters"
        )
    if error.validator == "type":
        kinds = error.validator_value
        named = [_KINDS[kind] for kind in ([kinds] if isinstance(kinds, str) else kinds)]
        return f"{_short(error.instance)} should be {' or '.join(named)}"
    if error.validator == "additionalProperties":
        known = list(error.schema.get("properties", {}))
        extra = next(key for key in error.instance if key not in known)
        return f"unknown key {extra!r}{suggestion(extra, known)}"
    if error.validator == "required":
        missing = next(key for key in error.validator_value if key not in error.instance)
        return f"key {missing!r} is missing"
    if error.validator == "enum":
        known = ", ".join(map(str, error.validator_value))
        return f"{_short(error.instance)} should be one of {known}"
    if error.validator == "oneOf":
        choices = [" and ".join(choice["required"]) for choice in error.validator_value]
        return f"needs either {', or '.join(choices)}"
    if error.validator == "const":
        return f"{_short(error.instance)} should be {error.validator_value!r}"
    return " ".join(error.message.split())[:200]
