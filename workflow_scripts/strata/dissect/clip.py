"""What CLIP makes of pictures and of words, or CLAP of sounds and words: the two sides of a
dissection."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from strata.compat import prepare_imports
from strata.errors import StrataError
from strata.models.clap import is_clap, load_clap
from strata.models.inference import mixed, pick_device, run_batches
from strata.models.locked import dual_encoder, is_locked

if TYPE_CHECKING:
    from strata.data.manifest import Dataset

_TEXTS_PER_BATCH = 256


def _load(directory: Path, device: str):
    if is_clap(directory):
        return load_clap(directory, device)
    prepare_imports()
    import torch
    from transformers import AutoConfig, CLIPModel

    config = AutoConfig.from_pretrained(directory, local_files_only=True)
    kind = dual_encoder() if is_locked(directory) else CLIPModel
    if config.model_type != "clip" and kind is CLIPModel:
        raise StrataError(
            f"{directory.name}: a dissection needs a CLIP (of sounds, a CLAP), not "
            f"{config.model_type}"
        )
    options = {"local_files_only": True, "use_safetensors": True, "dtype": torch.float32}
    model = kind.from_pretrained(directory, **options)
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
    """Unit-length CLIP embeddings (samples, d) of a data set's pictures, computed in `precision`;
    of sounds, those of a CLAP (`sound_embeddings`).

    Raises StrataError when `directory` holds no CLIP or a picture cannot be read.
    """
    import torch

    from strata.models.preprocessing import image_processor

    directory, device = Path(directory), pick_device(device)
    if is_clap(directory) != (dataset.modality == "audio"):
        raise StrataError(
            f"{directory.name}: pictures are labelled by a CLIP, sounds by a CLAP; "
            f"{dataset.info['name']} holds {dataset.modality}"
        )
    model = _load(directory, device)
    if dataset.modality == "audio":
        options = {"device": device, "batch_size": batch_size, "precision": precision}
        return sound_embeddings(model, directory, dataset, **options)

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


def sound_embeddings(
    model,
    directory: Path,
    dataset: Dataset,
    *,
    device: str,
    batch_size: int | str = "auto",
    precision: str = "float32",
) -> np.ndarray:
    """Unit-length CLAP embeddings (samples, d) of a data set's sounds.

    A sound that is longer than CLAP's window (ten seconds) is heard in windows of equal length, one
    behind the other, whose mean is taken; CLAP's own way, crops at random, gives another answer
    each time. A shorter one is repeated to fill the window, as in its training. No embedding
    depends on what else is in a batch.
    """
    import torch
    from transformers import AutoFeatureExtractor

    hearing = AutoFeatureExtractor.from_pretrained(directory, local_files_only=True)
    rate, longest = hearing.sampling_rate, hearing.nb_max_samples

    def prepare(sounds: list[np.ndarray]) -> list[torch.Tensor]:
        heard = []
        for sound in sounds:
            windows = np.array_split(sound, -(-len(sound) // longest))
            found = hearing(windows, sampling_rate=rate)["input_features"]
            heard.append(torch.as_tensor(np.stack(found), dtype=torch.float32))
        return heard

    def embed(heard: list[torch.Tensor]) -> list[np.ndarray]:
        windows = torch.cat(heard)
        whole = torch.zeros(len(windows), 1, dtype=torch.bool, device=windows.device)
        with torch.inference_mode(), mixed(device, precision):
            found = model.get_audio_features(input_features=windows, is_longer=whole)
        units = torch.nn.functional.normalize(found.pooler_output.float(), dim=-1)
        parts = units.split([len(part) for part in heard])
        return [_unit(torch.stack([part.mean(dim=0) for part in parts]))]

    options = {"device": device, "batch_size": batch_size}
    options["read"] = lambda sample: dataset.sound(sample, rate)
    batches = run_batches(dataset, range(len(dataset)), prepare, embed, **options)
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
    length = _longest_text(model.config.text_config)
    parts = []
    for start in range(0, len(concepts), _TEXTS_PER_BATCH):
        batch = list(concepts[start : start + _TEXTS_PER_BATCH])
        tokens = tokenizer(
            [template.format(concept) for concept in batch],
            padding=True,
            return_tensors="pt",
        )
        _check_length(tokens, length, batch, directory.name)
        _check_known(tokenizer, tokens["input_ids"], batch, directory.name)
        with torch.inference_mode():
            features = model.get_text_features(
                input_ids=tokens["input_ids"].to(device),
                attention_mask=tokens["attention_mask"].to(device),
            )
        parts.append(_unit(features.pooler_output))
    return np.concatenate(parts)


def _longest_text(config) -> int:
    """Tokens that a text tower takes: RoBERTa's (CLAP's) numbers positions behind the padding's."""
    offset = config.pad_token_id + 1 if config.model_type == "clap_text_model" else 0
    return config.max_position_embeddings - offset


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


def _check_length(tokens: Mapping, most: int, concepts: list[str], model: str) -> None:
    """Refuse a text of which the model would read a part, as of any other that begins with it."""
    if tokens["input_ids"].shape[1] > most:
        longest = concepts[int(tokens["attention_mask"].sum(dim=1).argmax())]
        raise StrataError(
            f"concept {longest[:60]!r}...: {model} reads {most} tokens, and this is longer; "
            "shorten it or remove it from the concept set"
        )
