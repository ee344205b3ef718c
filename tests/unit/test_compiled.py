"""What is kept of compiled functions is never that of a source that has changed."""

import subprocess
import sys
from pathlib import Path

import pytest

LIBRARY = Path(__file__).parents[2] / "workflow_scripts"
MAKES = "from strata.compiled import machine_code\nmade = machine_code()\n"
CALLS = """
import time
from loops.inner import step
from strata.compiled import machine_code

@machine_code()
def outer(x):
    return step(x) + 1

if __name__ == "__main__":
    print(outer(3), sum(outer.stats.cache_hits.values()))
"""


@pytest.fixture
def loops(tmp_path) -> Path:
    folder = tmp_path / "loops"
    folder.mkdir()
    (folder / "__init__.py").touch()
    (folder / "outer.py").write_text(CALLS)
    return folder


def write_inner(folder: Path, expression: str) -> None:
    text = f"{MAKES}\n\n@made\ndef step(x):\n    return {expression}\n"
    (folder / "inner.py").write_text(text)


def run(folder: Path, **variables: str) -> list[int]:
    """The value, and how often kept machine code served."""
    paths = {"PYTHONPATH": f"{folder.parent}:{LIBRARY}", "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-m", "loops.outer"]
    done = subprocess.run(
        command, capture_output=True, text=True, env=paths | variables, cwd=folder.parent
    )
    assert done.returncode == 0, done.stderr
    return [int(word) for word in done.stdout.split()]


def test_a_change_in_what_a_function_calls_is_a_change_of_the_function(loops):
    write_inner(loops, "2 * x")
    assert [run(loops), run(loops)] == [[7, 0], [7, 1]]
    write_inner(loops, "5 * x")  # of the same length, at the same second
    assert [run(loops), run(loops)] == [[16, 0], [16, 1]]


def test_what_is_kept_goes_with_a_copy_of_the_folder(loops, tmp_path):
    write_inner(loops, "2 * x")
    run(loops)
    copy = loops.rename(tmp_path / "moved").parent / "elsewhere"
    copy.mkdir()
    (tmp_path / "moved").rename(copy / "loops")
    assert run(copy / "loops") == [7, 1]


def test_where_the_folder_cannot_be_written_and_where_another_is_named(loops, tmp_path):
    write_inner(loops, "2 * x")
    named = {"NUMBA_CACHE_DIR": str(tmp_path / "named")}
    assert [run(loops, **named), run(loops, **named)] == [[7, 0], [7, 1]]
    assert not (loops / "__pycache__").exists()
    (loops / "__pycache__").write_text("no folder")
    home = {"HOME": str(tmp_path / "home"), "XDG_CACHE_HOME": str(tmp_path / "home/cache")}
    assert [run(loops, **home), run(loops, **home)] == [[7, 0], [7, 1]]


def test_other_functions_keep_to_numba_s_own_rules():
    from numba.core import config

    from strata.compiled import machine_code

    machine_code()(lambda x: x)
    assert not config.CACHE_LOCATOR_CLASSES
