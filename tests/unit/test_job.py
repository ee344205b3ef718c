"""The frame around scripts: words for a full disk, and no life after Snakemake's."""

import errno
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from job import job
from strata import StrataError
from strata.whole import whole

CHILD = """
import time
from pathlib import Path
from types import SimpleNamespace
from job import job

with job(SimpleNamespace(log=["log"], output=["out"])):
    Path("started").touch()
    time.sleep(600)
"""
PARENT = "import subprocess, sys; subprocess.run([sys.executable, 'child.py'])"


@pytest.fixture
def snakemake(tmp_path) -> SimpleNamespace:
    """Of a job, what its frame reads."""
    return SimpleNamespace(log=[str(tmp_path / "log")], output=[str(tmp_path / "out.npy")])


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device"),
        RuntimeError("IoError(Os { code: 28, message: No space left on device })"),
    ],
)
def test_a_full_disk_is_one_line_and_nothing_half_written_stays(snakemake, capsys, error):
    part = Path(snakemake.output[0] + ".part")
    with pytest.raises(SystemExit), job(snakemake):
        part.touch()
        raise error
    told = Path(snakemake.log[0]).read_text()
    assert told.startswith("error: the disk is full: ") and told.count("\n") == 1
    assert snakemake.output[0] in told and capsys.readouterr().err == told
    assert not part.exists()


def test_a_write_that_falls_short_is_a_full_disk_where_nothing_is_free(snakemake, monkeypatch):
    def fall_short(free: int) -> None:
        monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=free))
        with job(snakemake):
            raise OSError("1048576 requested and 4096 written")  # numpy's words

    with pytest.raises(SystemExit):
        fall_short(free=0)
    assert "the disk is full" in Path(snakemake.log[0]).read_text()
    with pytest.raises(OSError, match="requested"):
        fall_short(free=1 << 30)


def test_bad_input_is_one_line_and_a_mistake_of_ours_keeps_its_traceback(snakemake):
    with pytest.raises(SystemExit), job(snakemake):
        raise StrataError("x.csv: no column 'unit'")
    assert Path(snakemake.log[0]).read_text() == "error: x.csv: no column 'unit'\n"
    with pytest.raises(ZeroDivisionError), job(snakemake):
        _ = 1 / 0
    assert "Traceback" in Path(snakemake.log[0]).read_text()


@pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="Linux tells when a process ends")
def test_a_job_ends_with_the_snakemake_that_started_it(tmp_path):
    (tmp_path / "child.py").write_text(CHILD)
    (tmp_path / "snakemake").write_text(PARENT)
    parent = subprocess.Popen([sys.executable, str(tmp_path / "snakemake")], cwd=tmp_path)
    until(lambda: (tmp_path / "started").exists())
    listed = f"/proc/{parent.pid}/task/{parent.pid}/children"
    child = Path("/proc") / Path(listed).read_text().strip()
    parent.kill()
    parent.wait()
    until(lambda: not child.exists() or " Z " in (child / "stat").read_text())


def until(fact) -> None:
    last = time.monotonic() + 60
    while not fact():
        assert time.monotonic() < last
        time.sleep(0.05)


def test_a_file_has_its_name_when_it_is_whole(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("before")
    with pytest.raises(KeyError), whole(path) as part:
        part.write_text("hal")
        raise KeyError
    assert path.read_text() == "before" and [*tmp_path.iterdir()] == [path]
    with whole(path) as part:
        assert part.suffix == ".csv"
        part.write_text("after")
    assert path.read_text() == "after" and [*tmp_path.iterdir()] == [path]
