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
    found: set[tuple] = set()
    while wanted:
        requirement = wanted.pop()
        name = canonicalize_name(requirement.name)
        if name not in there or not requirement.specifier.contains(there[name].version):
            version = there[name].version if name in there else "no such package"
            sys.exit(f"{requirement}: {source} has {version}")
        extras = ("", *sorted(requirement.extras))
        if (name, extras) in found:
            continue
        found.add((name, extras))
        for top in top_level(there[name]):
            if not (site / top).exists():  # several packages share a namespace's folder
                (site / top).symlink_to(source / top)
        bring_beside(there[name], site)
        required = map(Requirement, there[name].requires or [])
        wanted += [
            r
            for r in required
            if r.marker is None or any(r.marker.evaluate({"extra": extra}) for extra in extras)
        ]


def bring_beside(distribution: Distribution, site: Path) -> None:
    """What a package brings beside its modules: commands, and data such as Jupyter's templates."""
    prefix = site.parents[2]
    for entry in distribution.entry_points.select(group="console_scripts"):
        command = prefix / "bin" / entry.name
        if not command.exists():
            lines = ["#!" + str(prefix / "bin/python"), "import sys"]
            lines += [f"from {entry.module} import {entry.attr.partition('.')[0]}"]
            command.write_text("\n".join([*lines, f"sys.exit({entry.attr}())", ""]))
            command.chmod(0o755)
    for file in distribution.files or []:
        if "share" in file.parts and file.parts[0] == "..":
            target = prefix.joinpath(*file.parts[file.parts.index("share") :])
            target.parent.mkdir(parents=True, exist_ok=True)
            target.unlink(missing_ok=True)
            target.symlink_to(Path(distribution.locate_file(file)).resolve())


def top_level(distribution: Distribution) -> set[str]:
    """Files and folders of a package in site-packages."""
    tops = {file.parts[0] for file in distribution.files or []}
    return {top for top in tops if not re.fullmatch(r"\.\.|__pycache__|.*\.pth", top)}


if __name__ == "__main__":
    main(sys.argv[1:])
