"""The families of sound encoders in transformers: where each one's layers lie, and what is refused.

A folder may hold more than the encoder (Whisper's decoder, the language model behind an audio
tower, a classifier's head): the encoder alone is read.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from strata.errors import StrataError

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class SoundFamily:
    """Where the encoder of a family lies and how sounds enter it.

    `front_end` names the kind (`strata.models.front_ends`); `layers` is the path of the blocks in
    the encoder; `inside` are paths of the encoder in what is loaded, the first that is there; the
    encoder's configuration holds its depth under `depth`.
    """

    front_end: str
    layers: str = "encoder.layers"
    inside: tuple[str, ...] = ()
    depth: str = "num_hidden_layers"


_SAMPLES = SoundFamily("samples")
_WHISPER = SoundFamily("whisper", "layers", ("model.encoder", "encoder"), "encoder_layers")
_TOWER = SoundFamily("whisper", "layers", ("model.audio_tower", "audio_tower"), "encoder_layers")
_SEAMLESS = SoundFamily("stacked", inside=("speech_encoder",), depth="speech_encoder_layers")
_PARAKEET = SoundFamily("parakeet", "layers", ("encoder",))
FAMILIES = {
    "wav2vec2": _SAMPLES,
    "hubert": _SAMPLES,
    "wavlm": _SAMPLES,
    "data2vec-audio": _SAMPLES,
    "unispeech": _SAMPLES,
    "unispeech-sat": _SAMPLES,
    "wav2vec2-conformer": _SAMPLES,
    "sew": _SAMPLES,
    "sew-d": SoundFamily("samples", "encoder.encoder.layer"),
    "speecht5": SoundFamily(
        "samples", "wrapped_encoder.layers", ("speecht5.encoder", "encoder"), "encoder_layers"
    ),
    "moonshine": SoundFamily(
        "moonshine", "layers", ("model.encoder", "encoder"), "encoder_num_hidden_layers"
    ),
    "whisper": _WHISPER,
    "qwen2_audio": _TOWER,
    "qwen2_audio_encoder": _TOWER,
    "voxtral": _TOWER,
    "voxtral_encoder": _TOWER,
    "glmasr": SoundFamily("log_mel", "layers", ("model.audio_tower", "audio_tower")),
    "glmasr_encoder": SoundFamily("log_mel", "layers"),
    "audio-spectrogram-transformer": SoundFamily("spectrogram", "layers"),
    "wav2vec2-bert": SoundFamily("stacked"),
    "seamless_m4t": _SEAMLESS,
    "seamless_m4t_v2": _SEAMLESS,
    "speech_to_text": SoundFamily(
        "subsampled", "layers", ("model.encoder", "encoder"), "encoder_layers"
    ),
    "parakeet_encoder": _PARAKEET,
    "parakeet_ctc": _PARAKEET,
}

_CODEC = "it is a codec of convolutions, without a stack of layers"
_GENERATOR = "it makes sounds and has no encoder of them"
_REFUSED = {
    "clap": "it repeats a clip until ten seconds are full and its windows mix time and pitch, so "
    "a clip has no frames of its own",
    "clap_audio_model": "it repeats a clip until ten seconds are full and its windows mix time and "
    "pitch, so a clip has no frames of its own",
    "pop2piano": "it reads beats of music, which it finds by a library that is not used here",
    **dict.fromkeys(("encodec", "dac", "mimi", "xcodec", "xcodec2", "neucodec"), _CODEC),
    **dict.fromkeys(("univnet", "fastspeech2_conformer", "csm", "musicgen", "vits"), _GENERATOR),
}
OUTSIDE = "record it yourself and give its activations as source: arrays"


def family_of(config) -> SoundFamily | None:
    """The family of a configuration; None for pictures, and for sounds that no front end reads."""
    return FAMILIES.get(getattr(config, "model_type", None))


def sound_encoder(module: nn.Module) -> nn.Module | None:
    """The sound encoder in a transformers model (itself, where it is one); None without one."""
    family = family_of(getattr(module, "config", None))
    if family is None:
        return None
    for path in family.inside:
        try:
            return module.get_submodule(path)
        except AttributeError:
            continue
    return module.base_model


def sound_layers(encoder: nn.Module) -> dict[str, nn.Module]:
    """The blocks of a sound encoder by their paths.

    Raises StrataError where they are not as many as the configuration says.
    """
    family, name = family_of(encoder.config), type(encoder).__name__
    blocks = dict(encoder.get_submodule(family.layers).named_children())
    depth = getattr(encoder.config, family.depth)
    if len(blocks) != depth:
        raise StrataError(f"{name}: {len(blocks)} layers at {family.layers}, expected {depth}")
    return {f"{family.layers}.{number}": block for number, block in blocks.items()}


def check_family(config, name: str) -> None:
    """Refuse what cannot be read, before its weights are loaded.

    Raises StrataError: why, and what to do.
    """
    kind = config.model_type
    if kind in _REFUSED:
        raise StrataError(f"{name}: {kind} models are not read: {_REFUSED[kind]}; {OUTSIDE}")
    named = (config.architectures or [""])[0]
    if kind == "speecht5" and not named.startswith(("SpeechT5ForSpeech", "SpeechT5EncoderWithSp")):
        raise StrataError(
            f"{name}: {named or kind} reads text, or nothing by itself; SpeechT5ForSpeechToText "
            "is read"
        )


def check_heard(module: nn.Module, name: str) -> None:
    """Refuse a loaded model that takes sounds in a way that no front end here knows.

    Raises StrataError: why, and what to do.
    """
    takes = getattr(module, "input_modalities", None) or ()
    takes = (takes,) if isinstance(takes, str) else tuple(takes)
    named = getattr(module, "main_input_name", "") in ("input_values", "input_features")
    heard = named or ("audio" in takes and "image" not in takes)
    if heard and family_of(module.config) is None:
        raise StrataError(
            f"{name}: how sounds enter a {module.config.model_type} model is not known here "
            f"(docs/models.md lists what is read); {OUTSIDE}"
        )


def saved_class(config) -> type | None:
    """The class that a sound encoder's folder was saved from, where AutoModel would not take it:
    an encoder saved alone, or with what its own inputs need."""
    from transformers import MODEL_MAPPING

    named = (config.architectures or [""])[0]
    alone = "Encoder" in named or named.startswith("SpeechT5ForSpeech")
    if not alone or family_of(config) is None or type(config) not in MODEL_MAPPING:
        return None
    module = sys.modules[MODEL_MAPPING[type(config)].__module__]
    return getattr(module, named, None)
