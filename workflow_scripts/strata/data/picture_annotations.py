"""What can be computed of a picture: basic colours, lightness, contrast, edges, orientation, scale.

All functions take RGB values (height, width, 3) as uint8, as `Dataset.image` gives them.
"""

from __future__ import annotations

import numpy as np

from strata.data.manifest import Dataset

COLOR_NAMES = ("black", "blue", "brown", "green", "grey", "orange", "pink", "purple", "red")
COLOR_NAMES += ("white", "yellow")
_LUMA = (0.2126, 0.7152, 0.0722)  # ITU-R BT.709
_EDGE = 0.1  # change of luma per pixel, from black 0 to white 1, that counts as an edge
_SIDE = 256  # longer side that pictures are looked at


def color_shares(rgb: np.ndarray) -> dict[str, float]:
    """Share of a picture's pixels of each of the eleven basic colours (Berlin & Kay 1969).

    By hue H in degrees, saturation S and value V of HSV (Smith 1978): black V < 0.2; else
    achromatic S < 0.15: white V > 0.85, else grey; else by hue: red below 15 and from 345,
    orange to 45, yellow to 70, green to 165, blue to 255, purple to 310, pink to 345. Of these,
    orange and red of V < 0.6 with hue from 10 to 45 and yellow up to 50 of V < 0.6 are brown, and
    red of S < 0.5 with V > 0.7 is pink. The borders are ours; the names' foci lie well within.
    """
    hue, saturation, value = _hsv(rgb)
    number = {name: i for i, name in enumerate(COLOR_NAMES)}
    by_hue = ("red", "orange", "yellow", "green", "blue", "purple", "pink", "red")
    hues = np.array([number[name] for name in by_hue], dtype=np.int8)
    found = hues[np.searchsorted([15, 45, 70, 165, 255, 310, 345], hue, side="right")]
    found[(found == number["red"]) & (saturation < 0.5) & (value > 0.7)] = number["pink"]
    found[(hue >= 10) & (hue <= 50) & (value < 0.6)] = number["brown"]
    found[saturation < 0.15] = number["grey"]
    found[(saturation < 0.15) & (value > 0.85)] = number["white"]
    found[value < 0.2] = number["black"]
    counts = np.bincount(found.ravel(), minlength=len(COLOR_NAMES))
    return {name: float(counts[i] / found.size) for name, i in number.items()}


def _hsv(rgb: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    red, green, blue = np.moveaxis(rgb.astype(np.float64) / 255, -1, 0)
    # Along an axis of three, numpy's own reductions are ten times slower.
    value = np.maximum(np.maximum(red, green), blue)
    spread = value - np.minimum(np.minimum(red, green), blue)
    safe = np.where(spread > 0, spread, 1)
    hue = np.select(
        [value == red, value == green],
        [(green - blue) / safe % 6, (blue - red) / safe + 2],
        (red - green) / safe + 4,
    )
    return hue * 60, spread / np.where(value > 0, value, 1), value


def luma(rgb: np.ndarray) -> np.ndarray:
    """Luma (height, width) from 0 to 1, by ITU-R BT.709's weights."""
    return rgb.astype(np.float64) @ _LUMA / 255


def contrast(grey: np.ndarray) -> float:
    """RMS contrast: the standard deviation of luma (Peli 1990)."""
    return float(grey.std())


def edge_density(grey: np.ndarray) -> float:
    """Share of pixels whose luma changes by more than a tenth of the range per pixel."""
    return float((np.hypot(*np.gradient(grey)) > _EDGE).mean())


def orientation(grey: np.ndarray) -> tuple[float, float]:
    """Orientation of edges in degrees from 0 (horizontal) to below 180, counter-clockwise, and how
    much they agree (0 to 1), by the structure tensor (Bigun & Granlund 1987).

    NaN and 0 for a uniform picture.
    """
    down, right = np.gradient(grey)
    real, imaginary = (right**2 - down**2).sum(), (-2 * right * down).sum()
    energy = (right**2 + down**2).sum()
    if energy <= 1e-12:
        return np.nan, 0.0
    gradient = np.degrees(np.arctan2(imaginary, real)) / 2
    return float((gradient + 90) % 180), float(np.hypot(real, imaginary) / energy)


def spatial_frequency(grey: np.ndarray) -> float:
    """Mean spatial frequency in cycles per picture's longer side, weighted by the power spectrum.

    The mean luma is taken off and a Hann window put on, so that borders are no edges. NaN for a
    uniform picture.
    """
    height, width = grey.shape
    window = np.outer(np.hanning(height), np.hanning(width))
    centred = (grey - (grey * window).sum() / max(window.sum(), 1e-12)) * window
    power = np.abs(np.fft.fft2(centred)) ** 2
    if power.sum() <= 1e-9:
        return np.nan
    frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.fftfreq(width))
    return float((power * frequency).sum() / power.sum() * max(height, width))


def picture_numbers(rgb: np.ndarray) -> dict[str, float]:
    """All numbers of a picture: "color=..." shares, lightness, contrast, edge_density,
    orientation, orientation_strength, spatial_frequency."""
    grey = luma(rgb)
    angle, strength = orientation(grey)
    return {f"color={name}": share for name, share in color_shares(rgb).items()} | {
        "lightness": float(grey.mean()),
        "contrast": contrast(grey),
        "edge_density": edge_density(grey),
        "orientation": angle,
        "orientation_strength": strength,
        "spatial_frequency": spatial_frequency(grey),
    }


def numbers_of_image(dataset: Dataset, sample: int) -> dict[str, float]:
    """`picture_numbers` of a sample, its longer side scaled down to 256 pixels."""
    image = dataset.image(sample)
    image.thumbnail((_SIDE, _SIDE))
    return picture_numbers(np.asarray(image))
