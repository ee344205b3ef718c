"""An encoder with its layers and its preprocessing, loaded from a folder without any network."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from strata.compat import prepare_imports
from strata.data.files import sha256_of
from strata.errors import StrataError
from strata.models.building import load_timm, load_transformers, read_config
from strata.models.front_end import FrontEnd, sound_reader
from strata.models.front_ends import front_end_of
from strata.models.inference import pick_device
from strata.models.layers import (
    CLASS_TOKENS,
    chosen_layers,
    prefix_tokens,
    timm_layers,
    transformers_layers,
)
from strata.models.preprocessing import make_preprocessing

if TYPE_CHECKING:
    from torch import nn

    from strata.data.manifest import Dataset


@dataclass(frozen=True)
class Encoder:
    """An image or speech encoder in evaluation mode, with its layers and its preprocessing.

    `layers` maps a layer's name (its path in the module) to the module whose output is recorded;
    `preprocess` turns PIL pictures into a tensor (batch, 3, height, width), or sounds (samples,)
    into a list of tensors; `n_prefix_tokens` counts the class and register tokens before the
    patches; `rate` is the sample rate in Hz that a speech model wants, None for an image model;
    `front_end` is how sounds enter it, None for an image model.
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

    @property
    def layer_names(self) -> list[str]:
        return list(self.layers)

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
    context: str | None = None,
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
    context
        What an encoder of sounds that was trained on clips padded to one length sees: "clip" (also
        None), the clip's own frames; "full", the padded clip (`strata.models.front_ends`).

    Raises
    ------
    StrataError
        A file is missing, the weights do not fit the configuration, or a layer does not exist.
    """
    directory, device = Path(directory), pick_device(device)
    config = read_config(directory)
    prepare_imports()
    module = load_timm(directory) if "architecture" in config else load_transformers(directory)
    module = module.eval().to(device)
    found = timm_layers(module) if "architecture" in config else transformers_layers(module)
    prefix = prefix_tokens(module)
    front_end = front_end_of(directory, module, context)
    if front_end is not None:
        rate, prepare, forward = front_end.rate, front_end.prepare, front_end.forward
    else:
        rate, prepare = None, make_preprocessing(directory, config, module, preprocess)
        forward = _forward(module, config)
    return Encoder(
        name=directory.name,
        module=module,
        layers=chosen_layers(module, found, layers, directory.name),
        preprocess=prepare,
        forward=forward,
        n_prefix_tokens=sum(prefix.values()),
        has_class_token=any(name in prefix for name in CLASS_TOKENS),
        device=device,
        sha256=sha256_of(directory / "model.safetensors"),
        rate=rate,
        front_end=front_end,
    )


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
