"""Choices of layers as text, as tables hold them."""

from __future__ import annotations

from collections.abc import Iterable

from strata.pruning.criteria import Layers

CUT = "most_convex"


def kept_text(layers: Iterable[int]) -> str:
    """Numbers of layers as the text of the column `kept`."""
    return " ".join(map(str, layers))


def kept_layers(text: str) -> Layers:
    """Numbers of layers from the text of the column `kept`."""
    return tuple(map(int, text.split()))
