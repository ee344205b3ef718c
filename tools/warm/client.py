"""Have the server run a script, and end as it ends.

usage: client.py script
"""

import contextlib
import json
import os
import signal
import socket
import sys


def run(arguments: list[str]) -> int | None:
    """The script's exit status, that of subprocess; None where it needs its own interpreter."""
    if arguments[0].startswith("-"):
        return None
    asked = {"arguments": arguments, "folder": os.getcwd(), "environment": dict(os.environ)}
    content = json.dumps(asked).encode()
    with socket.socket(socket.AF_UNIX) as server:
        try:
            server.connect(os.environ["STRATA_WARM"])
            socket.send_fds(server, [len(content).to_bytes(4)], [0, 1, 2])
            server.sendall(content)
            told = server.recv(1)
        except OSError:
            return None
        if told in (b"", b"-"):
            return None
        # It has started: Ctrl-C reaches it, too, and it ends as it sees fit.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        status = server.recv(8)
    if not status:  # killed, and what it ran with it
        return -signal.SIGKILL
    return json.loads(status)


if __name__ == "__main__":
    status = run(sys.argv[1:])
    if status is None:
        python = os.environ["STRATA_PYTHON"]
        os.execv(python, [python, *sys.argv[1:]])
    if status < 0:
        with contextlib.suppress(OSError, ValueError):
            signal.signal(-status, signal.SIG_DFL)
        os.kill(os.getpid(), -status)
    sys.exit(status)
