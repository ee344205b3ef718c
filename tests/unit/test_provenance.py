"""Whether results are what was made, and why two runs differ."""

import base64
import json
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "tools/terminal"))
import durations
import provenance

FILES = {
    "figures/a.csv": "x,y\n1,2\n",
    "measures/s/labels/m.parquet": "table",
    "measures/s/timing/m.parquet": "seconds",
}


def metadata(folder, name, rule, job, start, end, *inputs):
    """What Snakemake writes down of a file that a job has made."""
    told = {"job_hash": job, "rule": rule, "starttime": start, "endtime": end, "input": inputs}
    place = folder / ".snakemake/metadata" / base64.urlsafe_b64encode(name.encode()).decode()
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(json.dumps(told))


@pytest.fixture
def results(tmp_path, monkeypatch) -> Path:
    """Results of a run that has written down where they come from."""
    monkeypatch.setattr(provenance, "RESULTS", tmp_path)
    monkeypatch.setattr(provenance, "RECORD", tmp_path / "provenance.json")
    for name, text in (FILES | {"logs/a.log": "said", "report.html": "all"}).items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    assert provenance.write("--configfile", "studies/photos.yaml") == 0
    return tmp_path


def test_a_run_writes_down_its_results_and_what_they_rest_on(results):
    told = json.loads((results / "provenance.json").read_text())
    assert sorted(told["results"]) == sorted(FILES)
    assert {*told["configuration"]} == {"config.yaml", "studies/photos.yaml"}
    assert told["cores"] >= 1 and told["python"] and len(told["lock"]) == 64
    assert not list(results.glob("*.part"))


def test_durations_are_those_of_jobs_whatever_files_they_made(tmp_path):
    metadata(tmp_path, "results/a", "first", 1, 10.0, 12.5)
    metadata(tmp_path, "results/b", "first", 1, 10.0, 12.5)  # the same job
    metadata(tmp_path, "results/c", "first", 2, 10.0, 11.0)
    metadata(tmp_path, "results/d", "second", 3, 13.0, 17.0, "results/b", "given")
    metadata(tmp_path, "results/e", "touched", 4, None, None)
    jobs = durations.Jobs(tmp_path)
    assert jobs.by_rule() == {"first": [2, 3.5], "second": [1, 4.0]}
    assert jobs.longest_chain == 6.5
    assert durations.Jobs(tmp_path / "nothing").by_rule() == {}


def test_what_was_not_touched_holds(results, capsys):
    (results / "logs/b.log").write_text("more")
    assert provenance.verify() == 0
    assert capsys.readouterr().out == "3 results, 0 other than they should be\n"


def test_what_is_changed_missing_or_new_is_named(results, capsys):
    (results / "figures/a.csv").write_text("x,y\n1,3\n")
    (results / "measures/s/labels/m.parquet").unlink()
    (results / "figures/b.csv").write_text("")
    assert provenance.verify() == 1
    assert capsys.readouterr().out.splitlines() == [
        "missing: measures/s/labels/m.parquet",
        "new: figures/b.csv",
        "differs: figures/a.csv",
        "3 results, 3 other than they should be",
    ]


def test_another_run_may_differ_in_seconds_and_says_why_it_differs_in_more(results, capsys):
    there = json.loads((results / "provenance.json").read_text())
    there["results"]["measures/s/timing/m.parquet"] = "0" * 64
    other = results.parent / "other.json"
    other.write_text(json.dumps(there))
    assert provenance.verify(str(other)) == 0
    assert "differs, as measured seconds do" in capsys.readouterr().out
    there["results"]["figures/a.csv"] = "0" * 64
    other.write_text(json.dumps(there | {"lock": "another"}))
    assert provenance.verify(str(other)) == 1
    told = capsys.readouterr().out
    assert "differs: figures/a.csv" in told and "another there" in told


def test_what_shows_seconds_may_differ_only_where_the_seconds_do():
    seconds, shown = "measures/s/timing/m.parquet", "figures/s_seconds.pdf"
    before = {seconds: "1", shown: "1"}
    excused = provenance.differences(before, {seconds: "2", shown: "2"})
    assert excused == [f"differs, as measured seconds do: {name}" for name in before]
    assert provenance.differences(before, {seconds: "1", shown: "2"}) == [f"differs: {shown}"]


def test_no_record_is_one_line(results):
    (results / "provenance.json").unlink()
    with pytest.raises(SystemExit, match=r"provenance\.json: no such record; a run that ends"):
        provenance.verify()
    (results / "provenance.json").write_text("{")
    with pytest.raises(SystemExit, match="not JSON"):
        provenance.verify()
