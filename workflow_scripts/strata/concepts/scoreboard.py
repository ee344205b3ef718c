"""Planted truth above the labels: what is in a layer, and which way of labelling sees it.

A neuron's truth is its best planted factor (`strata.concepts.truth`), and the factor belongs to the
category of the words that name it. So a layer has category shares and a number of concepts by
truth, beside those by label of each similarity function, and for each category the share of its
neurons that a function labels rightly.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pandas as pd

from strata.concepts.quadrants import NEURONS, have_own_labels
from strata.concepts.truth import factor_auc, factor_indicators, varying_factors
from strata.stats import Estimate, percentile_interval, wilson_interval, without_interval
from strata.tables import blocks_passed

PLANTED = "planted"  # the way of labelling that is the truth itself
ANNOTATION = "annotation"  # the best factor on half of the samples, against the other half's
OTHER = "other"
_KEYS = ["model", "dataset", "layer", "layer_index", "block"]


def factor_categories(
    vocabulary: Mapping[str, Sequence[str]], categories: Mapping[str, Sequence[str]]
) -> dict[str, str]:
    """Category of every planted factor: the one that most of the words naming it are in.

    `vocabulary` gives the factors that a word names, `categories` the words of each category. Of
    equals the first category; "other" for a factor whose words are in none.
    """
    places = {word: name for name, words in reversed(categories.items()) for word in words}
    found: dict[str, Counter] = {}
    for word, factors in vocabulary.items():
        for factor in factors:
            found.setdefault(factor, Counter())[places.get(word, OTHER)] += 1
    order = [*categories, OTHER]
    return {
        factor: max(votes, key=lambda c: (c != OTHER, votes[c], -order.index(c)))
        for factor, votes in found.items()
    }


def annotated_halves(
    layers: Iterable[tuple[str, np.ndarray]],
    labels: pd.DataFrame,
    manifest: pd.DataFrame,
    vocabulary: Mapping[str, Sequence[str]],
    half: np.ndarray,
) -> pd.DataFrame:
    """The best factor of every neuron on one half of the samples as its label, on the other as its
    truth: how far the truth itself is to be had from so many samples.

    `layers` gives names and activations (samples, neurons), `labels` (a labels measure of the same
    model) says which neurons count, `half` (samples,) which samples the labels are from. Factors
    that do not vary in both halves are left out.
    """
    factors, present = factor_indicators(manifest, vocabulary)
    sides = half, ~half
    both = np.all([varying_factors(present[side]) for side in sides], axis=0)
    names = np.array(factors)[both]
    order = np.argsort(names)
    labels = labels[labels["concept"].notna()].assign(block=blocks_passed(labels))
    tables = []
    for name, activations in layers:
        own = labels[labels["layer"] == name].drop_duplicates("unit")
        units, best, auc = own["unit"].to_numpy(), [], []
        for side in sides if len(own) else ():
            found = factor_auc(activations[side][:, units], present[side][:, both])[:, order]
            best.append(names[order][found.argmax(axis=1)])
            auc.append(found.max(axis=1))
        if len(own):
            table = own[[*_KEYS, "unit"]].assign(metric=ANNOTATION, label=best[0], factor=best[1])
            tables.append(table.assign(score=auc[0], auc=auc[1], named=best[0] == best[1]))
    return pd.concat(tables, ignore_index=True)


def scoreboard(
    neurons: pd.DataFrame,
    vocabulary: Mapping[str, Sequence[str]],
    categories: Mapping[str, Sequence[str]],
    *,
    bootstrap: int = 1000,
    seed: int = 0,
) -> pd.DataFrame:
    """What is in each layer by planted truth, what each way of labelling makes of it, how often
    both agree.

    Parameters
    ----------
    neurons
        The table of neurons of `score_truth`: a row per neuron and way of labelling (`metric`),
        with its best planted `factor` and whether its label names it (`named`).
    vocabulary, categories
        Factors by word, words by category.

    Returns
    -------
    A measure with the column `similarity` (the way of labelling; "planted" for the truth) and the
    metrics, by category (`concept`) or for the layer (no concept):

    - category_share: share of neurons whose label (or planted factor) is of the category;
    - n_concepts: number of different labels (or planted factors) of a layer;
    - same_factor: share of the category's neurons, by truth, whose label names their factor;
    - same_category: share of them whose label is of the same category.

    Intervals are about neurons, given these samples: Wilson's for shares, bootstrap for numbers of
    concepts (`about`); none where neurons compete for concepts.
    """
    of_factor = factor_categories(vocabulary, categories)
    of_word = {word: name for name, words in reversed(categories.items()) for word in words}
    neurons = neurons.assign(
        block=blocks_passed(neurons),
        truly=neurons["factor"].map(of_factor),
        said=neurons["label"].map({**of_factor, **of_word}).fillna(OTHER),
    )
    rows = []
    for layer, part in neurons.groupby("layer", sort=False):
        keys = part.iloc[0][_KEYS].to_dict()
        one = part[part["metric"] != ANNOTATION].drop_duplicates("unit")
        truth = one.assign(label=one["factor"], said=one["truly"])
        ways = {PLANTED: truth} if len(truth) else {}
        ways |= dict(list(part.groupby("metric", sort=False)))
        for way, labelled in ways.items():
            found = _shares(labelled, list(categories), way)
            found += _count(labelled, way, bootstrap, seed)
            found += _agreements(labelled, list(categories), way) if way != PLANTED else []
            rows += [keys | {"layer": layer, "similarity": way, **row} for row in found]
    return pd.DataFrame(rows).assign(seed=seed, about=NEURONS)


def _share(hits: np.ndarray, way: str) -> Estimate:
    if way in (PLANTED, ANNOTATION) or have_own_labels(way):
        return wilson_interval(int(hits.sum()), len(hits))
    return without_interval(hits.mean())


def _shares(labelled: pd.DataFrame, categories: list[str], way: str) -> list[dict]:
    said = labelled["said"].to_numpy()
    names = [*categories, OTHER] if (said == OTHER).any() else categories
    return [
        {"concept": name, "metric": "category_share", "n": len(said)}
        | _share(said == name, way)._asdict()
        for name in names
    ]


def _count(labelled: pd.DataFrame, way: str, bootstrap: int, seed: int) -> list[dict]:
    """Drawing neurons again repeats some and so loses labels: the draws' spread is kept and their
    centre moved to the observed number. Neurons are drawn by label, not by their order."""
    codes = np.sort(pd.factorize(labelled["label"].sort_values())[0])
    value, low, high = float(codes.max() + 1), np.nan, np.nan
    if way in (PLANTED, ANNOTATION) or have_own_labels(way):
        picks = np.random.default_rng(seed).integers(len(codes), size=(bootstrap, len(codes)))
        draws = np.array([len(np.unique(codes[pick])) for pick in picks])
        low, high = percentile_interval(draws - draws.mean() + value, value)
        low = max(0.0, low)
    estimate = Estimate(value, low, high)
    return [{"concept": None, "metric": "n_concepts", "n": len(codes)} | estimate._asdict()]


def _agreements(labelled: pd.DataFrame, categories: list[str], way: str) -> list[dict]:
    rows = []
    for name in (None, *categories):
        mine = labelled if name is None else labelled[labelled["truly"] == name]
        if len(mine):
            for metric, hits in (
                ("same_factor", mine["named"].to_numpy()),
                ("same_category", (mine["said"] == mine["truly"]).to_numpy()),
            ):
                rows.append(
                    {"concept": name, "metric": metric, "n": len(mine)}
                    | _share(hits, way)._asdict()
                )
    return rows
