"""CLAP, which knows sounds and words as CLIP knows pictures and words: loaded from a folder."""

from __future__ import annotations

from pathlib import Path

from strata.compat import prepare_imports
from strata.errors import StrataError, one_line
from strata.models.cards import read_model_json


def is_clap(directory: str | Path) -> bool:
    """Whether a folder holds a CLAP of transformers."""
    config = Path(directory) / "config.json"
    return config.is_file() and read_model_json(config).get("model_type") == "clap"


def load_clap(directory: str | Path, device: str = "cpu"):
    """A CLAP in evaluation mode, in float32, with both of its towers.

    Raises StrataError when it does not load, or weights are missing, which would be random.
    """
    prepare_imports()
    import torch
    from transformers import ClapModel

    directory = Path(directory)
    options = {"local_files_only": True, "use_safetensors": True, "output_loading_info": True}
    try:
        model, report = ClapModel.from_pretrained(directory, dtype=torch.float32, **options)
    except Exception as error:  # a configuration that lies may fail anywhere
        raise StrataError(f"{directory.name}: no CLAP can be loaded: {one_line(error)}") from None
    missing = sorted(report["missing_keys"])
    if missing:
        raise StrataError(f"{directory.name}: model.safetensors lacks weights of {missing[0]}")
    if not (directory / "preprocessor_config.json").is_file():
        raise StrataError(f"{directory.name}: no preprocessor_config.json; it says how to hear")
    return model.eval().to(device)
