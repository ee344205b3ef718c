"""How many threads a process may use, and work spread over them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from functools import cache
from typing import Any


def n_threads() -> int:
    """Threads that the scheduler or Snakemake grants this process, else one per core."""
    granted = os.environ.get("OMP_NUM_THREADS", "")
    return int(granted) if granted.isdigit() else len(os.sched_getaffinity(0))


def run_parallel(function: Callable, pieces: Iterable) -> None:
    """`function(piece)` for all pieces on all threads; without a pool where there is one thread."""
    threads = n_threads()
    if threads == 1:
        for piece in pieces:
            function(piece)
        return
    with ThreadPoolExecutor(threads) as pool:
        for done in [pool.submit(function, piece) for piece in pieces]:
            done.result()


def one_blas_thread() -> AbstractContextManager:
    """Where numpy's matrix products take one thread each, as many threads call them at a time."""
    return _blas().limit(limits=1, user_api="blas")


@cache
def _blas() -> Any:
    from threadpoolctl import ThreadpoolController  # scikit-learn brings it

    return ThreadpoolController()
