"""Where results come from, and whether they are still what was made: results/provenance.json.

usage: provenance.py write [options of snakemake]    done by make at the end of a run
       provenance.py verify [ANOTHER/provenance.json]

verify computes every checksum again and names what differs: from what this run wrote down, or from
what another run did, with what differs between the two that may be why.
"""

import hashlib
import json
import os
import platform
import subprocess
import sys
import time
from pathlib import Path

from durations import Jobs
from estimate import ROOT

RESULTS = ROOT / "results"
RECORD = RESULTS / "provenance.json"
# What a run writes that is no result: logs, unfinished trainings, LaTeX's own files, the page that
# Snakemake makes of all, and what a user works on.
PASSING = ("logs", "checkpoints", "paper/build", "report.html", "notebooks", "README.md")
PASSING += (RECORD.name,)
TIMED = "timing"  # folders of measured seconds, which no two runs have in common
# What shows them, and differs where they do; nothing else of two runs may.
SHOWS_SECONDS = ("figures/*_seconds.*",)
SHOWN = 20  # differences that are named
_CHUNK = 1 << 20


def checksum(path: Path) -> str:
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def results_in(folder: Path) -> dict[str, str]:
    """Checksums of all results, by path below `folder`."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        passing = any(name == part or name.startswith(f"{part}/") for part in PASSING)
        if path.is_file() and not passing and not path.name.startswith("."):
            found[name] = checksum(path)
    return found


def git(*arguments: str) -> str | None:
    """What git says of this clone; None where it is none."""
    try:
        done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True)
    except FileNotFoundError:
        return None
    return done.stdout.rstrip() if done.returncode == 0 else None


def processor() -> str:
    """The processor's name, where the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), "")


def circumstances(options: list[str]) -> dict:
    """What a run's results may rest on, beside what the repository holds."""
    changed = git("status", "--porcelain", "--untracked-files=no")
    overlays = [path for path in options if path.endswith((".yaml", ".yml"))]
    read = {path: checksum(ROOT / path) for path in ["config.yaml", *overlays]}
    return {
        "commit": git("rev-parse", "HEAD"),
        "changed files": [line[3:] for line in (changed or "").splitlines()],
        "lock": checksum(ROOT / "requirements.txt"),
        "configuration": read,
        "options": options,
        "python": platform.python_version(),
        "system": platform.platform(),
        "processor": processor(),
        "cores": len(os.sched_getaffinity(0)),
    }


def write(*options: str) -> int:
    told = circumstances([*options]) | {"written": time.strftime("%Y-%m-%dT%H:%M:%S%z")}
    told["durations"] = Jobs(ROOT).by_rule()
    told["results"] = results_in(RESULTS)
    temporary = RECORD.with_suffix(".part")
    temporary.write_text(json.dumps(told, indent=1) + "\n")
    os.replace(temporary, RECORD)
    return 0


def read(path: Path) -> dict:
    try:
        return json.loads(path.read_text())
    except FileNotFoundError:
        sys.exit(f"error: {path}: no such record; a run that ends writes it")
    except json.JSONDecodeError as error:
        sys.exit(f"error: {path}: not JSON: {error}")


def differences(before: dict[str, str], now: dict[str, str]) -> list[str]:
    """Results that are missing, new or other than before, a line each."""
    lines = [f"missing: {name}" for name in before if name not in now]
    lines += [f"new: {name}" for name in now if name not in before]
    both = [name for name in before if name in now]
    other = [name for name in both if before[name] != now[name]]
    measured = [name for name in other if TIMED in Path(name).parts]
    showing = [name for name in other if any(Path(name).match(part) for part in SHOWS_SECONDS)]
    excused = [*measured, *showing] if measured else []
    lines += [f"differs: {name}" for name in other if name not in excused]
    return lines + [f"differs, as measured seconds do: {name}" for name in excused]


def verify(against: str | None = None) -> int:
    """Say what differs; the status is 1 where something does that should not."""
    own, now = read(RECORD), results_in(RESULTS)
    lines = differences(own["results"], now)
    if against is not None:
        other = read(Path(against))
        lines += differences(other["results"], now)
        aside = ("results", "written", "durations")
        for key in sorted({*own, *other} - {*aside}):
            if own.get(key) != other.get(key):
                print(f"{key}: {own.get(key)} here, {other.get(key)} there")
    lines = list(dict.fromkeys(lines))
    for line in lines[:SHOWN]:
        print(line)
    if len(lines) > SHOWN:
        print(f"and {len(lines) - SHOWN} more")
    bad = [line for line in lines if not line.startswith("differs, as")]
    print(f"{len(now)} results, {len(bad)} other than they should be")
    return 1 if bad else 0


if __name__ == "__main__":
    command, *rest = sys.argv[1:] or [""]
    if command not in ("write", "verify"):
        sys.exit(__doc__)
    sys.exit(write(*rest) if command == "write" else verify(*rest[:1]))
