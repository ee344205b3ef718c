"""How long the jobs took whose results lie here, as Snakemake has written it down."""

import base64
import functools
import json
from collections.abc import Iterator
from pathlib import Path


class Jobs:
    """The jobs whose files lie in a folder, by Snakemake's number; of repeated ones the last."""

    def __init__(self, folder: Path):
        self.jobs: dict[int, dict] = {}
        self.made_by: dict[str, int] = {}
        for name, told in _records(folder / ".snakemake/metadata"):
            self.jobs[told["job_hash"]] = told
            self.made_by[name] = told["job_hash"]

    def seconds(self, job: int) -> float:
        return self.jobs[job]["endtime"] - self.jobs[job]["starttime"]

    @functools.cached_property
    def longest_chain(self) -> float:
        """Seconds until all is done, however many cores there are."""

        @functools.cache
        def chain(job: int) -> float:
            before = {self.made_by[p] for p in self.jobs[job]["input"] if p in self.made_by}
            return self.seconds(job) + max(map(chain, before), default=0)

        return max(map(chain, self.jobs), default=0)

    def by_rule(self) -> dict[str, list]:
        """Number of jobs and their seconds, of each rule."""
        rules: dict[str, list] = {}
        for number, job in self.jobs.items():
            n, seconds = rules.get(job["rule"], (0, 0.0))
            rules[job["rule"]] = [n + 1, round(seconds + self.seconds(number), 1)]
        return dict(sorted(rules.items()))


def _records(folder: Path) -> Iterator[tuple[str, dict]]:
    """Path and metadata of each file that a job has made."""
    for record in folder.rglob("*"):
        if record.is_file():
            parts = record.relative_to(folder).parts  # long names have several
            name = "".join(part.removeprefix("@") for part in parts)
            told = json.loads(record.read_text())
            if told.get("starttime") and told.get("endtime"):  # not of what was only touched
                yield base64.urlsafe_b64decode(name).decode(), told
