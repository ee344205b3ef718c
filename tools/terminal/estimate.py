"""How long steps take: what they took of the embedded study, and what is measured meanwhile.

Needs nothing but Python, for it speaks before the packages are there.
"""

import json
import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MEASURED = json.loads(Path(__file__).with_name("costs.json").read_text())
_KNOWN = MEASURED["rules"] | MEASURED.get("elsewhere", {})  # of the embedded study, of others
SECONDS = {rule: seconds / jobs for rule, (jobs, seconds) in _KNOWN.items()}
UNKNOWN = 5.0  # a rule that the embedded study does not have


def in_words(seconds: float, about: str = "") -> str:
    """Seconds, as exact as an estimate is."""
    minutes = round(seconds / 60)
    if minutes < 1:
        return "less than a minute"
    if minutes < 100:
        return f"{about}{minutes} minute{'s' if minutes > 1 else ''}"
    return f"{about}{seconds / 3600:.0f} hours"


def about(seconds: float) -> str:
    return in_words(seconds, "about ")


def beforehand(stats: dict[str, int], cores: int) -> float:
    """Seconds that these jobs take: shared by the cores, but one after the other in a chain."""
    work = sum(count * SECONDS.get(rule, UNKNOWN) for rule, count in stats.items())
    share = min(1.0, work / sum(seconds for _, seconds in MEASURED["rules"].values()))
    return max(work / cores, MEASURED["longest_chain"] * share)


class TimeLeft:
    """Seconds that are left, from what finished jobs took.

    A rule that has finished jobs takes their mean. The others take what they took of the embedded
    study, times how much slower than there this run has been.
    """

    def __init__(self, stats: dict[str, int], cores: int):
        self.waiting, self.cores = dict(stats), cores
        self.taken: dict[str, list[float]] = {}

    def start(self, rule: str) -> None:
        self.waiting[rule] = self.waiting.get(rule, 1) - 1

    def finish(self, rule: str, seconds: float) -> None:
        self.taken.setdefault(rule, []).append(seconds)

    def expected(self, rule: str) -> float:
        if rule in self.taken:
            return sum(self.taken[rule]) / len(self.taken[rule])
        # A minute at the measured speed beside the first jobs, which are too short to tell.
        took = 60 + sum(map(sum, self.taken.values()))
        told = 60 + sum(SECONDS.get(name, UNKNOWN) * len(s) for name, s in self.taken.items())
        return SECONDS.get(rule, UNKNOWN) * took / told

    def left(self, running: list[tuple[str, float]]) -> float:
        """`running`: rule and seconds until now of each job."""
        ahead = [self.expected(rule) for rule, count in self.waiting.items() if count > 0]
        rests = [max(self.expected(rule) - seconds, 0) for rule, seconds in running]
        work = sum(self.expected(rule) * count for rule, count in self.waiting.items())
        return max((work + sum(rests)) / self.cores, *ahead, *rests, 0)

    def share(self, running: list[tuple[str, float]]) -> float:
        """The part of the work that is done, 0 to 1."""
        done = sum(map(sum, self.taken.values())) + sum(seconds for _, seconds in running)
        left = sum(self.expected(rule) * count for rule, count in self.waiting.items())
        left += sum(max(self.expected(rule) - seconds, 0) for rule, seconds in running)
        return done / (done + left) if done + left else 0.0


if __name__ == "__main__":  # before the set-up: what make was asked for, and an own study
    target, study = (*sys.argv[1:], "paper", "")[:2]
    what = {"figures": "the figures and a report", "notebooks": "the notebooks"}
    what = what.get(target, "the paper, its figures and a report")
    line = f"Making {what} in {ROOT / 'results'}: "
    if study or (ROOT / "results/figures").exists():
        line += "how long it takes is told after the set-up"
    else:
        cores = len(os.sched_getaffinity(0))
        jobs = {rule: count for rule, (count, _) in MEASURED["rules"].items()}
        line += f"{about(beforehand(jobs, cores))} on {cores} cores"
        line += ", after some minutes of set-up"
    print(line, flush=True)
