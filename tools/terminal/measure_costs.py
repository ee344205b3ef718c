"""What each rule took in the last complete run here, as costs.json keeps it.

usage: rm -r results .snakemake; make paper; python tools/terminal/measure_costs.py
"""

import json
import os
from pathlib import Path

from durations import Jobs
from estimate import MEASURED, ROOT

jobs = Jobs(ROOT)
rules = jobs.by_rule()
# What other studies need was measured in their runs, and is kept.
known = MEASURED.get("elsewhere", {}) | MEASURED["rules"]
elsewhere = {rule: entry for rule, entry in known.items() if rule not in rules}
target = Path(__file__).with_name("costs.json")
source = f"a whole run on {len(os.sched_getaffinity(0))} cores"
head = f'  "source": "{source}",\n  "longest_chain": {round(jobs.longest_chain)},\n'
parts = []
for name, table in {"rules": rules, "elsewhere": elsewhere}.items():
    lines = (f'    "{rule}": {json.dumps(entry)}' for rule, entry in sorted(table.items()))
    parts.append(f'  "{name}": {{\n' + ",\n".join(lines) + "\n  }")
target.write_text("{\n" + head + ",\n".join(parts) + "\n}\n")
