"""Pictures as a network wants them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from strata.compat import prepare_imports
from strata.errors import StrataError, one_line

if TYPE_CHECKING:
    import torch
    from torch import nn

PREPROCESSING = ("own", "imagenet", "whole")
IMAGENET_SIZE = 224  # pixels, in "From Colors to Classes" for all networks
_TIMM = ("input_size", "mean", "std", "interpolation", "crop_pct", "crop_mode")
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def image_processor(directory: Path) -> Callable[[list], torch.Tensor]:
    """Preprocessing of a transformers model, from its `preprocessor_config.json`.

    What it makes of a picture does not depend on those beside it: some processors fill up a batch
    to its largest picture. Raises StrataError where pictures become of unlike sizes.
    """
    import torch

    prepare_imports()
    from transformers import AutoImageProcessor

    if not (directory / "preprocessor_config.json").is_file():
        raise StrataError(
            f"{directory.name}: no preprocessor_config.json; set preprocess: imagenet"
        )
    try:
        processor = AutoImageProcessor.from_pretrained(
            directory, local_files_only=True, trust_remote_code=False
        )
    except Exception as error:  # what lies may fail anywhere
        told = one_line(error, 200)
        raise StrataError(
            f"{directory.name}: preprocessor_config.json makes no image processor: {told}"
        ) from None

    def process(pictures: list) -> torch.Tensor:
        alike = len({picture.size for picture in pictures}) == 1
        groups = [pictures] if alike else [[picture] for picture in pictures]
        made = [processor(images=g, return_tensors="pt")["pixel_values"] for g in groups]
        sizes = sorted({tuple(part.shape[1:]) for part in made})
        if len(sizes) > 1:
            raise StrataError(
                f"{directory.name}: its processor makes of pictures arrays of unlike shapes, "
                f"{sizes[0]} and {sizes[-1]}; set preprocess: whole or imagenet"
            )
        return torch.cat(made)

    return process


def check_preprocessing(preprocess: str, size: int | None) -> None:
    if preprocess not in PREPROCESSING:
        raise StrataError(f"preprocess: {preprocess!r} is unknown; use own, imagenet or whole")
    if size is not None and preprocess == "own":
        raise StrataError(
            f"size: {size} goes with preprocess: imagenet or whole; own takes its size from the "
            "model's configuration"
        )


def make_preprocessing(
    directory: Path, config: dict, module: nn.Module, size: int | None, crop: bool = True
) -> Callable[[list], torch.Tensor]:
    """Preprocessing of "imagenet" at `size` pixels, or without `crop` of the whole picture; the
    model's own where `size` is None."""
    import torch

    if size is None and "architecture" not in config:
        return image_processor(directory)
    if size is None:
        from timm.data import create_transform, resolve_data_config

        own = timm_settings(config)
        try:
            transform = create_transform(**resolve_data_config(pretrained_cfg=own, model=module))
        except Exception as error:  # what lies may fail anywhere
            told = one_line(error, 200)
            raise StrataError(
                f"{directory.name}: config.json: pretrained_cfg makes no preprocessing: {told}"
            ) from None
    else:
        transform = _imagenet_transform(size, crop)
    return lambda pictures: torch.stack([transform(picture) for picture in pictures])


def timm_settings(config: dict) -> dict:
    """What a timm folder says of its pictures, which stood beside `architecture` at first; nothing
    where it says nothing, and timm's own registry holds."""
    return config.get("pretrained_cfg") or {k: config[k] for k in _TIMM if k in config}


def input_size(config: dict) -> int:
    """Side of a model's input in pixels; 224 where the configuration leaves it open."""
    if "architecture" in config:
        return int(timm_settings(config).get("input_size", (3, 224, 224))[-1])
    size = config.get("vision_config", config).get("image_size", 224)
    return size if isinstance(size, int) else size[-1]


def _imagenet_transform(size: int, crop: bool):
    from torchvision import transforms

    shaped = [transforms.Resize(round(size * 256 / 224)), transforms.CenterCrop(size)]
    return transforms.Compose(
        [
            *(shaped if crop else [transforms.Resize((size, size))]),
            transforms.ToTensor(),
            transforms.Normalize(IMAGENET_MEAN, IMAGENET_STD),
        ]
    )
