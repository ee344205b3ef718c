"""The layers of a network, found by themselves, and the tokens before its patches."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from math import ceil
from typing import TYPE_CHECKING, Any

from strata.errors import StrataError
from strata.models.sound_families import family_of, sound_encoder, sound_layers

if TYPE_CHECKING:
    import torch
    from torch import nn

# Parameters that stand before the patches in a token sequence, in timm's and transformers' names;
# networks of several stages or branches number theirs.
CLASS_TOKENS = ("cls_token", "class_embedding")
# Those that stand behind the patches.
SUFFIX_TOKENS = ("detection_tokens",)
_OTHER_TOKENS = ("reg_token", "register_tokens", "dist_token", "distillation_token")
_NOT_ENCODERS = ("decoder", "feature_extractor")  # the latter are a speech model's convolutions


def prefix_tokens(module: nn.Module) -> dict[str, int]:
    """Number of class, register, distillation and detection tokens, by the parameter's own name."""
    counted: dict[str, int] = {}
    for path, value in module.named_parameters():
        name = re.sub(r"_?\d+$", "", path.rpartition(".")[2])
        if name in (*CLASS_TOKENS, *_OTHER_TOKENS, *SUFFIX_TOKENS):
            rows = value.shape[-2] if value.ndim > 1 else 1
            counted[name] = max(rows, counted.get(name, 0))
    if counted.get("cls_token") == 2 and getattr(module, "head_dist", None) is not None:
        counted |= {"cls_token": 1, "dist_token": 1}  # timm's PiT keeps both in one parameter
    return counted


def maps_channels_last(module: nn.Module) -> bool:
    """Whether a network says that its maps are (batch, height, width, channels)."""
    return getattr(module, "output_fmt", "NCHW") == "NHWC"


def timm_layers(module: nn.Module) -> dict[str, nn.Module]:
    """Blocks of a vision transformer, else the stages that timm itself lists as features."""
    import torch

    blocks = getattr(module, "blocks", None)
    if blocks is not None:
        return _members("blocks", blocks)
    listed = [stage["module"] for stage in getattr(module, "feature_info", [])]
    modules = dict(module.named_modules())
    if any(name not in modules for name in listed):  # names that are only known to timm
        stages = getattr(module, "stages", None)
        return _members("stages", stages) if isinstance(stages, torch.nn.Module) else {}
    found: dict[str, nn.Module] = {}
    for name in listed:
        is_list = type(modules[name]) is torch.nn.ModuleList
        found |= _members(name, modules[name]) if is_list else {name: modules[name]}
    return found


def _members(path: str, modules: nn.Module) -> dict[str, nn.Module]:
    """Members of a list of modules by their paths; of a list in it, which never runs, its own."""
    import torch

    found: dict[str, nn.Module] = {}
    for name, member in modules.named_children():
        inner = f"{path}.{name}"
        if type(member) is torch.nn.ModuleList:
            found |= _members(inner, member)
        elif "Embed" not in type(member).__name__:  # between stages: patches embedded anew
            found[inner] = member
    return found


def encoder_of(classifier: nn.Module) -> nn.Module:
    """The encoder in a transformers classifier (itself, where there is no head)."""
    sounds = sound_encoder(classifier)
    if sounds is not None:
        return sounds
    return getattr(classifier, "vision_model", classifier.base_model)


def find_layers(classifier: nn.Module) -> dict[str, nn.Module]:
    """Layers of a transformers classifier, under the names that its encoder alone has.

    None where all have been taken out (`strata.pruning.prune`).
    """
    config = getattr(classifier, "config", None)
    if getattr(getattr(config, "vision_config", config), "num_hidden_layers", None) == 0:
        return {}
    return transformers_layers(encoder_of(classifier))


def transformers_layers(module: nn.Module) -> dict[str, nn.Module]:
    """Members of the outermost list of modules that is as long as the configuration says the
    encoder is deep, else of the one with most parameters; a stem before it."""
    import torch

    if sound_encoder(module) is module:
        return sound_layers(module)
    depths = configured_depths(module.config)
    if depths == {0}:
        return {}
    lists: dict[str, dict[str, nn.Module]] = {}
    for path, child in module.named_modules():
        inside = any(path.startswith(f"{outer}.") for outer in lists)
        elsewhere = any(part in _NOT_ENCODERS for part in path.split("."))
        if type(child) is torch.nn.ModuleList and not inside and not elsewhere:
            lists[path] = _members(path, child)
    if not any(lists.values()):
        return {}
    blocks = max(lists.values(), key=lambda found: (len(found) in depths, _parameters(found)))
    stem = {"embedder": module.embedder} if hasattr(module, "embedder") else {}
    return stem | blocks


def _parameters(modules: dict[str, nn.Module]) -> int:
    return sum(p.numel() for module in modules.values() for p in module.parameters())


def configured_depths(config) -> set[int]:
    """How many layers a transformers configuration says there are: blocks, or stages where there
    are stages. Empty where it does not say."""
    family = family_of(config)
    if family is not None:
        return {getattr(config, family.depth)} if hasattr(config, family.depth) else set()
    per_stage = getattr(config, "depths", None) or getattr(config, "depth", None)
    if isinstance(per_stage, (list, tuple)):
        return {len(per_stage), sum(per_stage)}
    if hasattr(config, "num_block_repeats"):  # EfficientNet's num_hidden_layers counts convolutions
        return {sum(ceil(config.depth_coefficient * n) for n in config.num_block_repeats)}
    for name in ("num_hidden_layers", "encoder_layers"):
        if isinstance(getattr(config, name, None), int):
            return {getattr(config, name)}
    return set()


def entering_states(inputs: Sequence, named: Mapping[str, Any], name: str) -> torch.Tensor:
    """Tokens (batch, tokens, features) that enter the first block, from the block's arguments.

    Raises StrataError where they are no tokens: before a convolutional network there is only the
    picture, and between its stages there are maps.
    """
    states = inputs[0] if inputs else named.get("hidden_states")
    if getattr(states, "ndim", 0) != 3:
        found = f"a map {tuple(states.shape[1:])}" if hasattr(states, "shape") else "nothing known"
        raise StrataError(
            f"{name}: its first layer takes {found}, not tokens: there is no embedding to record "
            "(leave embedding out), and no layer to cut"
        )
    return states


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
