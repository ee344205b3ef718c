"""Which code a result rests on: a digest of a script and of what it uses of the library.

Found in the source, import by import, those inside of functions included; nothing is run. Of a
package only what is named is followed, so that a facade does not tie its users to all behind it.
Comments, docstrings and layout do not count.
"""

from __future__ import annotations

import ast
import contextlib
import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from strata.errors import StrataError
from strata.whole import whole

# What is kept of a file holds for this reader and this Python alone.
_READER = Path(__file__).read_bytes() + sys.version.encode()


class _Source:
    """A file's imports, what it binds by them, and a digest of its code."""

    def __init__(self, imports: Iterable[Sequence], digest: str):
        self.imports, self.digest = [tuple(each) for each in imports], digest
        self.bound = {own: (module, name) for module, name, own in self.imports if name}


def _source(path: Path, kept: Path) -> _Source:
    """What is in a file, from the file `kept`, where it says so of these bytes: to parse all of the
    library takes longer than all else at the start of a run, and on a cluster of every job."""
    content = path.read_bytes()
    key = hashlib.sha256(_READER + content).hexdigest()
    with contextlib.suppress(OSError, ValueError, TypeError, KeyError):
        known = json.loads(kept.read_text(encoding="utf-8"))
        if known["of"] == key:
            return _Source(known["imports"], known["digest"])
    tree = _Bare().visit(ast.parse(_code(content.decode("utf-8"), path.suffix)))
    imports, digest = list(_imports(tree)), hashlib.sha256(ast.dump(tree).encode()).hexdigest()
    # As with bytecode, there is none in a folder that cannot be written.
    with contextlib.suppress(OSError), whole(kept) as part:
        part.write_text(json.dumps({"of": key, "imports": imports, "digest": digest}))
    return _Source(imports, digest)


def _code(text: str, suffix: str) -> str:
    """A file's Python: of a notebook what its cells hold, but for lines that only Jupyter reads."""
    if suffix != ".ipynb":
        return text
    cells = [cell for cell in json.loads(text)["cells"] if cell["cell_type"] == "code"]
    lines = "\n".join("".join(cell["source"]) for cell in cells).splitlines()
    return "\n".join(line for line in lines if not line.startswith(("%", "!")))


class _Bare(ast.NodeTransformer):
    """Leaves out docstrings, and imports that only serve annotations."""

    def generic_visit(self, node: ast.AST) -> ast.AST:
        super().generic_visit(node)
        body = getattr(node, "body", None)
        if isinstance(body, list) and body and _is_docstring(body[0]):
            del body[0]
        return node

    def visit_If(self, node: ast.If) -> ast.AST | None:
        if isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            return None
        return self.generic_visit(node)


def _is_docstring(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )


def _imports(tree: ast.AST) -> Iterator[tuple[str, str | None, str]]:
    """(module, name, name here) of every import; the name is None for a whole module."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, None, alias.name) for alias in node.names)
        if isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                yield node.module, alias.name, alias.asname or alias.name


class Sources:
    """The scripts and the library below a folder (`workflow_scripts`), as source.

    A file is read once; one that changes later is not seen. What was found in it is kept beside the
    bytecode, with a checksum of the file.
    """

    def __init__(self, folder: str | Path, library: str = "strata"):
        self.folder, self.library = Path(folder), library
        self._read: dict[Path, _Source] = {}
        self._used: dict[Path, list[Path]] = {}
        self._digests: dict[tuple[str, ...], str] = {}

    def files(self, script: str, *modules: str) -> list[Path]:
        """The library's files that `script` (below the folder) uses, and these modules with theirs.

        Raises StrataError for an import from the library that leads nowhere.
        """
        start = self.folder / script
        found: dict[Path, None] = {start: None}
        waiting = [*self._used_by(start)]
        for module in modules:
            waiting += self._resolved(module, None, start)
        while waiting:
            path = waiting.pop()
            if path not in found:
                found[path] = None
                waiting += self._used_by(path)
        return sorted(found)

    def digest(self, script: str, *modules: str) -> str:
        """A digest of the code in `files`; it changes with the code, and with nothing else."""
        asked = (script, *modules)
        if asked not in self._digests:  # a rule's jobs all ask for the same
            found = hashlib.sha256()
            for path in self.files(*asked):
                name = path.relative_to(self.folder).as_posix()
                found.update(f"{name}={self._source(path).digest}\n".encode())
            self._digests[asked] = found.hexdigest()[:16]
        return self._digests[asked]

    def _source(self, path: Path) -> _Source:
        if path not in self._read:
            name = ".".join(path.relative_to(self.folder).parts)
            self._read[path] = _source(path, self.folder / "__pycache__/sources" / f"{name}.json")
        return self._read[path]

    def _used_by(self, path: Path) -> list[Path]:
        if path not in self._used:
            imports = self._source(path).imports
            found = [
                file for module, name, _ in imports for file in self._resolved(module, name, path)
            ]
            self._used[path] = found
        return self._used[path]

    def _resolved(self, module: str, name: str | None, user: Path) -> list[Path]:
        """The file in which `name` of `module` is made; all of the module where no name is given.

        What a facade only passes on is looked for where it comes from.
        """
        if module.partition(".")[0] != self.library:
            return []
        inside = self._file(f"{module}.{name}") if name else None
        path = inside or self._file(module)
        if path is None:
            raise StrataError(f"{user}: imports {module}, which is not in {self.folder}")
        if not name or inside or path.name != "__init__.py":
            return [path]
        bound = self._source(path).bound
        return self._resolved(*bound[name], path) if name in bound else [path]

    def _file(self, module: str) -> Path | None:
        path = self.folder.joinpath(*module.split("."))
        options = (path.with_suffix(".py"), path / "__init__.py")
        return next((file for file in options if file.is_file()), None)


def pinned(environment: str | Path) -> str:
    """A digest of the packages and versions that a conda environment's file names."""
    lines = (line.partition("#")[0].strip() for line in Path(environment).read_text().splitlines())
    named = sorted(line for line in lines if "=" in line)
    return hashlib.sha256("\n".join(named).encode()).hexdigest()[:8]


def locked(requirements: str | Path) -> dict[str, str]:
    """The version of each package in the lock."""
    lines = Path(requirements).read_text().splitlines()
    return dict(line.split()[0].split("==") for line in lines if "==" in line.partition("#")[0])


def commit(folder: str | Path) -> str | None:
    """The commit that is checked out in `folder`, with "-dirty" where files differ from it; None
    without git, or where `folder` is no repository of its own."""
    command = ["git", "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"]
    apart = os.environ | {"GIT_CEILING_DIRECTORIES": str(Path(folder).resolve().parent)}
    try:
        told = subprocess.run(command, cwd=folder, env=apart, capture_output=True, text=True)
    except OSError:
        return None
    return told.stdout.strip() or None


def share_path(folder: str | Path) -> None:
    """Let all processes that are started from here import what lies in `folder`."""
    # Where a clone's path holds what separates the parts, only a relative one can be told.
    shared = os.path.relpath(folder) if os.pathsep in str(folder) else str(folder)
    others = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]
    os.environ["PYTHONPATH"] = os.pathsep.join(dict.fromkeys([shared, *others]))
