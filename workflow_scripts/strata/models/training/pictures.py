"""Pictures on their way into a model: size, normalising, shifting, the processor's file."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from strata.data.manifest import Dataset
from strata.models.preprocessing import (
    IMAGENET_MEAN,
    IMAGENET_SIZE,
    IMAGENET_STD,
    image_processor,
)

if TYPE_CHECKING:
    from PIL.Image import Image

_BATCH = 256


@dataclass(frozen=True)
class Look:
    """How a model wants its pictures: side length in pixels, mean and deviation per channel, and
    whether the middle is cut out (of 256/224 of the side) or the whole made a square, and how."""

    size: int
    mean: tuple[float, ...] = (0.5, 0.5, 0.5)
    std: tuple[float, ...] = (0.5, 0.5, 0.5)
    crop: bool = False
    resample: int = 3  # Pillow's number: bicubic, or 2, bilinear

    @classmethod
    def of(cls, directory: Path) -> Look:
        """Side, mean and deviation in the `preprocessor_config.json` of a transformers model."""
        processor = json.loads((directory / "preprocessor_config.json").read_text())
        size = processor.get("crop_size") or processor["size"]
        side = size if isinstance(size, int) else size.get("height") or size["shortest_edge"]
        return cls(side, tuple(processor["image_mean"]), tuple(processor["image_std"]))

    @classmethod
    def reading(cls, directory: Path, preprocess: str, size: int | None) -> Look | OwnLook:
        """As the model is read with `preprocess` and `size` (`strata.models.encoder`)."""
        if preprocess == "own":
            return OwnLook(directory)
        mean, std = IMAGENET_MEAN, IMAGENET_STD
        return cls(size or IMAGENET_SIZE, mean, std, preprocess == "imagenet", resample=2)

    def write(self, directory: Path) -> None:
        """The preprocessor file that transformers' AutoImageProcessor reads."""
        processor = {
            "image_processor_type": "ViTImageProcessor",
            "do_resize": True,
            "size": {"height": self.size, "width": self.size},
            "resample": self.resample,
            "do_rescale": True,
            "rescale_factor": 1 / 255,
            "do_normalize": True,
            "image_mean": list(self.mean),
            "image_std": list(self.std),
        }
        text = json.dumps(processor, indent=2, sort_keys=True) + "\n"
        (directory / "preprocessor_config.json").write_text(text)

    def load(self, dataset: Dataset) -> np.ndarray:
        """All pictures of a data set as uint8 (samples, size, size, 3)."""
        return np.stack([self.resized(dataset.image(i)) for i in range(len(dataset))])

    def resized(self, picture: Image) -> np.ndarray:
        """A picture as `strata.models.encoder` reads it, uint8 (size, size, 3)."""
        from PIL.Image import Resampling

        square = (self.size, self.size)
        if self.crop:
            side = round(self.size * 256 / 224)
            scale = side / min(picture.size)
            wide, high = (max(side, int(edge * scale)) for edge in picture.size)
            left, top = round((wide - self.size) / 2), round((high - self.size) / 2)
            picture = picture.resize((wide, high), Resampling(self.resample))
            return np.asarray(picture.crop((left, top, left + self.size, top + self.size)))
        if picture.size != square:
            picture = picture.resize(square, Resampling(self.resample))
        return np.asarray(picture)

    def tensor(self, images: np.ndarray) -> torch.Tensor:
        """Normalised float tensor (n, 3, size, size) of uint8 pictures (n, size, size, 3)."""
        pixels = torch.from_numpy(np.ascontiguousarray(images)).permute(0, 3, 1, 2).float()
        mean, std = (torch.tensor(v).view(3, 1, 1) for v in (self.mean, self.std))
        return pixels.div_(255).sub_(mean).div_(std)

    def shifted(self, images: np.ndarray, draw: torch.Generator) -> torch.Tensor:
        """`tensor` after a random translation of each picture by up to a sixteenth of its side."""
        return _shifted(self.tensor(images), draw)


class OwnLook:
    """Pictures as a transformers model's own processor makes them, as `Look` otherwise."""

    def __init__(self, directory: Path):
        self.processor = image_processor(directory)

    def load(self, dataset: Dataset) -> torch.Tensor:
        """All pictures of a data set, float32 (samples, channels, height, width)."""
        return self.made([dataset.image(i) for i in range(len(dataset))])

    def made(self, pictures: list[Image]) -> torch.Tensor:
        parts = range(0, len(pictures), _BATCH)
        return torch.cat([self.processor(pictures[i : i + _BATCH]).float() for i in parts])

    def tensor(self, pixels: torch.Tensor) -> torch.Tensor:
        return pixels

    def shifted(self, pixels: torch.Tensor, draw: torch.Generator) -> torch.Tensor:
        """After a random translation of each picture by up to a sixteenth of its shorter side."""
        return _shifted(pixels, draw)


def _shifted(pixels: torch.Tensor, draw: torch.Generator) -> torch.Tensor:
    height, width = pixels.shape[-2:]
    reach = min(height, width) // 16
    padded = torch.nn.functional.pad(pixels, (reach,) * 4, mode="replicate")
    moves = torch.randint(0, 2 * reach + 1, (len(pixels), 2), generator=draw).tolist()
    moved = [padded[i, :, y : y + height, x : x + width] for i, (y, x) in enumerate(moves)]
    return torch.stack(moved)
