"""Notebooks: each study's question answered and shown, the same every time, beside the paper."""

import json
import re

import pandas as pd

from running import Workflow, planned
from test_terminal import make_in, write_study

TINY = ("--configfile", "tests/workflow/tiny.yaml")


def test_every_kind_of_study_has_an_answer(workflow):
    assert not {"explore", "export_notebook"} & planned(workflow("--dry-run", "--forceall", *TINY))
    workflow("notebooks", *TINY)
    for study in ("tiny", "tinyconvexity", "tinypruning"):
        html = workflow.path(f"results/notebooks/{study}.html").read_text()
        assert 'id="Answer"' in html and "data:image/svg+xml" in html
        assert "snakemake-job-properties" not in html and "<script src" not in html
        notebook = json.loads(workflow.path(f"results/notebooks/{study}.ipynb").read_text())
        answer = notebook["cells"][-1]["outputs"][0]["data"]["text/markdown"]
        assert re.search(r"\d", "".join(answer)), study
        assert len(pd.read_csv(workflow.path(f"results/notebooks/{study}.csv")))
    assert "Nothing to be done" in workflow("--dry-run", "notebooks", *TINY)
    assert "Nothing to be done" in workflow("--dry-run", *TINY)


def test_make_notebooks_says_where_they_are_and_another_run_gives_the_same_bytes(tmp_path):
    copy = Workflow(tmp_path / "my strata")
    study = write_study(tmp_path / "data")
    *_, last = make_in(copy, f"notebooks STUDY={study}")
    folder = copy.path("results/notebooks")
    assert last == f"The notebooks are in {folder}"
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert sorted(before) == ["released.csv", "released.html", "released.ipynb"]
    assert str(tmp_path).encode() not in b"".join(before.values())
    copy("notebooks", "--configfile", study, "--forcerun", "explore")
    assert before == {path.name: path.read_bytes() for path in folder.iterdir()}
    copy("notebooks", "--configfile", study, "--report", "report.html")
    assert "released.html" in copy.path("report.html").read_text()


def test_a_changed_notebook_runs_again_and_one_that_fails_leaves_no_page(tmp_path):
    copy = Workflow(tmp_path / "copy")
    study = ("--configfile", write_study(tmp_path / "data"))
    copy("notebooks", *study)
    notebook = copy.path("workflow_scripts/notebooks/published_labels.py.ipynb")
    notebook.write_text(notebook.read_text().replace("SHUFFLES = 99", "SHUFFLES = 9"))
    assert {"explore", "export_notebook"} <= planned(copy("notebooks", "--dry-run", *study))
    notebook.write_text(notebook.read_text().replace("SHUFFLES = 9", "SHUFFLES = nine"))
    assert "name 'nine' is not defined" in copy("notebooks", *study, expect=1)
    assert not copy.path("results/notebooks/released.csv").exists()


def test_a_folder_in_which_notebooks_cannot_run_is_named(tmp_path):
    copy = Workflow(tmp_path / "my strata's")
    study = write_study(tmp_path / "data")
    told = copy("notebooks", "--configfile", study, expect=1)
    assert "strata's: notebooks do not run in a folder with an apostrophe in its path" in told
