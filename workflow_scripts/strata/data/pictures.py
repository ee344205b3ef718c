"""Pictures from files: what a viewer shows, as 8 bits of red, green and blue.

Turned as EXIF says, on white where transparent, in sRGB, the first of several frames.
"""

from __future__ import annotations

import io
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from strata.errors import StrataError, one_line

if TYPE_CHECKING:
    from PIL.Image import Image

SUFFIXES = (".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".apng", ".bmp", ".gif", ".tif", ".tiff")
SUFFIXES += (".webp",)
# Kinds of pictures that are read, whatever their names: raster formats with a signature. Pillow
# would give others to a program outside (EPS to Ghostscript), or take almost any bytes for one.
_FORMATS = ("JPEG", "PNG", "GIF", "BMP", "DIB", "TIFF", "WEBP", "PPM", "JPEG2000", "QOI")
_BITS, _PHOTOMETRIC = 258, 262  # tags of TIFF
_ROUNDING = 3  # of 255: by how much profiles that are sRGB differ from one another
_DARK = 256  # a 16-bit picture with no value above it becomes black


def open_picture(path: str | Path) -> Image:
    """The picture in a file, in RGB of 8 bits, as a viewer shows it.

    The content decides what it is, not the name. Orientation in EXIF is applied; transparent pixels
    are laid on white; palettes, grey, CMYK, YCbCr and Lab become RGB, by the picture's own colour
    profile into sRGB where it has another; 16-bit grey is divided by its range (65535 is 255; 4095
    is, where the file says 12 bits); of several frames or pages the first is taken.

    Raises
    ------
    StrataError
        The file is missing, truncated, damaged, no picture of a kind that is read, far too large,
        or of a kind that does not say which value is white (it is named).
    """
    return read_picture(path)[0]


def read_picture(path: str | Path) -> tuple[Image, list[str]]:
    """`open_picture`, and in words what was done to the picture."""
    from PIL import Image, UnidentifiedImageError

    path = Path(path)
    try:
        with Image.open(path, formats=_FORMATS) as picture:
            notes = ["first of several frames"] if getattr(picture, "is_animated", False) else []
            turned = _turned(picture)
            notes += ["turned as EXIF says"] if turned is not picture else []
            shown, more = _in_rgb(turned, picture)
            return shown, notes + more
    except FileNotFoundError:
        raise StrataError(f"{path}: picture is missing; replace or remove it") from None
    except UnidentifiedImageError:
        raise StrataError(
            f"{path}: picture unreadable: cannot identify image file as {', '.join(_FORMATS)}; "
            "replace or remove it"
        ) from None
    except Exception as error:  # decoders raise whatever they like on damaged content
        reason = one_line(error)
        reason = reason.replace(f" {str(path)!r}", "")
        raise StrataError(f"{path}: picture unreadable: {reason}; replace or remove it") from None


def _turned(picture: Image) -> Image:
    """The picture, whole and upright; itself where it stood upright."""
    from PIL import ExifTags, ImageOps

    tiff = picture.format == "TIFF"  # whose orientation is applied on loading
    before = picture.tag_v2.get(ExifTags.Base.Orientation, 1) if tiff else 1
    picture.load()
    if 0 in picture.size:
        raise ValueError("the picture has no pixels")
    if tiff:
        return picture.copy() if before in range(2, 9) else picture
    try:
        orientation = picture.getexif().get(ExifTags.Base.Orientation, 1)
    except Exception:  # a damaged block of EXIF, which every viewer passes over
        return picture
    if orientation not in range(2, 9):
        return picture
    return ImageOps.exif_transpose(picture)


def _in_rgb(picture: Image, opened: Image) -> tuple[Image, list[str]]:
    """A loaded picture in RGB, and notes; `opened` is the file that it is from."""
    from PIL import Image

    notes: list[str] = []
    if picture.mode in ("I", "F"):
        kind = "floating-point numbers" if picture.mode == "F" else "signed or 32-bit integers"
        raise ValueError(f"its values are {kind}, which have no white; save 8 or 16 bits of grey")
    if picture.mode.startswith("I;16"):
        colours, alpha, dark = _from_16_bits(picture, opened)
        notes += ["16 bits of grey", *(["16 bits of grey, all but black"] if dark else [])]
    else:
        alpha = _alpha(picture, opened)
        colours = _without_alpha(picture)
    colours, converted = _in_srgb(colours, picture.info.get("icc_profile"))
    notes += [converted] if converted else []
    if alpha is not None and alpha.getextrema()[0] < 255:
        notes.append("transparent, on white")
        colours = Image.composite(colours, Image.new("RGB", colours.size, "white"), alpha)
    return colours, notes


def _from_16_bits(picture: Image, opened: Image) -> tuple[Image, Image | None, bool]:
    """16-bit grey as 8 bits, its transparency, and whether next to nothing of it is seen."""
    from PIL import Image

    values = np.asarray(picture).astype(np.uint32)
    tags = getattr(opened, "tag_v2", {})
    white = 2 ** int(tags.get(_BITS, (16,))[0]) - 1
    clear = picture.info.get("transparency")
    alpha = (
        None if clear is None else Image.fromarray(np.where(values == clear, 0, 255).astype("u1"))
    )
    dark = white > 4095 and values.max() < _DARK
    if tags.get(_PHOTOMETRIC) == 0:  # white is zero
        values = white - values
    grey = (values * 255 + white // 2) // white
    return Image.fromarray(grey.astype(np.uint8)), alpha, bool(dark)


def _alpha(picture: Image, opened: Image) -> Image | None:
    """Opacity, (height, width) of 0 to 255; None where the picture has none."""
    if not picture.has_transparency_data:
        return None
    clear = picture.info.get("transparency")
    if picture.mode == "RGB" and clear is not None and max(clear) > 255:
        picture = picture.copy()  # 16 bits of colour, of which 8 are read
        picture.info["transparency"] = tuple(value >> 8 for value in clear)
    return picture.convert("RGBA").getchannel("A")


def _without_alpha(picture: Image) -> Image:
    """Colours alone, in a mode that colour profiles know: L, RGB, CMYK or LAB."""
    if picture.mode in ("RGBa", "PA") or (picture.mode == "P" and picture.has_transparency_data):
        picture = picture.convert("RGBA")
    if picture.mode == "La":
        picture = picture.convert("LA")
    if picture.mode in ("L", "RGB", "CMYK", "LAB"):
        return picture
    return picture.convert("L" if picture.mode in ("1", "LA") else "RGB")


def _in_srgb(colours: Image, profile: bytes | None) -> tuple[Image, str]:
    """Colours in sRGB, by the profile of their file where that is another; and what was done."""
    from PIL import ImageCms

    if colours.mode == "LAB":
        own, note = ImageCms.createProfile("LAB"), "Lab"
    elif profile is None:
        return colours.convert("RGB"), "CMYK without a profile" if colours.mode == "CMYK" else ""
    else:
        try:
            own = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        except (ImageCms.PyCMSError, OSError):
            return colours.convert("RGB"), "colour profile unreadable, passed over"
        note = "by its colour profile"
    try:
        target = ImageCms.createProfile("sRGB")
        if colours.mode in ("L", "RGB") and _is_srgb(profile, colours.mode):
            return colours.convert("RGB"), ""
        return ImageCms.profileToProfile(colours, own, target, outputMode="RGB"), note
    except ImageCms.PyCMSError:  # a profile of another kind of colours than the picture's
        if colours.mode == "LAB":
            raise
        return colours.convert("RGB"), "colour profile does not fit, passed over"


@lru_cache(maxsize=16)  # all pictures of a camera have one
def _is_srgb(profile: bytes, mode: str) -> bool:
    """Whether a profile of grey or RGB is, but for rounding, sRGB's. Names do not tell: telephones
    write "Display P3 Gamut with sRGB Transfer"."""
    from PIL import Image, ImageCms

    steps = np.arange(0, 256, 17, dtype=np.uint8)
    grid = [steps] if mode == "L" else np.meshgrid(steps, steps, steps)
    colours = np.stack([axis.reshape(-1, len(steps)) for axis in grid], axis=-1)
    probe = Image.fromarray(colours.squeeze(-1) if mode == "L" else colours)
    own = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    changed = ImageCms.profileToProfile(
        probe, own, ImageCms.createProfile("sRGB"), outputMode="RGB"
    )
    apart = np.asarray(changed).astype(int) - np.asarray(probe.convert("RGB"))
    return bool(np.abs(apart).max() <= _ROUNDING)
