"""What optimising alignment does to alignment and convexity, as measures."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import product, zip_longest
from typing import NamedTuple

import numpy as np
import pandas as pd

from strata.alignment.accuracy import Answers, item_means, triplet_credits
from strata.alignment.judgements import Judgements
from strata.alignment.transforms import (
    CrossValidated,
    Transform,
    cross_validate,
    fit_transform,
    item_folds,
)
from strata.convexity.halved import halves_in_order
from strata.convexity.scores import graph_convexity
from strata.errors import StrataError
from strata.intervals import deviate_interval
from strata.stats import Estimate
from strata.tables import DEVIATES, finish_measures, layer_row


class _Convexity(NamedTuple):
    """Graph convexity of a family, its deviates on random halves and the number of pairs."""

    estimate: Estimate
    deviates: np.ndarray | float
    n_pairs: int


def transform_measures(
    layers: Iterable[tuple[str, np.ndarray]],
    labels: pd.DataFrame,
    judgements: Sequence[Judgements],
    *,
    model: str,
    dataset: str,
    scored: np.ndarray | None = None,
    methods: Sequence[str],
    grid: Sequence[float],
    folds: int = 3,
    alpha: float = 0.1,
    temperature: float = 0.1,
    centre: str = "dimension",
    local: Iterable[tuple[str, Sequence[np.ndarray]]] | None = None,
    similarity: str = "cosine",
    n_neighbors: int = 10,
    pairs: str | int = "all",
    halves: int = 10,
    order: np.ndarray | None = None,
    before: pd.DataFrame | None = None,
    seed: int = 0,
    log: Callable[[str], None] = print,
) -> pd.DataFrame:
    """What fitting a linear transform to the triplets does to alignment and convexity.

    `local` has for each layer, under the same name, the batches of pictures whose neighborhoods
    gLocal keeps (`strata.alignment.local`; without it those of the judged items). Raises
    StrataError for local pictures of other layers, besides the errors of `cross_validate`.

    For each layer, set of triplets and method (`transform`, a further column): accuracy_before and
    accuracy_after on triplets of items that took no part in the fit, and the graph convexity of
    each family (`concept`) before and after a transform fitted to all triplets, with the median of
    the regularisations that the folds chose; `scored` marks the samples it is measured on (all),
    less those that have no label.
    accuracy_gain and graph_convexity_gain are the differences, paired. Intervals of accuracy speak
    about new items for the transforms of the folds, those of convexity about new samples
    (`halves`, drawn in `order`, as `strata.data.splits.sample_order` has it) for the fitted one:
    another set of answers would fit another. A layer in which all items are the same, as a class
    token before the first block, stays as it is.

    `before` has what is known of the convexity before: the measures of
    `strata.convexity.families.study_convexity` for the same samples and options, with their
    deviates (`strata.differences.with_deviates`); without it that is measured here, too. Raises
    StrataError where a layer or family is missing in it.
    """
    rows = []
    scoring = {"n_neighbors": n_neighbors, "pairs": pairs, "seed": seed}
    search = {"grid": grid, "folds": folds, "similarity": similarity, "seed": seed}
    chosen = np.ones(len(labels), bool) if scored is None else np.asarray(scored, bool)
    own = {f: chosen & labels[f].notna().to_numpy() for f in labels}
    cut = {f: _same_halves(labels[f], own[f], halves, order, seed) for f in labels}
    for layer, (name, features, batches) in enumerate(_with_local(layers, local, model)):
        features = np.asarray(features, dtype=np.float64)
        old = _known(before, name, labels, model) if before is not None else None
        old = old or _convexities(features, labels, own, cut, scoring)
        for each, method in product(judgements, methods):
            fitting = {"alpha": alpha, "temperature": temperature, "task": each.info["task"]}
            fitting |= {"centre": centre, "local": batches if method == "glocal" else None}
            tested, fitted = _optimised(features, each, method, fitting, search)
            place, more = (layer, name, each.name), {"transform": method}
            rows += _tested_rows(place, each, tested, more)
            after = _convexities(fitted(features), labels, own, cut, scoring)
            rows += _changed_rows(place, old, after, more)
        log(f"{name}: {', '.join(methods)}")
    return finish_measures(rows, model, dataset, seed)


def _with_local(layers: Iterable, local: Iterable | None, model: str) -> Iterator[tuple]:
    """Name, features and local batches (None without any) of one layer after the other."""
    if local is None:
        yield from ((name, features, None) for name, features in layers)
        return
    for here, there in zip_longest(layers, local, fillvalue=("", None)):
        if here[0] != there[0]:
            raise StrataError(
                f"{model}: the judged pictures have layer {here[0]!r} where the local images have "
                f"{there[0]!r}"
            )
        yield (*here, there[1])


def _same_halves(labels, chosen, halves, order, seed) -> np.ndarray:
    """The halves of a family's chosen samples, the same before and after and in all layers."""
    order = np.arange(len(labels)) if order is None else np.asarray(order)
    place = np.cumsum(chosen) - 1
    kept = place[order[chosen[order]]]
    return halves_in_order(labels[chosen], halves, kept, seed)


def _convexities(
    features: np.ndarray, labels: pd.DataFrame, own: Mapping, cut: Mapping, options: Mapping
) -> dict[str, _Convexity]:
    """Graph convexity of each family, on its `own` samples (booleans)."""
    options, scores = {**options, "shared": {}}, {}
    for family, rows in own.items():
        found = graph_convexity(features[rows], labels[family][rows], halves=cut[family], **options)
        estimate = Estimate(found.mean, found.low, found.high)
        scores[family] = _Convexity(estimate, found.deviates["mean"], found.n_pairs)
    return scores


def _known(
    before: pd.DataFrame, layer: str, families: Iterable[str], model: str
) -> dict[str, _Convexity]:
    """What measures say of a layer's convexity."""
    rows = before[(before["layer"] == layer) & (before["metric"] == "graph_convexity")]
    rows = rows.set_index("family")
    missing = [family for family in families if family not in rows.index]
    if missing:
        raise StrataError(f"{model}: no convexity of {missing[0]!r} in layer {layer} is known")
    scores = {}
    for family in families:
        row = rows.loc[family]
        estimate = Estimate(row["value"], row["low"], row["high"])
        scores[family] = _Convexity(estimate, row[DEVIATES], row["n"])
    return scores


def _optimised(
    features: np.ndarray, judgements: Judgements, method: str, fitting: Mapping, search: Mapping
) -> tuple[CrossValidated, Transform]:
    """Cross-validated accuracies of a method, and the transform fitted to all triplets."""
    means = item_means(features, judgements.items, judgements.n_items)
    triplets = judgements.answers[["a", "b", "odd"]].to_numpy()
    counts = judgements.answers["count"].to_numpy()
    if (means == means[0]).all():
        return _as_it_is(means, triplets, fitting["task"], search)
    named = {"counts": counts, "names": judgements.names}
    tested = cross_validate(means, triplets, method, **named, **search, **fitting)
    chosen = float(np.median(tested.chosen))
    fitted = fit_transform(means, triplets, method, counts=counts, regularisation=chosen, **fitting)
    return tested, fitted


def _as_it_is(
    means: np.ndarray, triplets: np.ndarray, task: str, search: Mapping
) -> tuple[CrossValidated, Transform]:
    """What `_optimised` gives for items that no transform can tell apart."""
    fold_of = item_folds(len(means), search["folds"], search["seed"])[triplets]
    inside = np.flatnonzero((fold_of == fold_of[:, :1]).all(axis=1))
    credits = triplet_credits(means, triplets[inside], search["similarity"], task)
    size = means.shape[1]
    tested = CrossValidated(inside, credits, credits, (max(search["grid"]),) * search["folds"])
    return tested, Transform(np.zeros(size), 1.0, np.eye(size), np.zeros(size))


def _tested_rows(place, judgements, tested, more) -> list[dict]:
    """Accuracy on unseen items before and after, and the gain."""
    given = judgements.answers.iloc[tested.triplets]
    answers = Answers(given[["a", "b", "odd"]].to_numpy(), given["count"].to_numpy())
    found = {
        "before": answers.mean(tested.before),
        "after": answers.mean(tested.credits),
        "gain": answers.difference(tested.credits, tested.before),
    }
    return [
        layer_row(*place, f"accuracy_{metric}", value, answers.n, **more)
        for metric, value in found.items()
    ]


def _changed_rows(place, before: Mapping, after: Mapping, more: Mapping) -> list[dict]:
    """Convexity of each family before and after, and the gain."""
    rows = []
    for family, old in before.items():
        new = after[family]
        gained = new.estimate.value - old.estimate.value
        gain = deviate_interval(gained, new.deviates - old.deviates)
        found = {"before": old.estimate, "after": new.estimate, "gain": gain}
        own = {"concept": family, **more}
        rows += [
            layer_row(*place, f"graph_convexity_{metric}", value, new.n_pairs, **own)
            for metric, value in found.items()
        ]
    return rows
