"""Taking layers out of a transformer, so that what is left is an ordinary smaller model."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Sequence
from numbers import Integral
from typing import TYPE_CHECKING

from strata.errors import StrataError
from strata.models.layers import find_layers
from strata.models.sound_families import family_of
from strata.pruning.criteria import check_depth

if TYPE_CHECKING:
    from torch import nn


def n_layers(model: nn.Module) -> int:
    """Number of layers of a transformers encoder or classifier.

    Raises StrataError for a model whose layers cannot be taken out.
    """
    return len(layer_stack(model)[1])


def prune(model: nn.Module, keep: int | Iterable[int]) -> nn.Module:
    """A smaller copy of a transformers model: the layers in `keep`, in their order.

    Parameters
    ----------
    model
        A speech or vision transformer, with or without a head; it is left as it is.
    keep
        Number of layers to keep from the first, or the numbers of the layers (from 0). Of none (0,
        or an empty list) what enters the first layer goes to what follows the last.

    Returns
    -------
    A model of the same class whose configuration names the new depth: it saves, reloads and runs
    with transformers alone. Behind a kept layer the states are those of the full model as long as
    no layer before it was left out.

    Raises
    ------
    StrataError
        `keep` names a layer that is not there, or one twice; or the model is no stack of layers of
        one kind, as a ResNet.
    """
    total = n_layers(model)
    count = isinstance(keep, Integral)
    chosen = list(range(keep)) if count else sorted(int(i) for i in keep)
    check_depth(total, keep if count else len(chosen))
    wrong = [i for i in chosen if not 0 <= i < total]
    if wrong or len(set(chosen)) < len(chosen):
        raise StrataError(
            f"keep {chosen}: layers are numbered 0 to {total - 1}, each can be kept once"
        )
    _check_alike(model)
    smaller = copy.deepcopy(model)
    path, layers = layer_stack(smaller)
    parent, _, name = path.rpartition(".")
    setattr(smaller.get_submodule(parent), name, type(layers)([layers[i] for i in chosen]))
    if chosen:
        _hand_over_bias(layers[0], layers[chosen[0]])
    _set_depth(smaller, len(chosen))
    _keep_weights(smaller, chosen)
    return smaller


def _check_alike(model: nn.Module) -> None:
    """Refuse a model whose configuration names layers by number, which a cut would change."""
    config = _vision_half(model.config)
    keys = ("window_block_indices", "residual_block_indices", "global_attn_indexes")
    for key in keys:
        if getattr(config, key, None):
            raise StrataError(
                f"{type(model).__name__}: {key} says that its layers are of several kinds; prune "
                "models whose layers are alike"
            )


def layer_stack(model: nn.Module) -> tuple[str, nn.ModuleList]:
    """Path and modules of a model's layers, of which there may be none.

    Raises StrataError as `n_layers`.
    """
    layers = find_layers(model)
    if not layers:
        return _emptied(model)
    stacks = {path.rpartition(".")[0] for path in layers}
    if len(stacks) != 1 or not hasattr(_vision_half(model.config), "num_hidden_layers"):
        raise _no_stack(model)
    (path,) = stacks
    whole = next(
        full
        for full, module in model.named_modules()
        if module is not model
        and full.endswith(path)
        and list(module.children()) == list(layers.values())
    )
    return whole, model.get_submodule(whole)


def _emptied(model: nn.Module) -> tuple[str, nn.ModuleList]:
    """The list from which all layers of a model have been taken out."""
    lists = [(path, module) for path, module in model.named_modules() if _length(module) == 0]
    if len(lists) != 1:
        raise _no_stack(model)
    return lists[0]


def _no_stack(model: nn.Module) -> StrataError:
    name = type(model).__name__
    return StrataError(f"{name}: its layers cannot be taken out; prune transformers, not stages")


def _length(module: nn.Module) -> int:
    return len(module) if hasattr(module, "__len__") else -1


def _vision_half(config):
    """The vision half of a CLIP configuration, or the configuration itself."""
    return getattr(config, "vision_config", config)


def _hand_over_bias(old: nn.Module, new: nn.Module) -> None:
    """WavLM's first layer holds the relative positions that all layers share."""
    before, after = getattr(old, "attention", None), getattr(new, "attention", None)
    if before is not after and hasattr(before, "rel_attn_embed"):
        after.rel_attn_embed = before.rel_attn_embed


def _keep_weights(model: nn.Module, chosen: Sequence[int]) -> None:
    """Of a head that weighs all layers, the weights of the states that are left."""
    from torch import nn

    weights = getattr(model, "layer_weights", None)
    if weights is not None and chosen:
        places = [0, *(number + 1 for number in chosen)]  # the first is what enters the layers
        model.layer_weights = nn.Parameter(weights.detach()[places])
    elif weights is not None:  # one state has nothing to be weighed against
        del model.layer_weights
        model.config.use_weighted_layer_sum = False


def _set_depth(model: nn.Module, depth: int) -> None:
    """Write the depth into every configuration that the modules hold, each of its own making."""
    renewed: dict[int, object] = {}
    for module in model.modules():
        config = getattr(module, "config", None)
        if config is None:
            continue
        if id(config) not in renewed:
            renewed[id(config)] = _with_depth(config, depth)
        module.config = renewed[id(config)]


def _with_depth(config, depth: int):
    """A configuration with another number of layers; names of stages are made anew with it."""
    if hasattr(config, "vision_config"):
        changed = copy.deepcopy(config)
        changed.vision_config.num_hidden_layers = depth
        return changed
    derived = ("stage_names", "out_features", "out_indices", "transformers_version")
    content = {k: v for k, v in config.to_dict().items() if k not in derived}
    key = getattr(family_of(config), "depth", "num_hidden_layers")
    changed = type(config)(**{**content, key: depth})
    for private in ("_attn_implementation", "_attn_implementation_internal"):
        if private in vars(config):
            vars(changed)[private] = vars(config)[private]
    return changed
