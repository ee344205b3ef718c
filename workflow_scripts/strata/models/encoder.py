"""An encoder with its layers and its preprocessing, loaded from a folder without any network."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from inspect import signature
from pathlib import Path
from typing import TYPE_CHECKING, Any

from strata.compat import prepare_imports
from strata.data.files import sha256_of
from strata.errors import StrataError, one_line
from strata.models.building import load_timm, load_transformers, read_config
from strata.models.front_end import FrontEnd, sound_reader
from strata.models.front_ends import front_end_of
from strata.models.inference import pick_device
from strata.models.layers import (
    CLASS_TOKENS,
    SUFFIX_TOKENS,
    chosen_layers,
    maps_channels_last,
    prefix_tokens,
    timm_layers,
    transformers_layers,
)
from strata.models.preprocessing import (
    IMAGENET_SIZE,
    check_preprocessing,
    input_size,
    make_preprocessing,
)
from strata.tables import EMBEDDING

if TYPE_CHECKING:
    from torch import nn

    from strata.data.manifest import Dataset


@dataclass(frozen=True)
class Encoder:
    """An image or speech encoder in evaluation mode, with its layers and its preprocessing.

    `layers` maps a layer's name (its path in the module) to the module whose output is recorded;
    `preprocess` turns PIL pictures into a tensor (batch, 3, height, width), or sounds (samples,)
    into a list of tensors; `n_prefix_tokens` counts the class and register tokens before the
    patches, the first `n_class_tokens` of which are read as one by their mean, and
    `n_suffix_tokens` those behind them; `channels_last` says that maps are (batch, height,
    width, channels); `rate` is the sample rate in Hz that a speech model wants, and
    `front_end` how sounds enter it, both None for an image model; `embedding` is the module whose
    input is recorded before all layers, as the layer "embedding": the first of the found layers,
    or None.
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
    front_end: FrontEnd | None = None
    n_class_tokens: int = 1
    n_suffix_tokens: int = 0
    channels_last: bool = False
    embedding: nn.Module | None = None

    @property
    def layer_names(self) -> list[str]:
        """Names of what is recorded, in the order of `strata.activations.ActivationCache`."""
        return [*([] if self.embedding is None else [EMBEDDING]), *self.layers]

    def reader(self, dataset: Dataset) -> Callable[[int], Any]:
        """How to get what the model sees of a sample of `dataset`: its picture, or its sound.

        Raises StrataError for pictures before a speech model or the other way round; the reader
        does for a sound that is shorter than one frame, or longer than the model's positions.
        """
        wanted = "image" if self.rate is None else "audio"
        if dataset.modality != wanted:
            raise StrataError(
                f"{self.name} is a model of modality {wanted}, {dataset.info['name']} holds "
                f"{dataset.modality}"
            )
        if self.rate is None:
            return dataset.image
        return sound_reader(self.front_end, dataset, self.name)


def load_encoder(
    directory: str | Path,
    *,
    device: str = "auto",
    layers: Sequence[str | int] | None = None,
    preprocess: str = "own",
    size: int | None = None,
    context: str | None = None,
    embedding: bool = False,
) -> Encoder:
    """Load a timm or transformers image or speech model from its folder, without any network.

    Parameters
    ----------
    layers
        Paths of modules or numbers of found layers (from 0, negative from the end) instead of all
        that are found (docs/models.md lists which these are).
    preprocess
        Of pictures, "own": as the model's configuration says; "imagenet": resize to 256/224 of
        `size`, centre crop, ImageNet mean and deviation, as "From Colors to Classes" does for all;
        "whole": the same without the crop, every picture resized to a square of `size`.
    size
        Side in pixels of what "imagenet" and "whole" show (224 by default). A table of positions
        that was made for another side is interpolated.
    context
        What an encoder of sounds that was trained on clips padded to one length sees: "clip" (also
        None), the clip's own frames; "full", the padded clip (`strata.models.front_ends`).
    embedding
        Record also what enters the first found layer, before all that `layers` names.

    Whatever the dtype of the weights on disk, the model computes in float32.

    Raises
    ------
    StrataError
        A file is missing, the weights do not fit the configuration, a layer does not exist or is
        called "embedding" itself, or the model cannot take pictures of `size`.
    """
    check_preprocessing(preprocess, size)
    directory, device = Path(directory), pick_device(device)
    config = read_config(directory)
    _check_names(layers or (), directory.name)
    prepare_imports()
    shown = IMAGENET_SIZE if preprocess != "own" and size is None else size
    timm = "architecture" in config
    module = load_timm(directory, size=shown) if timm else load_transformers(directory)
    module = module.eval().to(device)
    found = timm_layers(module) if timm else transformers_layers(module)
    front_end = front_end_of(directory, module, context)
    if front_end is None:
        prepare = make_preprocessing(directory, config, module, shown, preprocess != "whole")
        forward = _picture_forward(module, config, shown, directory.name)
    return Encoder(
        name=directory.name,
        module=module,
        layers=chosen_layers(module, found, layers, directory.name),
        preprocess=front_end.prepare if front_end else prepare,
        forward=front_end.forward if front_end else forward,
        device=device,
        sha256=sha256_of(directory / "model.safetensors"),
        rate=getattr(front_end, "rate", None),
        front_end=front_end,
        channels_last=maps_channels_last(module),
        embedding=_first(found, directory.name) if embedding else None,
        **_token_counts(module),
    )


def _token_counts(module: nn.Module) -> dict[str, Any]:
    """What of an `Encoder` tells patches from other tokens."""
    counts = prefix_tokens(module)
    return {
        "n_prefix_tokens": sum(n for name, n in counts.items() if name not in SUFFIX_TOKENS),
        "has_class_token": any(name in counts for name in CLASS_TOKENS),
        "n_class_tokens": max((counts.get(name, 1) for name in CLASS_TOKENS), default=1),
        "n_suffix_tokens": sum(n for name, n in counts.items() if name in SUFFIX_TOKENS),
    }


def _check_names(layers: Sequence[str | int], name: str) -> None:
    if EMBEDDING in layers:
        raise StrataError(
            f"{name}: layers: {EMBEDDING!r} is what embedding: true adds; leave it out"
        )


def _first(found: Mapping[str, nn.Module], name: str) -> nn.Module:
    """The layer whose input is the embedding."""
    if not found:
        raise StrataError(f"{name}: embedding: no layers found before which it could be read")
    return next(iter(found.values()))


def _picture_forward(module: nn.Module, config: dict, size: int | None, name: str) -> Callable:
    """How to call the model on pixels; tried on a blank picture where `size` is not its own."""
    import torch

    forward = _forward(module, config)
    if size is None or size == input_size(config):
        return forward
    device = next(module.parameters()).device
    try:
        with torch.inference_mode():
            forward(torch.zeros(1, 3, size, size, device=device))
    except (RuntimeError, ValueError, AssertionError) as error:
        raise StrataError(
            f"{name}: cannot be run on pictures of {size} pixels: {one_line(error)}; it was made "
            f"for {input_size(config)}: set size: to that, unless it takes no pictures at all"
        ) from None
    return forward


def _forward(module: nn.Module, config: dict) -> Callable:
    """How to call the model on pixels, with nothing of a masked autoencoder hidden."""
    import torch

    if "architecture" in config:
        return getattr(module, "forward_features", module)
    own = config.get("vision_config", config).get("image_size", input_size(config))
    own = (own, own) if isinstance(own, int) else tuple(own)
    interpolates = "interpolate_pos_encoding" in signature(module.forward).parameters

    def call(pixels, **options):
        if interpolates and tuple(pixels.shape[-2:]) != own:
            options["interpolate_pos_encoding"] = True
        return module(pixel_values=pixels, **options)

    if config["model_type"] != "vit_mae":
        return call

    def unmasked(pixels):
        # The order of the noise is the order of the patches: rising noise keeps their places.
        height, width = (length // module.config.patch_size for length in pixels.shape[-2:])
        noise = torch.arange(height * width, device=pixels.device, dtype=torch.float32)
        return call(pixels, noise=noise.expand(len(pixels), -1))

    return unmasked
