"""One process per GPU, whatever a scheduler thinks: claims on pretended GPUs by real processes."""

import subprocess
import sys
from pathlib import Path

import strata.models.inference as inference

HOLDER = """
import sys
from pathlib import Path
from strata.models.inference import claim
print(claim(["a", "b"], Path(sys.argv[1]), log=str), flush=True)
sys.stdin.read()
"""


def holder(directory: Path) -> tuple[subprocess.Popen, int]:
    """Another process with a claim, and the number of its GPU."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(directory)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    return process, int(process.stdout.readline())


def test_every_process_has_a_gpu_of_its_own(tmp_path, monkeypatch):
    first, second = holder(tmp_path), holder(tmp_path)
    assert [first[1], second[1]] == [0, 1]
    lines = []

    def wait(seconds):
        """What happens meanwhile: the second process is killed."""
        second[0].kill()
        second[0].wait()

    monkeypatch.setattr(inference.time, "sleep", wait)
    assert inference.claim(["a", "b"], tmp_path, lines.append) == 1
    assert lines == ["all of 2 GPUs are taken by other jobs; waiting for one"]
    first[0].communicate("")
