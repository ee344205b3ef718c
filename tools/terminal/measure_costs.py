"""What each rule took in the last complete run here, as costs.json keeps it.

usage: rm -r results .snakemake; make paper; python tools/terminal/measure_costs.py
"""

import base64
import functools
import json
import os
from pathlib import Path

from estimate import MEASURED, ROOT

jobs, made_by = {}, {}  # by Snakemake's number of the job; by file
for record in (ROOT / ".snakemake/metadata").rglob("*"):
    if record.is_file():
        told = json.loads(record.read_text())
        jobs[told["job_hash"]] = told
        parts = record.relative_to(ROOT / ".snakemake/metadata").parts  # long names have several
        name = "".join(part.removeprefix("@") for part in parts)
        made_by[base64.urlsafe_b64decode(name).decode()] = told["job_hash"]


def seconds(job: int) -> float:
    return jobs[job]["endtime"] - jobs[job]["starttime"]


@functools.cache
def chain(job: int) -> float:
    """Seconds until a job is done, however many cores there are."""
    before = {made_by[path] for path in jobs[job]["input"] if path in made_by}
    return seconds(job) + max(map(chain, before), default=0)


rules: dict[str, list] = {}
for number, job in jobs.items():
    entry = rules.setdefault(job["rule"], [0, 0.0])
    rules[job["rule"]] = [entry[0] + 1, round(entry[1] + seconds(number), 1)]
# What other studies need was measured in their runs, and is kept.
known = MEASURED.get("elsewhere", {}) | MEASURED["rules"]
elsewhere = {rule: entry for rule, entry in known.items() if rule not in rules}
longest = round(max(map(chain, jobs)))
target = Path(__file__).with_name("costs.json")
source = f"a whole run on {len(os.sched_getaffinity(0))} cores"
head = f'  "source": "{source}",\n  "longest_chain": {longest},\n'
parts = []
for name, table in {"rules": rules, "elsewhere": elsewhere}.items():
    lines = (f'    "{rule}": {json.dumps(entry)}' for rule, entry in sorted(table.items()))
    parts.append(f'  "{name}": {{\n' + ",\n".join(lines) + "\n  }")
target.write_text("{\n" + head + ",\n".join(parts) + "\n}\n")
