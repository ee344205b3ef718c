"""Encoders that take log-mel frames: each sound's own frames, and nothing that is padding.

Whisper and its like, and AST, were trained on clips padded to one length and hold a table of
positions of that length. With the context "clip" they see a clip's own frames alone, at the
positions from 0; with "full" they see the clip padded as they were trained, and only the clip's own
frames are read.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from strata.errors import StrataError
from strata.models.front_end import FrontEnd, feature_extractor

if TYPE_CHECKING:
    import torch
    from torch import nn


@dataclass(frozen=True)
class LogMelFrontEnd(FrontEnd):
    """Log-mel frames (frames, channels), or (channels, frames) where `time_last`, of clips of one
    length, of which `halvings` convolutions of stride 2 leave every second."""

    time_last: bool = False
    halvings: int = 0

    def _lengths(self, clips: Sequence[torch.Tensor]) -> list[int]:
        return [clip.shape[-1 if self.time_last else 0] for clip in clips]

    def frame_counts(self, clips: Sequence[torch.Tensor]) -> list[int]:
        counts = self._lengths(clips)
        for _ in range(self.halvings):
            counts = [(count - 1) // 2 + 1 for count in counts]
        return counts


# --- Whisper and its like -------------------------------------------------------------------------

_AFTER = 3  # log-mel frames behind a padded clip of which the last is silence as all that follow
_ALIKE = 0.75  # of the longest clip of a pass, that its shortest has: padding is computed as well


@dataclass(frozen=True)
class WhisperFrontEnd(LogMelFrontEnd):
    """Log-mel frames of Whisper: alone with the context "clip", behind which nothing comes, or with
    "full" followed by silence to the length that the network was trained on (`trained` frames)."""

    trained: int = 0
    together = True

    def _lengths(self, clips: Sequence[torch.Tensor]) -> list[int]:
        after = _AFTER if self.context == "full" else 0
        return [length - after for length in super()._lengths(clips)]

    def groups(self, clips: Sequence[torch.Tensor]) -> list[list[int]]:
        """Clips of about one length go together."""
        if self.context == "full":
            return super().groups(clips)
        lengths, passes = self._lengths(clips), []
        for place in sorted(range(len(clips)), key=lambda place: -lengths[place]):
            if not passes or lengths[place] < _ALIKE * lengths[passes[-1][0]]:
                passes.append([])
            passes[-1].append(place)
        return passes

    def arguments(self, clips: Sequence[torch.Tensor]) -> dict[str, Any]:
        import torch

        if self.context == "full":
            ends = [clip[:, -1:].expand(-1, self.trained) for clip in clips]
            pairs = zip(clips, ends, strict=True)
            whole = [torch.cat(pair, dim=1)[:, : self.trained] for pair in pairs]
            return {"input_features": torch.stack(whole)}
        lengths = self._lengths(clips)
        rows = [clip.transpose(0, 1) for clip in clips]
        padded = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True).transpose(1, 2)
        if len(set(lengths)) == 1:
            return {"input_features": padded}
        return {"input_features": padded, "lengths": torch.tensor(lengths, device=padded.device)}


def whisper_front_end(directory: Path, module: nn.Module, context: str) -> WhisperFrontEnd:
    """The front end of Whisper's encoder, or of one built like it.

    With the context "clip" `module` is changed: it takes any number of frames then
    (`read_own_frames`).

    Raises StrataError for a preprocessor that pads to another length than the network's.
    """
    processor = feature_extractor(directory, ("WhisperFeatureExtractor",))
    hop, trained = processor.hop_length, 2 * module.config.max_source_positions
    if processor.nb_max_frames != trained:
        raise StrataError(
            f"{directory.name}: preprocessor_config.json pads to {processor.nb_max_frames} frames "
            f"(chunk_length), config.json wants {trained} (twice max_source_positions)"
        )
    if context == "clip":
        read_own_frames(module)

    def process(sound: np.ndarray) -> torch.Tensor:
        import torch

        found = whisper_features(processor, sound, context == "full")
        if context == "clip":
            return found
        end = found[:, -1:].expand(-1, _AFTER)
        return torch.cat([found, end], dim=1)[:, : len(sound) // hop + _AFTER].contiguous()

    return WhisperFrontEnd(
        module,
        processor.sampling_rate,
        process,
        2 * hop,
        0.0,
        shortest=processor.n_fft // 2 + 1,
        longest=trained * hop,
        context=context,
        time_last=True,
        halvings=1,
        trained=trained,
    )


def whisper_features(processor, sound: np.ndarray, padded: bool) -> torch.Tensor:
    """Whisper's log-mel frames (channels, frames) of a sound, as long as it is, or padded."""
    import torch

    found = processor(
        [np.asarray(sound, dtype=np.float32)],
        sampling_rate=processor.sampling_rate,
        padding="max_length" if padded else "longest",
        truncation=False,
    )["input_features"][0]
    return torch.as_tensor(np.asarray(found, dtype=np.float32))


def plain_log_mel(directory: Path, module: nn.Module) -> LogMelFrontEnd:
    """The front end of encoders that take Whisper's log-mel frames in any number."""
    processor = feature_extractor(directory, ("WhisperFeatureExtractor",))
    return LogMelFrontEnd(
        module,
        processor.sampling_rate,
        lambda sound: whisper_features(processor, sound, padded=False),
        2 * processor.hop_length,
        0.0,
        shortest=processor.n_fft // 2 + 1,
        time_last=True,
        halvings=1,
    )


def read_own_frames(encoder: nn.Module) -> None:
    """Let an encoder built like Whisper's take any number of frames up to what it was trained on.

    It gets `lengths`, the number of each clip's own log-mel frames, where they differ; what follows
    them is hidden exactly, and what comes out is each clip's mean over its own frames (clips, 1,
    features), as a classifier that averages over frames has to see it. The module's class changes,
    so that copies (pruned ones too) do the same; its weights and its name do not.
    """
    if type(encoder).forward is _own_frames:
        return
    changed = type(type(encoder).__name__, (type(encoder),), {"forward": _own_frames})
    changed.__module__ = type(encoder).__module__
    encoder.__class__ = changed


def _own_frames(
    self, input_features: torch.Tensor, attention_mask=None, *, lengths=None, **options: Any
):
    """Whisper's encoder by its parts: convolutions, the first positions, layers, norm."""
    import torch
    from torch.nn.functional import dropout, gelu
    from transformers.masking_utils import create_bidirectional_mask
    from transformers.modeling_outputs import BaseModelOutput

    def own(count: int, counts: torch.Tensor) -> torch.Tensor:
        return torch.arange(count, device=counts.device) < counts[:, None]

    states = gelu(self.conv1(input_features))
    if lengths is not None:
        # Behind a clip the second convolution sees zeros, as at the end of a clip that is alone.
        states = states * own(states.shape[-1], lengths)[:, None]
        lengths = (lengths - 1) // 2 + 1
    states = gelu(self.conv2(states)).transpose(1, 2)
    states = states + self.embed_positions.weight[: states.shape[1]]
    states = dropout(states, p=self.dropout, training=self.training)
    mask = None
    if lengths is not None:
        kept = own(states.shape[1], lengths)
        mask = create_bidirectional_mask(
            config=self.config, inputs_embeds=states, attention_mask=kept
        )
    for layer in self.layers:
        dropped = self.training and self.layerdrop > 0 and torch.rand([]) < self.layerdrop
        states = states if dropped else layer(states, mask)
    states = self.layer_norm(states)
    if lengths is not None:
        states = (states * kept[..., None]).sum(dim=1, keepdim=True) / lengths[:, None, None]
    return BaseModelOutput(last_hidden_state=states)


# --- AST ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class SpectrogramFrontEnd(LogMelFrontEnd):
    """Patches of a spectrogram, behind a class token and a distillation token: AST.

    A frame is the mean of the patches of one time, over all pitches. `fill` is what stands behind a
    clip that is padded.
    """

    fill: float = 0.0

    @property
    def together(self) -> bool:
        return self.context == "full"

    argument = "input_values"
    _PREFIX = 2

    def arguments(self, clips: Sequence[torch.Tensor]) -> dict[str, Any]:
        if self.context == "full":
            from torch.nn.functional import pad

            most = self.module.config.max_length
            clips = [pad(clip, (0, 0, 0, most - len(clip)), value=self.fill) for clip in clips]
        return super().arguments(clips)

    def frame_counts(self, clips: Sequence[torch.Tensor]) -> list[int]:
        config = self.module.config
        return [(len(clip) - config.patch_size) // config.time_stride + 1 for clip in clips]

    @property
    def _pitches(self) -> int:
        return self.module.embeddings.get_shape(self.module.config)[0]

    def frames(self, states: torch.Tensor) -> torch.Tensor:
        patches = states[:, self._PREFIX :]
        return patches.unflatten(1, (self._pitches, -1)).mean(dim=1)

    def own_tokens(self, states: torch.Tensor, counts: Sequence[int]) -> torch.Tensor:
        import torch

        kept = super().own_tokens(self.frames(states), counts).repeat(1, self._pitches)
        prefix = kept.new_ones(len(kept), self._PREFIX)
        return torch.cat([prefix, kept], dim=1)


def spectrogram_front_end(directory: Path, module: nn.Module, context: str) -> SpectrogramFrontEnd:
    """The front end of AST. With the context "clip" its `module` is changed: it takes the patches
    of shorter spectrograms then, at the positions from 0 of each pitch.

    Raises StrataError for a preprocessor that pads to another length than the network's.
    """
    import torch

    processor = feature_extractor(directory, ("ASTFeatureExtractor",))
    config, rate = module.config, processor.sampling_rate
    if processor.max_length != config.max_length:
        raise StrataError(
            f"{directory.name}: preprocessor_config.json pads to {processor.max_length} frames, "
            f"config.json wants {config.max_length} (max_length)"
        )
    window, hop = rate * 25 // 1000, rate // 100  # Kaldi's

    def process(sound: np.ndarray) -> torch.Tensor:
        processor.max_length = (len(sound) - window) // hop + 1
        made = processor([np.asarray(sound, dtype=np.float32)], sampling_rate=rate)
        return torch.as_tensor(np.asarray(made["input_values"][0], dtype=np.float32))

    embeddings = module.embeddings
    if context == "clip" and type(embeddings).forward is not _own_patches:
        changed = type(type(embeddings).__name__, (type(embeddings),), {"forward": _own_patches})
        embeddings.__class__ = changed
    fill = float(processor.normalize(np.zeros(1))[0]) if processor.do_normalize else 0.0
    stride, patch = config.time_stride, config.patch_size
    return SpectrogramFrontEnd(
        module,
        rate,
        process,
        stride * hop,
        (patch - 1) / 2 * hop + window / 2,
        shortest=window + (patch - 1) * hop,
        longest=window + config.max_length * hop - 1,
        context=context,
        fill=fill,
    )


def _own_patches(self, input_values: torch.Tensor) -> torch.Tensor:
    """AST's embeddings with the positions of the patches that are there."""
    import torch

    patches = self.patch_embeddings(input_values)
    pitches, times = self.get_shape(self.config)
    prefix, table = self.position_embeddings.split([2, pitches * times], dim=1)
    table = table.unflatten(1, (pitches, times))
    table = table[:, :, : patches.shape[1] // pitches].flatten(1, 2)
    tokens = torch.cat([self.cls_token, self.distillation_token], dim=1) + prefix
    return self.dropout(torch.cat([tokens.expand(len(patches), -1, -1), patches + table], dim=1))


# --- networks that take any number of frames ------------------------------------------------------


def stacked_front_end(directory: Path, module: nn.Module) -> LogMelFrontEnd:
    """The front end of Wav2Vec2-BERT and the speech encoders of Seamless: a frame is `stride`
    log-mel frames behind each other; what does not fill the last is left out."""
    processor = feature_extractor(directory, ("SeamlessM4TFeatureExtractor",))
    made, wanted = processor.num_mel_bins * processor.stride, module.config
    if made != wanted.feature_projection_input_dim:
        raise StrataError(
            f"{directory.name}: preprocessor_config.json makes {made} features a frame, "
            f"config.json wants feature_projection_input_dim {wanted.feature_projection_input_dim}"
        )
    process = _maker(processor, pad_to_multiple_of=None)
    stride = processor.stride
    centre = 200 + (stride - 1) / 2 * 160
    shortest = 400 + 160 * (max(stride, 2) - 1)  # channels are scaled by their deviation over time
    return LogMelFrontEnd(
        module, processor.sampling_rate, process, 160 * stride, centre, shortest=shortest
    )


def subsampled_front_end(directory: Path, module: nn.Module) -> LogMelFrontEnd:
    """The front end of Speech2Text: convolutions of stride 2 on Kaldi's log-mel frames."""
    processor = feature_extractor(directory, ("Speech2TextFeatureExtractor",))
    layers, rate = module.config.num_conv_layers, processor.sampling_rate
    window, hop = rate * 25 // 1000, rate // 100
    return LogMelFrontEnd(
        module,
        rate,
        _maker(processor),
        hop * 2**layers,
        window / 2,
        shortest=window + hop,  # channels are scaled by their deviation over time
        halvings=layers,
    )


def parakeet_front_end(directory: Path, module: nn.Module) -> LogMelFrontEnd:
    """The front end of Parakeet's encoder: convolutions of stride 2 on log-mel frames."""
    processor = feature_extractor(directory, ("ParakeetFeatureExtractor",))
    factor, hop = module.config.subsampling_factor, processor.hop_length
    return LogMelFrontEnd(
        module,
        processor.sampling_rate,
        _maker(processor),
        hop * factor,
        0.0,
        shortest=2 * hop,  # channels are scaled by their deviation over time
        halvings=factor.bit_length() - 1,
    )


def _maker(processor, **options: Any) -> Callable[[np.ndarray], torch.Tensor]:
    """A sound to its own frames (frames, channels) by a feature extractor."""
    import torch

    def process(sound: np.ndarray) -> torch.Tensor:
        made = processor(
            [np.asarray(sound, dtype=np.float32)],
            sampling_rate=processor.sampling_rate,
            padding="longest",
            return_attention_mask=True,
            return_tensors="np",
            **options,
        )
        own = int(np.asarray(made["attention_mask"][0]).sum())
        return torch.as_tensor(np.asarray(made["input_features"][0], dtype=np.float32))[:own]

    return process
