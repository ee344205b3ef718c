"""Run scripts in forks of this process, which has loaded the libraries that they import.

usage: server.py folder [--now]
It listens at `socket` in the folder, and removes that when its standard input ends, and itself.
With --now all scripts share the environment that it has, and libraries are loaded from the start.
"""

import atexit
import contextlib
import ctypes
import gc
import importlib
import json
import os
import runpy
import select
import shutil
import signal
import socket
import sys
import threading
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

# Loaded in this order, from when the first script has come: what most jobs need comes first.
LIBRARIES = (
    "snakemake.script",
    "pandas",
    "pyarrow.parquet",
    "scipy.stats",
    "numba",
    "torch",
    "transformers.modeling_utils",
    "transformers.models.auto.modeling_auto",
    "seaborn.objects",
    "matplotlib.backends.backend_pdf",
    "matplotlib.backends.backend_svg",
)
# Of the environment, what no library goes by when it is loaded; nor by what is ours, STRATA_...
_PLACES = {"PWD", "OLDPWD", "SHLVL", "_", "TMPDIR", "TMP", "TEMP", "TEMPDIR", "PATH", "PYTHONPATH"}
_kept = []  # what would take back, when it ended, what was done for libraries
_PR_SET_PDEATHSIG = 1
# What is told of a script before its exit status: that it needs an interpreter of its own, or that
# it has started.
ELSEWHERE, STARTED = b"-", b"+"


def serve(listener: socket.socket, own: dict | None) -> None:
    """Fork for each script that comes in the environment `own` (None: the first one's); load
    libraries while none does."""
    ahead = list(LIBRARIES)
    while True:
        idle = own is not None and ahead
        ready, *_ = select.select([listener, sys.stdin], [], [], 0 if idle else None)
        if sys.stdin in ready:
            return
        if listener in ready:
            # What goes wrong with one script is no reason to end the others.
            with contextlib.suppress(Exception), listener.accept()[0] as client:
                own = _answer(client, listener, own)
        elif idle:
            _load(ahead.pop(0))


def _answer(client: socket.socket, listener: socket.socket, own: dict | None) -> dict | None:
    """Have a script run, or not, where it is of another environment than this process's `own`;
    returns the latter."""
    size, streams, *_ = socket.recv_fds(client, 4, 3)
    try:
        with client.makefile("rb") as rest:
            asked = json.loads(rest.read(int.from_bytes(size)))
        own = own or _take_on(asked["environment"])
        if _alike(asked["environment"]) != _alike(own):
            client.sendall(ELSEWHERE)
            return own
        server = os.getpid()
        try:
            attendant = os.fork()
        except OSError:
            client.sendall(ELSEWHERE)
            return own
        if not attendant:
            listener.close()
            _only(_attend, client, asked, streams, server, _packages(own))
        return own
    finally:
        for stream in streams:
            os.close(stream)


def _take_on(environment: dict[str, str]) -> dict[str, str]:
    """Make the first script's environment this process's, before any library is loaded."""
    os.environ.clear()
    os.environ.update(environment)
    # A library that asks for a GPU here must not take hold of it: no fork could then.
    os.environ["PYTORCH_NVML_BASED_CUDA_CHECK"] = "1"
    sys.path[:1] = _packages(environment)
    return environment


def _packages(environment: dict[str, str]) -> list[str]:
    return [path for path in environment.get("PYTHONPATH", "").split(os.pathsep) if path]


def _load(name: str) -> None:
    """Import a library; a script whose import fails says so itself."""
    with contextlib.suppress(Exception), Quiet() as quiet:
        if name.startswith("transformers"):
            _prepare()
        importlib.import_module(name)
    quiet.loading = False
    gc.freeze()  # what is there is shared by all forks


def _prepare() -> None:
    """As scripts do before they import transformers; each then loads the Strata that is its own."""
    compat = importlib.import_module("strata.compat")
    compat.prepare_imports()
    _kept.append(compat)
    for name in [name for name in sys.modules if name.partition(".")[0] == "strata"]:
        del sys.modules[name]


class Quiet:
    """Stands for standard error while a library is loaded, which may keep it for its log: what is
    written later goes where standard error is then."""

    def __init__(self):
        self.loading, self.own = True, sys.stderr

    def __enter__(self):
        sys.stderr = self
        return self

    def __exit__(self, *error):
        sys.stderr = self.own

    def write(self, text: str) -> int:
        return len(text) if self.loading else sys.stderr.write(text)

    def flush(self) -> None:
        if not self.loading:
            sys.stderr.flush()

    def __getattr__(self, name: str):
        return getattr(self.own, name)


def _attend(
    client: socket.socket, asked: dict, streams: list[int], server: int, packages: list[str]
) -> None:
    """Run a script in a process of its own, which does not outlive who asked for it, Snakemake or
    the server, and tell its exit status. `packages` are the server's PYTHONPATH.
    """
    _die_with(server)
    snakemake = os.pidfd_open(int(asked["environment"].get("STRATA_SNAKEMAKE", server)))
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    own = os.getpid()
    script = os.fork()
    if not script:
        _die_with(own)
        _only(_become, asked, streams, client, packages)
    ended = os.pidfd_open(script)
    ready, *_ = select.select([client, ended, snakemake], [], [])
    if ended not in ready:
        os.kill(script, signal.SIGKILL)
    _, status = os.waitpid(script, 0)
    with contextlib.suppress(OSError):
        client.sendall(json.dumps(os.waitstatus_to_exitcode(status)).encode())
    os._exit(0)


def _only(function: Callable, *given) -> NoReturn:
    """Do in a fork what it is for, which ends it, and never what the process does that forked."""
    try:
        function(*given)
    except BaseException:
        traceback.print_exc()
    os._exit(1)


def _die_with(parent: int) -> None:
    """Have Linux kill this process when the one that forked it ends, or end, where it has."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def _alike(environment: dict[str, str]) -> dict[str, str]:
    named = environment.keys() - _PLACES
    return {name: environment[name] for name in named if not name.startswith("STRATA_")}


def _become(asked: dict, streams: list[int], client: socket.socket, packages: list[str]) -> None:
    """Run the script as a fresh interpreter would, and end as it does."""
    for own, stream in enumerate(streams):
        os.dup2(stream, own)
        os.close(stream)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    client.sendall(STARTED)
    client.close()
    os.chdir(asked["folder"])
    os.environ.clear()
    os.environ.update(asked["environment"])
    sys.argv = asked["arguments"]
    sys.path[: len(packages)] = [str(Path(sys.argv[0]).parent), *_packages(asked["environment"])]
    status = _status_of(sys.argv[0])
    threading._shutdown()  # as an interpreter does: first threads are waited for
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError):
            stream.flush()
    os._exit(status)  # to take all libraries down in order would be half a second


def _status_of(script: str) -> int:
    """What the script ends with; of what it does not catch it says the same as an interpreter."""
    try:
        runpy.run_path(script, run_name="__main__")
    except SystemExit as end:
        if end.code is None or isinstance(end.code, int):
            return (end.code or 0) & 0xFF
        print(end.code, file=sys.stderr)
        return 1
    except BaseException as error:
        own = error.__traceback__
        while own is not None and own.tb_frame.f_code.co_filename != script:
            own = own.tb_next
        traceback.print_exception(error.with_traceback(own or error.__traceback__))
        return 128 + signal.SIGINT if isinstance(error, KeyboardInterrupt) else 1
    return 0


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # scripts are told so themselves
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for those who attend
    folder = Path(sys.argv[1])
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(folder / "socket"))
        listening.listen(64)
        print("ready", flush=True)
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        serve(listening, _take_on(dict(os.environ)) if "--now" in sys.argv else None)
    shutil.rmtree(folder, ignore_errors=True)
