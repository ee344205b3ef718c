"""All that the atlas shows of a study: what its models share, and each model by itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from strata.atlas.layers import layers_data
from strata.atlas.neurons import PLANTED, neurons_data, vocabulary_of
from strata.atlas.samples import Samples
from strata.concepts.scoreboard import factor_categories
from strata.data.words import shown_categories

Tables = Mapping[str, Mapping[str, pd.DataFrame]]  # by measure, then by model
_OF_NEURONS = ("portraits", "nearest", "histograms")
_OF_LAYERS = ("convexity", "alignment", "cuts")


def study_data(
    study: Mapping,
    names: Mapping[str, str],
    tables: Tables,
    samples: Samples | None,
    concepts: Sequence[str] = (),
    categories: Mapping[str, Sequence[str]] | None = None,
) -> tuple[dict, dict[str, dict]]:
    """What the models of a study share, and what is told of each: (study, {model: data}).

    `names` are the models' display names; `samples` the study's (None: released labels have none),
    `concepts` the words that could be labels, `categories` those of words and planted factors.
    Measures by table: labels, truth, portraits, nearest, histograms; or neighbors, convexity,
    alignment, cuts, comparison ("all").
    """
    told = {"kind": study["kind"], "title": study["title"], "alpha": study.get("alpha", 0.05)}
    told["models"] = [[model, names.get(model, model)] for model in study["models"]]
    if "labels" not in tables:
        return told, _layers(study, tables, samples)
    truth = tables.get("truth", {})
    labels = {
        model: pd.concat([own, _as_labels(truth[model])]) if model in truth else own
        for model, own in tables["labels"].items()
    }
    told |= vocabulary_of(pd.concat(labels.values()), concepts, categories or {})
    models = {}
    for model in study["models"]:
        own = {name: tables[name][model] for name in _OF_NEURONS if name in tables}
        models[model] = neurons_data(
            labels[model], told["words"], samples, categories=categories or {}, **own
        )
    return told, models


def shown_words(
    categories: Mapping[str, Sequence[str]], vocabulary: Mapping[str, Sequence[str]] | None = None
) -> dict[str, list[str]]:
    """Words of the categories that figures show, and of a vocabulary the factors they name."""
    shown = {name: list(categories[name]) for name in shown_categories(categories)}
    for factor, category in factor_categories(vocabulary or {}, categories).items():
        shown.get(category, []).append(factor)
    return shown


def _as_labels(truth: pd.DataFrame) -> pd.DataFrame:
    """Planted factors as labels of a further function, their score the area under the ROC curve."""
    rows = truth[truth["metric"] == truth["metric"].iloc[0]]
    keys = rows[["model", "layer", "layer_index", "unit"]]
    return keys.assign(concept=rows["factor"], metric=PLANTED, value=rows["auc"])


def _layers(study: Mapping, tables: Tables, samples: Samples | None) -> dict[str, dict]:
    comparison = tables.get("comparison", {}).get("all")
    models = {}
    for model in study["models"]:
        own = {name: tables.get(name, {}).get(model) for name in _OF_LAYERS}
        if comparison is not None:
            own["comparison"] = comparison[comparison["model"] == model]
        models[model] = layers_data(tables["neighbors"][model], samples, **own)
    return models
