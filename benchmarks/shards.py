"""Extraction on a SLURM cluster in one job against the same samples in two.

Times are SLURM's own: from the start of the first job of `extract_shard` to the end of the last.
Both cut the same pictures and must give the same bytes. Jobs ask for one CPU each. For one node
with two CPUs, as root on Debian, with nothing else on them:

    tools/slurm-node up /tmp/node; python benchmarks/shards.py; tools/slurm-node down /tmp/node
"""

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from measuring import write_results

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "workflow"))
from running import Workflow

TARGET = "results/activations/many/micro-vit"
SLURM = ("--workflow-profile", "profiles/slurm", "--slurm-init-seconds-before-status-checks", "1")


def extraction(copy: Workflow, shards: int) -> tuple[int, int]:
    """Jobs and seconds of one extraction."""
    shutil.rmtree(copy.path("results/activations"), ignore_errors=True)
    copy(TARGET, "--configfile", "many.yaml", *SLURM, "--config", f"shards={shards}")
    listed = subprocess.run(
        ["squeue", "--noheader", "--states=all", "--sort=i", "--format=%S %e %k %Z"],
        env=os.environ | {"SLURM_TIME_FORMAT": "%s"},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    jobs = [line.split() for line in listed.splitlines() if f" {copy.directory}" in line]
    jobs = [job for job in jobs if job[2].startswith("rule_extract_shard")][-shards:]
    return len(jobs), max(int(job[1]) for job in jobs) - min(int(job[0]) for job in jobs)


def bytes_of(copy: Workflow) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in copy.path(TARGET).glob("*.npy")}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pictures", type=int, default=40_000)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    seconds, made = {1: [], 2: []}, {}
    with tempfile.TemporaryDirectory() as folder:
        copy = Workflow(Path(folder))
        copy.path("many.yaml").write_text(
            f"datasets: {{many: {{kind: microworld, n: {arguments.pictures}, size: 48, seed: 3, "
            "splits: {all: 1.0}}}\n"
        )
        for _ in range(arguments.rounds):
            for shards, times in seconds.items():
                jobs, taken = extraction(copy, shards)
                assert jobs == shards
                times.append(taken)
                made[shards] = bytes_of(copy)
    assert made[1] and made[1] == made[2]
    middle = {shards: statistics.median(times) for shards, times in seconds.items()}
    rows = [
        {
            "shards": shards,
            "s (median)": f"{middle[shards]:.0f}",
            "s (all rounds)": ", ".join(map(str, times)),
            "against one": f"{middle[1] / middle[shards]:.2f}",
        }
        for shards, times in seconds.items()
    ]
    title = f"Extraction of {arguments.pictures:,} pictures by micro-vit in jobs of one CPU"
    write_results("shards", title, rows)


if __name__ == "__main__":
    main()
