"""Notebooks as they are kept: without a run's traces, and with all that has to have run."""

import json
from pathlib import Path

import nbformat
import pytest

from strata import StrataError
from strata.notebooks.export import cleaned, page
from strata.sources import Sources

SCRIPTS = Path(__file__).parents[2] / "workflow_scripts"
NOTEBOOKS = sorted((SCRIPTS / "notebooks").glob("*.ipynb"))
JOB = "the-job"


def cell(source: str, count: int | None, *tags: str, outputs=()):
    times = {"iopub.execute_input": f"2026-01-01T00:00:0{count or 0}Z"}
    made = nbformat.v4.new_code_cell(source, execution_count=count, outputs=list(outputs))
    made.update(id=f"cell-{source[:3].strip()}", metadata={"execution": times, "tags": list(tags)})
    return made


def executed(*cells):
    text = nbformat.v4.new_markdown_cell("# Why?\n\nBecause.", id="why")
    notebook = nbformat.v4.new_notebook(cells=[cell("secret = 1", 1, JOB), text, *cells])
    kernel = {"name": "python3", "display_name": "Python 3"}
    told = {"kernelspec": kernel, "language_info": {"name": "python", "version": "3.99"}}
    notebook.metadata = nbformat.from_dict(told)
    return notebook


def result(text: str, count: int):
    return nbformat.v4.new_output(
        "execute_result", data={"text/plain": text}, execution_count=count
    )


def test_a_run_leaves_no_trace_of_itself():
    first = executed(cell("one()", 2, outputs=[result("<a at 0x7f1>", 2)]), cell("two()", 3))
    again = executed(cell("one()", 7, outputs=[result("<a at 0x2e8>", 7)]), cell("two()", 9))
    found = cleaned(first, "it", JOB)
    assert nbformat.writes(found) == nbformat.writes(cleaned(again, "it", JOB))
    assert "secret" not in nbformat.writes(found) and "3.99" not in nbformat.writes(found)
    assert [c.execution_count for c in found.cells if c.cell_type == "code"] == [1, 2]
    assert found.cells[1].outputs[0].execution_count == 1
    assert len(first.cells) == 4 and "execution" in first.cells[2].metadata  # as it was


def test_the_page_holds_text_code_and_results_and_loads_nothing():
    notebook = cleaned(executed(cell("one()", 2, outputs=[result("41", 2)])), "it", JOB)
    html = page(notebook, "A title")
    for part in ("<title>A title</title>", "Because.", ">one</span>", ">41</pre>"):
        assert part in html
    assert "<script src" not in html and html == page(notebook, "A title")


def test_a_cell_that_has_not_run_or_failed_is_named():
    with pytest.raises(StrataError, match=r"^it: code cell 2 has not run"):
        cleaned(executed(cell("one()", 2), cell("two()", None)), "it", JOB)
    failed = nbformat.v4.new_output("error", ename="KeyError", evalue="'q'", traceback=[])
    with pytest.raises(StrataError, match=r"^it: code cell 1 ended in KeyError: 'q'$"):
        cleaned(executed(cell("one()", 2, outputs=[failed])), "it", JOB)


def test_an_empty_cell_need_not_run():
    assert len(cleaned(executed(cell("   ", None)), "it", JOB).cells) == 2


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_notebooks_are_kept_without_outputs(path):
    """Run, with the study's results, they belong into results/; here they are source."""
    kept = json.loads(path.read_text())
    nbformat.validate(kept)
    for number, each in enumerate(kept["cells"]):
        assert each["metadata"] == {}, f"cell {number}"
        assert not each.get("outputs") and each.get("execution_count") is None, f"cell {number}"
        assert each["id"].replace("-", "").isalpha(), f"cell {number}: a name, not a random id"
    assert kept["metadata"]["kernelspec"]["name"] == "python3"
    assert 4 <= sum(each["cell_type"] == "code" for each in kept["cells"]) <= 7


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_what_a_notebook_uses_of_the_library_is_found(path):
    used = {file.relative_to(SCRIPTS).as_posix() for file in Sources(SCRIPTS).files(str(path))}
    assert {"strata/tables.py", "strata/stats.py", "strata/notebooks/drawing.py"} <= used
