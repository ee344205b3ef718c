"""Run Snakemake and say what is made, how far it is, and what there is at the end.

usage: run_study.py paper|figures|notebooks [options of snakemake]
"""

import contextlib
import errno
import json
import os
import re
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

import provenance
from estimate import ROOT, TimeLeft, about, beforehand, in_words

RESULTS = ROOT / "results"
PDF, FIGURES, REPORT = (RESULTS / name for name in ("paper/strata.pdf", "figures", "report.html"))
ATLAS = RESULTS / "atlas/index.html"
NOTEBOOKS = RESULTS / "notebooks"
SAID = RESULTS / time.strftime("logs/snakemake/%Y-%m-%dT%H%M%S.log")
MIRROR = (
    "Without this source: STRATA_MIRROR (or data_mirror: in the configuration) may name a folder "
    "or base URL that has the files, one folder per data set."
)
LOCKED = (
    "error: another run works in this folder, or one was killed at work; if none runs, "
    "`make unlock` lets the next one start (nothing that is finished is lost)"
)
FULL = f"error: the disk is full: no space left in {ROOT}; free some, and the next start goes on"
ENDED = "error: it was killed by signal 9, as Linux does where memory runs out"
KILLED = "error: Snakemake was killed (signal {}); `make unlock`, and the next start goes on"
ROOM = 1 << 20  # bytes; where less is free, what fails fails for that
FULL_WORDS = re.compile("error: the disk is full|No space left on device")
SIGNAL = re.compile(r"died with <Signals\.SIGKILL|non-zero exit status 137")
WHERE = re.compile(r'\w+ in file ".*", line \d+:$|  File "')


def count(number: int, thing: str) -> str:
    return f"{number} {thing}{'' if number == 1 else 's'}"


def stamp(path: Path) -> tuple[int, int] | None:
    """What changes when a file is written; None where there is none."""
    try:  # asked once: a job that starts removes the log of the one before
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_mtime_ns, found.st_size


@dataclass
class Job:
    rule: str
    wildcards: list[str]
    log: Path
    before: tuple[int, int] | None
    killed: bool = False  # by a signal that leaves no words
    started: float = field(default_factory=time.monotonic)

    @property
    def name(self) -> str:
        return f"{self.rule} ({', '.join(self.wildcards)})" if self.wildcards else self.rule

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.started

    def last_words(self) -> list[str]:
        """The job's own last line, or that it had none, and the path of its log."""
        if self.killed:
            return [ENDED, str(self.log)]
        if stamp(self.log) in (None, self.before):
            return ["It left no log; all that was said:", str(SAID)]
        text = self.log.read_text(errors="replace")
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        told = [line for line in lines if line.startswith("error: ")] or lines or ["(no message)"]
        if "cannot be fetched" in told[-1]:
            return [told[-1], MIRROR, str(self.log)]
        return [told[-1], str(self.log)]


class Run:
    """What Snakemake has told until now."""

    def __init__(self, options: list[str], say):
        self.say = say
        self.embedded = not {"--configfile", "--config"} & set(options)
        self.cores, self.total, self.done, self.stopped = 1, 0, 0, False
        self.running: dict[int, Job] = {}
        self.failed: dict[int, Job] = {}
        self.errors: list[str] = []
        self.told, self.full = 0, False  # errors that belong to a job that failed; the disk
        self.time = TimeLeft({}, 1)

    def take(self, told: dict) -> None:
        """An event of Snakemake's."""
        match told["event"]:
            case "RESOURCES_INFO" if "cores" in told:
                self.cores = int(told["cores"])
            case "RUN_INFO":
                self.plan(told["stats"])
            case "JOB_INFO":
                self.start(told)
            case "JOB_FINISHED":
                self.finish(int(told["job_id"]))
            case "JOB_ERROR":
                self.fail(told)
            case _ if told["error"]:
                self.errors.append(told["message"])

    def plan(self, stats: dict[str, int]) -> None:
        jobs = {rule: number for rule, number in stats.items() if rule != "total"}
        self.total, self.time = stats["total"], TimeLeft(jobs, self.cores)
        figures = sum(number for rule, number in jobs.items() if rule.startswith("plot_"))
        what = ["the PDF"] if "paper" in jobs else []
        what += [count(figures, "figure")] if figures else []
        what = f"{', '.join(what)} and the report" if what else "the report"
        if "notebooks" in jobs:
            what = count(jobs.get("export_notebook", 0), "notebook")
        line = f"Making {what} in {RESULTS}: {count(self.total, 'step')}"
        if self.embedded:
            line += f", {about(beforehand(jobs, self.cores))}"
        self.say(f"{line} on {count(self.cores, 'core')}")

    def start(self, told: dict) -> None:
        log = ROOT / (told["log"] or [SAID])[0]
        wildcards = [str(value) for value in told["wildcards"].values()]
        self.running[told["jobid"]] = Job(told["rule_name"], wildcards, log, stamp(log))
        self.time.start(told["rule_name"])

    def finish(self, number: int) -> None:
        self.done += 1
        self.failed.pop(number, None)  # a second attempt may succeed
        job = self.running.pop(number, None)
        if job:
            self.time.finish(job.rule, job.seconds)

    def fail(self, told: dict) -> None:
        self.full = self.full or shutil.disk_usage(RESULTS).free < ROOM
        # Snakemake tells how a job ended just before it tells that it failed.
        how, self.told = "\n".join(self.errors[self.told :]), len(self.errors)
        job = self.running.pop(told["jobid"], None)
        if job:
            job.killed = bool(SIGNAL.search(how))
        if job and not self.stopped and told["jobid"] not in self.failed:
            self.failed[told["jobid"]] = job
            self.say(f"Failed: {job.name}; what does not depend on it goes on")

    def progress(self) -> tuple[float, str, str]:
        """The part of the work that is done, steps and time left, and what runs now."""
        jobs = sorted(list(self.running.values()), key=lambda job: job.started)
        running = [(job.rule, job.seconds) for job in jobs]
        numbers = f"{self.done} of {count(self.total, 'step')}"
        numbers += f", {about(self.time.left(running))} left" if self.done < self.total else ""
        now = ", ".join(
            job.name + (f" for {in_words(job.seconds)}" if job.seconds > 60 else "") for job in jobs
        )
        return self.time.share(running), numbers, f"now: {now}" if now else ""


class Bar:
    """On a terminal: a bar and two lines, which are gone at the end."""

    def __init__(self, console: Console):
        self.console, self.run = console, None
        self.live = Live(
            get_renderable=self.draw, console=console, refresh_per_second=2, transient=True
        )

    def draw(self):
        if self.run is None or not self.run.total:
            return Text("Looking at what is there already", style="dim")
        share, numbers, now = self.run.progress()
        line = Table.grid(padding=(0, 1), expand=True)
        line.add_column(ratio=1)
        line.add_column(no_wrap=True)
        line.add_row(ProgressBar(total=1, completed=share), numbers)
        return Group(line, Text(now, style="dim", no_wrap=True, overflow="ellipsis"))

    def say(self, line: str) -> None:
        self.console.print(line, soft_wrap=True, markup=False, highlight=False)

    def show(self) -> None:
        pass  # Live looks by itself, twice a second


class Lines:
    """Where nobody watches, or it is no terminal: a line for every twentieth of the work."""

    def __init__(self):
        self.run, self.shown = None, 0
        self.live = contextlib.nullcontext()

    def say(self, line: str) -> None:
        print(line, flush=True)

    def show(self) -> None:
        if self.run.total and self.run.done:
            share, numbers, now = self.run.progress()
            if int(share * 20) > self.shown:
                self.shown = int(share * 20)
                self.say(f"{numbers}; {now}" if now else numbers)


def watch(command: list[str], run: Run, display) -> int:
    """Run Snakemake, whose text goes to a log, and show its events; returns its exit status."""
    ours, theirs = os.pipe()
    # A relative path: those of other folders may hold what separates the parts of PYTHONPATH.
    paths = ["tools/terminal", *filter(None, [os.environ.get("PYTHONPATH")])]
    variables = {"STRATA_EVENTS": str(theirs), "PYTHONPATH": os.pathsep.join(paths)}
    with open(SAID, "w") as said, os.fdopen(ours) as events, display.live:
        process = subprocess.Popen(
            [*command, "--logger", "events"],
            env=os.environ | variables,
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=said,
            pass_fds=[theirs],
        )
        os.close(theirs)
        while True:
            try:
                for line in events:
                    run.take(json.loads(line))
                    display.show()
                return process.wait()
            except KeyboardInterrupt:  # Snakemake has heard it as well, and ends its jobs
                run.stopped = True


def make_report(command: list[str], changed: bool) -> str:
    """What the last line says of the report; it is made where something has changed."""
    if changed or not REPORT.exists():
        part = REPORT.with_name(".report.part.html")  # one that is half written is none
        with open(SAID, "a") as said:
            done = subprocess.run([*command, "--report", str(part)], stdout=said, stderr=said)
        if done.returncode:
            REPORT.unlink(missing_ok=True)  # an old one would not be of these results
            return f"the report could not be made, see {SAID}"
        os.replace(part, REPORT)
    return f"the report is {REPORT}"


def explain(run: Run, status: int) -> None:
    """Why it failed; the failed jobs' own words are the last."""
    if run.total:
        run.say(
            f"{run.done} of {count(run.total, 'step')} done; the next start goes on from there."
        )
    said = SAID.read_text(errors="replace") if SAID.exists() else ""
    words = [job.last_words() for job in run.failed.values()]
    if run.stopped:
        run.say("Stopped.")
    elif run.full or any(FULL_WORDS.search(text) for text in (said, *run.errors, *map(str, words))):
        run.say(FULL)
    elif status < 0:
        run.say(KILLED.format(-status))
    elif run.failed:
        for job, lines in zip(run.failed.values(), words, strict=True):
            run.say(f"\n{job.name} failed:")
            for line in lines:
                run.say(line)
    else:
        told = "\n".join(run.errors) or said
        if "LockException" in told:
            run.say(LOCKED)
            return
        # Neither where in the Snakefile it was found out, nor its way through Snakemake.
        lines = [line for line in told.splitlines() if line.strip() and not WHERE.match(line)]
        whole = run.errors and "Traceback" not in told
        run.say("\n".join([*(lines if whole else lines[-1:]), str(SAID)]))


def find_tex() -> str:
    """Install TeX where it is missing and may be; returns what to do where it is not to be had."""
    found = subprocess.run([ROOT / "tools/install-tex"], stderr=subprocess.PIPE, text=True)
    return found.stderr.strip() if found.returncode else ""


def main(target: str, *options: str) -> int:
    os.chdir(ROOT)
    SAID.parent.mkdir(parents=True, exist_ok=True)
    console = Console()
    plain = not console.is_terminal or console.is_dumb_terminal or "CI" in os.environ
    display = Lines() if plain else Bar(console)
    lacking = find_tex() if target == "paper" else ""
    if lacking:
        display.say("LaTeX is missing: all but the PDF is made")
    goals = [] if target == "paper" else [target]
    goals = ["figures", "write_numbers", "atlas"] if lacking else goals
    command = [sys.executable, ROOT / "tools/warm/snakemake", *goals, *options]
    run = display.run = Run([*options], display.say)
    began = time.monotonic()
    status = watch([*command, *(() if "--cores" in options else ("--cores", "all"))], run, display)
    if status:
        explain(run, status)
        return status
    done = in_words(time.monotonic() - began)
    display.say(f"Done in {done}." if run.total else "Everything is up to date.")
    if target == "notebooks":
        display.say(f"The notebooks are in {NOTEBOOKS}")
        return 0
    report = make_report(command, bool(run.total))
    if run.total or not provenance.RECORD.exists():
        provenance.write(*options)
    paper = f"The paper is {PDF}, the" if target == "paper" and not lacking else "The"
    atlas = f", the atlas is {ATLAS}" if target == "paper" else ""
    display.say(f"{paper} figures are in {FIGURES}, {report}{atlas}{lacking and '; ' + lacking}")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(*sys.argv[1:]))
    except OSError as error:  # before Snakemake starts, or after it has ended
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        sys.exit(FULL)
