"""Sounds through a speech transformer: convolutions clip by clip, layers in padded batches.

The base models of the wav2vec 2.0 family normalise the first convolution over time, so that padding
a clip would change each of its frames. Here the convolutional front end sees every clip at its own
length; only the frames that come out are padded, and the attention mask hides that exactly. A
clip's features therefore do not depend on the clips beside it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from strata.compat import prepare_imports
from strata.errors import StrataError

if TYPE_CHECKING:
    import torch
    from torch import nn


def has_front_end(module: nn.Module) -> bool:
    """Whether a model turns samples into frames as the wav2vec 2.0 family does."""
    return hasattr(module, "feature_extractor") and hasattr(module.config, "conv_stride")


def frame_geometry(config) -> tuple[int, int]:
    """(hop, field): samples from one frame to the next, and samples that a frame sees."""
    hop, field = 1, 1
    for kernel, stride in zip(config.conv_kernel, config.conv_stride, strict=True):
        field += (kernel - 1) * hop
        hop *= stride
    return hop, field


def sound_processor(directory: Path) -> tuple[int, Callable[[Sequence[np.ndarray]], list]]:
    """The rate in Hz that a model wants, and its preprocessing of sounds to a list of tensors.

    Raises StrataError without a `preprocessor_config.json` for sounds.
    """
    import torch

    prepare_imports()
    from transformers import AutoFeatureExtractor

    if not (directory / "preprocessor_config.json").is_file():
        raise StrataError(
            f"{directory.name}: no preprocessor_config.json; it names the sample rate"
        )
    processor = AutoFeatureExtractor.from_pretrained(directory, local_files_only=True)
    rate = getattr(processor, "sampling_rate", None)
    if rate is None:
        raise StrataError(f"{directory.name}: preprocessor_config.json has no sampling_rate")

    def prepare(sounds: Sequence[np.ndarray]) -> list[torch.Tensor]:
        found = processor(list(sounds), sampling_rate=rate, padding=False)["input_values"]
        return [torch.as_tensor(np.asarray(clip, dtype=np.float32)) for clip in found]

    return rate, prepare


def write_sound_processor(directory: Path, sampling_rate: int, do_normalize: bool = True) -> None:
    """The file that transformers' AutoFeatureExtractor reads: rate in Hz, and whether each sound is
    scaled to mean 0 and deviation 1."""
    processor = {
        "feature_extractor_type": "Wav2Vec2FeatureExtractor",
        "feature_size": 1,
        "sampling_rate": sampling_rate,
        "padding_value": 0.0,
        "padding_side": "right",
        "do_normalize": do_normalize,
        "return_attention_mask": True,
    }
    text = json.dumps(processor, indent=2, sort_keys=True) + "\n"
    (directory / "preprocessor_config.json").write_text(text)


def frames_of(module: nn.Module, clips: Sequence[torch.Tensor]) -> list[torch.Tensor]:
    """What the front end makes of each clip (samples,): its frames (channels, frames).

    Clips of one length are computed together. Raises StrataError for a clip without any frame.
    """
    import torch

    field = frame_geometry(module.config)[1]
    lengths: dict[int, list[int]] = {}
    for place, clip in enumerate(clips):
        lengths.setdefault(len(clip), []).append(place)
    if min(lengths) < field:
        raise StrataError(
            f"a clip of {min(lengths)} samples is shorter than one frame of the model ({field})"
        )
    frames: list[torch.Tensor | None] = [None] * len(clips)
    for places in lengths.values():
        together = module.feature_extractor(torch.stack([clips[place] for place in places]))
        for place, found in zip(places, together, strict=True):
            frames[place] = found
    return frames


def frame_batch(config, frames: Sequence[torch.Tensor]) -> dict[str, torch.Tensor | None]:
    """Frames padded to one length, with the mask: arguments of a model `fed_with_frames`.

    The models take a mask over samples and use nothing of it but the sum of each row, so the sums
    are handed over themselves, (clips, 1).
    """
    import torch

    lengths = [part.shape[-1] for part in frames]
    if len(set(lengths)) == 1:
        return {"input_values": torch.stack(list(frames)), "attention_mask": None}
    hop, field = frame_geometry(config)
    rows = [part.transpose(0, 1) for part in frames]
    padded = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True).transpose(1, 2)
    samples = [(length - 1) * hop + field for length in lengths]
    mask = torch.tensor(samples, device=padded.device)[:, None]
    return {"input_values": padded, "attention_mask": mask}


@contextmanager
def fed_with_frames(module: nn.Module) -> Iterator[None]:
    """Let a model (not a classifier around it) take frames where it takes samples."""
    import torch

    front_end = module.feature_extractor
    module.feature_extractor = torch.nn.Identity()
    try:
        yield
    finally:
        module.feature_extractor = front_end


def speech_forward(module: nn.Module) -> Callable[[Sequence[torch.Tensor]], Mapping]:
    """How to call a speech model on a list of clips (samples,) of any lengths."""

    def forward(clips: Sequence[torch.Tensor]) -> Mapping:
        frames = frames_of(module, clips)
        with fed_with_frames(module):
            return module(**frame_batch(module.config, frames))

    return forward


def frame_counts(config, clips: Sequence[torch.Tensor]) -> list[int]:
    """Number of frames of each clip."""
    hop, field = frame_geometry(config)
    return [(len(clip) - field) // hop + 1 for clip in clips]


def frame_span(config, rate: int, start: float, end: float, frames: int) -> tuple[int, int]:
    """First and last frame (exclusive) whose centres lie in a piece of `start` to `end` seconds.

    A piece too short for that has the frame next to its middle.
    """
    hop, field = frame_geometry(config)
    first, last = (int(np.ceil((time * rate - field / 2) / hop)) for time in (start, end))
    first, last = max(first, 0), min(last, frames)
    if first < last:
        return first, last
    nearest = round(((start + end) / 2 * rate - field / 2) / hop)
    nearest = min(max(nearest, 0), frames - 1)
    return nearest, nearest + 1
