"""What CLIP makes of pictures and of words: the two sides of a dissection."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from strata.compat import prepare_imports
from strata.errors import StrataError
from strata.models.inference import mixed, pick_device, run_batches

if TYPE_CHECKING:
    from strata.data.manifest import Dataset

_TEXTS_PER_BATCH = 256


def _load(directory: Path, device: str):
    prepare_imports()
    import torch
    from transformers import AutoConfig, CLIPModel

    config = AutoConfig.from_pretrained(directory, local_files_only=True)
    if config.model_type != "clip":
        raise StrataError(f"{directory.name}: a dissection needs a CLIP, not {config.model_type}")
    options = {"local_files_only": True, "use_safetensors": True, "dtype": torch.float32}
    model = CLIPModel.from_pretrained(directory, **options)
    return model.eval().to(device)


def _unit(vectors) -> np.ndarray:
    import torch

    return torch.nn.functional.normalize(vectors.float(), dim=-1).cpu().numpy()


def image_embeddings(
    directory: str | Path,
    dataset: Dataset,
    *,
    device: str = "auto",
    batch_size: int | str = "auto",
    precision: str = "float32",
) -> np.ndarray:
    """Unit-length CLIP embeddings (samples, d) of a data set's pictures, computed in `precision`.

    Raises StrataError when `directory` holds no CLIP or a picture cannot be read.
    """
    import torch

    from strata.models.preprocessing import image_processor

    directory, device = Path(directory), pick_device(device)
    model = _load(directory, device)

    def embed(pixels) -> list[np.ndarray]:
        with torch.inference_mode(), mixed(device, precision):
            return [_unit(model.get_image_features(pixel_values=pixels).pooler_output)]

    batches = run_batches(
        dataset,
        range(len(dataset)),
        image_processor(directory),
        embed,
        device=device,
        batch_size=batch_size,
    )
    return np.concatenate([rows for (rows,) in batches])


def text_embeddings(
    directory: str | Path, concepts: Sequence[str], *, template: str = "{}", device: str = "auto"
) -> np.ndarray:
    """Unit-length CLIP embeddings (concepts, d) of concepts, each put into `template`.

    Raises
    ------
    StrataError
        `directory` holds no CLIP, or its tokenizer does not know a word of a concept: the
        embedding would then be that of the unknown token.
    """
    import torch

    directory, device = Path(directory), pick_device(device)
    model = _load(directory, device)
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(directory, local_files_only=True)
    length = model.config.text_config.max_position_embeddings
    parts = []
    for start in range(0, len(concepts), _TEXTS_PER_BATCH):
        batch = list(concepts[start : start + _TEXTS_PER_BATCH])
        tokens = tokenizer(
            [template.format(concept) for concept in batch],
            padding=True,
            truncation=True,
            max_length=length,
            return_tensors="pt",
        )
        _check_known(tokenizer, tokens["input_ids"], batch, directory.name)
        with torch.inference_mode():
            features = model.get_text_features(
                input_ids=tokens["input_ids"].to(device),
                attention_mask=tokens["attention_mask"].to(device),
            )
        parts.append(_unit(features.pooler_output))
    return np.concatenate(parts)


def _check_known(tokenizer, numbers, concepts: list[str], model: str) -> None:
    unknown = tokenizer.unk_token_id
    # CLIP's own byte-level tokenizer has no unknown token: it reuses the end token's number.
    if unknown is None or unknown in (tokenizer.eos_token_id, tokenizer.pad_token_id):
        return
    rows = (numbers == unknown).any(dim=1).tolist()
    if any(rows):
        raise StrataError(
            f"concept {concepts[rows.index(True)]!r}: {model} does not know this word; "
            "remove it from the concept set or use another CLIP"
        )
