"""Networks of timm and transformers, built and loaded from a folder."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

from strata.errors import StrataError
from strata.models.sound_families import check_family, saved_class, sound_encoder


def read_config(directory: Path) -> dict:
    for file in ("config.json", "model.safetensors"):
        if not (directory / file).is_file():
            raise StrataError(f"{directory}: no {file}; a model needs config.json and its weights")
    return json.loads((directory / "config.json").read_text())


def load_timm(directory: Path, size: int | None = None):
    """The network of a timm folder, in float32; made for pictures of `size` pixels where given.

    A table of positions of another side is resampled as timm does for its own checkpoints.
    """
    from safetensors.torch import load_file

    weights = load_file(directory / "model.safetensors")
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

    config = json.loads((directory / "config.json").read_text())
    arguments = dict(config.get("model_args") or {})
    if "num_classes" in config:
        arguments["num_classes"] = config["num_classes"]
    if config.get("global_pool") is not None:
        arguments["global_pool"] = config["global_pool"]
    try:
        return timm.create_model(config["architecture"], pretrained=False, **arguments | changed)
    except (RuntimeError, TypeError, ValueError, AssertionError) as error:
        raise StrataError(
            f"{directory.name}: timm cannot build {config['architecture']!r}: {one_line(error)}"
        ) from None


def load_transformers(directory: Path):
    """The encoder of a transformers folder, in float32 whatever its weights are stored in."""
    import torch
    from transformers import AutoConfig, AutoModel, logging

    logging.set_verbosity_error()  # heads that are left out fill the log otherwise
    config = AutoConfig.from_pretrained(directory, local_files_only=True)
    check_family(config, directory.name)
    extra = {"mask_ratio": 0.0} if config.model_type == "vit_mae" else {}
    options = {"local_files_only": True, "use_safetensors": True, "output_loading_info": True}
    options |= {"dtype": torch.float32}  # buffers too, some of which are computed when it is built
    try:
        loader = saved_class(config) or AutoModel
        model, report = loader.from_pretrained(directory, **options, **extra)
    except (OSError, RuntimeError, ValueError) as error:
        raise StrataError(
            f"{directory.name}: transformers cannot load it: {one_line(error)}"
        ) from None
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
    return getattr(model, "vision_model", model) if sounds is None else sounds


def one_line(error: Exception) -> str:
    return re.sub(r"\s+", " ", str(error)).strip()[:300]


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
