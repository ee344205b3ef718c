"""Run scripts in forks of this process, which has loaded the libraries that they import.

usage: server.py folder
It listens at `socket` in the folder, and removes that when its standard input ends, and itself.
"""

import atexit
import contextlib
import ctypes
import gc
import importlib
import io
import json
import os
import runpy
import select
import shutil
import signal
import socket
import sys
import traceback
from pathlib import Path

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
# Of the environment, what neither libraries nor scripts go by.
_PLACES = {"PWD", "OLDPWD", "SHLVL", "_", "TMPDIR", "TMP", "TEMP", "TEMPDIR"}
_PR_SET_PDEATHSIG = 1


def serve(listener: socket.socket) -> None:
    """Fork for each script that comes; load libraries while none does."""
    ahead, own = list(LIBRARIES), None
    while True:
        idle = own is not None and ahead
        ready, *_ = select.select([listener, sys.stdin], [], [], 0 if idle else None)
        if sys.stdin in ready:
            return
        if listener in ready:
            client, _ = listener.accept()
            with client:
                asked, streams = _received(client)
                if asked is None:
                    continue
                own = own or _take_on(asked["environment"])
                if not os.fork():
                    listener.close()
                    _attend(client, asked, streams, own)
            for stream in streams:
                os.close(stream)
        elif idle:
            _load(ahead.pop(0))


def _received(client: socket.socket) -> tuple[dict | None, list[int]]:
    """What is asked for (None by one that was killed meanwhile), and the streams of the script."""
    size, streams, *_ = socket.recv_fds(client, 4, 3)
    with client.makefile("rb") as rest:
        content = rest.read(int.from_bytes(size))
    return (json.loads(content) if content else None), streams


def _take_on(environment: dict[str, str]) -> dict[str, str]:
    """Make the first script's environment this process's, before any library is loaded."""
    os.environ.clear()
    os.environ.update(environment)
    # A library that asks for a GPU here must not take hold of it: no fork could then.
    os.environ["PYTORCH_NVML_BASED_CUDA_CHECK"] = "1"
    sys.path[:1] = filter(None, environment.get("PYTHONPATH", "").split(os.pathsep))
    return environment


def _load(name: str) -> None:
    """Import a library; a script whose import fails says so itself."""
    said = io.StringIO()
    quiet = contextlib.redirect_stdout(said), contextlib.redirect_stderr(said)
    with contextlib.suppress(Exception), quiet[0], quiet[1]:
        if name.startswith("transformers"):
            importlib.import_module("strata.compat").prepare_imports()
        importlib.import_module(name)
    gc.freeze()  # what is there is shared by all forks


def _attend(client: socket.socket, asked: dict, streams: list[int], own: dict) -> None:
    """Run a script in a process of its own and tell its exit status.

    It does not outlive who asked for it, nor the server, and so not Snakemake.
    """
    if _alike(asked["environment"]) != _alike(own):
        client.sendall(b"null")
        os._exit(0)
    _die_with_parent()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    script = os.fork()
    if not script:
        _die_with_parent()
        client.close()
        _become(asked, streams)
    ended = os.pidfd_open(script)
    ready, *_ = select.select([client, ended], [], [])
    if ended not in ready:
        os.kill(script, signal.SIGKILL)
    _, status = os.waitpid(script, 0)
    client.sendall(json.dumps(os.waitstatus_to_exitcode(status)).encode())
    os._exit(0)


def _die_with_parent() -> None:
    """Have Linux kill this process when the one that forked it ends."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _alike(environment: dict[str, str]) -> dict[str, str]:
    return {key: value for key, value in environment.items() if key not in _PLACES}


def _become(asked: dict, streams: list[int]) -> None:
    """Run the script as a fresh interpreter would, and end as it does."""
    for own, stream in enumerate(streams):
        os.dup2(stream, own)
        os.close(stream)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.chdir(asked["folder"])
    os.environ.clear()
    os.environ.update(asked["environment"])
    sys.argv = asked["arguments"]
    sys.path.insert(0, str(Path(sys.argv[0]).parent))
    status = _status_of(sys.argv[0])
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
        return 1
    return 0


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # scripts are told so themselves
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for those who attend
    folder = Path(sys.argv[1])
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(folder / "socket"))
        listening.listen(64)
        print("ready", flush=True)
        serve(listening)
    shutil.rmtree(folder, ignore_errors=True)
