"""A copy of the workflow to run in, apart from the developer's own results."""

import functools
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NoReturn

import pytest

ROOT = Path(__file__).parents[2]
_PARTS = (
    "Makefile",
    "Snakefile",
    "config.yaml",
    "envs",
    "paper",
    "profiles",
    "pyproject.toml",
    "requirements.txt",
    "resources",
    "rules",
    "studies",
    "tests/workflow",
    "tools",
    "workflow_scripts",
)


_servers = []  # their pipes stay open


class Workflow:
    """A copy of the workflow and a way to call it."""

    def __init__(self, directory: Path, **variables: str):
        """`variables` of the environment are set in all calls."""
        self.directory, self.variables = directory, variables
        for part in _PARTS:
            source, target = ROOT / part, directory / part
            target.parent.mkdir(parents=True, exist_ok=True)
            if source.is_dir():
                # With what is compiled: it is for sources with these bytes.
                shutil.copytree(source, target, ignore=shutil.ignore_patterns("*.egg-info"))
            else:
                shutil.copy(source, target)

    def __call__(self, *arguments: str, expect: int = 0) -> str:
        """Run snakemake with two cores; returns what it printed, after checking its exit status."""
        return _printed(self.start(*arguments), expect)

    def start(self, *arguments: str, tools: Path | None = None) -> subprocess.Popen:
        """Start snakemake with two cores; commands are looked for in `tools` first."""
        mirror = find_mirror()
        named = {"STRATA_MIRROR": str(mirror)} if mirror else {}
        command = [sys.executable, "tools/warm/snakemake", "--cores", "2", *arguments]
        return self._start(command, named | self._shared(), tools)

    def study(self, *options: str, cores: int = 2) -> subprocess.Popen:
        """Start what `make paper` starts, which tells what a user sees."""
        command = [sys.executable, "tools/terminal/run_study.py", "paper", "--cores", str(cores)]
        return self._start([*command, *options], {"PYTHONHASHSEED": "0"})

    def shell(self, commands: str, expect: int = 0, **variables: str) -> str:
        """Run lines of a shell as a user would, but that `snakemake` is that of tools/warm; returns
        and checks as a call does."""
        library = {"PYTHONPATH": str(self.directory / "workflow_scripts")}
        command = ["bash", "-euc", commands]
        given = library | variables | self._shared()
        return _printed(self._start(command, given, self.path("tools/warm")), expect)

    def _shared(self) -> dict[str, str]:
        """The server of all copies' scripts, but for a copy that has another environment."""
        return {} if self.variables.keys() - {"STRATA_MIRROR"} else {"STRATA_WARM": warm_server()}

    def _start(
        self, command: list[str], variables: dict[str, str], tools: Path | None = None
    ) -> subprocess.Popen:
        folders = [tools, Path(sys.executable).parent, os.environ["PATH"]]
        path = os.pathsep.join(str(folder) for folder in folders if folder)
        return subprocess.Popen(
            command,
            cwd=self.directory,
            env=_environment() | {"PATH": path} | variables | self.variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def path(self, name: str) -> Path:
        return self.directory / name


def _environment() -> dict[str, str]:
    """What a user's may hold, and one thread."""
    # Under `make test` a make below would say which folder it enters, as no user's does.
    ours = {"STRATA_MIRROR", "MAKELEVEL", "MAKEFLAGS", "MFLAGS", "PYTEST_CURRENT_TEST"}
    users = {name: value for name, value in os.environ.items() if name not in ours}
    return users | {"OMP_NUM_THREADS": "1"}


@functools.cache
def warm_server() -> str:
    """Where the server listens (tools/warm) that loads libraries once for all copies; it ends with
    this process."""
    folder = tempfile.mkdtemp(prefix="strata-")
    threads = ("GOTO_NUM", "OPENBLAS_NUM", "MKL_NUM", "VECLIB_MAXIMUM", "NUMEXPR_NUM")
    ones = {f"{name}_THREADS": "1" for name in threads}  # as Snakemake sets them for jobs
    command = [sys.executable, ROOT / "tools/warm/server.py", folder, "--now"]
    running = subprocess.Popen(
        command,
        env=_environment() | ones | {"PYTHONPATH": str(ROOT / "workflow_scripts")},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    running.stdout.readline()
    _servers.append(running)
    return f"{folder}/socket"


def rule_bodies() -> dict[str, str]:
    """What stands in each rule of the workflow."""
    text = "".join(path.read_text() for path in sorted((ROOT / "rules").rglob("*.smk")))
    parts = re.split(r"^ *rule (\w+):\n", text, flags=re.MULTILINE)[1:]
    return dict(zip(parts[::2], parts[1::2], strict=True))


def rules_with_environment() -> dict[str, str]:
    """Name of the environment's file of every rule that runs a script or a notebook."""
    named = {
        rule: re.findall(r'^ *conda:\n *"\.\./envs/(\w+)\.yaml"', body, flags=re.MULTILINE)
        for rule, body in rule_bodies().items()
        if re.search(r"^ *(script|notebook):\n", body, flags=re.MULTILINE)
    }
    for rule, environments in named.items():
        assert len(environments) == 1, f"rule {rule} needs an environment"
    return {rule: environment for rule, (environment,) in named.items()}


def _printed(running: subprocess.Popen, expect: int) -> str:
    printed, _ = running.communicate()
    assert running.returncode == expect, printed[-6000:]
    return printed


def cannot_run(reason: str) -> NoReturn:
    """Skip, but where all is to be tested: there nothing is skipped unseen."""
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


def planned(output: str) -> set[str]:
    """Names of the rules in the job table of a dry run."""
    table = output.partition("Job stats:")[2].partition("total")[0]
    return set(re.findall(r"^(\w+) +\d+$", table, flags=re.MULTILINE))


def find_mirror() -> Path | None:
    """The data mirror, where this machine has one."""
    named = os.environ.get("STRATA_MIRROR")
    found = [Path(named)] if named else [ROOT.parent / "shared" / "data"]
    return next((path for path in found if path.is_dir()), None)
