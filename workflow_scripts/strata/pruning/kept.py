"""Choices of layers as tables hold them: the column `kept`, and the layer behind which a cut is."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from strata.pruning.criteria import Layers
from strata.tables import EMBEDDING

CUT = "most_convex"
_NONE = "none"


def kept_text(layers: Iterable[int]) -> str:
    """Numbers of layers as the text of the column `kept`: "0 1 2", or "none"."""
    return " ".join(map(str, layers)) or _NONE


def kept_layers(text: str) -> Layers:
    """Numbers of layers from the text of the column `kept`."""
    return () if text == _NONE else tuple(map(int, text.split()))


def cut_place(kept: Layers, names: Sequence[str]) -> dict[str, object]:
    """`layer`, `layer_index` and `block` of the last layer kept, as in the table of convexity.

    `names` are all layers of that table, the embedding among them where it was recorded; that is
    where a cut lies that keeps no layer.
    """
    block = kept[-1] + 1 if kept else 0
    index = block if names[0] == EMBEDDING else max(block - 1, 0)
    return {"layer": names[index] if kept else EMBEDDING, "layer_index": index, "block": block}
