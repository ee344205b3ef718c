"""Which figures a study has, from which measure, of which models. Needs no matplotlib to ask."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from strata.figures.entries import FIGURES


def models_of(study: Mapping, selection: str) -> list[str]:
    """The models of a study's comparison.

    pretraining, objectives, convnets, objectives_and_convnets (none without objectives), pretrained
    (pretraining and convnets), with_twins (each pretrained, and its random twin where
    it has one), with_first_twin (each pretrained, and the twin of the first), twinned (the
    pretrained that have one), random (the twins alone), finetuned (those with a version fine-tuned
    on every task, and these versions), first_finetuned (the first of them with its versions), tuned
    (the fine-tuned alone), heads (the classifiers of the Euclidean measure) or every.
    """
    compared = study.get("comparisons", {})
    pretrained = [*compared.get("pretraining", []), *compared.get("convnets", [])]
    if selection == "pretrained":
        return pretrained
    if selection == "objectives_and_convnets":
        objectives = compared.get("objectives", [])
        return [*objectives, *compared.get("convnets", [])] if objectives else []
    if selection == "with_twins":
        twins = compared.get("controls", {})
        return [n for model in pretrained for n in (model, twins.get(model)) if n]
    if selection == "with_first_twin":
        twin = compared.get("controls", {}).get(pretrained[0]) if pretrained else None
        return [*pretrained[:1], *([twin] if twin else []), *pretrained[1:]]
    if selection == "twinned":
        return [model for model in pretrained if model in compared.get("controls", {})]
    if selection == "heads":
        return list(study.get("euclidean", {}).get("heads", {}))
    if selection == "every":
        return list(study["models"])
    if selection == "random":
        return list(compared.get("controls", {}).values())
    tasks = compared.get("finetuned", {}).values()
    if selection == "tuned":
        return [tuned for pairs in tasks for tuned in pairs.values()]
    if selection in ("finetuned", "first_finetuned"):
        bases = [model for model in pretrained if tasks and all(model in pairs for pairs in tasks)]
        bases = bases[:1] if selection == "first_finetuned" else bases
        return [*bases, *(pairs[base] for pairs in tasks for base in bases)]
    return list(compared.get(selection, []))


def paired_models(study: Mapping) -> dict[str, dict[str, str]]:
    """Whom differences are taken from: `twins` {model: random twin}, `bases` {fine-tuned: base}."""
    compared = study.get("comparisons", {})
    tasks = compared.get("finetuned", {}).values()
    bases = {tuned: base for pairs in tasks for base, tuned in pairs.items()}
    return {"twins": dict(compared.get("controls", {})), "bases": bases}


# The measures of each kind of study that the paper takes numbers from, and the models (a selection
# of `models_of`) that each is taken of.
MEASURES = {
    "concepts": {
        "labels": "every",
        "counts": "every",
        "shares": "every",
        "truth": "every",
        "scoreboard": "every",
        "differences": "every",
    },
    "published_labels": {
        "labels": "every",
        "counts": "every",
        "shares": "every",
        "differences": "every",
    },
    "convexity": {
        "alignment": "every",
        "convexity": "every",
        "relation": "every",
        "categories": "pretrained",
        "euclidean": "heads",
        "transforms": "pretrained",
        "differences": "every",
    },
    "pruning": {
        "selection": "with_twins",
        "convexity": "every",
        "differences": "every",
        "similarity": "pretraining",
        "cuts": "pretraining",
        "trained": "pretraining",
        "comparison": "pretraining",
        "cost": "pretraining",
    },
}
# What a study must have for a measure to be taken; the same measure of other kinds needs nothing.
_NEEDS = {
    ("concepts", "truth"): ("vocabulary",),
    ("concepts", "scoreboard"): ("vocabulary",),
    ("convexity", "alignment"): ("triplets",),
    ("convexity", "convexity"): ("families",),
    ("convexity", "relation"): ("families", "triplets"),
    ("convexity", "categories"): ("score_categories", "triplets"),
    ("convexity", "transforms"): ("transforms",),
}
_ONE_TABLE = ("relation", "comparison")  # of all models together
# Tables of differences of a study, by what is compared: a measure, or the study's labels.
_COMPARED = {
    "concepts": ("concepts",),
    "published_labels": ("concepts",),
    "convexity": ("convexity", "alignment"),
    "pruning": ("convexity",),
}


def measures(study: Mapping) -> list[str]:
    """The measures of a study that the paper takes numbers from."""
    return [measure for measure in MEASURES[study["kind"]] if measured(study, measure)]


def measured(study: Mapping, measure: str) -> list[str]:
    """The models that a measure of a study is taken of; none where the study does not have it."""
    if not all(study.get(key) for key in _NEEDS.get((study["kind"], measure), ())):
        return []
    return models_of(study, MEASURES[study["kind"]].get(measure, "every"))


def stems(
    study: Mapping, measure: str, models: Sequence[str] | None = None, seed: int = 0
) -> list[str]:
    """Names of the tables of a measure, without folder and suffix, for `models` (or all)."""
    if measure in _ONE_TABLE:
        return ["all"]
    if measure == "differences":
        return [compared for compared in _COMPARED[study["kind"]] if measured(study, compared)]
    wanted = measured(study, measure)
    if models is not None:
        wanted = [model for model in models if model in wanted]
    if measure != "trained":
        return wanted
    together, end = study.get("seeds_per_job", 1), seed + study["seeds"]
    parts = [(first, min(first + together, end) - 1) for first in range(seed, end, together)]
    names = [f"{first}-{last}" if last > first else str(first) for first, last in parts]
    return [
        f"{model}.{task}.{part}" for model in wanted for task in study["tasks"] for part in names
    ]


def figure_names(study: Mapping) -> list[str]:
    """Names of the figures of a study, without the study's own name."""
    names = [
        name
        for name, entry in FIGURES.items()
        if study["kind"] in entry.kinds
        and models_of(study, entry.models)
        and all(study.get(key) for key in entry.needs)
    ]
    if study["kind"] in ("convexity", "pruning"):
        return [*names, "specimen"]
    pretrained = models_of(study, "pretrained")
    names += [f"scores_{model}" for model in pretrained]
    if study["kind"] == "concepts":
        names += [f"neurons_{model}" for model in pretrained] + ["specimen"]
    return names


def printed_figures(study: Mapping) -> list[str]:
    """Those of `figure_names` that the paper has too."""
    return [name for name in figure_names(study) if name not in FIGURES or FIGURES[name].printed]


def caption(name: str, level: str = r"\StrataLevel{}") -> str:
    """A sentence or two for a figure; `level` is how to write the intervals' level (LaTeX's)."""
    if name in FIGURES:
        return FIGURES[name].caption.format(level=level)
    return {
        "scores": "Scores of the labels by layer, with the median (line) and mean (dashes).",
        "neurons": "Top-activating pictures (of sounds, spectrograms of the whole sound) of the "
        "best-labelled neurons of each layer.",
        "specimen": "Samples of the data set.",
    }[name.partition("_")[0]]


# What the column `n` of a figure's table counts, by what is drawn; of means over networks, those.
_COUNTED = {
    "shares": "neurons of a layer",
    "counts": "neurons of a layer",
    "truth": "neurons of a layer",
    "scoreboard": "neurons of a layer",
    "convexity": "pairs of samples of a family",
    "euclidean": "pairs of samples",
    "alignment": "answers to triplets",
    "transforms": "answers to triplets, and pairs of samples",
    "selection+cuts": "pairs of samples of a task",
    "comparison": "seeds",
    "comparison+cost": "seeds",
    "trained+cuts": "seeds",
    "similarity": "samples",
    "cost": "networks",
    "timing": "repeats of what was timed",
    "mean_shares": "networks",
    "finetuned_shares": "networks",
    "finetuned_convexity": "pairs of samples of a family",
    "twin_shares": "neurons of a layer",
    "twin_convexity": "pairs of samples of a family",
    "twin_alignment": "answers to triplets",
    "heatmap": "labels in layers",
    "relation": "points",
    "concepts": "concepts of networks",
    "scores": "neurons",
    "neurons": "neurons shown",
    "specimen": "samples shown",
}


def counted(name: str) -> str:
    """What n is in a figure: what its table's column `n` counts, or else its rows."""
    entry = FIGURES.get(name)
    kind = name if entry else name.partition("_")[0]
    return _COUNTED.get(kind) or _COUNTED[entry.measure]
