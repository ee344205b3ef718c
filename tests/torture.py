"""Runs that are killed or meet a full disk, and must end with the bytes of a run left alone.

usage: python tests/torture.py [--study tests/workflow/tiny.yaml] [--kills 50] [--seed 0]
                               [--disk-full] [--cores]

Measured seconds are laid over from the run left alone before bytes are compared: all that shows
them, the paper too, must then be the same. Nothing else is excepted.
"""

import argparse
import contextlib
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path += [str(ROOT / "tests/workflow"), str(ROOT / "tools/terminal")]
import provenance  # noqa: E402
from running import Workflow  # noqa: E402

JOB, SNAKEMAKE, ALL = "a job", "Snakemake", "all at once"
LOOKS = 0.1  # seconds between two looks at what runs
LONGEST_WAIT = 4.0  # seconds that a kill comes after its share of the results is there
ORPHANS_END = 20.0  # seconds in which a killed Snakemake's jobs are gone: a fraction of one
LEFT_FREE = (0, 1 << 12, 1 << 16, 1 << 20)  # bytes on the disk that fills up
DISK = "8g"
BALLAST = "ballast"


@dataclass(frozen=True)
class Kill:
    """After this share of all results is there, and so many seconds more."""

    share: float
    seconds: float
    whom: str


def draw_kills(number: int, seed: int) -> list[Kill]:
    """Moments over the whole run; two of three kills hit a job, of four one is Snakemake's."""
    draw = random.Random(seed)
    kinds = [SNAKEMAKE if i % 4 == 3 else ALL if i % 12 == 5 else JOB for i in range(number)]
    draw.shuffle(kinds)
    shares = sorted(draw.random() for _ in kinds)
    waits = [draw.random() * LONGEST_WAIT for _ in kinds]
    return [Kill(*each) for each in zip(shares, waits, kinds, strict=True)]


def commands(directory: Path) -> Iterator[tuple[int, list[str]]]:
    """Number and words of every process that works in `directory`."""
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if (entry / "cwd").readlink().is_relative_to(directory):
                words = (entry / "cmdline").read_bytes().decode(errors="replace").split("\0")
                yield int(entry.name), words
        except OSError:  # it has ended
            continue


def jobs_in(directory: Path) -> dict[int, str]:
    """Python processes of the jobs that run in a copy, and names of their scripts."""
    scripts = str(directory / ".snakemake/scripts") + "/"
    found = {}
    for number, words in commands(directory):
        for script in (word for word in words[1:] if word.startswith(scripts)):
            found[number] = script.removeprefix(scripts).split(".", 1)[1]
    return found


def snakemakes_in(directory: Path) -> list[int]:
    program = "/tools/warm/snakemake"
    return [
        number for number, words in commands(directory) if "".join(words[1:2]).endswith(program)
    ]


def there(copy: Workflow, names: Sequence[str]) -> float:
    """Which share of the results a copy has."""
    return sum(copy.path(f"results/{name}").exists() for name in names) / len(names)


def strike(copy: Workflow, kill: Kill, draw: random.Random) -> str | None:
    """Kill what is to be killed; returns its name, None where there is no such process now."""
    jobs, main = sorted(jobs_in(copy.directory).items()), snakemakes_in(copy.directory)
    if not main or (kill.whom != SNAKEMAKE and not jobs):
        return None
    job, name = draw.choice(jobs) if jobs else (None, "no job")
    struck = {JOB: [job], SNAKEMAKE: main, ALL: [*main, *dict(jobs)]}[kill.whom]
    for number in struck:
        try:
            os.kill(number, signal.SIGKILL)
        except ProcessLookupError:
            return None
    return name if kill.whom == JOB else f"{kill.whom} during {name}"


def no_job_left(copy: Workflow) -> None:
    """Jobs end with the Snakemake that started them."""
    until = time.monotonic() + ORPHANS_END
    while left := jobs_in(copy.directory):
        assert time.monotonic() < until, f"jobs without Snakemake: {left}"
        time.sleep(LOOKS)


def unlock(copy: Workflow, options: Sequence[str]) -> None:
    """What `make unlock` does, after a start that says that it has to be done.

    A Snakemake that was killed before it had its plan has left no lock.
    """
    if not any(copy.path(".snakemake/locks").glob("*")):
        return
    running = copy.study(*options)
    printed, _ = running.communicate()
    assert running.returncode and "`make unlock`" in printed.splitlines()[-1], printed
    copy.shell("python -m snakemake --unlock")


def torment(
    copy: Workflow,
    options: Sequence[str],
    kills: Sequence[Kill],
    names: Sequence[str],
    say: Callable,
) -> int:
    """Run a study to its end in spite of `kills`; returns how many found something to kill."""
    waiting, made, draw = list(kills), 0, random.Random(len(kills))
    while True:
        running, before, stale = copy.study(*options), made, False
        while running.poll() is None:
            time.sleep(LOOKS)
            if not waiting or stale or there(copy, names) < waiting[0].share:
                continue
            time.sleep(waiting[0].seconds)
            if killed := strike(copy, waiting[0], draw):
                kill, made = waiting.pop(0), made + 1
                stale = kill.whom != JOB
                say(f"{kill.share:.0%}, {kill.seconds:.1f} s: killed {killed}")
        printed, _ = running.communicate()
        if running.returncode == 0:
            return made
        assert made > before, printed[-3000:]
        said_why(printed, stale)
        if stale:
            no_job_left(copy)
            unlock(copy, options)


def said_why(printed: str, stale: bool) -> None:
    """A user is told what happened and what to do, not a traceback."""
    assert "Traceback" not in printed, printed[-3000:]
    expected = (
        "error: Snakemake was killed (signal 9); `make unlock`" if stale else "killed by signal 9"
    )
    assert expected in printed, printed[-3000:]


def compare(alone: Path, copy: Workflow, options: Sequence[str]) -> list[str]:
    """What differs from the results of a run left alone, its measured seconds laid over."""
    for path in alone.rglob(f"{provenance.TIMED}/*.parquet"):
        shutil.copyfile(path, copy.path("results") / path.relative_to(alone))
    finish(copy, options)
    return provenance.differences(
        provenance.results_in(alone), provenance.results_in(copy.path("results"))
    )


def finish(copy: Workflow, options: Sequence[str], cores: int = 2) -> str:
    running = copy.study(*options, cores=cores)
    printed, _ = running.communicate()
    assert running.returncode == 0, printed[-3000:]
    return printed


@contextlib.contextmanager
def little_disk(folder: Path) -> Iterator[Path]:
    """A file system of its own at `folder`; root may."""
    folder.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK}", "tmpfs", folder], check=True)
    try:
        yield folder
    finally:
        for number, _ in commands(folder):
            os.kill(number, signal.SIGKILL)
        subprocess.run(["umount", "--lazy", folder], check=True)


def fill(disk: Path, left: int) -> None:
    """Leave `left` bytes free."""
    with (disk / BALLAST).open("ab") as file:
        size = file.tell()
        while (free := shutil.disk_usage(disk).free - left) > 0:
            with contextlib.suppress(OSError):  # jobs have taken what was free
                os.posix_fallocate(file.fileno(), size, free)
                size += free


def stages_of(scripts: Sequence[str]) -> set[str]:
    """Stages of the workflow that these scripts are of."""
    found = {path.name: path.parent.name for path in (ROOT / "workflow_scripts").glob("*/*.py")}
    return {found[name] for name in scripts if name in found}


def fill_at_stages(
    copy: Workflow, options: Sequence[str], say: Callable, most: int | None = None
) -> list[str]:
    """Run a study on a disk that is full whenever another stage begins; returns these stages."""
    hit: list[str] = []
    while True:
        running, filled = copy.study(*options), False
        while running.poll() is None:
            time.sleep(LOOKS)
            new = stages_of([*jobs_in(copy.directory).values()]) - {*hit}
            if new and (most is None or len(hit) < most):
                # What a stage left over is taken from the next.
                left = 0 if filled else LEFT_FREE[len(hit) % len(LEFT_FREE)]
                fill(copy.directory, left)
                hit, filled = [*hit, sorted(new)[0]], True
                say(f"{hit[-1]}: {left} bytes left")
        printed, _ = running.communicate()
        (copy.directory / BALLAST).unlink(missing_ok=True)
        if running.returncode == 0 and not filled:
            return hit
        if running.returncode:
            told = [line for line in printed.splitlines() if line.startswith("error: ")]
            assert len(told) == 1 and "the disk is full" in told[0], printed[-3000:]
            assert str(copy.directory) in told[0] and "Traceback" not in printed, printed[-3000:]
            say(f"  {told[0]}")


def left_alone(folder: Path, options: Sequence[str], cores: int = 2) -> Workflow:
    copy = Workflow(folder)
    finish(copy, options, cores)
    return copy


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--study", default="config.yaml")
    parser.add_argument("--kills", type=int, default=0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--disk-full", action="store_true")
    parser.add_argument("--cores", action="store_true", help="one against two")
    asked = parser.parse_args()
    options = () if asked.study == "config.yaml" else ("--configfile", asked.study)
    bad: list[str] = []

    def judge(what: str, copy: Workflow) -> None:
        lines = compare(alone, copy, options)
        bad.extend(lines)
        say(f"{what}: {len(lines)} results differ from those of the run left alone")
        for line in lines:
            say(f"  {line}")

    with tempfile.TemporaryDirectory(prefix="strata-torture-") as name:
        folder = Path(name).resolve()
        alone = left_alone(folder / "alone", options).path("results")
        names = [*provenance.results_in(alone)]
        say(f"left alone: {len(names)} results")
        if asked.cores:
            judge("one core", left_alone(folder / "deeper/in a folder (1)", options, cores=1))
        if asked.kills:
            copy = Workflow(folder / "killed")
            kills = draw_kills(asked.kills, asked.seed)
            made = torment(copy, options, kills, names, say)
            judge(f"{made} of {len(kills)} kills", copy)
        if asked.disk_full:
            with little_disk(folder / "disk") as disk:
                copy = Workflow(disk)
                hit = fill_at_stages(copy, options, say)
                judge(f"disk full at {', '.join(hit)}", copy)
    return 1 if bad else 0


def say(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main())
