"""Scripts in forks of one process (tools/warm) end as in interpreters of their own."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from running import ROOT

WARM = ROOT / "tools/warm"


class Warm:
    """A server, and a way to run a script as Snakemake does."""

    def __init__(self, folder: Path):
        self.folder, self.place = folder, folder / "server"
        self.place.mkdir()
        self.environment = os.environ | {
            "STRATA_WARM": str(self.place / "socket"),
            "STRATA_PYTHON": sys.executable,
            "STRATA_CLIENT": str(WARM / "client.py"),
            "PYTHONPATH": str(ROOT / "workflow_scripts"),
            "OMP_NUM_THREADS": "1",
        }
        command = [sys.executable, WARM / "server.py", self.place]
        self.server = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.server.stdout.readline()

    def start(self, text: str, **changes: str) -> subprocess.Popen:
        """Start a script in a folder of its own, with an environment that may be changed."""
        script = self.folder / "a script.py"
        script.write_text(text)
        return subprocess.Popen(
            [WARM / "interpreter", script],
            cwd=self.folder,
            env=self.environment | changes,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def __call__(self, text: str, **changes: str) -> tuple[int, str, str]:
        """Exit status, output and errors of a script."""
        running = self.start(text, **changes)
        out, errors = running.communicate(timeout=60)
        return running.returncode, out, errors

    def loads(self, module: str) -> bool:
        """Wait until a script finds a module loaded."""
        asked = f"import sys; sys.exit({module!r} not in sys.modules)"
        return any(self(asked)[0] == 0 or time.sleep(0.5) for _ in range(120))


@pytest.fixture
def warm(tmp_path):
    made = Warm(tmp_path)
    yield made
    made.server.stdin.close()
    assert made.server.wait(timeout=20) == 0 and not made.place.exists()


def gone(process: int) -> bool:
    """Wait until a process has ended."""
    for _ in range(100):
        try:
            state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
        except FileNotFoundError:
            return True
        if state == "Z":
            return True
        time.sleep(0.1)
    return False


@pytest.mark.parametrize(
    ("text", "status", "out", "errors"),
    [
        ("print('done')", 0, "done\n", ""),
        ("import sys; sys.exit(3)", 3, "", ""),
        (
            "import sys; print('so far', end=''); sys.exit('error: why')",
            1,
            "so far",
            "error: why\n",
        ),
        ("import atexit; atexit.register(print, 'at the end')", 0, "at the end\n", ""),
        ("import os; os.kill(os.getpid(), 15)", -signal.SIGTERM, "", ""),
        ("import os; os.kill(os.getpid(), 9)", -signal.SIGKILL, "", ""),
        ("import os, sys; print(os.getcwd() == sys.path[0], __name__)", 0, "True __main__\n", ""),
    ],
)
def test_a_script_ends_as_in_an_interpreter_of_its_own(warm, text, status, out, errors):
    assert warm(text) == (status, out, errors)
    alone = subprocess.run(
        [sys.executable, warm.folder / "a script.py"],
        cwd=warm.folder,
        env=warm.environment,
        capture_output=True,
        text=True,
    )
    assert (alone.returncode, alone.stdout, alone.stderr) == (status, out, errors)


def test_a_traceback_begins_in_the_script(warm):
    status, _, errors = warm("def broken():\n    raise ValueError('here')\nbroken()")
    lines = errors.splitlines()
    assert status == 1 and lines[0].startswith("Traceback") and "a script.py" in lines[1]
    assert lines[-1] == "ValueError: here" and "server.py" not in errors


def test_libraries_are_loaded_while_nothing_is_asked_for(warm):
    assert warm("import sys; print('pandas' in sys.modules)")[1] == "False\n"
    assert warm.loads("pandas")
    # As they were loaded in the environment that all scripts share, one in another has its own.
    asked = "import sys, os; print('pandas' in sys.modules, os.environ['OMP_NUM_THREADS'])"
    assert warm(asked)[1] == "True 1\n"
    assert warm(asked, OMP_NUM_THREADS="2")[1] == "False 2\n"
    assert warm(asked, TMPDIR="/elsewhere")[1] == "True 1\n"


def test_what_a_script_changes_the_next_does_not_see(warm):
    warm("import os, random; random.seed(1); os.environ['LEFT'] = 'x'; os.chdir('/')")
    status, out, _ = warm("import os; print(os.environ.get('LEFT'), os.getcwd())")
    assert (status, out) == (0, f"None {warm.folder}\n")


def test_a_script_whose_caller_is_killed_ends(warm):
    running = warm.start("import os, time; print(os.getpid(), flush=True); time.sleep(600)")
    script = int(running.stdout.readline())
    running.kill()
    assert gone(script)


def test_a_script_is_told_of_ctrl_c_and_waited_for(warm):
    running = warm.start("""import os, time
try:
    print(os.getpid(), flush=True)
    time.sleep(600)
except KeyboardInterrupt:
    print("in order", flush=True)
    raise
""")
    script = int(running.stdout.readline())
    for process in (running.pid, script):  # a terminal tells all of them
        os.kill(process, signal.SIGINT)
    out, errors = running.communicate(timeout=20)
    assert (running.returncode, out) == (130, "in order\n") and "KeyboardInterrupt" in errors


def test_scripts_end_with_the_server(warm):
    running = warm.start("import os, time; print(os.getpid(), flush=True); time.sleep(600)")
    script = int(running.stdout.readline())
    warm.server.stdin.close()
    assert gone(script) and running.wait(timeout=20) == -signal.SIGKILL


def test_what_is_asked_for_wrongly_ends_no_other_script(warm):
    running = warm.start("import time; print(1, flush=True); time.sleep(2); print(2)")
    running.stdout.readline()
    for sent in (b"", b"\0\0\0\5{", b"\0\0\0\2[]"):
        with socket.socket(socket.AF_UNIX) as client, open(os.devnull) as stream:
            client.connect(warm.environment["STRATA_WARM"])
            socket.send_fds(client, [sent or b"\0"], [stream.fileno()])
    assert warm("print('next')")[:2] == (0, "next\n")
    assert running.communicate(timeout=20)[0] == "2\n" and running.returncode == 0
    left = [link.readlink().name for link in Path(f"/proc/{warm.server.pid}/fd").iterdir()]
    assert left.count("null") <= 2  # its own


def test_a_log_that_a_library_made_when_it_was_loaded_is_the_scripts_own(warm):
    assert warm("print('first')")[0] == 0 and warm.loads("transformers.modeling_utils")
    text = "import sys; from transformers.utils import logging\n"
    text += "assert 'torch' in sys.modules\nlogging.get_logger('transformers').warning('heard')"
    status, _, errors = warm(text)
    assert status == 0 and "heard" in errors


def test_a_script_ends_with_the_snakemake_that_it_is_of(warm):
    snakemake = subprocess.Popen(["sleep", "600"])
    text = "import os, time; print(os.getpid(), flush=True); time.sleep(600)"
    running = warm.start(text, STRATA_SNAKEMAKE=str(snakemake.pid))
    script = int(running.stdout.readline())
    snakemake.kill()
    snakemake.wait()
    assert gone(script) and running.wait(timeout=20) == -signal.SIGKILL


def test_each_script_has_the_packages_of_its_own_copy(warm):
    assert warm("print('first')")[0] == 0 and warm.loads("transformers.modeling_utils")
    asked = "import sys; print('torch' in sys.modules, 'strata' in sys.modules); import strata; "
    asked += "print(strata.__file__)"
    own = warm.folder / "copy/strata/__init__.py"
    own.parent.mkdir(parents=True)
    own.touch()
    for folder, found in ((own.parents[1], own), (WARM.parents[1] / "workflow_scripts", None)):
        found = found or folder / "strata/__init__.py"
        assert warm(asked, PYTHONPATH=str(folder))[1] == f"True False\n{found}\n"


def test_one_server_runs_the_jobs_of_all_copies(fresh):
    rule = "rule one:\n output: 'made'\n threads: 1\n script: 'one.py'\n"
    fresh.path("Snakefile").write_text(rule)
    copied = "import shutil; shutil.copy('/proc/self/cmdline', snakemake.output[0])"
    fresh.path("one.py").write_text(copied)
    fresh()
    assert f"{ROOT}/tools/warm/server.py" in fresh.path("made").read_text()


def test_without_a_server_a_script_has_an_interpreter_of_its_own(warm):
    warm.server.stdin.close()
    warm.server.wait()
    assert warm("print('alone')")[:2] == (0, "alone\n")
    help_text = subprocess.run(
        [WARM / "interpreter", "-c", "print('options too')"],
        env=warm.environment,
        capture_output=True,
    )
    assert help_text.stdout == b"options too\n"
