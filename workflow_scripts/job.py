"""The frame around every script: its log file, its end with Snakemake's, and errors for people."""

import contextlib
import errno
import os
import select
import shutil
import signal
import sys
import threading
import traceback
from collections.abc import Iterator
from pathlib import Path

from strata import StrataError

_ROOM = 1 << 20  # bytes; where less is free, what cannot be written fails for that reason


@contextlib.contextmanager
def job(snakemake) -> Iterator[None]:
    """Send all output to the job's log; end a StrataError with one line and exit code 1.

    So ends a full disk. Any other exception keeps its traceback, in the log and on the terminal:
    it is our mistake.
    """
    _end_with_snakemake()
    terminal, outputs = sys.stderr, [Path(path) for path in snakemake.output]
    try:
        with (
            open(snakemake.log[0], "w", buffering=1) as log,
            contextlib.redirect_stdout(log),
            contextlib.redirect_stderr(log),
        ):
            try:
                yield
            except StrataError as error:
                _tell(str(error), log, terminal)
                sys.exit(1)
            except Exception as error:
                if _disk_is_full(error, outputs):
                    _remove(outputs)  # which makes room for the line in the log
                    _tell(_full(error, outputs), log, terminal)
                    sys.exit(1)
                traceback.print_exc(file=log)
                raise
    except OSError as error:  # also of the log, which is written to once more when it is closed
        if not _disk_is_full(error, outputs):
            raise
        _tell(_full(error, outputs), terminal)
        sys.exit(1)


def _tell(line: str, *streams) -> None:
    for stream in streams:
        with contextlib.suppress(OSError):
            print(f"error: {line}", file=stream, flush=True)


def _full(error: BaseException, outputs: list[Path]) -> str:
    where = getattr(error, "filename", None) or outputs[0]
    return f"the disk is full: {where} cannot be written; free some space and start again"


def _disk_is_full(error: BaseException | None, outputs: list[Path]) -> bool:
    """Libraries tell it by number, in words, or (torch, numpy) only that a write fell short."""
    told = error
    while told is not None:
        if getattr(told, "errno", None) in (errno.ENOSPC, errno.EDQUOT):
            return True
        if "No space left on device" in str(told):
            return True
        told = told.__cause__ or told.__context__
    folder = next(path for path in outputs[0].absolute().parents if path.exists())
    return shutil.disk_usage(folder).free < _ROOM


def _remove(outputs: list[Path]) -> None:
    """Outputs and what was to become one; Snakemake removes the former, but later."""
    for path in outputs:
        for left in (path, path.with_name(path.name + ".part")):
            if left.is_dir():
                shutil.rmtree(left, ignore_errors=True)
            else:
                left.unlink(missing_ok=True)


def _end_with_snakemake() -> None:
    """End at once when the Snakemake that started this job does, where Linux can tell.

    Without it a job would write on, after `make unlock`, beside the one that makes its files anew.
    """
    number = os.getppid()
    with contextlib.suppress(OSError, AttributeError):  # no /proc, no pidfd: another system
        while not _is_snakemake(Path(f"/proc/{number}/cmdline").read_bytes()):
            # The name in brackets may hold anything; after it come the state and the parent.
            stat = Path(f"/proc/{number}/stat").read_text()
            number = int(stat.rpartition(")")[2].split()[1])
        watched = os.pidfd_open(number)
        threading.Thread(target=_wait_for, args=[watched], daemon=True).start()


def _is_snakemake(command: bytes) -> bool:
    """Whether it is `python -m snakemake` or a path to its script."""
    return any(word.rpartition(b"/")[2] == b"snakemake" for word in command.split(b"\0"))


def _wait_for(process: int) -> None:
    select.select([process], [], [])
    os.kill(os.getpid(), signal.SIGKILL)
