"""What lies beside the weights of a model: its card, and the files that its folder holds."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from strata.errors import StrataError, one_line

MODEL_FILES = (
    "config.json",
    "preprocessor_config.json",
    "processor_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "vocab.json",
    "merges.txt",
    "README.md",
)
ADAPTER = "adapter_config.json"  # with which transformers changes the weights beside it


def adapter_told(where: str) -> str:
    """What is said of a model with an adapter, whose weights alone are another network."""
    return (
        f"{where} has an adapter ({ADAPTER}), which is not read; merge it (merge_and_unload of "
        "peft), save the whole model and name that folder"
    )


def read_model_json(file: Path) -> dict:
    """Content of a model's JSON file; StrataError for what is none, or no keys with values."""
    try:
        content = json.loads(file.read_text(encoding="utf-8-sig"))
    except (ValueError, RecursionError) as error:
        told = f"{file.parent.name}: {file.name} is no JSON: {one_line(error)}"
        raise StrataError(told) from None
    if not isinstance(content, dict):
        raise StrataError(f"{file.parent.name}: {file.name} should hold {{key: value, ...}}")
    return content


def write_card(directory: Path, card: Mapping) -> None:
    """Write `card.json`: what a model is, where it came from and how well it does."""
    (directory / "card.json").write_text(json.dumps(card, indent=2, sort_keys=True) + "\n")


def count_parameters(weights: Path) -> int:
    from math import prod

    from safetensors import safe_open

    with safe_open(weights, framework="np") as file:
        return sum(prod(file.get_slice(key).get_shape()) for key in file.keys())  # noqa: SIM118 - not a dict
