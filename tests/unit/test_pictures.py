"""Pictures as people have them: each kind of file gives the pixels that a viewer shows.

docs/files.md has these cases as a table.
"""

import struct
import zlib

import numpy as np
import pytest
from PIL import Image, ImageCms

from strata import StrataError
from strata.data.pictures import open_picture, read_picture

RED, GREEN, BLUE, WHITE, BLACK = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255,) * 3, (0,) * 3


def pixels(path):
    shown = open_picture(path)
    assert shown.mode == "RGB"
    return np.asarray(shown)


def saved(picture, path, **options):
    picture.save(path, **options)
    return path


def png(path, width, height, depth, colour, rows, **chunks):
    """A PNG by hand: `rows` are the bytes of each row of pixels."""

    def chunk(name, data):
        return (
            struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        )

    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    body = b"".join(chunk(name.encode(), data) for name, data in chunks.items())
    content = zlib.compress(b"".join(b"\0" + row for row in rows))
    parts = [b"\x89PNG\r\n\x1a\n", chunk(b"IHDR", header), body, chunk(b"IDAT", content)]
    path.write_bytes(b"".join([*parts, chunk(b"IEND", b"")]))
    return path


# --- orientation ----------------------------------------------------------------------------------

CORNERS = np.array([[RED, GREEN], [BLUE, WHITE]], dtype=np.uint8)
# How EXIF's eight orientations store what should be seen as CORNERS.
STORED = {
    1: CORNERS,
    2: CORNERS[:, ::-1],
    3: CORNERS[::-1, ::-1],
    4: CORNERS[::-1],
    5: CORNERS.transpose(1, 0, 2),
    6: np.rot90(CORNERS, 1),
    7: CORNERS[::-1, ::-1].transpose(1, 0, 2),
    8: np.rot90(CORNERS, -1),
}


@pytest.mark.parametrize("orientation", STORED)
@pytest.mark.parametrize("suffix", ["png", "tif", "webp", "jpg"])
def test_pictures_stand_upright(orientation, suffix, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = np.kron(STORED[orientation], np.ones((16, 16, 1), dtype=np.uint8))
    options = {"webp": {"lossless": True}, "jpg": {"quality": 95}}.get(suffix, {})
    path = saved(Image.fromarray(stored), tmp_path / f"a.{suffix}", exif=exif, **options)
    seen = pixels(path)[4::16, 4::16].astype(int)
    assert np.abs(seen - CORNERS).max() <= (3 if suffix == "jpg" else 0)
    assert read_picture(path)[1] == ([] if orientation == 1 else ["turned as EXIF says"])


def test_a_turned_picture_changes_sides(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    path = saved(Image.new("RGB", (40, 30)), tmp_path / "a.jpg", exif=exif)
    assert open_picture(path).size == (30, 40)


def test_a_damaged_block_of_exif_turns_nothing(tmp_path):
    picture = Image.fromarray(CORNERS)
    path = saved(picture, tmp_path / "a.png", exif=b"Exif\0\0MM\0*\0\0\0\x08\xff\xff\x01\x12")
    assert (pixels(path) == CORNERS).all()


# --- grey of 16 bits, and other numbers -----------------------------------------------------------

DEEP = np.array([[0, 128, 129], [32768, 65406, 65535]], dtype=np.uint16)
SHALLOW = [[0, 0, 1], [128, 254, 255]]  # divided by 257, rounded


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_grey_of_16_bits_is_divided_by_its_range(suffix, tmp_path):
    path = saved(Image.fromarray(DEEP), tmp_path / f"a.{suffix}")
    assert (pixels(path) == np.array(SHALLOW)[..., None]).all()
    assert read_picture(path)[1] == ["16 bits of grey"]


def tiff(path, values, order="<", **tags):
    """A TIFF of grey by hand; `tags` by number as t262=0."""
    values = np.asarray(values)
    numbers = {256: values.shape[1], 257: values.shape[0], 258: 16, 259: 1, 262: 1, 273: 8}
    numbers |= {277: 1, 278: values.shape[0], 279: values.nbytes}
    numbers |= {int(key[1:]): value for key, value in tags.items()}
    head = b"II*\0" if order == "<" else b"MM\0*"
    body = values.astype(f"{order}u2").tobytes()
    entries = b"".join(
        struct.pack(f"{order}HHIHH", tag, 3, 1, number, 0)
        for tag, number in sorted(numbers.items())
    )
    directory = struct.pack(f"{order}H", len(numbers)) + entries + b"\0" * 4
    path.write_bytes(head + struct.pack(f"{order}I", 8 + len(body)) + body + directory)
    return path


@pytest.mark.parametrize("order", ["<", ">"])
def test_both_byte_orders_of_tiff_are_the_same(order, tmp_path):
    assert pixels(tiff(tmp_path / "a.tif", DEEP, order))[..., 0].tolist() == SHALLOW


def test_white_may_be_zero(tmp_path):
    shown = pixels(tiff(tmp_path / "a.tif", DEEP, t262=0))[..., 0]
    assert shown.tolist() == [[255, 255, 254], [127, 1, 0]]


def test_twelve_bits_are_white_at_4095(tmp_path):
    packed = np.frombuffer(b"\xff\xf0\x00\x80\x0f\xff", dtype=np.uint8)  # 4095, 0, 2048, 4095
    path = tiff(tmp_path / "a.tif", np.zeros((1, 3)), t256=4, t257=1, t258=12, t279=6)
    content = path.read_bytes()
    path.write_bytes(content[:8] + packed.tobytes() + content[14:])
    assert pixels(path)[0, :, 0].tolist() == [255, 0, 128, 255]


def test_a_16_bit_picture_that_becomes_black_is_noted(tmp_path):
    path = saved(Image.fromarray(np.full((4, 4), 200, np.uint16)), tmp_path / "a.png")
    assert "16 bits of grey, all but black" in read_picture(path)[1]


@pytest.mark.parametrize("kind", [np.float32, np.int32])
def test_numbers_without_a_white_are_refused(kind, tmp_path):
    path = saved(Image.fromarray(np.ones((4, 4), kind)), tmp_path / "a.tif")
    with pytest.raises(
        StrataError, match=r"a\.tif: picture unreadable: its values are .* no white"
    ):
        open_picture(path)


def test_colours_of_16_bits_keep_their_high_byte(tmp_path):
    row = struct.pack(">6H", 65535, 0, 32768, 0, 65535, 257)
    assert pixels(png(tmp_path / "a.png", 2, 1, 16, 2, [row])).tolist() == [
        [[255, 0, 128], [0, 255, 1]]
    ]


# --- transparency ---------------------------------------------------------------------------------


def test_transparent_pixels_are_white(tmp_path):
    values = np.array([[[255, 0, 0, 255], [255, 0, 0, 0], [0, 0, 0, 51]]], dtype=np.uint8)
    path = saved(Image.fromarray(values), tmp_path / "a.png")
    assert pixels(path).tolist() == [[[255, 0, 0], [255, 255, 255], [204, 204, 204]]]
    assert read_picture(path)[1] == ["transparent, on white"]
    opaque = saved(Image.new("RGBA", (2, 2), RED), tmp_path / "b.png")
    assert (pixels(opaque) == RED).all() and read_picture(opaque)[1] == []


def test_grey_with_opacity_is_on_white(tmp_path):
    values = np.array([[[0, 255], [0, 0], [100, 255]]], dtype=np.uint8)
    path = saved(Image.fromarray(values, "LA"), tmp_path / "a.png")
    assert pixels(path)[0, :, 0].tolist() == [0, 255, 100]


@pytest.mark.parametrize("suffix", ["png", "gif"])
def test_a_palette_with_a_clear_entry_is_on_white(suffix, tmp_path):
    picture = Image.new("P", (3, 1))
    picture.putpalette([*RED, *GREEN, *BLUE])
    picture.putdata([0, 1, 2])
    path = saved(picture, tmp_path / f"a.{suffix}", transparency=1)
    assert pixels(path)[0].tolist() == [list(RED), list(WHITE), list(BLUE)]


def test_a_palette_with_degrees_of_opacity_is_on_white(tmp_path):
    picture = Image.new("P", (2, 1))
    picture.putpalette([*BLACK, *RED])
    picture.putdata([0, 1])
    path = saved(picture, tmp_path / "a.png", transparency=bytes([51, 255]))
    assert pixels(path)[0].tolist() == [[204] * 3, list(RED)]


def test_one_clear_colour_is_white(tmp_path):
    path = png(tmp_path / "a.png", 2, 1, 8, 2, [bytes([*RED, *BLUE])], tRNS=b"\0\0\0\0\0\xff")
    assert pixels(path)[0].tolist() == [list(RED), list(WHITE)]
    path = png(tmp_path / "b.png", 3, 1, 8, 0, [bytes([7, 8, 9])], tRNS=b"\0\x08")
    assert pixels(path)[0, :, 0].tolist() == [7, 255, 9]
    path = png(tmp_path / "c.png", 2, 1, 16, 0, [struct.pack(">2H", 0, 257)], tRNS=b"\0\0")
    assert pixels(path)[0, :, 0].tolist() == [255, 1]
    row = struct.pack(">6H", 65535, 0, 0, 0, 0, 65535)
    path = png(tmp_path / "d.png", 2, 1, 16, 2, [row], tRNS=struct.pack(">3H", 0, 0, 65535))
    assert pixels(path)[0].tolist() == [list(RED), list(WHITE)]
    path = png(tmp_path / "e.png", 8, 1, 1, 0, [b"\x0f"], tRNS=b"\0\0")
    assert pixels(path)[0, :, 0].tolist() == [255] * 8


@pytest.mark.parametrize("suffix", ["webp", "tif"])
def test_opacity_of_other_formats(suffix, tmp_path):
    values = np.zeros((8, 8, 4), dtype=np.uint8)
    values[:, 4:] = (*BLUE, 255)
    options = {"lossless": True} if suffix == "webp" else {}
    shown = pixels(saved(Image.fromarray(values), tmp_path / f"a.{suffix}", **options))
    assert (shown[:, :4] == WHITE).all() and (shown[:, 4:] == BLUE).all()


# --- kinds of colour ------------------------------------------------------------------------------


def test_palettes_and_single_bits(tmp_path):
    picture = Image.new("P", (3, 1))
    picture.putpalette([*RED, *GREEN, *BLUE])
    picture.putdata([2, 0, 1])
    for suffix in ("png", "gif", "bmp", "tif"):
        shown = pixels(saved(picture, tmp_path / f"a.{suffix}"))
        assert shown[0].tolist() == [list(BLUE), list(RED), list(GREEN)], suffix
    bits = Image.fromarray(np.array([[True, False]]))
    for suffix in ("png", "bmp", "tif"):
        assert pixels(saved(bits, tmp_path / f"b.{suffix}"))[0, :, 0].tolist() == [255, 0], suffix


def test_inks_become_light(tmp_path):
    inks = np.zeros((16, 64, 4), dtype=np.uint8)
    for place, ink in enumerate([(0, 0, 0, 0), (0, 255, 255, 0), (0, 0, 0, 255), (255, 0, 0, 0)]):
        inks[:, 16 * place : 16 * place + 16] = ink
    light = np.array([WHITE, RED, BLACK, (0, 255, 255)])
    for suffix in ("jpg", "tif"):  # a JPEG's inks are stored inverted, as Adobe does
        path = saved(Image.fromarray(inks, "CMYK"), tmp_path / f"a.{suffix}")
        assert np.abs(pixels(path)[8, 8::16].astype(int) - light).max() <= 3, suffix
        assert read_picture(path)[1] == ["CMYK without a profile"]


def test_lab_is_shown_as_its_colours(tmp_path):
    # L* in 255ths, a* and b* as they are: white, black, and sRGB's red (54.3, 80.8, 69.9 for D50)
    values = np.array([[[255, 0, 0], [0, 0, 0], [138, 81, 70]]], dtype=np.uint8)
    path = saved(Image.fromarray(values, "LAB"), tmp_path / "a.tif")
    shown = pixels(path)[0].astype(int)
    assert np.abs(shown - [WHITE, BLACK, RED]).max() <= 5


def test_ycbcr_in_tiff(tmp_path):
    path = saved(Image.new("RGB", (16, 16), RED).convert("YCbCr"), tmp_path / "a.tif")
    assert np.abs(pixels(path).astype(int) - RED).max() <= 2


# Red, green and blue of Adobe RGB (1998) and of sRGB in XYZ, adapted to D50 as in profiles.
ADOBE = np.array([[0.60974, 0.31111, 0.01947], [0.20528, 0.62567, 0.06087],
                  [0.14919, 0.06322, 0.74457]])  # fmt: skip
SRGB = np.array([[0.43607, 0.22249, 0.01392], [0.38515, 0.71687, 0.09708],
                 [0.14307, 0.06061, 0.71410]])  # fmt: skip
COLOUR = (200, 100, 50)


def wide_gamut(named="Wide"):
    """A colour profile with Adobe RGB's primaries and sRGB's curve, and four letters of a name."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    primaries = dict(zip((b"rXYZ", b"gXYZ", b"bXYZ"), ADOBE, strict=True))
    for place in range(struct.unpack(">I", profile[128:132])[0]):
        name, start, _ = struct.unpack(">4sII", profile[132 + 12 * place : 144 + 12 * place])
        if name in primaries:
            values = [round(value * 65536) for value in primaries[name]]
            profile[start + 8 : start + 20] = struct.pack(">3i", *values)
        if name == b"desc":
            found = profile.find("sRGB".encode("utf-16-be"), start)
            profile[found : found + 8] = named.encode("utf-16-be")
    return bytes(profile)


def in_srgb(colour):
    """A colour of `wide_gamut` in sRGB, by the matrices of the two and sRGB's curve."""
    part = np.array(colour) / 255
    light = np.where(part <= 0.04045, part / 12.92, ((part + 0.055) / 1.055) ** 2.4)
    light = np.clip(light @ ADOBE @ np.linalg.inv(SRGB), 0, 1)
    part = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    return np.round(255 * part).astype(int)


@pytest.mark.parametrize("suffix", ["png", "jpg", "tif", "webp"])
def test_a_colour_profile_is_followed(suffix, tmp_path):
    picture = Image.new("RGB", (32, 32), COLOUR)
    options = {"jpg": {"quality": 100, "subsampling": 0}, "webp": {"lossless": True}}
    path = saved(
        picture, tmp_path / f"a.{suffix}", icc_profile=wide_gamut(), **options.get(suffix, {})
    )
    assert in_srgb(COLOUR)[0] - COLOUR[0] > 20
    assert np.abs(pixels(path)[16, 16].astype(int) - in_srgb(COLOUR)).max() <= 2
    assert read_picture(path)[1] == ["by its colour profile"]


def test_a_profile_is_what_it_does_and_not_its_name(tmp_path):
    """As telephones' "Display P3 Gamut with sRGB Transfer"."""
    picture = Image.new("RGB", (4, 4), COLOUR)
    for name in ("sRGB", "Wide"):
        path = saved(picture, tmp_path / f"{name}.png", icc_profile=wide_gamut(name))
        assert np.abs(pixels(path)[0, 0].astype(int) - in_srgb(COLOUR)).max() <= 2
        assert read_picture(path)[1] == ["by its colour profile"]


def test_profiles_that_say_srgb_or_nothing_change_nothing(tmp_path):
    picture = Image.new("RGB", (4, 4), COLOUR)
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    for number, (profile, note) in enumerate(
        [
            (srgb, []),
            (b"nonsense" * 40, ["colour profile unreadable, passed over"]),
            (lab, ["colour profile does not fit, passed over"]),
        ]
    ):
        path = saved(picture, tmp_path / f"{number}.png", icc_profile=profile)
        assert (pixels(path) == COLOUR).all()
        assert read_picture(path)[1] == note


def linear_grey():
    """A profile of grey whose values are light itself (ICC version 2, by hand)."""
    parts = {
        b"desc": b"desc\0\0\0\0" + struct.pack(">I", 5) + b"Grey\0" + b"\0" * 79,
        b"wtpt": b"XYZ \0\0\0\0" + struct.pack(">3i", 63190, 65536, 54061),
        b"kTRC": b"curv\0\0\0\0" + struct.pack(">I", 0),
    }
    table, body, start = b"", b"", 128 + 4 + 12 * len(parts)
    for name, content in parts.items():
        content += b"\0" * (-len(content) % 4)
        table += struct.pack(">4sII", name, start + len(body), len(content))
        body += content
    size = start + len(body)
    head = struct.pack(">I4sI4s4s4s", size, b"lcms", 0x02100000, b"mntr", b"GRAY", b"XYZ ")
    head += b"\0" * 12 + b"acsp" + b"\0" * 28 + struct.pack(">3i", 63190, 65536, 54061)
    return head.ljust(128, b"\0") + struct.pack(">I", len(parts)) + table + body


def test_grey_has_profiles_too(tmp_path):
    path = saved(Image.new("L", (4, 4), 128), tmp_path / "a.png", icc_profile=linear_grey())
    assert np.abs(pixels(path).astype(int) - 188).max() <= 1  # sRGB's curve at 128/255
    assert read_picture(path)[1] == ["by its colour profile"]


def test_a_profile_and_transparency_together(tmp_path):
    values = np.zeros((2, 2, 4), dtype=np.uint8)
    values[:] = (*COLOUR, 255)
    values[0, 0, 3] = 0
    path = saved(Image.fromarray(values), tmp_path / "a.png", icc_profile=wide_gamut())
    shown = pixels(path).astype(int)
    assert shown[0, 0].tolist() == [255, 255, 255]
    assert np.abs(shown[1, 1] - in_srgb(COLOUR)).max() <= 2


# --- frames, names, damage ------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", ["gif", "tif", "png", "webp"])
def test_of_several_frames_the_first_is_taken(suffix, tmp_path):
    frames = [Image.new("RGB", (16, 16), color) for color in (RED, GREEN, BLUE)]
    options = {"webp": {"lossless": True}}.get(suffix, {})
    path = tmp_path / f"a.{suffix}"
    saved(frames[0], path, save_all=True, append_images=frames[1:], **options)
    assert (pixels(path) == RED).all()
    assert read_picture(path)[1] == ["first of several frames"]


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP"])
def test_the_content_says_what_it_is(kind, tmp_path):
    path = saved(Image.new("RGB", (16, 16), WHITE), tmp_path / "a.jpg", format=kind)
    assert (pixels(path) == WHITE).all()


def refused(path):
    with pytest.raises(StrataError, match=path.name) as error:
        open_picture(path)
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize("suffix", ["jpg", "png", "gif", "bmp", "tif", "webp"])
def test_a_picture_that_is_cut_off_is_refused(suffix, tmp_path):
    draw = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    path = saved(Image.fromarray(draw), tmp_path / f"a.{suffix}")
    whole = path.read_bytes()
    for share in (0.0, 0.1, 0.5, 0.9):
        path.write_bytes(whole[: int(len(whole) * share)])
        assert "picture unreadable" in refused(path)


def test_nothing_too_much_and_what_is_no_picture(tmp_path, monkeypatch):
    assert "picture is missing" in refused(tmp_path / "a.png")
    (tmp_path / "b.png").write_text("<svg xmlns='http://www.w3.org/2000/svg'/>")
    assert "cannot identify" in refused(tmp_path / "b.png")
    assert "unreadable" in refused(png(tmp_path / "c.png", 0, 0, 8, 2, []))
    path = saved(Image.new("RGB", (64, 64)), tmp_path / "d.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 64)
    assert "decompression bomb" in refused(path)


def test_pixels_are_those_of_pillow_where_nothing_is_special(tmp_path):
    draw = np.random.default_rng(0).integers(0, 255, (20, 16, 3), dtype=np.uint8)
    for suffix in ("jpg", "png", "bmp", "tif", "webp"):
        path = saved(Image.fromarray(draw), tmp_path / f"a.{suffix}")
        with Image.open(path) as picture:
            assert (pixels(path) == np.asarray(picture.convert("RGB"))).all()
        assert read_picture(path)[1] == []
