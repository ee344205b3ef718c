"""The layers of a network, found by themselves, and the tokens before its patches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from strata.errors import StrataError

if TYPE_CHECKING:
    from torch import nn

# Parameters that stand before the patches in a token sequence, in timm's and transformers' names.
CLASS_TOKENS = ("cls_token", "class_embedding")
# Those that stand behind the patches.
SUFFIX_TOKENS = ("detection_tokens",)
_OTHER_TOKENS = ("reg_token", "register_tokens", "dist_token", "distillation_token")


def prefix_tokens(module: nn.Module) -> dict[str, int]:
    """Number of class, register, distillation and detection tokens, by the parameter's own name."""
    named = {name.split(".")[-1]: value for name, value in module.named_parameters()}
    return {
        name: named[name].shape[-2] if named[name].ndim > 1 else 1
        for name in (*CLASS_TOKENS, *_OTHER_TOKENS, *SUFFIX_TOKENS)
        if name in named
    }


def maps_channels_last(module: nn.Module) -> bool:
    """Whether a network says that its maps are (batch, height, width, channels)."""
    return getattr(module, "output_fmt", "NCHW") == "NHWC"


def timm_layers(module: nn.Module) -> dict[str, nn.Module]:
    """Blocks of a vision transformer, else the stages that timm itself lists as features."""
    blocks = getattr(module, "blocks", None)
    if blocks is not None:
        return {f"blocks.{name}": block for name, block in blocks.named_children()}
    stages = [stage["module"] for stage in getattr(module, "feature_info", [])]
    return {name: module.get_submodule(name) for name in stages}


def encoder_of(classifier: nn.Module) -> nn.Module:
    """The encoder in a transformers classifier (itself, where there is no head)."""
    return getattr(classifier, "vision_model", classifier.base_model)


def find_layers(classifier: nn.Module) -> dict[str, nn.Module]:
    """Layers of a transformers classifier, under the names that its encoder alone has."""
    return transformers_layers(encoder_of(classifier))


def transformers_layers(module: nn.Module) -> dict[str, nn.Module]:
    """Children of the largest list of like modules that lies in no other list; stem before it."""
    import torch

    lists: dict[str, nn.Module] = {}
    for name, child in module.named_modules():
        inside = any(name.startswith(f"{outer}.") for outer in lists)
        inside |= name.startswith("feature_extractor.")  # convolutions before the transformer
        if inside or type(child) is not torch.nn.ModuleList:
            continue
        if len({type(block) for block in child}) == 1:
            lists[name] = child
    if not lists:
        return {}
    path, blocks = max(lists.items(), key=lambda item: len(item[1]))
    stem = {"embedder": module.embedder} if hasattr(module, "embedder") else {}
    return stem | {f"{path}.{i}": block for i, block in enumerate(blocks)}


def chosen_layers(
    module: nn.Module,
    found: dict[str, nn.Module],
    layers: Sequence[str | int] | None,
    name: str,
) -> dict[str, nn.Module]:
    if layers is None:
        if not found:
            raise StrataError(f"{name}: no layers found; name the modules under layers:")
        return found
    chosen: dict[str, nn.Module] = {}
    for layer in layers:
        try:
            path = list(found)[layer] if isinstance(layer, int) else layer
            if path in chosen:
                raise StrataError(f"{name}: layers: {layer!r} is named twice ({path})")
            chosen[path] = module.get_submodule(path)
        except (AttributeError, IndexError):
            known = ", ".join(found)
            raise StrataError(f"{name}: layers: no layer {layer!r}; found {known}") from None
    return chosen
