"""Which front end a sound encoder has.

Most encoders take sounds of any length. Whisper, the audio towers built like it, and AST were
trained on clips padded to one length (30 s, and 10.24 s): `context` says what they see.

- "clip" (the default): the clip's own frames alone, at the positions from 0.
- "full": the clip padded as in training; only the clip's own frames are read.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from strata.errors import StrataError
from strata.models.front_end import CONTEXTS, FrontEnd
from strata.models.sound_families import check_heard, family_of

if TYPE_CHECKING:
    from torch import nn

_PADDED = ("whisper", "spectrogram")


def front_end_of(directory: Path, module: nn.Module, context: str | None) -> FrontEnd | None:
    """The front end of an encoder loaded from `directory`; None for one of pictures.

    With the context "clip" a network of fixed length is changed to take any
    (`strata.models.log_mel`).

    Raises
    ------
    StrataError
        The model takes sounds in an unknown way, its preprocessor does not fit, or `context` is
        unknown, or given for a network that it means nothing for.
    """
    from strata.models import log_mel
    from strata.models.speech import sample_front_end

    if context not in (None, *CONTEXTS):
        raise StrataError(f"context: {context!r} is unknown; use {' or '.join(CONTEXTS)}")
    config = getattr(module, "config", None)
    family = family_of(config)
    kind = family.front_end if family else None
    if context is not None and kind not in _PADDED:
        takes = "sounds of any length" if kind else "no sounds"
        raise StrataError(
            f"{directory.name}: context: {context}, but it takes {takes}; leave it out"
        )
    if kind is None:
        if config is not None and hasattr(config, "model_type"):
            check_heard(module, directory.name)
        return None
    if kind in _PADDED:
        make = log_mel.whisper_front_end if kind == "whisper" else log_mel.spectrogram_front_end
        return make(directory, module, context or "clip")
    makers = {
        "samples": sample_front_end,
        "moonshine": sample_front_end,
        "log_mel": log_mel.plain_log_mel,
        "stacked": log_mel.stacked_front_end,
        "subsampled": log_mel.subsampled_front_end,
        "parakeet": log_mel.parakeet_front_end,
    }
    return makers[kind](directory, module)
