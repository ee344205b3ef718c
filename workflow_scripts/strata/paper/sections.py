"""Sections and figures of the studies in LaTeX."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from strata.figures.catalogue import caption, models_of, printed_figures
from strata.figures.models import ModelStyle
from strata.paper.latex import escape


def study_section(
    name: str, study: Mapping, written: Iterable[str], told: str = "", note: str = ""
) -> str:
    """LaTeX of a study's results: its section file, else `told` and all figures but the appendix's;
    and a `note` that stands in either.

    The figures of a study without a section file follow its text in one column, each where it is
    written.
    """
    if name in written:
        added = f"\n{note}\n" if note else ""
        return f"\\input{{sections/{name}}}\n{added}"
    single = single_model_figures(study)
    names = [figure for figure in printed_figures(study) if figure not in single]
    names.sort(key=lambda figure: figure != "specimen")  # the data come first
    lines = ["\\onecolumn", f"\\section{{{escape(study['title'])}}}", told]
    lines += [note] if note else []
    each = (f"\\strataFigure{{{name}_{figure}}}{{{caption(figure)}}}" for figure in names)
    return "\n".join([*lines, _in_place("\n".join(each)), "\\twocolumn"]) + "\n"


def _in_place(figures: str) -> str:
    return f"\\begin{{strataFigures}}\n{figures}\n\\end{{strataFigures}}"


def single_model_figures(study: Mapping) -> dict[str, str]:
    """Figures about one model, for the appendix: {figure: model}."""
    names = printed_figures(study)
    return {
        f"{kind}_{model}": model
        for model in models_of(study, "pretrained")
        for kind in ("scores", "neurons")
        if f"{kind}_{model}" in names
    }


def appendix(name: str, study: Mapping, styles: Mapping[str, ModelStyle]) -> str:
    """The single-model figures of a study: score histograms and pictures of neurons."""
    lines = []
    for figure, model in single_model_figures(study).items():
        text = f"{escape(styles[model].label)}: {caption(figure)} Study: {escape(study['title'])}."
        lines.append(f"\\strataFigure{{{name}_{figure}}}{{{text}}}")
    return "\n".join(lines) + "\n"


def single_models(figures: str) -> str:
    """The appendix's section with the figures of single models."""
    told = (
        "One network at a time: the scores of its labels by layer, and what the neurons with the "
        "best labels answer to."
    )
    return f"\\section{{Single models}}\n{told}\n\n{_in_place(figures)}\n"
