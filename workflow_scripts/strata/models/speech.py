"""Encoders that take samples: convolutions clip by clip, layers in padded batches where a mask
hides the padding exactly.

The base models of the wav2vec 2.0 family normalise the first convolution over time, so that padding
a clip would change each of its frames. Here the convolutional front end sees every clip at its own
length; only the frames that come out are padded, and the attention mask hides that exactly. Where
later parts mix frames before or between the layers (stacked convolutions of positions, conformers,
pooling), clips of one number of frames go together and nothing is padded at all.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from strata.errors import StrataError
from strata.models.front_end import FrontEnd, feature_extractor

if TYPE_CHECKING:
    import torch
    from torch import nn

_EXTRACTORS = ("Wav2Vec2FeatureExtractor", "SpeechT5FeatureExtractor")
# Families whose mask hides padded frames exactly.
_MASKED = ("wav2vec2", "hubert", "wavlm", "unispeech", "unispeech-sat")


def geometry(convolutions: Iterable[tuple[int, int]]) -> tuple[int, int]:
    """(hop, field) of convolutions (kernel, stride) one behind the other: samples from one frame to
    the next, and samples that a frame sees."""
    hop, field = 1, 1
    for kernel, stride in convolutions:
        field += (kernel - 1) * hop
        hop *= stride
    return hop, field


def frame_geometry(config) -> tuple[int, int]:
    """(hop, field) of the frames that the convolutional front end of a configuration makes."""
    return geometry(zip(config.conv_kernel, config.conv_stride, strict=True))


@dataclass(frozen=True)
class SampleFrontEnd(FrontEnd):
    """Front end of encoders that take samples and of which each frame sees `shortest` of them."""

    argument = "input_values"

    @property
    def together(self) -> bool:
        return self.module.config.model_type in _MASKED

    @property
    def _cut(self) -> bool:
        """Whether the convolutions can be left out, their frames given instead."""
        return hasattr(self.module, "feature_extractor")

    def once(self, clips: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        """The frames (channels, frames) that the convolutions make of each clip."""
        return frames_of(self.module, clips) if self._cut else list(clips)

    def arguments(self, clips: Sequence[torch.Tensor]) -> dict[str, Any]:
        return frame_batch(self.module.config, clips) if self._cut else super().arguments(clips)

    def example(self, clips: Sequence[torch.Tensor]) -> dict[str, Any]:
        return super().arguments(clips)

    def feeding(self, module: nn.Module):
        return fed_with_frames(module) if self._cut else super().feeding(module)

    def frame_counts(self, clips: Sequence[torch.Tensor]) -> list[int]:
        return [(len(clip) - self.shortest) // self.hop + 1 for clip in clips]


def sample_front_end(directory: Path, module: nn.Module) -> SampleFrontEnd:
    """The front end of an encoder of the wav2vec 2.0 kind, or of a Moonshine encoder."""
    import torch

    processor = feature_extractor(directory, _EXTRACTORS)
    rate = processor.sampling_rate

    def process(sound: np.ndarray) -> torch.Tensor:
        made = processor([sound], sampling_rate=rate, padding=False)["input_values"][0]
        return torch.as_tensor(np.asarray(made, dtype=np.float32))

    if hasattr(module.config, "conv_stride"):
        hop, field = frame_geometry(module.config)
    else:
        convolutions = (module.conv1, module.conv2, module.conv3)
        hop, field = geometry((each.kernel_size[0], each.stride[0]) for each in convolutions)
    squeeze = getattr(module.config, "squeeze_factor", 1)
    field, hop = field + (squeeze - 1) * hop, squeeze * hop
    return SampleFrontEnd(module, rate, process, hop, field / 2, shortest=field)


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
