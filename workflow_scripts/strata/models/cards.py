"""What lies beside the weights of a model: its card, and the files that its folder holds."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

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


def write_card(directory: Path, card: Mapping) -> None:
    """Write `card.json`: what a model is, where it came from and how well it does."""
    (directory / "card.json").write_text(json.dumps(card, indent=2, sort_keys=True) + "\n")


def count_parameters(weights: Path) -> int:
    from math import prod

    from safetensors import safe_open

    with safe_open(weights, framework="np") as file:
        return sum(prod(file.get_slice(key).get_shape()) for key in file.keys())  # noqa: SIM118 - not a dict
