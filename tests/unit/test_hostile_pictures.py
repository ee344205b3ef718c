"""Pictures that are damaged or meant to harm: read as they are, or refused in one line."""

import io
import struct
import warnings
import zlib

import numpy as np
import pytest
from PIL import Image

from strata import StrataError
from strata.data.listing import list_files
from strata.data.pictures import open_picture

KINDS = {
    "PNG": {},
    "JPEG": {},
    "JPEG progressive": {"progressive": True},
    "GIF": {},
    "BMP": {},
    "TIFF": {},
    "TIFF lzw": {"compression": "tiff_lzw"},
    "WEBP": {},
    "WEBP lossless": {"lossless": True},
    "PPM": {},
}


def content_of(kind):
    pixels = np.random.default_rng(0).integers(0, 256, (12, 10, 3), dtype=np.uint8)
    made = io.BytesIO()
    Image.fromarray(pixels).save(made, kind.partition(" ")[0], **KINDS[kind])
    return made.getvalue()


def read(path, content):
    """Pixels of a file, or what is said against it in one line."""
    path.write_bytes(content)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return np.asarray(open_picture(path))
    except StrataError as error:
        assert str(path) in str(error) and "\n" not in str(error)
        assert str(error).endswith("replace or remove it")
        return None


@pytest.mark.parametrize("kind", KINDS)
def test_a_picture_cut_off_anywhere_is_whole_or_refused(kind, tmp_path):
    content = content_of(kind)
    whole = read(tmp_path / "a", content)
    for n in range(0, len(content), max(1, len(content) // 60)):
        found = read(tmp_path / "a", content[:n])
        assert found is None or np.array_equal(found, whole), n


@pytest.mark.parametrize("kind", KINDS)
def test_damage_anywhere_is_a_picture_or_one_line(kind, tmp_path):
    content, draw = content_of(kind), np.random.default_rng(1)
    for _ in range(60):
        spoiled = bytearray(content)
        for _ in range(3):
            spoiled[draw.integers(len(spoiled))] = draw.integers(256)
        read(tmp_path / "a", bytes(spoiled))


def png(width, height):
    def chunk(name, data):
        crc = zlib.crc32(name + data)
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", crc)

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(bytes(10**6)))
        + chunk(b"IEND", b"")
    )


def bmp(width, height):
    header = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 24, 0, 0, 0, 0, 0, 0)
    return b"BM" + struct.pack("<IHHI", 54, 0, 0, 54) + header


def gif(width, height):
    return b"GIF89a" + struct.pack("<HHBBB", width, height, 0, 0, 0) + b",\0\0\0\0" + bytes(9)


def ppm(width, height):
    return b"P6 %d %d 255 " % (width, height)


@pytest.mark.parametrize("make", [png, bmp, ppm])
@pytest.mark.parametrize(
    "size", [(2**31 - 1, 2**31 - 1), (60_000, 60_000), (1, 2**30), (20_000, 20_000)]
)
def test_a_bomb_is_refused_before_it_takes_memory(make, size, tmp_path):
    (tmp_path / "a.png").write_bytes(make(*size))
    with pytest.raises(StrataError, match=r"a\.png: picture unreadable: .*; replace or remove it"):
        open_picture(tmp_path / "a.png")


@pytest.mark.parametrize("make", [png, bmp, ppm, gif])
@pytest.mark.parametrize("size", [(0, 0), (0, 5), (5, 0)])
def test_a_picture_without_pixels_is_refused(make, size, tmp_path):
    assert read(tmp_path / "a.png", make(*size)) is None


OTHERS = {
    "PostScript, which Ghostscript would run": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 4 4\n",
    "PDF": b"%PDF-1.7\n",
    "SVG": b"<svg xmlns='http://www.w3.org/2000/svg'/>",
    "a page": b"<!DOCTYPE html><html>404</html>",
    "a pointer of Git LFS": b"version https://git-lfs.github.com/spec/v1\n",
    "nothing": b"",
    "zeros": bytes(1000),
    "a sound": b"RIFF\x24\0\0\0WAVEfmt ",
    "an archive": b"PK\x03\x04" + bytes(50),
    "a program": b"\x7fELF" + bytes(50),
    "Windows metafile": b"\xd7\xcd\xc6\x9a" + bytes(50),
    "TGA, which has no signature": bytes([0, 0, 2, *bytes(9), 4, 0, 4, 0, 24, 0]) + bytes(48),
    "HDF5": b"\x89HDF\r\n\x1a\n" + bytes(50),
}


@pytest.mark.parametrize("kind", OTHERS)
def test_what_is_no_picture_that_is_read_is_told(kind, tmp_path):
    (tmp_path / "a.png").write_bytes(OTHERS[kind])
    told = "picture unreadable: cannot identify image file as JPEG, PNG"
    with pytest.raises(StrataError, match=told):
        open_picture(tmp_path / "a.png")


@pytest.mark.parametrize(
    "name", ["a\nb", "a\tb", "a\rb", "a\x1bb", "a\u202eb", "a\u200bb", "\ufeffa"]
)
def test_names_with_characters_that_nobody_sees_are_no_labels(name, tmp_path):
    (tmp_path / name).mkdir()
    (tmp_path / name / "x.png").touch()
    with pytest.raises(StrataError, match="a character that is not seen; rename it") as error:
        list_files(tmp_path)
    assert "\n" not in str(error.value)
