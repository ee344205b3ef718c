"""A model hub on this machine's loopback: what huggingface_hub asks of one, and what can go wrong.

A test publishes folders under repository names and sets `HF_ENDPOINT` to `Hub.url`.
"""

import hashlib
import json
import re
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

from huggingface_hub import constants

_INFO = re.compile(r"/api/models/(?P<repository>[^/]+/[^/]+)/revision/(?P<revision>[^/]+)")
_AUTH = re.compile(r"/api/models/(?P<repository>[^/]+/[^/]+)/auth-check")
_FILE = re.compile(r"/(?P<repository>[^/]+/[^/]+)/resolve/(?P<revision>[^/]+)/(?P<file>.+)")
_LARGE = (".safetensors", ".bin")  # what a hub keeps in its large file store


@dataclass
class Repository:
    """Commits of a repository, the last of which is `main`: file names and contents by commit."""

    commits: dict[str, dict[str, bytes]] = field(default_factory=dict)
    gated: bool = False

    def resolve(self, revision: str) -> str | None:
        if revision == "main":
            return list(self.commits)[-1]
        return revision if revision in self.commits else None


class Hub:
    """The hub, running while its context is open.

    `troubles` maps the end of a request's path, or a folder in it ("name/resolve/"), to what goes
    wrong next there, once each: a status, a (status, headers) pair, or a share of the content after
    which the connection breaks off.
    `requests` lists (path, range header) of what was asked.
    """

    def __init__(self):
        self.repositories: dict[str, Repository] = {}
        self.troubles: dict[str, list] = {}
        self.requests: list[tuple[str, str | None]] = []
        self.token = "let-me-in"
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
        self._server.hub = self
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> "Hub":
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *error) -> None:
        self._server.shutdown()
        self._server.server_close()

    def stand_in(self, monkeypatch) -> None:
        """Be the hub of this process, as HF_ENDPOINT makes it that of one that starts with it."""
        point_to(self.url, monkeypatch)

    def publish(self, name: str, folder: Path, *, gated: bool = False) -> str:
        """Make the files of a folder the new `main` of a repository; returns the commit."""
        files = {path.name: path.read_bytes() for path in sorted(folder.iterdir())}
        digest = hashlib.sha1(name.encode())
        for file, content in files.items():
            digest.update(file.encode() + content)
        repository = self.repositories.setdefault(name, Repository())
        repository.commits.pop(digest.hexdigest(), None)
        repository.commits[digest.hexdigest()] = files
        repository.gated = gated
        return digest.hexdigest()

    def pin(self, name: str, commit: str) -> None:
        """Let `commit` stand for the content of `main`: a commit that a configuration pins."""
        commits = self.repositories[name].commits
        commits[commit] = list(commits.values())[-1]

    def trouble_at(self, path: str):
        """What goes wrong with a request, if anything."""
        for place, waiting in self.troubles.items():
            here = place in path if place.endswith("/") else path.endswith(place)
            if here and waiting:
                return waiting.pop(0)
        return None

    def fetched(self, file: str) -> list[str | None]:
        """The range headers with which a file has been asked for."""
        return [asked for path, asked in self.requests if path.endswith("/" + file)]


def point_to(url: str, monkeypatch) -> None:
    """Set the address that huggingface_hub has read when it was imported."""
    monkeypatch.setattr(constants, "ENDPOINT", url)
    template = url + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        hub, path = self.server.hub, unquote(urlsplit(self.path).path)
        hub.requests.append((path, self.headers.get("Range")))
        todo = hub.trouble_at(path)
        if isinstance(todo, (int, tuple)):
            status, headers = todo if isinstance(todo, tuple) else (todo, {})
            return self._answer(status, b"", headers)
        for pattern, answer in ((_INFO, self._info), (_AUTH, self._auth), (_FILE, self._file)):
            if found := pattern.fullmatch(path):
                named = found.groupdict()
                repository = hub.repositories.get(named["repository"])
                if repository is None:
                    return self._answer(401, b"", {"X-Error-Code": "RepoNotFound"})
                return answer(repository, named, todo)
        return self._answer(404, b"")

    def _info(self, repository, named, todo):
        commit = repository.resolve(named["revision"])
        if commit is None:
            return self._answer(404, b"", {"X-Error-Code": "RevisionNotFound"})
        files = repository.commits[commit]
        told = {
            "id": named["repository"],
            "sha": commit,
            "private": False,
            "gated": "manual" if repository.gated else False,
            "siblings": [_sibling(name, content) for name, content in files.items()],
        }
        return self._answer(200, json.dumps(told).encode())

    def _may_read(self, repository) -> bool:
        asked = self.headers.get("Authorization")
        return not repository.gated or asked == f"Bearer {self.server.hub.token}"

    def _auth(self, repository, named, todo):
        if not self._may_read(repository):
            return self._answer(403, b"", {"X-Error-Code": "GatedRepo"})
        return self._answer(200, b"")

    def _file(self, repository, named, todo):
        commit = repository.resolve(named["revision"])
        content = repository.commits.get(commit, {}).get(named["file"])
        if not self._may_read(repository):
            return self._answer(403, b"", {"X-Error-Code": "GatedRepo"})
        if content is None:
            return self._answer(404, b"", {"X-Error-Code": "EntryNotFound"})
        start = int((self.headers.get("Range") or "bytes=0-")[6:-1])
        if start >= len(content) > 0:
            return self._answer(416, b"")
        headers = {"X-Repo-Commit": commit, "ETag": f'"{_checksum(named["file"], content)}"'}
        end = len(content) if todo is None else int(todo * len(content))
        return self._answer(206 if start else 200, content[start:], headers, end - start)

    def _answer(self, status: int, content: bytes, headers=None, length: int | None = None):
        self.send_response(status)
        for key, value in (headers or {}).items():
            self.send_header(key, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content[:length])
        self.close_connection = length is not None and length < len(content)

    def log_message(self, *arguments):
        pass


def _checksum(name: str, content: bytes) -> str:
    if name.endswith(_LARGE):
        return hashlib.sha256(content).hexdigest()
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


def _sibling(name: str, content: bytes) -> dict:
    found = {"rfilename": name, "size": len(content), "blobId": _checksum(name, content)}
    if name.endswith(_LARGE):
        found["lfs"] = {"sha256": found["blobId"], "size": len(content), "pointerSize": 134}
    return found
