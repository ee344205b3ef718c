"""How many threads a process may use."""

from __future__ import annotations

import os


def n_threads() -> int:
    """Threads that the scheduler or Snakemake grants this process, else one per core."""
    granted = os.environ.get("OMP_NUM_THREADS", "")
    return int(granted) if granted.isdigit() else len(os.sched_getaffinity(0))
