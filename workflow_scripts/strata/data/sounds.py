"""Sounds from files: mono, and brought to the rate that a model wants."""

from __future__ import annotations

import math
import re
from functools import lru_cache
from pathlib import Path

import numpy as np

from strata.errors import StrataError

# What soundfile reads and names as a sound; not raw samples, tables of numbers and instruments.
SUFFIXES = (".wav", ".wave", ".flac", ".mp3", ".ogg", ".oga", ".opus", ".aif", ".aiff", ".aifc")
SUFFIXES += (".au", ".snd", ".caf", ".w64", ".rf64", ".voc", ".sph", ".nist", ".avr", ".svx")
SUFFIXES += (".paf", ".pvf", ".sds")
_PEAK = 2.0  # beyond it, floating-point samples are not in units of full scale
_CANCELLED = 1e-4  # share of the channels' power that is left in their mean
_LENGTHS = re.compile(r": (\d+) \(should be (\d+)\)")
_FRAMES = re.compile(r"^ *Frames *: (\d+)$", re.MULTILINE)
_RATES = (100, 1_000_000)  # Hz; beyond them a header lies, and filters between rates are huge
_VALUES = 2**28  # of all channels, 1 GiB; a header that says more lies, or a file unpacks to it
_STREAM = 2**31 - 256  # bytes; what headers of streams and of files of that size say
_PAGE = 2**16  # an Ogg page is shorter
_KERNEL = 2**25  # values in torchaudio's table of filters: 128 MiB


def read_sound(path: str | Path) -> tuple[np.ndarray, int]:
    """A sound file as float32 (samples,) in -1 to 1, channels averaged, and its rate in Hz.

    Whole numbers of any width are divided by their full scale; floating-point samples are taken to
    have 1 for it. What goes a little beyond (decoders and mixers overshoot) is clipped to 1, as on
    playing or saving it in 16 bits; a peak above 2 cannot be in this unit and is refused.

    Raises
    ------
    StrataError
        The file is missing, unreadable, cut off, without any sample, silent, silent once its
        channels are averaged, or in another unit; or its header says more samples, or another rate,
        than a sound has (it is named).
    """
    return read_recording(path)[:2]


def read_recording(path: str | Path) -> tuple[np.ndarray, int, list[str]]:
    """`read_sound`, and in words what was done to the sound."""
    import soundfile

    path = Path(path)
    if not path.is_file():
        raise StrataError(f"{path}: sound is missing; replace or remove it")
    try:
        with soundfile.SoundFile(path) as file:
            _check_header(path, file)
            frames, rate, header = file.frames, file.samplerate, file.extra_info
            sound = file.read(dtype="float32", always_2d=True)
    except (soundfile.LibsndfileError, RuntimeError, TypeError) as error:
        reason = " ".join(str(error).replace(f" {str(path)!r}", "").split())
        raise StrataError(f"{path}: sound unreadable: {reason}; replace or remove it") from None
    if len(sound) != frames or _cut_off(path, header, frames):
        raise StrataError(f"{path}: sound unreadable: it is cut off; replace or remove it")
    check_sound(sound, str(path))
    notes = []
    peak = float(np.abs(sound).max())
    if peak > 1:
        notes.append("clipped at full scale")
        sound = np.clip(sound, -1, 1)
    return _mono(sound, str(path)), rate, notes


def _check_header(path: Path, file) -> None:
    """Refuse an open sound file before as much memory is taken as its header says."""
    if file.frames * file.channels > _VALUES:
        raise StrataError(
            f"{path}: its header says {file.frames} samples of {file.channels} channels; up to "
            f"{_VALUES} are read in all: save it again, or cut it into shorter files"
        )
    if not _RATES[0] <= file.samplerate <= _RATES[1]:
        raise StrataError(
            f"{path}: its header says {file.samplerate} Hz; sounds should have {_RATES[0]} to "
            f"{_RATES[1]} Hz: save it again with its rate"
        )


def _cut_off(path: Path, header: str, frames: int) -> bool:
    """Whether a file ends before what its header promises, which libsndfile passes over.

    `header` is libsndfile's account of it. Streams promise nothing: a length of 0 or the largest
    possible.
    """
    promised = [tuple(map(int, found)) for found in _LENGTHS.findall(header)]
    if any(there + 8 < length < _STREAM for length, there in promised):
        return True
    told = [int(count) for count in _FRAMES.findall(header)]
    with path.open("rb") as file:
        head = file.read(1024)
        if head.startswith(b"NIST_1A"):
            told += [int(count) for count in re.findall(rb"sample_count -i (\d+)", head)]
        if head.startswith(b"OggS"):
            file.seek(0, 2)
            size = file.tell()
            file.seek(max(0, size - _PAGE))
            return _ends_in_a_page(file.read())
    return "truncated" in header or any(count > frames for count in told)


def _ends_in_a_page(content: bytes) -> bool:
    """Whether the end of an Ogg file is inside of a page (RFC 3533, section 6)."""
    start = content.rfind(b"OggS")
    page = content[start:]
    if start < 0 or len(page) < 27:
        return True
    lengths = page[27 : 27 + page[26]]
    return len(lengths) < page[26] or len(page) < 27 + page[26] + sum(lengths)


def check_sound(sound: np.ndarray, name: str) -> None:
    """Raise a StrataError for a sound (samples,) or (samples, channels) that has no samples, holds
    nothing but one value, has a value that is no number, or is in no unit of full scale."""
    if not len(sound):
        raise StrataError(f"{name}: the clip has no samples (length zero); replace or remove it")
    if not np.isfinite(sound).all():
        raise StrataError(f"{name}: the clip has NaN or infinite samples; replace or remove it")
    if not np.any(sound):
        raise StrataError(f"{name}: the clip is silent (all samples are 0); replace or remove it")
    if np.ptp(sound, axis=0).max() == 0:
        raise StrataError(f"{name}: the clip is silent (all samples are equal); remove it")
    peak = np.abs(sound).max()
    if sound.dtype.kind == "f" and peak > _PEAK:
        raise StrataError(
            f"{name}: samples reach {peak:g}, but floating-point samples should be in -1 to 1; "
            "divide all files by their full scale (32768 for 16 bits)"
        )


def _mono(sound: np.ndarray, name: str) -> np.ndarray:
    """Mean of the channels (samples, channels), which must not cancel each other."""
    mean = sound.mean(axis=1)
    left = np.mean(np.square(mean - mean.mean(), dtype=np.float64))
    power = np.mean(np.square(sound - sound.mean(axis=0), dtype=np.float64))
    if sound.shape[1] > 1 and left < _CANCELLED * power:
        raise StrataError(
            f"{name}: the channels cancel each other when averaged; save one of them alone"
        )
    return mean


def resample(sound: np.ndarray, own_rate: int, rate: int) -> np.ndarray:
    """`sound` (samples,) from one rate to another, by torchaudio's windowed sinc.

    Rates without a large common divisor (11127 and 16000 Hz) would need a table of filters of
    hundreds of megabytes there: they go through scipy's polyphase filter.
    """
    if own_rate == rate:
        return sound
    divisor = math.gcd(own_rate, rate)
    if (own_rate // divisor) * (rate // divisor) > _KERNEL:
        from scipy.signal import resample_poly

        return resample_poly(sound, rate // divisor, own_rate // divisor).astype(np.float32)
    import torch

    return _resampler(own_rate, rate)(torch.from_numpy(sound)).numpy()


@lru_cache
def _resampler(own_rate: int, rate: int):
    from strata.compat import prepare_imports

    prepare_imports()
    from torchaudio.transforms import Resample

    return Resample(own_rate, rate)
