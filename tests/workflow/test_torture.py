"""Killed runs and a full disk, in little: each goes on to the bytes of a run left alone."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from running import ROOT, Workflow, cannot_run
from test_terminal import write_study

sys.path.insert(0, str(ROOT / "tests"))
import torture


@pytest.fixture(scope="module")
def labels(tmp_path_factory) -> tuple[str, ...]:
    """Options of the cheapest study that there is."""
    return "--configfile", write_study(tmp_path_factory.mktemp("labels") / "some data")


@pytest.fixture(scope="module")
def alone(labels, tmp_path_factory) -> Path:
    """Results of that study, left alone."""
    return torture.left_alone(tmp_path_factory.mktemp("alone"), labels).path("results")


def test_killed_jobs_and_snakemake_itself_change_no_byte(labels, alone, tmp_path):
    copy = Workflow(tmp_path / "killed")
    kills = torture.draw_kills(4, seed=0)
    assert {kill.whom for kill in kills} == {torture.JOB, torture.SNAKEMAKE}
    names = [*torture.provenance.results_in(alone)]
    assert torture.torment(copy, labels, kills, names, print) == len(kills)
    assert torture.compare(alone, copy, labels) == []


def test_one_core_in_another_folder_gives_the_bytes_of_two(labels, alone, tmp_path):
    copy = torture.left_alone(tmp_path / "deeper/in a folder (1)", labels, cores=1)
    assert torture.compare(alone, copy, labels) == []


def test_a_job_out_of_memory_is_tried_again_with_more_where_the_profile_says_so(labels, fresh):
    profile = yaml.safe_load((ROOT / "profiles/slurm/config.yaml").read_text())
    target = "results/measures/released/labels/vit.parquet"
    running = fresh.start(target, *labels, "--retries", str(profile["retries"]))
    killed = None
    while killed is None and running.poll() is None:
        running_now = torture.jobs_in(fresh.directory).items()
        killed = next((job for job, name in running_now if name.startswith("read_released")), None)
    os.kill(killed, signal.SIGKILL)  # as the kernel does it
    printed, _ = running.communicate()
    assert running.returncode == 0, printed[-3000:]
    assert re.search(r"Trying to restart job \d+", printed)
    assert "mem_mb=3000" in printed  # twice the default
    assert fresh.path(target).exists()


def test_a_full_disk_is_one_line_and_the_next_start_goes_on(labels, alone, tmp_path):
    if os.getuid():
        cannot_run("only root can make a little disk")
    try:
        with torture.little_disk(tmp_path / "disk") as disk:
            copy = Workflow(disk)
            assert torture.fill_at_stages(copy, labels, print, most=2)
            assert torture.compare(alone, copy, labels) == []
    except subprocess.CalledProcessError as error:
        cannot_run(f"no disk can be mounted here: {error}")
