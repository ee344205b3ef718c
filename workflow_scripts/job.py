"""The frame around every script: its log file, and errors for people rather than tracebacks."""

import contextlib
import sys
import traceback
from collections.abc import Iterator

from strata import StrataError


@contextlib.contextmanager
def job(snakemake) -> Iterator[None]:
    """Send all output to the job's log; end a StrataError with one line and exit code 1.

    Any other exception keeps its traceback, in the log and on the terminal: it is our mistake.
    """
    terminal = sys.stderr
    with (
        open(snakemake.log[0], "w", buffering=1) as log,
        contextlib.redirect_stdout(log),
        contextlib.redirect_stderr(log),
    ):
        try:
            yield
        except StrataError as error:
            print(f"error: {error}", file=log)
            print(f"\nerror: {error}\n", file=terminal, flush=True)
            sys.exit(1)
        except Exception:
            traceback.print_exc(file=log)
            raise
