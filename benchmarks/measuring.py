"""What the benchmarks share: the machine in words, and a table of results in Markdown."""

import datetime
import platform
import re
import subprocess
from pathlib import Path

RESULTS = Path(__file__).parent / "results"


def peak_mib() -> float:
    """Largest resident memory of this process so far, in MiB."""
    status = Path("/proc/self/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+)", status)[1]) / 1024


def _machine() -> str:
    model = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    git = ["git", "describe", "--always", "--dirty", "--exclude=*"]
    commit = subprocess.run(git, capture_output=True, text=True, cwd=RESULTS.parent).stdout.strip()
    return (
        f"{model[1] if model else platform.machine()}, Python {platform.python_version()}, "
        f"{datetime.date.today()}, commit {commit}"
    )


def write_results(name: str, title: str, rows: list[dict]) -> None:
    """Print the rows and write them to `results/{name}.md`, with the machine and the commit."""
    lines = [title, "", "| " + " | ".join(rows[0]) + " |", "|---" * len(rows[0]) + "|"]
    lines += ["| " + " | ".join(map(str, row.values())) + " |" for row in rows]
    text = "\n".join([*lines, "", _machine(), ""])
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.md").write_text(text)
    print(text)
