"""Models on disk: fetched once, loaded offline ever after, their layers found by themselves."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from strata.compat import prepare_imports
from strata.errors import StrataError
from strata.inference import pick_device
from strata.speech import (
    frame_geometry,
    has_front_end,
    sound_processor,
    speech_forward,
    write_sound_processor,
)

if TYPE_CHECKING:
    import numpy as np
    import torch
    from torch import nn

    from strata.data.manifest import Dataset

PREPROCESSING = ("own", "imagenet")
_IMAGENET_MEAN, _IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_WEIGHTS = ("model.safetensors", "pytorch_model.bin")  # the first that a repository has
_FILES = (
    "config.json",
    "preprocessor_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "vocab.json",
    "merges.txt",
    "README.md",
)
# Parameters that stand before the patches in a token sequence, in timm's and transformers' names.
_CLASS_TOKENS = ("cls_token", "class_embedding")
_OTHER_TOKENS = ("reg_token", "register_tokens", "dist_token", "distillation_token")


@dataclass(frozen=True)
class Encoder:
    """An image or speech encoder in evaluation mode, with its layers and its preprocessing.

    `layers` maps a layer's name (its path in the module) to the module whose output is recorded;
    `preprocess` turns PIL pictures into a tensor (batch, 3, height, width), or sounds (samples,)
    into a list of tensors; `n_prefix_tokens` counts the class and register tokens before the
    patches; `rate` is the sample rate in Hz that a speech model wants, None for an image model.
    """

    name: str
    module: nn.Module
    layers: Mapping[str, nn.Module]
    preprocess: Callable[[list], Any]
    forward: Callable[[Any], Any]
    n_prefix_tokens: int
    has_class_token: bool
    device: str
    sha256: str
    rate: int | None = None

    @property
    def layer_names(self) -> list[str]:
        return list(self.layers)

    def reader(self, dataset: Dataset) -> Callable[[int], Any]:
        """How to get what the model sees of a sample of `dataset`: its picture, or its sound.

        Raises StrataError for pictures before a speech model or the other way round; the reader
        does for a sound that is shorter than one frame.
        """
        wanted = "image" if self.rate is None else "audio"
        if dataset.modality != wanted:
            raise StrataError(
                f"{self.name} is a model of modality {wanted}, {dataset.info['name']} holds "
                f"{dataset.modality}"
            )
        if self.rate is None:
            return dataset.image
        field = frame_geometry(self.module.config)[1]

        def sound(sample: int) -> np.ndarray:
            found = dataset.sound(sample, self.rate)
            if len(found) < field:
                raise StrataError(
                    f"{dataset.place_of(sample)}: {len(found)} samples at {self.rate} Hz are less "
                    f"than one frame of {self.name} ({field}); remove it or lengthen it"
                )
            return found

        return sound


def load_encoder(
    directory: str | Path,
    *,
    device: str = "auto",
    layers: Sequence[str | int] | None = None,
    preprocess: str = "own",
) -> Encoder:
    """Load a timm or transformers image or speech model from its folder, without any network.

    Parameters
    ----------
    layers
        Paths of modules or numbers of found layers (from 0, negative from the end) instead of all.
        Found are: the blocks of a timm ViT, else timm's feature stages; in transformers the
        encoder's blocks (of speech models without their convolutions), or the stem and stages of
        a ResNet.
    preprocess
        "own": as the model's configuration says; "imagenet": resize to 256/224 of the input
        size, centre crop, ImageNet mean and deviation, as "From Colors to Classes" does for all;
        it means nothing for sounds.

    Raises
    ------
    StrataError
        A file is missing, the weights do not fit the configuration, or a layer does not exist.
    """
    directory, device = Path(directory), pick_device(device)
    config = _config(directory)
    prepare_imports()
    module = _load_timm(directory) if "architecture" in config else _load_transformers(directory)
    module = module.eval().to(device)
    found = _timm_layers(module) if "architecture" in config else _transformers_layers(module)
    prefix = _prefix_tokens(module)
    if has_front_end(module):
        rate, prepare = sound_processor(directory)
        forward = speech_forward(module)
    else:
        rate, prepare = None, _preprocessing(directory, config, module, preprocess)
        forward = _forward(module, config)
    return Encoder(
        name=directory.name,
        module=module,
        layers=_chosen(module, found, layers, directory.name),
        preprocess=prepare,
        forward=forward,
        n_prefix_tokens=sum(prefix.values()),
        has_class_token=any(name in prefix for name in _CLASS_TOKENS),
        device=device,
        sha256=_sha256(directory / "model.safetensors"),
        rate=rate,
    )


def _config(directory: Path) -> dict:
    for file in ("config.json", "model.safetensors"):
        if not (directory / file).is_file():
            raise StrataError(f"{directory}: no {file}; a model needs config.json and its weights")
    return json.loads((directory / "config.json").read_text())


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


# --- loading ------------------------------------------------------------------------------------


def _load_timm(directory: Path):
    from safetensors.torch import load_file

    module = _build_timm(directory)
    try:
        module.load_state_dict(load_file(directory / "model.safetensors"), strict=True)
    except RuntimeError as error:
        raise StrataError(
            f"{directory.name}: the weights do not fit config.json: {_one_line(error)}"
        ) from None
    return module


def _build_timm(directory: Path):
    """The architecture of a timm folder, without weights."""
    import timm

    config = json.loads((directory / "config.json").read_text())
    arguments = dict(config.get("model_args") or {})
    if "num_classes" in config:
        arguments["num_classes"] = config["num_classes"]
    if config.get("global_pool") is not None:
        arguments["global_pool"] = config["global_pool"]
    try:
        return timm.create_model(config["architecture"], pretrained=False, **arguments)
    except (RuntimeError, TypeError) as error:
        raise StrataError(
            f"{directory.name}: timm cannot build {config['architecture']!r}: {_one_line(error)}"
        ) from None


def _load_transformers(directory: Path):
    from transformers import AutoConfig, AutoModel, logging

    logging.set_verbosity_error()  # heads that are left out fill the log otherwise
    config = AutoConfig.from_pretrained(directory, local_files_only=True)
    extra = {"mask_ratio": 0.0} if config.model_type == "vit_mae" else {}
    options = {"local_files_only": True, "use_safetensors": True, "output_loading_info": True}
    try:
        model, report = AutoModel.from_pretrained(directory, **options, **extra)
    except (OSError, RuntimeError, ValueError) as error:
        raise StrataError(
            f"{directory.name}: transformers cannot load it: {_one_line(error)}"
        ) from None
    # Poolers come after the last layer and a classifier made from CLIP has left its text tower
    # behind; anything else that is missing would be random.
    vision = "vision_model." if hasattr(model, "vision_model") else ""
    needed = (key for key in report["missing_keys"] if key.startswith(vision))
    missing = sorted(key for key in needed if "pooler" not in key)
    if missing:
        raise StrataError(f"{directory.name}: model.safetensors lacks weights of {missing[0]}")
    return getattr(model, "vision_model", model)


def _one_line(error: Exception) -> str:
    return re.sub(r"\s+", " ", str(error)).strip()[:300]


def _forward(module: nn.Module, config: dict) -> Callable:
    """How to call the model on pixels, with nothing of a masked autoencoder hidden."""
    import torch

    if "architecture" in config:
        return getattr(module, "forward_features", module)
    if config["model_type"] != "vit_mae":
        return lambda pixels: module(pixel_values=pixels)

    def unmasked(pixels):
        # The order of the noise is the order of the patches: rising noise keeps their places.
        patches = module.embeddings.patch_embeddings.num_patches
        noise = torch.arange(patches, device=pixels.device, dtype=torch.float32)
        return module(pixel_values=pixels, noise=noise.expand(len(pixels), -1))

    return unmasked


def _prefix_tokens(module: nn.Module) -> dict[str, int]:
    """Number of class, register and distillation tokens, by the parameter's own name."""
    named = {name.split(".")[-1]: value for name, value in module.named_parameters()}
    return {
        name: named[name].shape[-2] if named[name].ndim > 1 else 1
        for name in (*_CLASS_TOKENS, *_OTHER_TOKENS)
        if name in named
    }


# --- layers -------------------------------------------------------------------------------------


def _timm_layers(module: nn.Module) -> dict[str, nn.Module]:
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
    return _transformers_layers(encoder_of(classifier))


def _transformers_layers(module: nn.Module) -> dict[str, nn.Module]:
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


def _chosen(
    module: nn.Module,
    found: dict[str, nn.Module],
    layers: Sequence[str | int] | None,
    name: str,
) -> dict[str, nn.Module]:
    if layers is None:
        if not found:
            raise StrataError(f"{name}: no layers found; name the modules under layers:")
        return found
    chosen = {}
    for layer in layers:
        try:
            path = list(found)[layer] if isinstance(layer, int) else layer
            chosen[path] = module.get_submodule(path)
        except (AttributeError, IndexError):
            known = ", ".join(found)
            raise StrataError(f"{name}: layers: no layer {layer!r}; found {known}") from None
    return chosen


# --- preprocessing ------------------------------------------------------------------------------


def image_processor(directory: Path) -> Callable[[list], torch.Tensor]:
    """Preprocessing of a transformers model, from its `preprocessor_config.json`."""
    prepare_imports()
    from transformers import AutoImageProcessor

    if not (directory / "preprocessor_config.json").is_file():
        raise StrataError(
            f"{directory.name}: no preprocessor_config.json; set preprocess: imagenet"
        )
    processor = AutoImageProcessor.from_pretrained(directory, local_files_only=True)
    return lambda pictures: processor(images=pictures, return_tensors="pt")["pixel_values"]


def _preprocessing(
    directory: Path, config: dict, module: nn.Module, preprocess: str
) -> Callable[[list], torch.Tensor]:
    import torch

    if preprocess not in PREPROCESSING:
        raise StrataError(f"preprocess: {preprocess!r} is unknown; use own or imagenet")
    if preprocess == "own" and "architecture" not in config:
        return image_processor(directory)
    if preprocess == "own":
        from timm.data import create_transform, resolve_data_config

        own = config.get("pretrained_cfg") or {}
        transform = create_transform(**resolve_data_config(pretrained_cfg=own, model=module))
    else:
        transform = _imagenet_transform(input_size(config))
    return lambda pictures: torch.stack([transform(picture) for picture in pictures])


def input_size(config: dict) -> int:
    """Side of a model's input in pixels; 224 where the configuration leaves it open."""
    if "architecture" in config:
        return int((config.get("pretrained_cfg") or {}).get("input_size", (3, 224, 224))[-1])
    size = config.get("vision_config", config).get("image_size", 224)
    return size if isinstance(size, int) else size[-1]


def _imagenet_transform(size: int):
    from torchvision import transforms

    return transforms.Compose(
        [
            transforms.Resize(round(size * 256 / 224)),
            transforms.CenterCrop(size),
            transforms.ToTensor(),
            transforms.Normalize(_IMAGENET_MEAN, _IMAGENET_STD),
        ]
    )


# --- fetching -----------------------------------------------------------------------------------


def fetch(
    spec: Mapping,
    directory: str | Path,
    *,
    mirror: str | None = None,
    name: str = "",
    log: Callable[[str], None] = print,
) -> dict:
    """Put a model into `directory`, ready to load offline, and return its card.

    It is taken from `spec["path"]` (a local folder), else from `{mirror}/models/{id}` when the
    mirror is a folder that has it, else from the hub at `spec["revision"]`. Only safetensors are
    kept; where a repository has none, its `pytorch_model.bin` is read with `weights_only` and
    written as safetensors. `spec["processor"]` (`sampling_rate`, `do_normalize`) says how sounds
    are prepared where a speech model's repository does not.

    What came from the hub before a failure is kept beside `directory`, and a second call goes on
    from there. The card's revision is the commit, also where the specification names a branch.

    Raises
    ------
    StrataError
        The model cannot be fetched, or the result does not load.
    """
    directory = Path(directory)
    temporary = directory.with_name(f".{directory.name}.part")
    downloads = directory.with_name(f".{directory.name}.downloads")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    try:
        found = _copy_local(spec, temporary, mirror, name)
        source, revision = found or _download(spec, downloads, temporary, name, log)
        _safetensors_only(temporary, name)
        if "processor" in spec and not (temporary / "preprocessor_config.json").is_file():
            write_sound_processor(temporary, **spec["processor"])
        load_encoder(temporary, device="cpu", layers=spec.get("layers"))
        card = {
            "name": name,
            "source": source,
            "revision": revision,
            "licence": spec.get("licence") or _licence(temporary),
            "parameters": _parameters(temporary / "model.safetensors"),
            "sha256": _sha256(temporary / "model.safetensors"),
        }
        write_card(temporary, card)
        directory.mkdir(parents=True, exist_ok=True)
        for file in (*_FILES, "model.safetensors", "card.json"):
            if (temporary / file).is_file():
                os.replace(temporary / file, directory / file)
        shutil.rmtree(downloads, ignore_errors=True)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return card


def write_card(directory: Path, card: Mapping) -> None:
    """Write `card.json`: what a model is, where it came from and how well it does."""
    (directory / "card.json").write_text(json.dumps(card, indent=2, sort_keys=True) + "\n")


def _copy_local(
    spec: Mapping, directory: Path, mirror: str | None, name: str
) -> tuple[str, str | None] | None:
    """Copy a model from its folder or the mirror; its origin and revision, None if not there."""
    if "path" in spec:
        folder = Path(spec["path"])
        if not folder.is_dir():
            raise StrataError(f"{name}: path {folder} is not a folder; it should hold config.json")
    else:
        folder = Path(mirror or "") / "models" / spec["id"]
        if not mirror or not folder.is_dir():
            return None
    _copy_files(folder, directory)
    return str(spec.get("id", folder)), spec.get("revision")


def _copy_files(folder: Path, directory: Path) -> None:
    for file in (*_FILES, *_WEIGHTS):
        if (folder / file).is_file():
            shutil.copyfile(folder / file, directory / file)


def _download(
    spec: Mapping, downloads: Path, directory: Path, name: str, log: Callable[[str], None]
) -> tuple[str, str]:
    """Fetch a model from the hub by way of `downloads`; its origin and its commit."""
    from strata.hub import fetch_repository

    repository, revision = spec["id"], spec["revision"]
    try:
        commit, folder = fetch_repository(
            repository, revision, _FILES, downloads, either=_WEIGHTS, log=log
        )
        _copy_files(folder, directory)
    except (OSError, StrataError) as error:
        raise StrataError(
            f"{name}: cannot fetch {repository} at revision {revision}: {_one_line(error)}; "
            f"or put it under models/{repository} of the data mirror"
        ) from None
    if commit != revision:
        log(f"{repository}: {revision} is commit {commit}; name that to pin it")
    return repository, commit


def _safetensors_only(directory: Path, name: str) -> None:
    import pickle

    import torch
    from safetensors.torch import save_file

    pickled = directory / "pytorch_model.bin"
    if (directory / "model.safetensors").is_file():
        pickled.unlink(missing_ok=True)
        return
    if not pickled.is_file():
        raise StrataError(f"{name}: it has no model.safetensors; only safetensors are loaded")
    try:
        weights = torch.load(pickled, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, EOFError, RuntimeError) as error:
        raise StrataError(
            f"{name}: pytorch_model.bin is damaged or holds more than weights, and is not loaded: "
            f"{_one_line(error)[:80]}"
        ) from None
    copies = {key: value.clone().contiguous() for key, value in weights.items()}
    save_file(copies, directory / "model.safetensors", metadata={"format": "pt"})
    pickled.unlink()


def _licence(directory: Path) -> str:
    """The licence that the model's own README declares in its header."""
    readme = directory / "README.md"
    header = readme.read_text(errors="replace")[:4000] if readme.is_file() else ""
    found = re.search(r"^license:\s*(\S+)", header, flags=re.MULTILINE)
    return found.group(1) if found else "not stated"


def _parameters(weights: Path) -> int:
    from math import prod

    from safetensors import safe_open

    with safe_open(weights, framework="np") as file:
        return sum(prod(file.get_slice(key).get_shape()) for key in file.keys())  # noqa: SIM118 - not a dict


def random_twin(source: str | Path, directory: str | Path, *, seed: int) -> dict:
    """The control of a model: the same architecture and preprocessing with random weights.

    Weights are drawn by the library's own initialisation after `torch.manual_seed(seed)`; the
    twin's card is returned.
    """
    import torch

    source, directory = Path(source), Path(directory)
    config = _config(source)
    prepare_imports()
    directory.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(seed)
    if "architecture" in config:
        from safetensors.torch import save_file

        weights = _build_timm(source).state_dict()
        save_file(weights, directory / "model.safetensors", metadata={"format": "pt"})
    else:
        _build_transformers(source).save_pretrained(directory)
    for file in _FILES:
        if (source / file).is_file():
            shutil.copyfile(source / file, directory / file)
    card = {
        "name": directory.name,
        "base": source.name,
        "objective": "none: random weights",
        "seed": seed,
        "licence": "Apache-2.0",
        "parameters": _parameters(directory / "model.safetensors"),
    }
    write_card(directory, card)
    return card


def _build_transformers(directory: Path):
    """A model of the class and configuration in `directory`, with fresh weights."""
    import transformers

    config = transformers.AutoConfig.from_pretrained(directory, local_files_only=True)
    named = (config.architectures or [""])[0]
    model_class = getattr(transformers, named, None)
    return model_class(config) if model_class else transformers.AutoModel.from_config(config)
