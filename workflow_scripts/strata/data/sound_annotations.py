"""What can be computed of a sound: loudness, pitch, voicedness, spectral centroid, duration."""

from __future__ import annotations

import numpy as np

LOWEST, HIGHEST = 60.0, 500.0  # Hz, of pitch
_FRAME, _STEP = 0.04, 0.01  # seconds
_CLEAR = 0.15  # YIN's normalised difference below which a frame is voiced
_QUIET = 0.01  # share of the loudest frame's power below which a frame counts as silence


def loudness(sound: np.ndarray) -> float:
    """Root mean square in decibels relative to full scale (a full square wave has 0)."""
    return float(10 * np.log10(max(np.mean(np.square(sound, dtype=np.float64)), 1e-12)))


def spectral_centroid(sound: np.ndarray, rate: int) -> float:
    """Mean frequency in Hz, weighted by the power spectrum under a Hann window; NaN of silence."""
    power = np.abs(np.fft.rfft(sound.astype(np.float64) * np.hanning(len(sound)))) ** 2
    if power.sum() <= 0:
        return np.nan
    return float((power * np.fft.rfftfreq(len(sound), 1 / rate)).sum() / power.sum())


def pitch(sound: np.ndarray, rate: int) -> tuple[float, float]:
    """Median fundamental frequency in Hz of voiced frames, and their share of sounding frames.

    YIN (de Cheveigne & Kawahara 2002) with steps 2 to 5 on frames of 40 ms every 10 ms, between 60
    and 500 Hz: a frame is voiced where its cumulative mean normalised difference falls below 0.15;
    frames with less than a hundredth of the loudest frame's power are silent. NaN without a voiced
    frame; NaN and 0 for a sound shorter than a frame.
    """
    longest, shortest = int(rate / LOWEST) + 2, max(2, int(rate / HIGHEST))
    width = int(_FRAME * rate)
    if len(sound) < width + longest:
        return np.nan, 0.0
    places = np.arange(0, len(sound) - width - longest + 1, int(_STEP * rate))
    frames = np.lib.stride_tricks.sliding_window_view(sound.astype(np.float64), width + longest)
    frames = frames[places]
    power = np.square(frames[:, :width]).mean(axis=1)
    if not power.any():
        return np.nan, 0.0
    frames = frames[power > _QUIET * power.max()]
    found = np.array([_period(_differences(frame, width), shortest) for frame in frames])
    voiced = np.isfinite(found)
    value = float(np.median(rate / found[voiced])) if voiced.any() else np.nan
    return value, float(voiced.mean())


def _differences(frame: np.ndarray, width: int) -> np.ndarray:
    """YIN's cumulative mean normalised difference by lag, (lags,); equations 6 to 8."""
    lags = len(frame) - width
    squares = np.concatenate([[0], np.cumsum(frame**2)])
    size = 2 ** int(np.ceil(np.log2(len(frame) + width)))
    spectrum = np.fft.rfft(frame, size) * np.conj(np.fft.rfft(frame[:width], size))
    products = np.fft.irfft(spectrum, size)[:lags]
    energy = squares[width : width + lags] - squares[:lags]
    difference = np.maximum(energy[0] + energy - 2 * products, 0)
    difference[0] = 0
    sums = np.cumsum(difference)
    normalised = difference * np.arange(lags) / np.where(sums > 0, sums, 1)
    normalised[sums <= 0] = 1
    return normalised


def _period(differences: np.ndarray, shortest: int) -> float:
    """The first dip's lag in samples, by a parabola; NaN where none is deep enough."""
    below = np.flatnonzero(differences[shortest:-1] < _CLEAR)
    if not len(below):
        return np.nan
    lag = shortest + int(below[0])
    while lag + 1 < len(differences) - 1 and differences[lag + 1] < differences[lag]:
        lag += 1
    left, middle, right = differences[lag - 1 : lag + 2]
    bend = left - 2 * middle + right
    return lag + (0.5 * (left - right) / bend if bend > 0 else 0.0)


def sound_numbers(sound: np.ndarray, rate: int) -> dict[str, float]:
    """All numbers of a sound (samples,): loudness, pitch, voicedness, spectral_centroid,
    duration."""
    height, voiced = pitch(sound, rate)
    return {
        "loudness": loudness(sound),
        "pitch": height,
        "voicedness": voiced,
        "spectral_centroid": spectral_centroid(sound, rate),
        "duration": len(sound) / rate,
    }
