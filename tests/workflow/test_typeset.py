"""The paper as it is typeset: what LaTeX's log says, and what is in the PDF."""

import re
import zlib
from pathlib import Path

import pytest


@pytest.fixture
def build(workflow) -> Path:
    return workflow.path("results/paper/build")


def test_nothing_sticks_out(build):
    assert (
        re.findall(r"^(Overfull|Underfull \\vbox|LaTeX Warning: Float).*", log(build), re.M) == []
    )


def test_no_float_is_further_than_a_page_from_its_mention(build):
    mentioned, floats = pages(build, "mention"), pages(build, "float")
    labels = re.findall(
        r"\\newlabel\{(tab:[^}]+)\}\{\{[^}]*\}\{(\d+)\}", (build / "main.aux").read_text()
    )
    floats |= {label: [int(page)] for label, page in labels}
    assert floats
    for label, (page,) in floats.items():
        assert min(abs(page - own) for own in mentioned[label]) <= 1, label


def test_every_figure_is_listed_described_and_leads_to_its_table(build):
    figures = sorted(
        set(re.findall(r"\\newlabel\{fig:([^}]+)\}", (build / "main.aux").read_text()))
    )
    listed = (build / "main.lof").read_text().count("\\contentsline {figure}")
    content = inside((build / "main.pdf").read_bytes())
    assert len(figures) == listed == content.count(b"/Alt")
    for name in figures:
        assert f"../figures/{name}.csv".encode() in content, name
        assert (build / "figures" / f"{name}.csv").is_file()
    facts = (build / "facts.tex").read_text()
    told = dict(re.findall(r"\\strataFact\{([^}]+)\}\{(\d.*?)\}\{", facts))
    assert set(figures) <= set(told)


def test_the_pdf_says_what_it_is(build):
    raw = (build / "main.pdf").read_bytes()
    for entry in (b"/Title", b"/Author", b"/Subject", b"/Keywords"):
        assert re.search(re.escape(entry) + rb" ?\([^)]", raw), entry
    assert b"/CreationDate" not in raw and b"/ModDate" not in raw
    content = inside(raw)
    assert b"/Outlines" in content and b"/Lang" in content and b"DisplayDocTitle" in content


def log(build: Path) -> str:
    return (build / "main.log").read_text(errors="replace")


def pages(build: Path, kind: str) -> dict[str, list[int]]:
    """The pages on which a figure or table floats or is mentioned, by its label."""
    found: dict[str, list[int]] = {}
    for label, page in re.findall(rf"^strata: {kind} (\S+) on page (\d+)", log(build), re.M):
        found.setdefault(label, []).append(int(page))
    return found


def inside(pdf: bytes) -> bytes:
    """What is in the compressed parts of a PDF."""
    parts = re.findall(rb"stream\r?\n(.*?)\r?\nendstream", pdf, re.S)
    opened = []
    for part in parts:
        try:
            opened.append(zlib.decompressobj().decompress(part))
        except zlib.error:
            continue
    return b"\n".join(opened)
