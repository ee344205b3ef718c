"""What optimising alignment does to alignment and convexity, as measures."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import product, zip_longest

import numpy as np
import pandas as pd

from strata.alignment.accuracy import item_means, mean_credit, triplet_credits
from strata.alignment.judgements import Judgements
from strata.alignment.transforms import (
    CrossValidated,
    Transform,
    cross_validate,
    fit_transform,
    item_folds,
)
from strata.convexity.scores import graph_convexity
from strata.data.answers import triplet_groups
from strata.errors import StrataError
from strata.stats import Estimate
from strata.tables import finish_measures, layer_row


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
    bootstrap: int = 1000,
    halves: int | np.ndarray = 10,
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
    the regularisations that the folds chose; `scored` marks the samples it is measured on (all). A
    layer in which all items are the same, as a class token before the first block, stays as it is.
    """
    rows = []
    scoring = {"n_neighbors": n_neighbors, "pairs": pairs, "halves": halves, "seed": seed}
    search = {"grid": grid, "folds": folds, "similarity": similarity, "seed": seed}
    for layer, (name, features, batches) in enumerate(_with_local(layers, local, model)):
        features = np.asarray(features, dtype=np.float64)
        chosen = slice(None) if scored is None else scored
        before = _convexities(features[chosen], labels[chosen], scoring)
        for each, method in product(judgements, methods):
            fitting = {"alpha": alpha, "temperature": temperature, "task": each.info["task"]}
            fitting |= {"centre": centre, "local": batches if method == "glocal" else None}
            tested, fitted = _optimised(features, each, method, fitting, search)
            place, more = (layer, name, each.name), {"transform": method}
            rows += _tested_rows(place, each, tested, more, {"bootstrap": bootstrap, "seed": seed})
            after = _convexities(fitted(features[chosen]), labels[chosen], scoring)
            rows += _changed_rows(place, before, after, more)
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


def _convexities(features: np.ndarray, labels: pd.DataFrame, options: Mapping) -> dict:
    """Graph convexity of each family."""
    return {family: graph_convexity(features, labels[family], **options) for family in labels}


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


def _tested_rows(place, judgements, tested, more, options) -> list[dict]:
    """Accuracy on unseen items before and after, repeats counted."""
    repeats = judgements.answers["count"].to_numpy()[tested.triplets]
    triplets = judgements.answers[["a", "b", "odd"]].to_numpy()[tested.triplets]
    groups = np.repeat(triplet_groups(triplets, judgements.info["task"]), repeats)
    rows = []
    for metric, credits in (("before", tested.before), ("after", tested.credits)):
        found = mean_credit(np.repeat(credits, repeats), groups, **options)
        rows.append(layer_row(*place, f"accuracy_{metric}", found, len(groups), **more))
    return rows


def _changed_rows(place, before: Mapping, after: Mapping, more: Mapping) -> list[dict]:
    """Convexity of each family before and after."""
    rows = []
    for family, old in before.items():
        for metric, found in (("before", old), ("after", after[family])):
            value = Estimate(found.mean, found.low, found.high)
            own = {"concept": family, **more}
            rows.append(layer_row(*place, f"graph_convexity_{metric}", value, found.n_pairs, **own))
    return rows
