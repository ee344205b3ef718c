"""Downloads that can be trusted: checksummed, resumed and retried."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import quote

from strata.data.files import index_dataset
from strata.data.manifest import write_dataset
from strata.data.unpacking import inside, unpack
from strata.data.user_tables import read_lines
from strata.errors import StrataError

_CHUNK = 2**20
_SECONDS_BETWEEN_REPORTS = 20
_TIMEOUT = 30  # seconds without any byte
_LONGEST_PAUSE = 300  # seconds that a server may ask for between attempts


@dataclass(frozen=True)
class RemoteFile:
    """A file to fetch: its name below the download folder, its URL and its checksum.

    The checksum is the content's sha256; with `algorithm="md5"` what an old publisher tells, and
    with "git object" git's object id.
    """

    name: str
    url: str
    checksum: str
    unpack: bool = False
    algorithm: str = "sha256"

    def mismatch(self, path: Path) -> str:
        """Nothing where the file at `path` has the checksum, else what it has instead."""
        if self.algorithm == "git object":
            content = path.read_bytes()
            found = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
        else:
            with path.open("rb") as file:
                found = hashlib.file_digest(file, self.algorithm).hexdigest()
        told = f"{self.algorithm} is {found}, expected {self.checksum}"
        return "" if found == self.checksum else told


class PassingError(Exception):
    """A failure that may pass; `wait` is for how many seconds the server asks."""

    def __init__(self, reason: str, wait: float = 0.0):
        super().__init__(reason)
        self.wait = wait


def fetch_file(
    file: RemoteFile,
    directory: str | Path,
    *,
    mirror: str | None = None,
    headers: Mapping[str, str] | None = None,
    retries: int = 4,
    pause: float = 1.0,
    log: Callable[[str], None] = print,
) -> Path:
    """Have `file` in `directory` with the right checksum, and return its path.

    A file that is there and right is kept. Else it is copied from the mirror (a folder or base URL,
    under the file's name) when that has it with the right checksum, else downloaded: resumed from a
    partial file, tried `retries` times with a pause that doubles. The file gets its name only once
    its checksum holds.

    Raises
    ------
    StrataError
        Neither place gives the file, or what they give has another checksum.
    """
    path = inside(Path(directory), file.name)
    if path.is_file() and not file.mismatch(path):
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    sources = ([below(mirror, file.name)] if mirror else []) + [file.url]
    reasons = []
    for source in sources:
        part = path.with_name(path.name + ".part")
        try:
            _obtain(source, part, headers or {}, retries, pause, log)
        except (OSError, StrataError) as error:
            reasons.append(f"{source}: {error}")
            continue
        wrong = file.mismatch(part)
        if not wrong:
            os.replace(part, path)
            return path
        part.unlink()
        reasons.append(f"{source}: {wrong}")
    raise StrataError(f"{file.name}: cannot be fetched; " + "; ".join(reasons))


def below(base: str, name: str) -> str:
    return f"{base.rstrip('/')}/{quote(name)}" if "://" in base else str(Path(base) / name)


def _obtain(
    source: str, part: Path, headers: Mapping, retries: int, pause: float, log: Callable
) -> None:
    """Write `source` (a path or URL) to `part`."""
    if "://" in source:
        retried(lambda: _download(source, part, headers, log), source, retries, pause, log)
    elif Path(source).is_file():
        shutil.copyfile(source, part)
    else:
        raise StrataError("no such file")


def retried(
    attempt: Callable[[], Any],
    source: str,
    retries: int = 4,
    pause: float = 1.0,
    log: Callable[[str], None] = print,
) -> Any:
    """What `attempt` returns. After a PassingError it is called again, at most `retries` times in
    all, after a pause that doubles or for which the server asked; then StrataError is raised."""
    for number in range(retries):
        try:
            return attempt()
        except PassingError as error:
            reason, wait = str(error), min(max(error.wait, pause * 2**number), _LONGEST_PAUSE)
        if number + 1 < retries:
            log(f"{source}: {reason}; trying again in {wait:.0f} s")
            time.sleep(wait)
    raise StrataError(f"{reason} after {retries} attempts; run again to go on from there")


def seconds_to_wait(headers: Mapping[str, str]) -> float:
    """What a server's Retry-After asks for (0 where it asks for nothing, or for a date)."""
    asked = headers.get("Retry-After", "")
    return float(asked) if asked.isdigit() else 0.0


def _download(url: str, part: Path, headers: Mapping, log: Callable[[str], None]) -> None:
    import requests

    try:
        _stream(url, part, headers, log)
    except requests.HTTPError as error:
        status = error.response.status_code
        if status == 416:  # the partial file is longer than the remote one
            part.unlink(missing_ok=True)
        if status < 500 and status not in (408, 416, 429):
            raise StrataError(f"HTTP status {status}") from None
        raise PassingError(
            f"HTTP status {status}", seconds_to_wait(error.response.headers)
        ) from None
    except requests.RequestException as error:
        raise PassingError(type(error).__name__) from None


def _stream(url: str, part: Path, headers: Mapping, log: Callable[[str], None]) -> None:
    """Append to `part` what it lacks of a remote file."""
    import requests

    have = part.stat().st_size if part.exists() else 0
    # Identity keeps byte ranges those of the file itself.
    wanted = {"Accept-Encoding": "identity", **headers}
    wanted |= {"Range": f"bytes={have}-"} if have else {}
    with requests.get(url, headers=wanted, stream=True, timeout=_TIMEOUT) as response:
        response.raise_for_status()
        resumed = response.status_code == 206
        done = have if resumed else 0
        total = done + int(response.headers.get("Content-Length", 0))
        reported = time.monotonic()
        with part.open("ab" if resumed else "wb") as target:
            for chunk in response.iter_content(_CHUNK):
                target.write(chunk)
                done += len(chunk)
                if time.monotonic() - reported > _SECONDS_BETWEEN_REPORTS:
                    reported = time.monotonic()
                    log(f"{url}: {done / 2**20:.0f} of {total / 2**20:.0f} MiB")
        if done < total:
            raise requests.ConnectionError(f"{done} of {total} bytes")


def remote_files(spec: Mapping, base: str | Path = ".") -> list[RemoteFile]:
    """The files of a `kind: download` entry, from its `files` or `base_url` and `checksums`.

    Raises
    ------
    StrataError
        The checksums file is missing or has a line that is not "sha256  name"; a name leads out of
        the folder, or is there twice.
    """
    files = _listed_files(spec) if "files" in spec else _checksummed_files(spec, base)
    names = Counter(str(inside(Path(), file.name)) for file in files)
    name, times = names.most_common(1)[0] if names else ("", 0)
    if times > 1:  # the second would take the place of the first
        raise StrataError(f"{name!r} names two files; give each a name of its own (name:)")
    return files


def _listed_files(spec: Mapping) -> list[RemoteFile]:
    return [
        RemoteFile(
            entry.get("name") or PurePosixPath(entry["url"]).name,
            entry["url"],
            entry.get("sha256") or entry["md5"],
            entry.get("unpack", False),
            "sha256" if "sha256" in entry else "md5",
        )
        for entry in spec["files"]
    ]


def _checksummed_files(spec: Mapping, base: str | Path) -> list[RemoteFile]:
    path = Path(base) / spec["checksums"]
    if not path.is_file():
        raise StrataError(f"{path}: no such file of checksums (sha256sum's form)")
    files = []
    for number, line in enumerate(read_lines(path), start=1):
        checksum, _, name = line.partition("  ")
        checksum = checksum.lower()
        if not re.fullmatch("[0-9a-f]{64}", checksum) or not name:
            raise StrataError(f"{path}, line {number}: should read 'sha256  name', not {line!r}")
        files.append(RemoteFile(name, below(spec["base_url"], name), checksum))
    return files


def fetch_all(
    files: Sequence[RemoteFile],
    directory: str | Path,
    *,
    mirror: str | None = None,
    log: Callable[[str], None] = print,
) -> None:
    """Fetch files into `directory`; archives marked `unpack` are unpacked where they lie.

    An archive's content goes into the folder named after it, `{name}.d`, and is unpacked once.
    """
    for number, file in enumerate(files, start=1):
        path = fetch_file(file, directory, mirror=mirror, log=log)
        content = path.with_name(path.name + ".d")
        if file.unpack and not content.is_dir():
            unpack(path, content)
        if number == len(files) or number % 50 == 0:
            log(f"{number}/{len(files)} files")


def download_dataset(
    spec: Mapping,
    directory: str | Path,
    downloads: str | Path,
    *,
    mirror: str | None = None,
    base: str | Path = ".",
    seed: int = 0,
    log: Callable[[str], None] = print,
) -> None:
    """Fetch a `kind: download` data set into `downloads` and index it in `directory`.

    The mirror is searched under `{mirror}/{name of the data set}/`. A data set of tables gets a
    manifest of its files; pictures and sounds are labelled as `spec["layout"]` says
    (`strata.data.files.index_dataset`); `layout["root"]` is the folder in `downloads` where they
    lie (of an unpacked archive), `layout["segments"]` a table of labelled pieces of sounds.
    """
    directory, downloads = Path(directory), Path(downloads)
    files = remote_files(spec, base)
    fetch_all(files, downloads, mirror=below(mirror, directory.name) if mirror else None, log=log)
    info = {
        "name": directory.name,
        "kind": "download",
        "modality": spec["modality"],
        "root": os.path.relpath(downloads, directory),
        "licence": spec["licence"],
        "source": spec["source"],
        "storage": "files",
        "checksums": {file.name: file.checksum for file in files},
    }
    if spec["modality"] == "table":
        import pandas as pd

        manifest = pd.DataFrame({"split": "all", "path": [file.name for file in files]})
        write_dataset(directory, manifest, info)
        return
    root = downloads / spec["layout"].get("root", ".")
    info["root"] = os.path.relpath(root, directory)
    index_dataset(
        directory,
        root,
        spec["layout"],
        info,
        modality=spec["modality"],
        splits=spec.get("splits"),
        seed=seed,
        unreadable=spec.get("unreadable", "stop"),
        log=log,
    )


def download_concepts(
    spec: Mapping, path: str | Path, *, mirror: str | None = None, log: Callable = print
) -> None:
    """Fetch a word list to `path`; the mirror is searched under `{mirror}/concept_sets/`."""
    path = Path(path)
    file = RemoteFile(PurePosixPath(spec["url"]).name, spec["url"], spec["sha256"])
    shelf = below(mirror, "concept_sets") if mirror else None
    os.replace(fetch_file(file, path.parent / ".downloads", mirror=shelf, log=log), path)
