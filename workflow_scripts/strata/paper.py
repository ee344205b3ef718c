"""Numbers and tables of the paper as LaTeX, written from the measures; nothing is typed by hand."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict

import numpy as np
import pandas as pd

from strata.concepts import shown_categories
from strata.dissect import DEFAULTS
from strata.errors import StrataError
from strata.figures.catalogue import caption, figure_names, models_of
from strata.figures.models import ModelStyle
from strata.stats import LEVEL

_DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
_SPECIAL = re.compile(r"[&%$#_{}\\~^]")
_SPELLED = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}


def macro_name(*parts: str) -> str:
    """A LaTeX macro's name from words: ("vit_cub", "count first") gives VitCubCountFirst."""
    words = re.findall(r"[A-Za-z]+|\d", " ".join(parts))
    return "".join(_DIGITS[int(w)].title() if w.isdigit() else w[0].upper() + w[1:] for w in words)


def macros(values: Mapping[str, object]) -> str:
    """LaTeX definitions of `values`: whole numbers as they are, others with three decimals."""
    lines = [f"\\newcommand{{\\{name}}}{{{number(value)}}}" for name, value in values.items()]
    return "\n".join(lines) + "\n"


def number(value: object) -> str:
    """A number in LaTeX's spelling; text is escaped."""
    if isinstance(value, Verbatim):
        return value
    if isinstance(value, (bool, str)) or value is None:
        return escape(str(value))
    if isinstance(value, (int, np.integer)):
        return f"{value:,}".replace(",", "{,}")
    return f"{value:.3f}".replace("-", r"\ensuremath{-}")


def parameter(value: float | int | None) -> str:
    """A parameter in LaTeX's spelling, with no more digits than it has; powers of ten as such."""
    if isinstance(value, float) and 0 < abs(value) < 1e-3:
        mantissa, exponent = f"{value:e}".split("e")
        times = "" if float(mantissa) == 1 else f"{float(mantissa):g}\\cdot "
        return Verbatim(f"\\ensuremath{{{times}10^{{{int(exponent)}}}}}")
    return Verbatim(f"{value:g}")


def percent(value: float) -> str:
    """A share as LaTeX percentage text."""
    return Verbatim(f"{100 * value:.1f}\\,\\%")


def escape(text: str) -> str:
    """Text with LaTeX's special characters made harmless."""
    return _SPECIAL.sub(lambda found: _SPELLED.get(found[0], f"\\{found[0]}"), text)


class Verbatim(str):
    """LaTeX that `number` must not escape."""


def numbers_of(
    name: str, study: Mapping, measures: Mapping[str, pd.DataFrame], styles: Mapping
) -> tuple[dict[str, object], str]:
    """The macros and the table of a study, by its kind."""
    if study["kind"] == "pruning":
        from strata.paper_pruning import pruning_table, pruning_values

        values = pruning_values(name, study, measures, styles)
        return values, pruning_table(measures, styles)
    if study["kind"] == "convexity":
        values = convexity_values(name, study, measures, styles)
        if "alignment" in measures:
            return values, profile_table(measures["alignment"], "accuracy", styles, shown=3)
        return values, profile_table(measures["convexity"], "graph_convexity", styles)
    values = study_values(name, study, measures, styles)
    return values, counts_table(measures["counts"], styles)


def study_values(
    name: str, study: Mapping, measures: Mapping[str, pd.DataFrame], styles: Mapping
) -> dict[str, object]:
    """Macros of a study: {name: value}.

    `measures` has labels, counts and shares, and truth where it was scored. For each model:
    number of neurons and layers; the number of concepts in the first and last layer and where it
    is highest, its rank correlation with depth; the first and last share of each category; the
    share of significant neurons; how often each similarity function names the planted truth.
    """
    values: dict[str, object] = {macro_name(name, "models"): len(styles)}
    for key in ("top_k", "permutations", "bootstrap", "alpha"):
        if key in study:
            values[macro_name(name, key)] = study[key] if key != "alpha" else percent(study[key])
    for model in styles:
        mine = {key: table[table["model"] == model] for key, table in measures.items()}
        found = _count_values(mine["counts"]) | _share_values(mine["shares"])
        main = mine["labels"][mine["labels"]["metric"] == mine["labels"]["metric"].iloc[0]]
        found |= {"neurons": len(main), "layers": main["layer"].nunique()}
        if "truth" in mine and len(mine["truth"]):
            found |= _truth_values(mine["truth"])
        values |= {macro_name(name, model, key): value for key, value in found.items()}
    return values


def convexity_values(
    name: str, study: Mapping, measures: Mapping[str, pd.DataFrame], styles: Mapping
) -> dict[str, object]:
    """Macros of a study of convexity and alignment: {name: value}.

    `measures` has those of alignment, convexity, relation and transforms that were taken. For each
    model: convexity of each family in the first and last layer and where it is highest; accuracy in
    the first, last and best layer. Chance and noise ceiling of each set of triplets; every
    correlation; what each transform does, mean over layers.
    """
    values: dict[str, object] = {macro_name(name, "models"): len(styles)}
    for key in ("n_neighbors", "permutations", "bootstrap"):
        values[macro_name(name, key)] = study[key]
    for model in styles:
        found: dict[str, object] = {}
        for measure, metric in (("convexity", "graph_convexity"), ("alignment", "accuracy")):
            if measure in measures:
                found |= _profile_values(measures[measure], model, metric)
        values |= {macro_name(name, model, key): value for key, value in found.items()}
    if "alignment" in measures:
        references = ("chance", "noise_ceiling", "noise_ceiling_lower")
        known = measures["alignment"][measures["alignment"]["metric"].isin(references)]
        for (metric, triplets), rows in known.groupby(["metric", "family"]):
            values[macro_name(name, triplets, metric)] = percent(rows["value"].iloc[0])
    if "euclidean" in measures:
        for row in measures["euclidean"].itertuples():
            if row.metric.startswith("head"):
                values[macro_name(name, row.model, row.metric)] = float(row.value)
        for model in dict.fromkeys(measures["euclidean"]["model"]):
            found = _profile_values(measures["euclidean"], model, "euclidean_convexity")
            named = {macro_name(name, model, "euclidean", k): v for k, v in found.items()}
            values |= named
    if "relation" in measures:
        for row in measures["relation"].itertuples():
            place = macro_name(name, row.metric, row.model, row.family)
            values |= {place: row.value, place + "Low": row.low, place + "High": row.high}
    if "transforms" in measures:
        values |= _transform_values(name, study, measures["transforms"])
    return values


def _profile_values(table: pd.DataFrame, model: str, metric: str) -> dict[str, object]:
    """First, last and best layer of a metric, for each family."""
    found: dict[str, object] = {}
    rows = table[(table["model"] == model) & (table["metric"] == metric)]
    for family, part in rows.sort_values("layer_index").groupby("family", sort=False):
        shown = percent if metric == "accuracy" else float
        values = part["value"].tolist()
        best = int(np.argmax(values))
        kinds = {"first": values[0], "last": values[-1], "max": values[best]}
        found |= {f"{family} {kind}": shown(value) for kind, value in kinds.items()}
        found[f"{family} max layer"] = best + 1
    return found


def _transform_values(name: str, study: Mapping, table: pd.DataFrame) -> dict[str, object]:
    """Mean over models and layers before and after each transform, for alignment and families."""
    values: dict[str, object] = {}
    for key in ("folds", "alpha", "temperature"):
        values[macro_name(name, key)] = parameter(study["transforms"][key])
    for method, rows in table.groupby("transform", sort=False):
        for metric, part in rows.groupby("metric", sort=False):
            when = metric.rpartition("_")[2]
            if metric.startswith("accuracy"):
                values[macro_name(name, method, "accuracy", when)] = percent(part["value"].mean())
            else:
                for family, own in part.groupby("concept", sort=False):
                    values[macro_name(name, method, family, when)] = float(own["value"].mean())
    return values


def _count_values(counts: pd.DataFrame) -> dict[str, object]:
    from strata.stats import correlation

    rows = counts[counts["metric"] == "n_concepts_median"].sort_values("layer_index")
    n = rows["value"].astype(int).tolist()
    found: dict[str, object] = {"count first": n[0], "count last": n[-1], "count max": max(n)}
    found["count max layer"] = int(np.argmax(n)) + 1
    if len(n) > 2 and len(set(n)) > 1:
        rho = correlation(rows["layer_index"], rows["value"])
        found["count rho"] = rho.value
    tested = counts[counts["metric"] == "share_significant"]
    if len(tested):
        weights = tested["n"]
        found["significant"] = percent(np.average(tested["value"], weights=weights))
    return found


def _share_values(shares: pd.DataFrame) -> dict[str, object]:
    rows = shares[shares["metric"] == "category_share_mean"].sort_values("layer_index")
    found = {}
    for category in shown_categories(list(dict.fromkeys(rows["concept"]))):
        of_category = rows.loc[rows["concept"] == category, "value"].tolist()
        short = category.split(" and ")[0]
        found[f"{short} first"] = percent(of_category[0])
        found[f"{short} last"] = percent(of_category[-1])
    return found


def _truth_values(truth: pd.DataFrame) -> dict[str, object]:
    found = {}
    for similarity, rows in truth.groupby("concept", sort=False):
        for metric, key in (("names_best_factor", "named"), ("chance", "chance")):
            part = rows[rows["metric"] == metric]
            found[f"{key} {similarity}"] = percent(np.average(part["value"], weights=part["n"]))
    best = truth[truth["metric"] == "mean_best_auc"].drop_duplicates("layer_index")
    return found | {"best auc": float(np.average(best["value"], weights=best["n"]))}


def card_values(cards: Iterable[Mapping]) -> dict[str, object]:
    """Macros of the models' cards: parameters and every score."""
    values: dict[str, object] = {}
    for card in cards:
        values[macro_name("card", card["name"], "parameters")] = card["parameters"]
        for metric, score in card.get("scores", {}).items():
            shown = percent(score) if "loss" not in metric else score
            values[macro_name("card", card["name"], metric)] = shown
    return values


def method_values() -> dict[str, object]:
    """Macros of what the method fixes: parameters of the similarity functions, intervals' level."""
    values: dict[str, object] = {macro_name("strata level"): Verbatim(f"{100 * LEVEL:g}\\,\\%")}
    for similarity, parameters in DEFAULTS.items():
        for key, value in asdict(parameters).items():
            if isinstance(value, (int, float)) and not isinstance(value, bool):
                values[macro_name(similarity, key)] = parameter(value)
    return values


def table_of(header: list[str], rows: list[list[str]], columns: str) -> str:
    """A booktabs tabular; cells are LaTeX already."""
    body = " \\\\\n".join(" & ".join(row) for row in rows)
    head = " & ".join(header)
    return (
        f"\\begin{{tabular}}{{{columns}}}\n\\toprule\n{head} \\\\\n\\midrule\n"
        f"{body} \\\\\n\\bottomrule\n\\end{{tabular}}"
    )


def counts_table(counts: pd.DataFrame, styles: Mapping[str, ModelStyle]) -> str:
    """Number of concepts above the median by layer, with bootstrap intervals, a row a model."""
    rows = counts[counts["metric"] == "n_concepts_median"]
    layers = int(rows["layer_index"].max()) + 1
    body = []
    for name, look in styles.items():
        mine = rows[rows["model"] == name].sort_values("layer_index")
        cells = [
            f"\\shortstack{{{v:.0f}\\\\{{\\tiny {lo:.0f}--{hi:.0f}}}}}"
            for v, lo, hi in mine[["value", "low", "high"]].itertuples(index=False)
        ]
        body.append([escape(look.label), *cells, *[""] * (layers - len(cells))])
    header = ["model", *(str(i + 1) for i in range(layers))]
    return table_of(header, body, "l" + "r" * layers)


def profile_table(
    table: pd.DataFrame, metric: str, styles: Mapping[str, ModelStyle], shown: int = 2
) -> str:
    """A metric by layer with its intervals, a row per model and family (or set of triplets)."""
    rows = table[table["metric"] == metric]
    layers = int(rows["layer_index"].max()) + 1
    families = list(dict.fromkeys(rows["family"]))
    body = []
    for name, look in styles.items():
        for family in families:
            mine = rows[(rows["model"] == name) & (rows["family"] == family)]
            mine = mine.sort_values("layer_index")
            cells = [
                f"\\shortstack{{{v:.{shown}f}\\\\{{\\tiny {lo:.{shown}f}--{hi:.{shown}f}}}}}"
                for v, lo, hi in mine[["value", "low", "high"]].itertuples(index=False)
            ]
            about = [escape(family.replace("_", " "))] if len(families) > 1 else []
            body.append([escape(look.label), *about, *cells, *[""] * (layers - len(cells))])
    about = ["concepts"] if len(families) > 1 else []
    header = ["model", *about, *(str(i + 1) for i in range(layers))]
    return table_of(header, body, "l" * (1 + len(about)) + "r" * layers)


def cards_table(cards: Iterable[Mapping]) -> str:
    """What the models are: objective, parameters, and accuracies on held-out images."""
    body = []
    for card in cards:
        scores = ", ".join(
            f"{metric.removesuffix('_accuracy').replace('_', ' ')} {score:.2f}"
            for metric, score in card.get("scores", {}).items()
            if metric.endswith("accuracy")
        )
        made = card.get("objective", "")
        cells = (card["name"], made, f"{card['parameters']:,}", scores or "--")
        body.append([escape(str(cell)) for cell in cells])
    header = ["model", "objective", "parameters", "held-out accuracy"]
    return table_of(header, body, "llrl")


def study_section(name: str, study: Mapping, written: Iterable[str], told: str = "") -> str:
    """LaTeX of a study's results: its section file, else `told` and all figures but the appendix's.

    Figures do not drift into the next study.
    """
    if name in written:
        return f"\\input{{sections/{name}}}\n\\FloatBarrier\n"
    lines = [f"\\section{{{escape(study['title'])}}}", told]
    single = single_model_figures(study)
    names = [figure for figure in figure_names(study) if figure not in single]
    for figure in sorted(names, key=lambda figure: figure != "specimen"):  # the data come first
        lines.append(f"\\strataFigure{{{name}_{figure}}}{{{caption(figure)}}}")
    return "\n".join([*lines, "\\FloatBarrier"]) + "\n"


def single_model_figures(study: Mapping) -> dict[str, str]:
    """Figures about one model, for the appendix: {figure: model}."""
    names = figure_names(study)
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
        text = f"{escape(study['title'])}, {escape(styles[model].label)}. {caption(figure)}"
        lines.append(f"\\strataFigure{{{name}_{figure}}}{{{text}}}")
    return "\n".join(lines) + "\n"


def latex_error(log: str) -> StrataError:
    """The first error of a LaTeX log as one line."""
    found = re.search(r"^(?:[\w./-]+\.tex:\d+: |! )(.*(?:\n.*){0,3})", log, flags=re.MULTILINE)
    line = re.search(r"^[\w./-]+\.tex:\d+", log, flags=re.MULTILINE)
    reason = " ".join(found.group(1).split())[:200] if found else "see the log"
    return StrataError(f"{line.group(0) if line else 'paper'}: LaTeX stopped: {reason}")
