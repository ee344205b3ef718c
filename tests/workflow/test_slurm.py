"""The workflow on a real SLURM cluster of one node, and what goes wrong on clusters."""

import hashlib
import re
import subprocess
import time
from pathlib import Path

import pytest

from running import ROOT, Workflow, cannot_run

NODE = ROOT / "tools" / "slurm-node"
CANNOT = 3  # its exit status where a node may not be made
# The profile as users have it, but for how often SLURM is asked.
SLURM = ("--workflow-profile", "profiles/slurm", "--seconds-between-status-checks", "1")
SLURM += ("--slurm-init-seconds-before-status-checks", "1")
LITTLE = ("--configfile", "tests/workflow/cluster.yaml")
FETCH = ("--until", "fetch_model", "download_dataset", "download_concepts")


class Cluster:
    """A node, and what SLURM remembers of its jobs."""

    def __init__(self, place: Path):
        self.place = place

    def node(self, action: str) -> subprocess.CompletedProcess:
        return subprocess.run([NODE, action, self.place], capture_output=True, text=True)

    def stop_controller(self) -> None:
        pid = (self.place / "slurmctld.pid").read_text().strip()
        subprocess.run(["kill", pid], check=True)

    def jobs(self, copy: Workflow) -> list[dict]:
        """Every job that was submitted from a copy of the workflow, in order."""
        names = ("id", "state", "comment", "limit", "memory", "cpus", "shares", "folder")
        output = subprocess.run(
            ["squeue", "--noheader", "--states=all", "--format=%i|%T|%k|%l|%m|%C|%h|%Z"],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        rows = [dict(zip(names, line.split("|"), strict=True)) for line in output.splitlines()]
        found = [row for row in rows if row["folder"] == str(copy.directory)]
        return sorted(found, key=lambda row: int(row["id"]))


def test_a_node_that_a_killed_run_left_makes_place_for_another(tmp_path):
    left, own = Cluster(tmp_path / "left"), Cluster(tmp_path / "own")
    # Its starter, the shell, ends at once, as one that is killed.
    made = subprocess.run(["sh", "-c", f"{NODE} up {left.place}; exit $?"], capture_output=True)
    if made.returncode == CANNOT:
        cannot_run(made.stderr.decode().strip())
    try:
        assert own.node("up").returncode == 0
        running = subprocess.run(
            ["ps", "-eww", "-o", "args"], capture_output=True, text=True
        ).stdout
        assert f"{own.place}/slurm.conf" in running and f"{left.place}/" not in running
        refused = Cluster(tmp_path / "third").node("up")
        assert refused.returncode == CANNOT and "runs here already" in refused.stderr
    finally:
        own.node("down")
        left.node("down")


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    made = Cluster(tmp_path_factory.mktemp("slurm"))
    up = made.node("up")
    if up.returncode == CANNOT:
        cannot_run(up.stderr.strip())
    try:
        assert up.returncode == 0, up.stderr
        yield made
    finally:
        made.node("down")


def downloaded_words(copy: Workflow) -> str:
    """An overlay whose words are a download, and embedding them has too little memory."""
    words = copy.path("resources/concepts/microworld.txt")
    digest = hashlib.sha256(words.read_bytes()).hexdigest()
    overlay = copy.path("overlay.yaml")
    overlay.write_text(
        f"concept_sets: {{words: {{kind: download, url: {words}, sha256: {digest}}}}}\n"
        "studies: {little: {concept_set: words}}\n"
        "resources: {embed_concepts: {mem_mb: 350}}\n"
    )
    return str(overlay)


@pytest.fixture(scope="module")
def study(cluster, tmp_path_factory) -> Workflow:
    """A copy in which a study has run on the cluster."""
    copy = Workflow(tmp_path_factory.mktemp("study"))
    copy(*SLURM, *LITTLE, downloaded_words(copy))
    return copy


@pytest.fixture(scope="module")
def mishaps(cluster, tmp_path_factory) -> Workflow:
    """A copy in which one job was cancelled, one ran out of time, and the controller was away."""
    copy = Workflow(tmp_path_factory.mktemp("mishaps"))
    failures = ("--snakefile", "tests/workflow/failures.smk")
    running = copy.start(*failures, *SLURM, tools=ROOT / "tools" / "without-accounting")

    def until(fact) -> None:
        while not fact():
            assert running.poll() is None, running.stdout.read()[-6000:]
            time.sleep(0.2)

    try:
        until(copy.path("results/cancelled.started").exists)
        [job] = [job["id"] for job in cluster.jobs(copy) if job["comment"] == "rule_cancelled"]
        subprocess.run(["scancel", job], check=True)
        until(copy.path("results/unasked.started").exists)
        cluster.stop_controller()
        copy.path("results/outage").touch()
        until(copy.path("results/unasked").exists)
        # Long enough for the plugin to ask, and to be told nothing, more often than by default.
        time.sleep(60)
        back = cluster.node("restart-controller")
        assert back.returncode == 0, back.stderr
        printed, _ = running.communicate(timeout=600)
    finally:
        running.kill()
    assert running.returncode == 0, printed[-6000:]
    return copy


def of_rule(cluster: Cluster, copy: Workflow, rule: str) -> list[dict]:
    """The jobs of a rule or a group."""
    return [job for job in cluster.jobs(copy) if job["comment"].startswith(f"rule_{rule}")]


def test_a_study_runs_on_the_cluster_to_the_paper(study):
    assert study.path("results/paper/strata.pdf").read_bytes().startswith(b"%PDF")


def test_short_jobs_go_together(cluster, study):
    figures = list(study.path("results/figures").glob("*.pdf"))
    assert 0 < len(of_rule(cluster, study, "figures")) < len(figures)
    for group in ("merges", "counts", "cuts", "costs", "numbers"):
        assert len(of_rule(cluster, study, group)) == 1, group


def test_what_needs_internet_or_latex_stays_on_the_login_node(cluster, study):
    assert study.path("results/concepts/words.txt").exists()
    for rule in ("download", "bundled_model", "paper"):
        assert not of_rule(cluster, study, rule)


def test_downloads_can_be_made_before_anything_else(fresh):
    fresh(*LITTLE, downloaded_words(fresh), *FETCH)
    made = {path.name for path in fresh.path("results").iterdir()}
    assert made == {"concepts", "logs"}


def test_every_log_is_where_one_looks_for_it(cluster, study):
    table = study("--summary", *LITTLE, study.path("overlay.yaml")).splitlines()
    rows = [line.split("\t") for line in table if line.startswith("results/")]
    logs = {row[3] for row in rows}
    assert len(logs) > 30
    assert not [log for log in logs if not study.path(log).exists()]
    kept = study.path("results/logs/slurm").rglob("*.log")
    assert {path.stem for path in kept} == {job["id"] for job in cluster.jobs(study)}


def test_seconds_are_measured_on_a_node_without_others(cluster, study):
    [timing] = of_rule(cluster, study, "time_cuts")
    assert timing["shares"] == "NO"
    assert {job["shares"] for job in of_rule(cluster, study, "extract_shard")} == {"OK"}


def test_a_gpu_is_asked_for_where_the_device_is_cuda(cluster, fresh):
    target = "results/embeddings/concepts/little.npy"
    options = ("--config", "device=cuda", "--retries", "0")
    fresh.start(target, *SLURM, *LITTLE, *options).communicate()  # fails where there is no GPU
    [job] = of_rule(cluster, fresh, "embed_concepts")
    show = ["scontrol", "--oneliner", "show", "job", job["id"]]
    shown = subprocess.run(show, capture_output=True, text=True, check=True).stdout
    assert re.search("TresPerJob=gres[:/]gpu[:=]1", shown)


def test_a_job_over_its_memory_is_killed_and_gets_more(cluster, study):
    first, *_, last = of_rule(cluster, study, "embed_concepts")
    assert (first["state"], first["memory"]) == ("FAILED", "350M")
    [log] = study.path("results/logs/slurm").rglob(f"{first['id']}.log")
    assert "exceeded memory limit" in log.read_text()
    assert last["state"] == "COMPLETED" and last["memory"] in ("700M", "1050M")


def test_a_cancelled_job_is_tried_again(cluster, mishaps):
    states = [job["state"] for job in of_rule(cluster, mishaps, "cancelled")]
    assert states == ["CANCELLED", "COMPLETED"]


def test_a_job_over_its_time_is_killed_and_gets_more(cluster, mishaps):
    found = [(job["state"], job["limit"]) for job in of_rule(cluster, mishaps, "endless")]
    assert found == [("TIMEOUT", "1:00"), ("COMPLETED", "2:00")]


def test_a_job_that_ends_while_the_controller_is_down_is_not_lost(cluster, mishaps):
    assert [job["state"] for job in of_rule(cluster, mishaps, "unasked")] == ["COMPLETED"]
