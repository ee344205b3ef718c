"""Sounds of a data set as spectrograms."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.figure import Figure
from PIL import Image

from strata.data.manifest import Dataset
from strata.figures import style

# Of the spectrograms, in seconds: windows, their overlap, the transform; and the highest kHz drawn.
_WINDOW, _OVERLAP, _TRANSFORM = 0.025, 0.015, 0.032
_TOP = 8.0
_RANGE = 70  # decibels below the loudest that are drawn
_SIDE = 144  # pixels of a thumbnail


@style.styled
def sound_specimen(dataset: Dataset, n: int = 8, seed: int = 0) -> tuple[Figure, pd.DataFrame]:
    """Spectrograms of random sounds with their labels, and the borders of labelled pieces."""
    shown = np.random.default_rng(seed).permutation(len(dataset))[:n]
    families = dataset.families[:2]
    columns = 4
    rows = -(-len(shown) // columns)
    figure = style.new_figure(style.DOUBLE, 1.15 * rows + 0.2)
    grid = figure.subplots(rows, columns, sharey=True, squeeze=False).ravel()
    drawn = []
    for place, (ax, sample) in enumerate(zip(grid, shown, strict=False)):
        sound, rate = dataset.recording(int(sample))
        frequency, level = _spectrogram(sound, rate)
        top = min(_TOP, frequency[-1] / 1000)
        level = level[frequency <= 1000 * top]
        extent = (0, len(sound) / rate, 0, top)
        ax.imshow(level, origin="lower", aspect="auto", extent=extent, cmap="magma",
                  vmin=level.max() - _RANGE, vmax=level.max(),
                  interpolation="none")  # fmt: skip  # its own pixels: a third of the file
        ax.set_ylim(0, top)
        ax.grid(False)
        labels = dataset.manifest.iloc[sample]
        ax.set_title(", ".join(str(label) for label in labels[families].dropna()))
        pieces = _pieces(dataset, int(sample))
        for piece in pieces.itertuples():
            ax.axvline(piece.start, color="white", lw=0.5)
            ax.axvline(piece.end, color="white", lw=0.5)
            middle = (piece.start + piece.end) / 2
            options = {"color": "white", "fontsize": 6, "ha": "center", "va": "center"}
            ax.text(middle, 0.91 * top, piece.label, **options)
        if place % columns == 0:
            ax.set_ylabel("kHz")
        if place + columns >= len(shown):
            ax.set_xlabel("seconds")
        drawn.append({"sample": sample, **{family: labels[family] for family in families},
                      "pieces": " ".join(pieces["label"])})  # fmt: skip
    for ax in grid[len(shown) :]:
        ax.remove()
    return figure, pd.DataFrame(drawn)


def sound_picture(dataset: Dataset, sample: int) -> Image.Image:
    """The spectrogram of a whole sound as a square picture: time from left to right, up to 8 kHz
    from below."""
    frequency, level = _spectrogram(*dataset.recording(sample))
    level = level[frequency <= 1000 * _TOP][::-1]
    shade = np.clip((level - level.max()) / _RANGE + 1, 0, 1)
    picture = Image.fromarray((colormaps["magma"](shade)[..., :3] * 255).astype(np.uint8))
    return picture.resize((_SIDE, _SIDE), Image.Resampling.LANCZOS)


def _spectrogram(sound: np.ndarray, rate: int) -> tuple[np.ndarray, np.ndarray]:
    """Frequencies in Hz, and the level in decibels (frequencies, times) of a sound."""
    from scipy.signal import spectrogram

    window, overlap, length = (round(s * rate) for s in (_WINDOW, _OVERLAP, _TRANSFORM))
    frequency, _, power = spectrogram(sound, rate, nperseg=window, noverlap=overlap, nfft=length)
    return frequency, 10 * np.log10(power + 1e-10)


def _pieces(dataset: Dataset, sample: int) -> pd.DataFrame:
    """Start, end and first label of the pieces of a sample."""
    if dataset.segments is None:
        return pd.DataFrame({"start": [], "end": [], "label": []})
    mine = dataset.segments[dataset.segments["sample"] == sample]
    family = next(c for c in mine if c not in ("sample", "start", "end"))
    return mine[["start", "end"]].assign(label=mine[family].fillna(""))
