"""Networks of timm and transformers, built and loaded from a folder."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from pathlib import Path

from strata.errors import StrataError, one_line
from strata.models.cards import read_model_json
from strata.models.layers import configured_depths
from strata.models.sound_families import check_family, saved_class, sound_encoder
from strata.models.weights import check_weights

_LOCAL = {"local_files_only": True, "trust_remote_code": False}  # no code of a model's own


def read_config(directory: Path) -> dict:
    for file in ("config.json", "model.safetensors"):
        if not (directory / file).is_file():
            raise StrataError(f"{directory}: no {file}; a model needs config.json and its weights")
    return read_model_json(directory / "config.json")


def load_timm(directory: Path, size: int | None = None):
    """The network of a timm folder, in float32; made for pictures of `size` pixels where given.

    A table of positions of another side is resampled as timm does for its own checkpoints.
    """
    from safetensors.torch import load_file

    check_weights(directory / "model.safetensors", directory.name)
    weights = load_file(directory / "model.safetensors")
    _check_arguments(directory, sum(value.numel() for value in weights.values()), len(weights))
    module = build_timm(directory)
    try:
        module.load_state_dict(weights, strict=True)
        if size is not None:
            module = _timm_of_size(directory, module, weights, size)
    except RuntimeError as error:
        made = "" if size is None else f", or not pictures of {size} pixels"
        raise StrataError(
            f"{directory.name}: the weights do not fit config.json{made}: {one_line(error)}"
        ) from None
    return module


def _check_arguments(directory: Path, values: int, tensors: int) -> None:
    """Refuse a network of another size than its weights before it takes memory or hours."""
    for key, value in _timm_arguments(directory)[1].items():
        most = tensors if key == "depth" else values
        for number in value if isinstance(value, list) else [value]:
            if isinstance(number, int) and number > max(most, 1000):
                raise StrataError(
                    f"{directory.name}: config.json: {key} is {number}, but model.safetensors "
                    f"holds {tensors} tensors of {values} values: the weights do not fit"
                )


def _timm_of_size(directory: Path, module, weights: dict, size: int):
    """The network for pictures of `size` pixels; `module` itself where it takes any."""
    try:
        sized = build_timm(directory, img_size=size)
    except StrataError:
        return module
    adapt = getattr(sys.modules[type(module).__module__], "checkpoint_filter_fn", None)
    sized.load_state_dict(adapt(weights, sized) if adapt else weights, strict=True)
    return sized


def build_timm(directory: Path, **changed):
    """The architecture of a timm folder, without weights; `changed` arguments come over its own."""
    import timm

    architecture, arguments = _timm_arguments(directory)
    try:
        return timm.create_model(architecture, pretrained=False, **arguments | changed)
    except Exception as error:  # a configuration that lies may fail anywhere
        raise StrataError(
            f"{directory.name}: timm cannot build {architecture!r}: {one_line(error)}"
        ) from None


def _timm_arguments(directory: Path) -> tuple[str, dict]:
    """Architecture and arguments of a timm folder; weights are those beside them, so that nothing
    else is opened, here or on a hub."""
    config, where = read_model_json(directory / "config.json"), f"{directory.name}: config.json"
    architecture = config.get("architecture")
    if not isinstance(architecture, str) or ":" in architecture:
        raise StrataError(f"{where}: architecture {architecture!r} should be a name of timm's")
    for key in ("model_args", "pretrained_cfg"):
        if not isinstance(config.get(key) or {}, dict):
            raise StrataError(f"{where}: {key} should hold {{key: value, ...}}")
    arguments = dict(config.get("model_args") or {})
    for key in ("checkpoint_path", "pretrained", "pretrained_cfg_overlay", "cache_dir"):
        if key in arguments:
            raise StrataError(f"{where}: model_args: {key} means nothing here; leave it out")
    more = {key: config[key] for key in ("num_classes", "global_pool") if key in config}
    return architecture, arguments | {k: v for k, v in more.items() if v is not None}


def load_transformers(directory: Path):
    """The encoder of a transformers folder, in float32 whatever its weights are stored in."""
    import torch
    from transformers import AutoConfig, AutoModel, logging

    logging.set_verbosity_error()  # heads that are left out fill the log otherwise
    check_weights(directory / "model.safetensors", directory.name)
    try:
        config = AutoConfig.from_pretrained(directory, **_LOCAL)
    except Exception as error:  # a configuration that lies may fail anywhere
        raise StrataError(f"{directory.name}: config.json: {one_line(error)}") from None
    check_family(config, directory.name)
    _check_depths(config, directory)
    extra = {"mask_ratio": 0.0} if config.model_type == "vit_mae" else {}
    options = {**_LOCAL, "use_safetensors": True, "output_loading_info": True}
    options |= {"dtype": torch.float32}  # buffers too, some of which are computed when it is built
    try:
        loader = saved_class(config) or AutoModel
        model, report = loader.from_pretrained(directory, **options, **extra)
    except Exception as error:
        told = one_line(error)
        if "ignore_mismatched_sizes" in told:  # an option that users cannot set
            told = "the weights do not have the shapes that config.json says"
        raise StrataError(f"{directory.name}: transformers cannot load it: {told}") from None
    # Poolers come after the last layer and a classifier made from CLIP has left its text tower
    # behind; anything else that is missing would be random.
    sounds = sound_encoder(model)
    vision = "vision_model." if hasattr(model, "vision_model") else ""
    if sounds is not None and sounds is not model:
        vision = next(f"{path}." for path, part in model.named_modules() if part is sounds)
    needed = (key for key in report["missing_keys"] if key.startswith(vision))
    missing = sorted(key for key in needed if "pooler" not in key)
    if missing:
        raise StrataError(f"{directory.name}: model.safetensors lacks weights of {missing[0]}")
    _check_blocks(model, report["unexpected_keys"], directory)
    return getattr(model, "vision_model", model) if sounds is None else sounds


def _check_depths(config, directory: Path) -> None:
    """Refuse a depth that the weights cannot have, which would take hours to build: of the network
    or of one in it."""
    from safetensors import safe_open
    from transformers import PretrainedConfig

    with safe_open(directory / "model.safetensors", framework="np") as file:
        tensors = len(file.keys())
    parts = [part for part in vars(config).values() if isinstance(part, PretrainedConfig)]
    for depth in (depth for part in (config, *parts) for depth in configured_depths(part)):
        if depth > tensors:
            raise StrataError(
                f"{directory.name}: config.json says {depth} layers, but model.safetensors holds "
                f"{tensors} tensors: the weights do not fit"
            )


def _check_blocks(model, unused: Iterable[str], directory: Path) -> None:
    """Refuse weights of blocks like those of the network of which it has fewer: read so, its last
    layer would be one in the middle."""
    blocks = {_without_numbers(key) for key in model.state_dict()}
    more = sorted(
        key for key in unused if re.search(r"\d", key) and _without_numbers(key) in blocks
    )
    if more:
        raise StrataError(
            f"{directory.name}: model.safetensors has {more[0]}, of a layer that config.json does "
            "not count: the weights do not fit"
        )


def _without_numbers(key: str) -> str:
    return re.sub(r"\d+", "#", key)


def build_transformers(directory: Path):
    """A model of the class and configuration in `directory`, with fresh weights in float32."""
    import torch
    import transformers

    config = transformers.AutoConfig.from_pretrained(directory, local_files_only=True)
    named = (config.architectures or [""])[0]
    model_class = getattr(transformers, named, None) or saved_class(config)
    if model_class:
        return model_class(config)
    return transformers.AutoModel.from_config(config, dtype=torch.float32)
