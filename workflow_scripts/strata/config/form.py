"""The form of a configuration: the JSON schema, with its errors in words."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from strata.config.names import suggestion
from strata.errors import StrataError

SCHEMA = Path("rules/schemas/config.schema.json")


def check_form(config: Mapping, schema: Mapping) -> None:
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import best_match

    error = best_match(Draft202012Validator(schema).iter_errors(config))
    if error is None:
        return
    where = ": ".join(map(str, error.absolute_path)) or "top level"
    raise StrataError(f"config, {where}: {_told(error)}")


def _told(error) -> str:
    """A validation error in words."""
    if error.validator == "additionalProperties":
        known = list(error.schema.get("properties", {}))
        extra = next(key for key in error.instance if key not in known)
        return f"unknown key {extra!r}{suggestion(extra, known)}"
    if error.validator == "required":
        missing = next(key for key in error.validator_value if key not in error.instance)
        return f"key {missing!r} is missing"
    if error.validator == "enum":
        return f"{error.instance!r} should be one of {', '.join(map(str, error.validator_value))}"
    if error.validator == "oneOf":
        choices = [" and ".join(choice["required"]) for choice in error.validator_value]
        return f"needs either {', or '.join(choices)}"
    if error.validator == "const":
        return f"{error.instance!r} should be {error.validator_value!r}"
    return " ".join(error.message.split())[:200]
