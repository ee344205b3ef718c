"""Archives unpacked without surprises: inside of their folder, plain files alone, or not at all."""

from __future__ import annotations

import os
import shutil
import stat
import tarfile
import zipfile
from pathlib import Path, PurePosixPath

from strata.errors import StrataError, one_line


def inside(directory: Path, name: str) -> Path:
    """`directory / name`, refusing names that lead out of the directory."""
    pure = PurePosixPath(name)
    if pure.is_absolute() or ".." in pure.parts or not pure.parts:
        raise StrataError(f"{name!r}: a file name must stay inside its folder")
    return directory / Path(*pure.parts)


def unpack(archive: str | Path, directory: str | Path) -> None:
    """Unpack a zip or tar archive into `directory`, which is replaced, whole or not at all.

    Raises
    ------
    StrataError
        The archive is neither, is damaged, or has a member that would leave the folder, is a
        link or a device; or it is empty, or its content does not fit on the disk.
    """
    archive, directory = Path(archive), Path(directory)
    temporary = directory.with_name(directory.name + ".part")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    try:
        if zipfile.is_zipfile(archive):
            _unzip(archive, temporary)
        elif tarfile.is_tarfile(archive):
            _untar(archive, temporary)
        else:
            raise StrataError(f"{archive}: neither a zip nor a tar archive")
        shutil.rmtree(directory, ignore_errors=True)
        os.replace(temporary, directory)
    except StrataError:
        raise
    except Exception as error:  # modules of archives raise whatever they like on damaged content
        raise StrataError(f"{archive}: cannot be unpacked: {one_line(error)}") from None
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _unzip(archive: Path, directory: Path) -> None:
    with zipfile.ZipFile(archive) as opened:
        members = opened.infolist()
        for member in members:
            _check_member(archive, directory, member.filename, member.is_dir())
            kind = stat.S_IFMT(member.external_attr >> 16)  # 0 where the writer knows no kinds
            if kind == stat.S_IFLNK:
                raise StrataError(f"{archive}: member {member.filename!r} is a link")
            if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
                raise StrataError(f"{archive}: member {member.filename!r} is no plain file")
        _check_sizes(archive, directory, [member.file_size for member in members])
        opened.extractall(directory)


def _untar(archive: Path, directory: Path) -> None:
    with tarfile.open(archive) as opened:
        members = opened.getmembers()
        for member in members:
            _check_member(archive, directory, member.name, member.isdir())
            if not (member.isfile() or member.isdir()):
                raise StrataError(f"{archive}: member {member.name!r} is no plain file")
        _check_sizes(archive, directory, [member.size for member in members])
        # Python 3.11.0 to 3.11.3, Debian's among them, have no filters: the checks above suffice.
        options = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}
        opened.extractall(directory, members, **options)


def _check_member(archive: Path, directory: Path, name: str, folder: bool) -> None:
    """Refuse a member that would leave the folder; `tar -c .` has the folder itself as one."""
    if folder and not PurePosixPath(name).parts:
        return
    try:
        inside(directory, name)
    except StrataError:
        raise StrataError(f"{archive}: member {name!r} would leave its folder") from None


def _check_sizes(archive: Path, directory: Path, sizes: list[int]) -> None:
    """Refuse what holds nothing, or unpacks to more than the disk holds, before any is written."""
    if not sizes:
        raise StrataError(f"{archive}: holds no files")
    needed, free = sum(sizes), shutil.disk_usage(directory).free
    if needed > free:
        raise StrataError(
            f"{archive}: {needed / 2**20:.0f} MiB unpacked do not fit on the disk of {directory} "
            f"({free / 2**20:.0f} MiB free)"
        )
