"""Executed notebooks as files to keep and to show: the same outcome gives the same bytes."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from strata.errors import StrataError

if TYPE_CHECKING:
    from nbformat import NotebookNode

_ADDRESS = re.compile(r" at 0x[0-9a-f]+>")  # of an object in memory
# The page needs no network: nothing is loaded from elsewhere, and nothing typeset by MathJax.
_TEMPLATE = """
{%- extends 'lab/index.html.j2' -%}
{%- block html_head_js -%}{%- endblock -%}
{%- block html_head_js_mathjax -%}{%- endblock -%}
{%- block html_head_js_mermaidjs -%}{%- endblock -%}
"""


def cleaned(notebook: NotebookNode, name: str, drop: str) -> NotebookNode:
    """A copy without what differs from run to run: cells with the tag `drop`, times and addresses.

    Raises StrataError where a cell has not run or ended in an error, as after editing by hand.
    """
    from nbformat import from_dict

    notebook = from_dict(notebook)
    notebook.cells = [cell for cell in notebook.cells if drop not in cell.metadata.get("tags", [])]
    code = [cell for cell in notebook.cells if cell.cell_type == "code" and cell.source.strip()]
    for number, cell in enumerate(code, start=1):
        _check_cell(cell, f"{name}: code cell {number}")
        cell.execution_count = number
        cell.metadata.pop("execution", None)
        for output in cell.outputs:
            if "execution_count" in output:
                output.execution_count = number
            if "text/plain" in output.get("data", {}):
                output.data["text/plain"] = _ADDRESS.sub(">", output.data["text/plain"])
    kept = {"kernelspec": notebook.metadata.kernelspec, "language_info": {"name": "python"}}
    notebook.metadata = from_dict(kept)
    return notebook


def _check_cell(cell: NotebookNode, name: str) -> None:
    if cell.execution_count is None:
        raise StrataError(f"{name} has not run; run all cells and save the notebook")
    for output in cell.outputs:
        if output.output_type == "error":
            raise StrataError(f"{name} ended in {output.ename}: {output.evalue}")


def page(notebook: NotebookNode, title: str) -> str:
    """A notebook as one HTML file that needs no other."""
    from nbconvert import HTMLExporter

    exporter = HTMLExporter(raw_template=_TEMPLATE)
    text, _ = exporter.from_notebook_node(notebook, {"metadata": {"name": title}})
    return "\n".join(line.rstrip() for line in text.splitlines()) + "\n"
