"""Sounds from files: mono, and brought to the rate that a model wants."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np

from strata.errors import StrataError


def read_sound(path: str | Path) -> tuple[np.ndarray, int]:
    """A WAV or FLAC file as float32 (samples,) in -1 to 1, channels averaged, and its rate in Hz.

    Raises
    ------
    StrataError
        The file is missing, unreadable, without any sample, or silent (it is named).
    """
    import soundfile

    path = Path(path)
    if not path.is_file():
        raise StrataError(f"{path}: sound is missing; replace or remove it")
    try:
        sound, rate = soundfile.read(path, dtype="float32", always_2d=True)
    except (soundfile.LibsndfileError, RuntimeError) as error:
        reason = " ".join(str(error).split())
        raise StrataError(f"{path}: sound unreadable: {reason}; replace or remove it") from None
    check_sound(sound, str(path))
    return sound.mean(axis=1), rate


def check_sound(sound: np.ndarray, name: str) -> None:
    """Raise a StrataError for a sound that has no samples or is silent."""
    if not len(sound):
        raise StrataError(f"{name}: the clip has no samples (length zero); replace or remove it")
    if not np.any(sound):
        raise StrataError(f"{name}: the clip is silent (all samples are 0); replace or remove it")


def resample(sound: np.ndarray, own_rate: int, rate: int) -> np.ndarray:
    """`sound` (samples,) from one rate to another, by torchaudio's windowed sinc."""
    if own_rate == rate:
        return sound
    import torch

    return _resampler(own_rate, rate)(torch.from_numpy(sound)).numpy()


@lru_cache
def _resampler(own_rate: int, rate: int):
    from strata.compat import prepare_imports

    prepare_imports()
    from torchaudio.transforms import Resample

    return Resample(own_rate, rate)
