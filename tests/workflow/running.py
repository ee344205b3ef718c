"""A copy of the workflow to run in, apart from the developer's own results."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
_PARTS = (
    "Snakefile",
    "config.yaml",
    "envs",
    "paper",
    "profiles",
    "resources",
    "rules",
    "studies",
    "tests/workflow",
    "workflow_scripts",
)


class Workflow:
    """A copy of the workflow and a way to call it."""

    def __init__(self, directory: Path):
        self.directory = directory
        for part in _PARTS:
            source, target = ROOT / part, directory / part
            target.parent.mkdir(parents=True, exist_ok=True)
            if source.is_dir():
                ignored = shutil.ignore_patterns("__pycache__", "*.egg-info")
                shutil.copytree(source, target, ignore=ignored)
            else:
                shutil.copy(source, target)

    def __call__(self, *arguments: str, expect: int = 0) -> str:
        """Run snakemake with two cores; returns what it printed, after checking its exit status."""
        mirror = find_mirror()
        named = {"STRATA_MIRROR": str(mirror)} if mirror else {}
        return self._run(["snakemake", "--cores", "2", *arguments], expect, named)

    def shell(self, commands: str, expect: int = 0, **variables: str) -> str:
        """Run lines of a shell as a user would; returns and checks as a call does."""
        library = {"PYTHONPATH": str(self.directory / "workflow_scripts")}
        return self._run(["bash", "-euc", commands], expect, library | variables)

    def _run(self, command: list[str], expect: int, variables: dict[str, str]) -> str:
        tools = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        environment = os.environ | {"PATH": tools, "OMP_NUM_THREADS": "1"}
        environment.pop("STRATA_MIRROR", None)
        done = subprocess.run(
            command,
            cwd=self.directory,
            env=environment | variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert done.returncode == expect, done.stdout[-6000:]
        return done.stdout

    def path(self, name: str) -> Path:
        return self.directory / name


def planned(output: str) -> set[str]:
    """Names of the rules in the job table of a dry run."""
    table = output.partition("Job stats:")[2].partition("total")[0]
    return set(re.findall(r"^(\w+) +\d+$", table, flags=re.MULTILINE))


def find_mirror() -> Path | None:
    """The data mirror, where this machine has one."""
    named = os.environ.get("STRATA_MIRROR")
    found = [Path(named)] if named else [ROOT.parent / "shared" / "data"]
    return next((path for path in found if path.is_dir()), None)
