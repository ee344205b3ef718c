"""Downloads from a real HTTP server that breaks off, fails and lies; archives that misbehave."""

import functools
import hashlib
import io
import tarfile
import threading
import zipfile
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest

from strata import StrataError
from strata.data import open_dataset
from strata.data.download import RemoteFile, download_dataset, fetch_file, remote_files, unpack

CONTENT = bytes(range(256)) * 20_000  # 4.9 MiB: more than a chunk, even when cut in half
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class Handler(SimpleHTTPRequestHandler):
    """Byte ranges, and for a path in `troubles` a list of things to do wrong before doing right."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        name = self.path.strip("/")
        self.server.requests.append(self.headers.get("Range"))
        trouble = self.server.troubles.get(name, [])
        todo = trouble.pop(0) if trouble else None
        if isinstance(todo, int):
            return self.send_error(todo)
        start = int((self.headers.get("Range") or "bytes=0-")[6:-1])
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(CONTENT) - start))
        self.end_headers()
        self.wfile.write(CONTENT[start : len(CONTENT) // 2 if todo == "break off" else None])
        self.close_connection = True

    def log_message(self, *arguments):
        pass


@pytest.fixture
def server():
    with ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler)) as running:
        running.requests, running.troubles = [], {}
        running.url = f"http://127.0.0.1:{running.server_port}/file.bin"
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield running
        running.shutdown()


def fetch(server, tmp_path, sha256=SHA256, **options):
    file = RemoteFile("file.bin", server.url, sha256)
    return fetch_file(file, tmp_path, pause=0.01, log=lambda line: None, **options)


def test_a_broken_download_is_resumed_from_where_it_stopped(server, tmp_path):
    server.troubles["file.bin"] = ["break off"]
    assert fetch(server, tmp_path).read_bytes() == CONTENT
    assert server.requests == [None, f"bytes={2 * 2**20}-"]
    assert [path.name for path in tmp_path.iterdir()] == ["file.bin"]


def test_a_partial_file_of_an_earlier_run_is_used(server, tmp_path):
    (tmp_path / "file.bin.part").write_bytes(CONTENT[:1000])
    assert fetch(server, tmp_path).read_bytes() == CONTENT
    assert server.requests == ["bytes=1000-"]


def test_a_failing_server_is_asked_again(server, tmp_path):
    server.troubles["file.bin"] = [503, 429]
    assert fetch(server, tmp_path).read_bytes() == CONTENT
    server.troubles["file.bin"] = [500] * 4
    with pytest.raises(StrataError, match="HTTP status 500 after 4 attempts"):
        fetch(server, tmp_path / "other")


def test_what_is_not_there_is_told_at_once(server, tmp_path):
    server.troubles["file.bin"] = [404]
    with pytest.raises(StrataError, match="HTTP status 404"):
        fetch(server, tmp_path)
    assert len(server.requests) == 1


def test_a_wrong_checksum_leaves_nothing(server, tmp_path):
    with pytest.raises(StrataError, match=f"sha256 is {SHA256}, expected {'0' * 64}"):
        fetch(server, tmp_path, sha256="0" * 64)
    assert list(tmp_path.iterdir()) == []


def test_a_right_file_is_kept_and_a_mirror_comes_first(server, tmp_path):
    mirror = tmp_path / "mirror"
    mirror.mkdir()
    (mirror / "file.bin").write_bytes(CONTENT)
    assert fetch(server, tmp_path / "a", mirror=str(mirror)).read_bytes() == CONTENT
    assert fetch(server, tmp_path / "a").read_bytes() == CONTENT
    assert server.requests == []
    (mirror / "file.bin").write_bytes(b"something else")
    assert fetch(server, tmp_path / "b", mirror=str(mirror)).read_bytes() == CONTENT


@pytest.mark.parametrize("name", ["../out.bin", "/tmp/out.bin", ""])
def test_a_name_that_leaves_the_folder_is_refused(tmp_path, name):
    with pytest.raises(StrataError, match="must stay inside"):
        fetch_file(RemoteFile(name, "http://127.0.0.1:9/x", SHA256), tmp_path)


def make_tar(path, *members):
    with tarfile.open(path, "w:gz") as archive:
        for info in members:
            info.size = 3 if info.isfile() else 0
            archive.addfile(info, io.BytesIO(b"abc"))


def member(name, kind=tarfile.REGTYPE, link=""):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, link
    return info


@pytest.mark.parametrize(
    "bad",
    [
        member("../out.txt"),
        member("/out.txt"),
        member("link", tarfile.SYMTYPE, "/etc/passwd"),
        member("hard", tarfile.LNKTYPE, "good.txt"),
        member("device", tarfile.CHRTYPE),
    ],
    ids=lambda info: info.name,
)
def test_a_tar_that_would_escape_is_refused_whole(tmp_path, bad):
    make_tar(tmp_path / "a.tar.gz", member("good.txt"), bad)
    with pytest.raises(StrataError):
        unpack(tmp_path / "a.tar.gz", tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["a.tar.gz"]


def test_archives_are_unpacked_whole_or_not_at_all(tmp_path):
    make_tar(tmp_path / "a.tar.gz", member("deep/good.txt"))
    unpack(tmp_path / "a.tar.gz", tmp_path / "tar")
    assert (tmp_path / "tar/deep/good.txt").read_bytes() == b"abc"
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("deep/good.txt", "abc")
    unpack(tmp_path / "a.zip", tmp_path / "zip")
    assert (tmp_path / "zip/deep/good.txt").read_bytes() == b"abc"
    with zipfile.ZipFile(tmp_path / "bad.zip", "w") as archive:
        archive.writestr("../out.txt", "abc")
    damaged = (tmp_path / "a.tar.gz").read_bytes()
    (tmp_path / "cut.tar.gz").write_bytes(damaged[: len(damaged) // 2])
    (tmp_path / "text.zip").write_text("no archive")
    for name in ("bad.zip", "cut.tar.gz", "text.zip"):
        with pytest.raises(StrataError):
            unpack(tmp_path / name, tmp_path / "never")
    assert not (tmp_path / "never").exists() and not (tmp_path / "out.txt").exists()


def test_a_data_set_of_tables_lists_its_files(server, tmp_path):
    (tmp_path / "sums").write_text(f"{SHA256}  file.bin\n")
    base = server.url.removesuffix("/file.bin")
    spec = {"base_url": base, "checksums": "sums", "modality": "table"}
    spec |= {"licence": "none", "source": base}
    options = {"base": tmp_path, "log": lambda line: None}
    download_dataset(spec, tmp_path / "tables", tmp_path / "downloads", **options)
    dataset = open_dataset(tmp_path / "tables")
    assert dataset.manifest["path"].tolist() == ["file.bin"]
    assert dataset.info["checksums"] == {"file.bin": SHA256}
    assert (dataset.root / "file.bin").read_bytes() == CONTENT
    (tmp_path / "sums").write_text("not a checksum\n")
    with pytest.raises(StrataError, match="sums, line 1"):
        remote_files(spec, tmp_path)
