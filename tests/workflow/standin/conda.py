"""A stand-in for conda: it answers what Snakemake asks, and makes environments of the pip section.

It proves that an environment holds what its scripts import, not that conda can solve it. With
STRATA_PACKAGES, a site-packages folder of the lock's versions, the packages and what they require
are linked from there in a second; without it pip installs them.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from importlib.metadata import Distribution, distributions
from pathlib import Path

import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

HERE = Path(__file__).parent


def main(arguments: list[str]) -> None:
    match arguments:
        case ["--version"]:
            print("conda 24.7.1")
        case ["info", "--json"]:
            print(json.dumps({"conda_prefix": str(HERE), "platform": "linux-64"}))
        case ["config", "--get", "channel_priority", "--json"]:
            print(json.dumps({"get": {"channel_priority": "strict"}}))
        case ["env", "create", "--quiet", "--no-default-packages", *options]:
            given = dict(zip(options[::2], options[1::2], strict=True))
            create(Path(given["--file"]), Path(given["--prefix"]))
        case ["clean", *_]:
            pass
        case _:
            sys.exit(f"this stand-in for conda does not know: {' '.join(arguments)}")


def create(file: Path, prefix: Path) -> None:
    """A virtual environment with the pip section of `file`, that keeps to itself (alone.py)."""
    *packages, last = yaml.safe_load(file.read_text())["dependencies"]
    wanted = [Requirement(each) for each in last["pip"]]
    packages = dict(each.partition("=")[::2] for each in packages)
    linked = os.environ.get("STRATA_PACKAGES")
    # Linked packages were compiled for the Python that runs this, whichever that is.
    python = sys.executable if linked else shutil.which(f"python{packages['python']}")
    options = ["--without-pip"] if linked else []
    subprocess.run([python, "-m", "venv", *options, prefix], check=True)
    (site,) = prefix.glob("lib/python*/site-packages")
    if linked:
        link(wanted, Path(linked), site)
    else:
        pip = [prefix / "bin/python", "-m", "pip", "install", "--disable-pip-version-check"]
        subprocess.run([*pip, *map(str, wanted)], check=True)
    shutil.copy(HERE / "alone.py", site)
    (site / "alone.pth").write_text("import alone\n")


def link(wanted: list[Requirement], source: Path, site: Path) -> None:
    """Link the wanted packages and all that they require, and nothing else."""
    there = {canonicalize_name(d.name): d for d in distributions(path=[str(source)])}
    found: set[str] = set()
    while wanted:
        requirement = wanted.pop()
        name = canonicalize_name(requirement.name)
        if name not in there or not requirement.specifier.contains(there[name].version):
            version = there[name].version if name in there else "no such package"
            sys.exit(f"{requirement}: {source} has {version}")
        if name in found:
            continue
        found.add(name)
        for top in top_level(there[name]):
            if not (site / top).exists():  # several packages share a namespace's folder
                (site / top).symlink_to(source / top)
        required = map(Requirement, there[name].requires or [])
        wanted += [r for r in required if r.marker is None or r.marker.evaluate({"extra": ""})]


def top_level(distribution: Distribution) -> set[str]:
    """Files and folders of a package in site-packages."""
    tops = {file.parts[0] for file in distribution.files or []}
    return {top for top in tops if not re.fullmatch(r"\.\.|__pycache__|.*\.pth", top)}


if __name__ == "__main__":
    main(sys.argv[1:])
