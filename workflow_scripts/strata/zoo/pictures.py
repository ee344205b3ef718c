"""Pictures on their way into a zoo model: normalising, shifting, the processor's file."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch

MEAN = STD = (0.5, 0.5, 0.5)
_MAX_SHIFT = 3  # pixels of random translation in training


def to_tensor(images: np.ndarray) -> torch.Tensor:
    """Normalised float tensor (n, 3, size, size) of uint8 pictures (n, size, size, 3)."""
    pixels = torch.from_numpy(np.ascontiguousarray(images)).permute(0, 3, 1, 2)
    return pixels.float().div_(127.5).sub_(1.0)


def shifted(images: np.ndarray, draw: torch.Generator) -> torch.Tensor:
    """`to_tensor` after a random translation of each picture (edges repeated)."""
    size = images.shape[1]
    pad = ((0, 0), (_MAX_SHIFT, _MAX_SHIFT), (_MAX_SHIFT, _MAX_SHIFT), (0, 0))
    padded = np.pad(images, pad, mode="edge")
    moves = torch.randint(0, 2 * _MAX_SHIFT + 1, (len(images), 2), generator=draw).tolist()
    moved = [padded[i, y : y + size, x : x + size] for i, (y, x) in enumerate(moves)]
    return to_tensor(np.stack(moved))


def write_processor(directory: Path, size: int) -> None:
    """The preprocessor file that transformers' AutoImageProcessor reads."""
    processor = {
        "image_processor_type": "ViTImageProcessor",
        "do_resize": True,
        "size": {"height": size, "width": size},
        "resample": 3,
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": True,
        "image_mean": list(MEAN),
        "image_std": list(STD),
    }
    text = json.dumps(processor, indent=2, sort_keys=True) + "\n"
    (directory / "preprocessor_config.json").write_text(text)
