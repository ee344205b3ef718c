"""Low-rank adapters: a classifier of which only the head and small additions to the encoder's
matrices learn (LoRA, Hu et al. 2022, arXiv:2106.09685; by peft).

They are merged when the model is laid out, so that it is read like any other; what was learned is a
few megabytes and ships alone.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from torch import nn

from strata.compat import prepare_imports
from strata.errors import StrataError
from strata.models.cards import write_card
from strata.models.layers import encoder_of
from strata.models.locked import checksum
from strata.models.training.tuning import classifier

BASE = "adapts"  # key of a card: checksum of the network that the adapter belongs to
# A folder of its own: beside merged weights, transformers would add the adapter a second time.
FOLDER = "adapter"


def adapted(model: nn.Module, rank: int):
    """`model` with adapters of this rank (scaled by 2, as is usual) at every matrix of its encoder:
    peft's model around it, in which the head learns besides."""
    prepare_imports()
    from peft import LoraConfig, get_peft_model

    inside = {id(module) for module in encoder_of(model).modules()}
    matrices = [
        name
        for name, module in model.named_modules()
        if isinstance(module, nn.Linear) and id(module) in inside
    ]
    heads = [
        name
        for name, child in model.named_children()
        if any(True for _ in child.parameters()) and not _holds(child, inside)
    ]
    config = LoraConfig(
        r=rank, lora_alpha=2 * rank, target_modules=matrices, modules_to_save=heads or None
    )
    return get_peft_model(model, config)


def _holds(module: nn.Module, inside: set[int]) -> bool:
    return any(id(part) in inside for part in module.modules())


def save_adapter(adapter, source: Path, directory: Path) -> None:
    """What was learned, as peft reads it, without paths of this machine."""
    for config in adapter.peft_config.values():
        config.base_model_name_or_path = source.name
    adapter.save_pretrained(directory / FOLDER, save_embedding_layers=False)
    (directory / FOLDER / "README.md").unlink(missing_ok=True)  # peft's form of a card, empty


def merge_adapter(parts: str | Path, source: str | Path, directory: str | Path) -> None:
    """Lay out a whole classifier in `directory`: the network in `source` with the adapter in
    `parts` merged into its matrices.

    Raises StrataError when `source` is not the network that the adapter was learned on.
    """
    prepare_imports()
    from peft import PeftModel

    parts, source, directory = Path(parts), Path(source), Path(directory)
    card = json.loads((parts / "card.json").read_text())
    found = checksum(source)
    if found != card[BASE]:
        raise StrataError(
            f"{source}: SHA-256 of model.safetensors is {found[:12]}..., the adapter {parts.name} "
            f"belongs to {card[BASE][:12]}...; restore it, or train anew (zoo: train)"
        )
    model = classifier(source, card["classes"])
    merged = PeftModel.from_pretrained(model, str(parts / FOLDER)).merge_and_unload()
    directory.mkdir(parents=True, exist_ok=True)
    merged.save_pretrained(directory)
    shutil.copytree(parts / FOLDER, directory / FOLDER, dirs_exist_ok=True)
    shutil.copyfile(parts / "preprocessor_config.json", directory / "preprocessor_config.json")
    write_card(directory, card)
