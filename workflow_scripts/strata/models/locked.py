"""A dual encoder whose image tower is locked: another model's, as it is (LiT, Zhai et al. 2022,
arXiv:2111.07991).

Its text tower and the projections of both are what was learned, and all that a zoo folder holds;
the image tower is put in when the model is laid out (`complete`).
"""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

from strata.compat import prepare_imports
from strata.errors import StrataError

TOWER = "image_tower"  # key of a card: folder and checksum of the image tower that belongs to it
_MODEL_TYPE = "vision-text-dual-encoder"
_VISION = "vision_model."


def is_locked(directory: str | Path) -> bool:
    """Whether a folder holds a dual encoder of this kind."""
    config = json.loads((Path(directory) / "config.json").read_text())
    return config.get("model_type") == _MODEL_TYPE and "read_blocks" in config


def checksum(directory: str | Path) -> str:
    """SHA-256 of a model's weights."""
    return hashlib.sha256((Path(directory) / "model.safetensors").read_bytes()).hexdigest()


def complete(parts: str | Path, tower: str | Path, directory: str | Path) -> None:
    """Lay out a whole model in `directory`: the learned `parts` with the image tower put in.

    Raises StrataError when `tower` is not the one that the parts were learned with.
    """
    from safetensors.numpy import load_file, save_file

    parts, tower, directory = Path(parts), Path(tower), Path(directory)
    known = json.loads((parts / "card.json").read_text())[TOWER]["sha256"]
    found = checksum(tower)
    if found != known:
        raise StrataError(
            f"{tower}: SHA-256 of model.safetensors is {found[:12]}..., {parts.name} was trained "
            f"with the image tower {known[:12]}...; restore it, or train anew (zoo: train)"
        )
    shutil.copytree(parts, directory, dirs_exist_ok=True)
    weights = load_file(parts / "model.safetensors")
    weights |= {_VISION + name: w for name, w in load_file(tower / "model.safetensors").items()}
    part = directory / "model.safetensors.part"
    save_file(weights, part, metadata={"format": "pt"})
    part.replace(directory / "model.safetensors")


def dual_encoder():
    """The class of the model: transformers' `VisionTextDualEncoderModel`, whose picture is what the
    class token and the mean of the patches are behind the blocks `config.read_blocks`.

    One token of the last block has forgotten colours and textures; what a labeller is asked about
    lies in all depths. Each number is standardised by the training pictures' mean and deviation,
    which are parts of the projection.
    """
    prepare_imports()
    import torch
    from transformers import VisionTextDualEncoderModel

    class LockedDualEncoder(VisionTextDualEncoderModel):
        def __init__(self, config, vision_model=None, text_model=None):
            super().__init__(config, vision_model, text_model)
            width = 2 * len(config.read_blocks) * config.vision_config.hidden_size
            self.visual_projection = torch.nn.Linear(width, config.projection_dim)

        def picture_features(self, pixel_values: torch.Tensor) -> torch.Tensor:
            """Class tokens and patch means (pictures, 2 x blocks x width), a block's side by
            side."""
            states = self.vision_model(pixel_values, output_hidden_states=True).hidden_states
            read = [states[block] for block in self.config.read_blocks]
            means = [(s[:, 0], s[:, 1:].mean(dim=1)) for s in read]
            return torch.cat([part for pair in means for part in pair], dim=1)

        def get_image_features(self, pixel_values: torch.Tensor, **kwargs):
            from transformers.modeling_outputs import BaseModelOutputWithPooling

            features = self.picture_features(pixel_values)
            projected = self.visual_projection(features.to(self.visual_projection.weight.dtype))
            return BaseModelOutputWithPooling(pooler_output=projected)

    return LockedDualEncoder
