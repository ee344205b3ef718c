"""Archives that would escape, damage or fill the disk: refused whole, in one line."""

import io
import shutil
import stat
import tarfile
import zipfile

import numpy as np
import pytest

from strata import StrataError
from strata.data.arrays import array_layers
from strata.data.unpacking import unpack


def refused(archive, told):
    """What is said of an archive, of which nothing is left behind."""
    target = archive.parent / "out"
    before = {path for path in archive.parent.rglob("*")}
    with pytest.raises(StrataError, match=told) as error:
        unpack(archive, target)
    assert str(archive) in str(error.value) and "\n" not in str(error.value)
    assert set(archive.parent.rglob("*")) == before


def tarred(path, *members, mode="w"):
    with tarfile.open(path, mode) as archive:
        for member, content in members:
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path


def member(name, kind=tarfile.REGTYPE, link=""):
    made = tarfile.TarInfo(name)
    made.type, made.linkname = kind, link
    return made


def zipped(path, name, mode=0, content=b"evil", **options):
    with zipfile.ZipFile(path, "w", **options) as archive:
        made = zipfile.ZipInfo(name)
        made.external_attr, made.create_system = mode << 16, 3
        archive.writestr("good.txt", b"good")
        archive.writestr(made, content)
    return path


OUTSIDE = [
    "../evil",
    "a/../../evil",
    "/tmp/evil",
    "//evil",
    "..",
    "a/..",
    "../evil/",
    "/evil/",
    "a/../evil",
]


@pytest.mark.parametrize("name", OUTSIDE)
def test_members_stay_inside_of_a_zip(name, tmp_path):
    refused(zipped(tmp_path / "a.zip", name), "would leave its folder")


@pytest.mark.parametrize("name", [name for name in OUTSIDE if not name.endswith("/")])
@pytest.mark.parametrize("suffix", ["tar", "tar.gz", "tar.xz", "tar.bz2"])
def test_members_stay_inside_of_a_tar(name, suffix, tmp_path):
    mode = "w" + suffix.removeprefix("tar").replace(".", ":")
    refused(tarred(tmp_path / f"a.{suffix}", (member(name), b"evil"), mode=mode), "would leave")


KINDS = {
    "a link": (tarfile.SYMTYPE, "/etc/passwd"),
    "a link upwards": (tarfile.SYMTYPE, "../.."),
    "a link inside": (tarfile.SYMTYPE, "good.txt"),
    "a hard link": (tarfile.LNKTYPE, "/etc/passwd"),
    "a character device": (tarfile.CHRTYPE, ""),
    "a block device": (tarfile.BLKTYPE, ""),
    "a pipe": (tarfile.FIFOTYPE, ""),
}


@pytest.mark.parametrize("kind", KINDS)
def test_members_of_a_tar_are_plain_files(kind, tmp_path):
    refused(tarred(tmp_path / "a.tar", (member("x", *KINDS[kind]), b"")), "'x' is no plain file")


@pytest.mark.parametrize("kind", ["S_IFLNK", "S_IFCHR", "S_IFBLK", "S_IFIFO", "S_IFSOCK"])
def test_members_of_a_zip_are_plain_files(kind, tmp_path):
    archive = zipped(tmp_path / "a.zip", "x", getattr(stat, kind) | 0o777, b"/etc/passwd")
    refused(archive, "'x' is (a link|no plain file)")


def test_what_unpacks_to_more_than_the_disk_holds_is_refused_before_it_is_written(
    tmp_path, monkeypatch
):
    zeros = bytes(10_000_000)
    small = zipped(tmp_path / "a.zip", "x", 0, zeros, compression=zipfile.ZIP_DEFLATED)
    tar = tarred(tmp_path / "a.tar.gz", (member("x"), zeros), mode="w:gz")
    usage = shutil.disk_usage(tmp_path)._replace(free=9_000_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    for archive in (small, tar):
        refused(archive, r"10 MiB unpacked do not fit on the disk of .* \(9 MiB free\)")


def archives(folder):
    """A good archive of each kind."""
    draw = np.random.default_rng(0)
    content = draw.integers(0, 256, 3000, dtype=np.uint8).tobytes()
    found = {}
    for kind in ("gz", "xz", "bz2"):
        path = tarred(folder / f"a.tar.{kind}", (member("x"), content), mode=f"w:{kind}")
        found[kind] = path.read_bytes()
    for name in ("DEFLATED", "BZIP2", "LZMA"):
        how = getattr(zipfile, f"ZIP_{name}")
        found[name] = zipped(folder / "a.zip", "x", 0, content, compression=how).read_bytes()
    return found


@pytest.mark.parametrize("kind", ["gz", "xz", "bz2", "DEFLATED", "BZIP2", "LZMA"])
def test_damage_anywhere_is_one_line_or_nothing(kind, tmp_path):
    content, draw = archives(tmp_path)[kind], np.random.default_rng(1)
    damaged = [content[:n] for n in range(0, len(content), len(content) // 20)]
    for _ in range(40):
        spoiled = bytearray(content)
        spoiled[draw.integers(len(spoiled))] ^= 1 << draw.integers(8)
        damaged.append(bytes(spoiled))
    told = 0
    for each in damaged:
        archive = tmp_path / "damaged"
        archive.write_bytes(each)
        try:
            unpack(archive, tmp_path / "out")
        except StrataError as error:
            told += 1
            assert str(archive) in str(error) and "\n" not in str(error)
        assert not (tmp_path / "out.part").exists()
    assert told >= 20


def encrypted(path):
    content = bytearray(zipped(path, "x").read_bytes())
    for mark, place in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):  # the flag of a password
        content[content.rfind(mark) + place] |= 1
    path.write_bytes(content)
    return path


def compressed_otherwise(path):
    content = bytearray(zipped(path, "x").read_bytes())
    for mark, place in ((b"PK\x03\x04", 8), (b"PK\x01\x02", 10)):
        content[content.rfind(mark) + place] = 97
    path.write_bytes(content)
    return path


def test_passwords_and_other_compressions_are_told(tmp_path):
    refused(encrypted(tmp_path / "a.zip"), "cannot be unpacked: .*(encrypted|password)")
    refused(compressed_otherwise(tmp_path / "b.zip"), "cannot be unpacked: .*compression")


@pytest.mark.parametrize(
    "content", [b"", b"text", b"PK\x03\x04", b"\x1f\x8b", bytes(600), b"Rar!\x1a\x07"]
)
def test_what_is_no_archive_is_told(content, tmp_path):
    (tmp_path / "a.zip").write_bytes(content)
    refused(tmp_path / "a.zip", "neither a zip nor a tar archive|cannot be unpacked|holds no files")


def test_the_folder_itself_as_tar_writes_it_is_no_escape(tmp_path):
    inside = tmp_path / "in"
    inside.mkdir()
    (inside / "a b'$(x).txt").write_text("good")
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        archive.add(inside, ".")
    unpack(tmp_path / "a.tar", tmp_path / "out")
    assert (tmp_path / "out/a b'$(x).txt").read_text() == "good"


def npz(path, shape, content):
    header = io.BytesIO()
    told = {"descr": "<f4", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(header, told)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("block.npy", header.getvalue() + content)
    return path


@pytest.mark.parametrize("shape", [(4, 10**9), (10**12, 4), (-4, 4), (2**62, 2**62), (4, 5), ()])
def test_arrays_whose_header_lies_take_no_memory(shape, tmp_path):
    file = npz(tmp_path / "a.npz", shape, bytes(64))
    with pytest.raises(StrataError, match=r"a\.npz: unreadable: its header says shape") as error:
        array_layers(tmp_path)
    assert str(file) in str(error.value)


def test_arrays_under_a_password_or_pickled_are_told(tmp_path):
    encrypted(tmp_path / "a.npz")
    with pytest.raises(StrataError, match=r"a\.npz: it holds no arrays"):
        array_layers(tmp_path)
    np.savez(tmp_path / "a.npz", x=np.array([{"a": 1}], dtype=object))
    with pytest.raises(StrataError, match="holds Python objects, which are not loaded"):
        array_layers(tmp_path)


@pytest.mark.parametrize("suffix", ["npy", "npz", "safetensors", "parquet"])
@pytest.mark.parametrize(
    "content", [b"", b"text", b"\x93NUMPY\x01\0\x76\0" + b"(" * 118, bytes(300)]
)
def test_damaged_arrays_are_told(suffix, content, tmp_path):
    (tmp_path / f"a.{suffix}").write_bytes(content)
    with pytest.raises(StrataError, match=rf"a\.{suffix}: unreadable"):
        array_layers(tmp_path)
