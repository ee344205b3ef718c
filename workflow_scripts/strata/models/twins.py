"""The control of a model: the same architecture with random weights."""

from __future__ import annotations

import shutil
from pathlib import Path

from strata.compat import prepare_imports
from strata.models.building import build_timm, build_transformers, read_config
from strata.models.cards import MODEL_FILES, count_parameters, write_card


def random_twin(source: str | Path, directory: str | Path, *, seed: int) -> dict:
    """The control of a model: the same architecture and preprocessing with random weights.

    Weights are drawn by the library's own initialisation after `torch.manual_seed(seed)`; the
    twin's card is returned.
    """
    import torch

    source, directory = Path(source), Path(directory)
    config = read_config(source)
    prepare_imports()
    directory.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(seed)
    if "architecture" in config:
        from safetensors.torch import save_file

        state = build_timm(source).state_dict()
        weights = {name: value.clone() for name, value in state.items()}  # some share memory
        save_file(weights, directory / "model.safetensors", metadata={"format": "pt"})
    else:
        build_transformers(source).save_pretrained(directory)
    for file in MODEL_FILES:
        if (source / file).is_file():
            shutil.copyfile(source / file, directory / file)
    card = {
        "name": directory.name,
        "base": source.name,
        "objective": "none: random weights",
        "seed": seed,
        "licence": "Apache-2.0",
        "parameters": count_parameters(directory / "model.safetensors"),
    }
    write_card(directory, card)
    return card
