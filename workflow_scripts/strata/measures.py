"""Convexity and alignment of every layer of a model as measures (`strata.tables`).

Further columns: `family`, the concept family or the set of triplets that a row is about; `p_value`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from strata.alignment.accuracy import category_credits, item_means, mean_credit, triplet_credits
from strata.alignment.transforms import CrossValidated, Transform, cross_validate, fit_transform
from strata.convexity.euclidean import euclidean_convexity, linear_head_convexity
from strata.convexity.scores import GraphConvexity, above_chance, graph_convexity
from strata.data.answers import triplet_groups
from strata.errors import StrataError
from strata.stats import Estimate, percentile_interval
from strata.tables import check_measures

if TYPE_CHECKING:
    from strata.convexity.remainder import CutClassifier

Layers = Iterable[tuple[str, np.ndarray]]
Log = Callable[[str], None]
_NONE = Estimate(np.nan, np.nan, np.nan)


@dataclass(frozen=True)
class Judgements:
    """A set of triplets and where their items lie among the samples of a data set.

    `answers` has a, b, odd and count; `items` is each sample's item number, -1 for none; `members`
    the items' categories (boolean columns, perhaps none); `info` is the set's `dataset.json`.
    """

    name: str
    answers: pd.DataFrame
    items: np.ndarray
    n_items: int
    members: pd.DataFrame
    info: Mapping

    @classmethod
    def of(
        cls, manifest: pd.DataFrame, answers: pd.DataFrame, info: Mapping, linked: pd.Series
    ) -> Judgements:
        """Join the set's items (`manifest`) to samples, whose item names `linked` holds.

        Raises StrataError for an item without any sample.
        """
        numbers = {name: i for i, name in enumerate(manifest["item"].astype(str))}
        items = linked.astype(str).map(numbers).fillna(-1).astype(int).to_numpy()
        missing = sorted(set(range(len(numbers))) - set(items.tolist()))
        if missing:
            name = manifest["item"].iloc[missing[0]]
            raise StrataError(f"{info['name']}: item {name!r} has no picture in {info['images']}")
        families = manifest.drop(columns=["sample", "split", "index", "item"])
        members = _members(families)
        return cls(info["name"], answers, items, len(numbers), members, info)

    @property
    def rows(self) -> np.ndarray:
        """Triplets (answers, 3), repeated as often as the answer was given."""
        return np.repeat(
            self.answers[["a", "b", "odd"]].to_numpy(), self.answers["count"].to_numpy(), axis=0
        )


def _members(families: pd.DataFrame) -> pd.DataFrame:
    """Categories as boolean columns: boolean families as they are, others as "family=value"."""
    columns = {}
    for name, values in families.items():
        if values.dtype == bool:
            columns[name] = values
        else:
            columns |= {f"{name}={value}": values == value for value in sorted(set(values))}
    return pd.DataFrame(columns, index=families.index)


def open_judgements(
    files: Sequence[str], columns: Mapping[str, str], pictures: pd.DataFrame
) -> list[Judgements]:
    """Sets of triplets from their `triplets.parquet` files, beside which the other two lie.

    `columns` maps a set's name to the column of `pictures` that holds its items' names.
    """
    found = []
    for file in map(Path, files):
        info = json.loads((file.parent / "dataset.json").read_text())
        items = pd.read_parquet(file.parent / "manifest.parquet")
        linked = pictures[columns[info["name"]]]
        found.append(Judgements.of(items, pd.read_parquet(file), info, linked))
    return found


def _row(layer: int, name: str, family: str, metric: str, found: Estimate, n: int, **more) -> dict:
    keys = {"layer": name, "layer_index": layer, "family": family, "metric": metric, "n": n}
    return keys | {"concept": None, "p_value": np.nan} | found._asdict() | more


def _finish(rows: list[dict], model: str, dataset: str, seed: int) -> pd.DataFrame:
    table = pd.DataFrame(rows).assign(model=model, dataset=dataset, seed=seed)
    return check_measures(table, f"measures of {model}")


# --- convexity ----------------------------------------------------------------------------------


def convexity_measures(
    layers: Layers,
    labels: pd.DataFrame,
    *,
    model: str,
    dataset: str,
    n_neighbors: int = 10,
    pairs: str | int = "all",
    permutations: int = 0,
    bootstrap: int = 1000,
    seed: int = 0,
    log: Log = print,
) -> pd.DataFrame:
    """Graph convexity of every family (column of `labels`) in every layer.

    Metrics: graph_convexity (mean over pairs), graph_convexity_concepts (mean over concepts),
    graph_convexity_normalised, chance, unreachable, hubness; and graph_convexity_concept with its
    concept_chance for each concept. Errors as for `graph_convexity`, with the place named.
    """
    rows = []
    options = {"bootstrap": bootstrap, "permutations": permutations, "seed": seed}
    for layer, (name, features) in enumerate(layers):
        for family in labels:
            try:
                found = graph_convexity(features, labels[family], n_neighbors, pairs, **options)
            except StrataError as error:
                raise StrataError(f"{model}, layer {name}, {family}: {error}") from None
            rows += _convexity_rows(layer, name, family, found)
        log(f"{name}: convexity of {', '.join(labels)}")
    return _finish(rows, model, dataset, seed)


def _convexity_rows(layer: int, name: str, family: str, found: GraphConvexity) -> list[dict]:
    place, n = (layer, name, family), found.n_pairs
    mean = Estimate(found.mean, found.low, found.high)
    scaled = [float(above_chance(x, found.chance)) for x in mean]
    concepts = Estimate(found.mean_over_concepts, found.concepts_low, found.concepts_high)
    rows = [
        _row(*place, "graph_convexity", mean, n, p_value=found.p_value),
        _row(*place, "graph_convexity_concepts", concepts, n),
        _row(*place, "graph_convexity_normalised", Estimate(*scaled), n, p_value=found.p_value),
    ]
    for metric in ("chance", "unreachable", "hubness"):
        rows.append(_row(*place, metric, _NONE._replace(value=getattr(found, metric)), n))
    for concept in found.concepts.itertuples():
        own = {"concept": str(concept.concept), "p_value": concept.p_value}
        value = Estimate(concept.value, concept.low, concept.high)
        chance = _NONE._replace(value=concept.chance)
        rows.append(_row(*place, "graph_convexity_concept", value, concept.n_pairs, **own))
        rows.append(_row(*place, "concept_chance", chance, concept.n_pairs, **own))
    return rows


def euclidean_measures(
    classifier: CutClassifier,
    pictures: Sequence,
    labels: pd.Series,
    *,
    model: str,
    dataset: str,
    family: str,
    pairs: str | int = 5000,
    points: int = 10,
    bootstrap: int = 1000,
    seed: int = 0,
    log: Log = print,
) -> pd.DataFrame:
    """Euclidean convexity of a classifier's own classes from every layer to its answer.

    Metrics: euclidean_convexity (tokens or maps interpolated behind the layer and classified by the
    rest of the network), and for what enters the last linear layer, in the row of the last layer,
    head_sampled (by `points`) and head_exact.

    Raises StrataError for a label that is none of the classes, besides those of the measures.
    """
    unknown = sorted(set(labels) - set(classifier.classes))
    if unknown:
        raise StrataError(f"{model}: {family} {unknown[0]!r} is none of its classes")
    options = {"pairs": pairs, "bootstrap": bootstrap, "seed": seed}
    layers, pooled = classifier.states(pictures)
    rows, labels = [], labels.tolist()
    for layer, (name, states) in enumerate(zip(classifier.layers, layers, strict=True)):
        found = euclidean_convexity(
            states, labels, partial(classifier.classify_from, layer), points=points, **options
        )
        rows.append(_euclidean_row(layer, name, family, "euclidean_convexity", found))
        log(f"{name}: Euclidean convexity {found.mean:.3f}")
    weights, bias, classes = classifier.head_weights, classifier.head_bias, classifier.classes

    def answer(between):
        return [classes[i] for i in (between @ weights.T + bias).argmax(axis=1)]

    sampled = euclidean_convexity(pooled, labels, answer, points=points, **options)
    exact = linear_head_convexity(pooled, labels, weights, bias, classes, **options)
    rows.append(_euclidean_row(layer, name, family, "head_sampled", sampled))
    rows.append(_euclidean_row(layer, name, family, "head_exact", exact))
    return _finish(rows, model, dataset, seed)


def _euclidean_row(layer: int, name: str, family: str, metric: str, found) -> dict:
    return _row(
        layer, name, family, metric, Estimate(found.mean, found.low, found.high), found.n_pairs
    )


# --- alignment ----------------------------------------------------------------------------------


def alignment_measures(
    layers: Layers,
    judgements: Sequence[Judgements],
    *,
    model: str,
    dataset: str,
    similarity: str = "cosine",
    bootstrap: int = 1000,
    seed: int = 0,
    log: Log = print,
) -> pd.DataFrame:
    """Accuracy of every layer on sets of triplets; an item is the mean of its pictures.

    Metrics: accuracy, accuracy_category (concept = category), and for reference chance,
    noise_ceiling and noise_ceiling_lower, the same in every layer.
    """
    rows = []
    prepared = [(each, each.rows) for each in judgements]
    groups = [triplet_groups(triplets, each.info["task"]) for each, triplets in prepared]
    options = {"bootstrap": bootstrap, "seed": seed}
    for layer, (name, features) in enumerate(layers):
        for (each, triplets), group in zip(prepared, groups, strict=True):
            place, task = (layer, name, each.name), each.info["task"]
            means = item_means(features, each.items, each.n_items)
            try:
                credits = triplet_credits(means, triplets, similarity, task)
            except StrataError as error:
                raise StrataError(f"{model}, layer {name}, {each.name}: {error}") from None
            found = mean_credit(credits, group, **options)
            rows.append(_row(*place, "accuracy", found, len(triplets)))
            rows += _references(place, each, len(triplets))
            by_category = category_credits(credits, triplets, each.members, task=task, **options)
            for found in by_category.itertuples():
                value = Estimate(found.value, found.low, found.high)
                more = {"concept": found.category}
                rows.append(_row(*place, "accuracy_category", value, found.n, **more))
        log(f"{name}: alignment with {', '.join(each.name for each in judgements)}")
    return _finish(rows, model, dataset, seed)


def _references(place: tuple, judgements: Judgements, n: int) -> list[dict]:
    """Chance and noise ceiling, where there is one."""
    info = judgements.info
    rows = [_row(*place, "chance", _NONE._replace(value=info["chance"]), n)]
    if info.get("noise_ceiling"):
        for key, metric in (("upper", "noise_ceiling"), ("lower", "noise_ceiling_lower")):
            rows.append(_row(*place, metric, Estimate(*info["noise_ceiling"][key]), n))
    return rows


# --- alignment optimised ------------------------------------------------------------------------


def transform_measures(
    layers: Layers,
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
    similarity: str = "cosine",
    n_neighbors: int = 10,
    pairs: str | int = "all",
    bootstrap: int = 1000,
    seed: int = 0,
    log: Log = print,
) -> pd.DataFrame:
    """What fitting a linear transform to the triplets does to alignment and convexity.

    For each layer, set of triplets and method (`transform`, a further column): accuracy_before and
    accuracy_after on triplets of items that took no part in the fit, and the graph convexity of
    each family (`concept`) before and after a transform fitted to all triplets, with the median of
    the regularisations that the folds chose; `scored` marks the samples it is measured on (all).
    """
    rows = []
    scoring = {"n_neighbors": n_neighbors, "pairs": pairs, "bootstrap": bootstrap, "seed": seed}
    search = {"grid": grid, "folds": folds, "similarity": similarity, "seed": seed}
    for layer, (name, features) in enumerate(layers):
        features = np.asarray(features, dtype=np.float64)
        chosen = slice(None) if scored is None else scored
        before = _convexities(features[chosen], labels[chosen], scoring)
        for each, method in product(judgements, methods):
            fitting = {"alpha": alpha, "temperature": temperature, "task": each.info["task"]}
            tested, fitted = _optimised(features, each, method, fitting, search)
            place, more = (layer, name, each.name), {"transform": method}
            rows += _tested_rows(place, each, tested, more, {"bootstrap": bootstrap, "seed": seed})
            after = _convexities(fitted(features[chosen]), labels[chosen], scoring)
            rows += _changed_rows(place, before, after, more)
        log(f"{name}: {', '.join(methods)}")
    return _finish(rows, model, dataset, seed)


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
    tested = cross_validate(means, triplets, method, counts=counts, **search, **fitting)
    chosen = float(np.median(tested.chosen))
    fitted = fit_transform(means, triplets, method, counts=counts, regularisation=chosen, **fitting)
    return tested, fitted


def _tested_rows(place, judgements, tested, more, options) -> list[dict]:
    """Accuracy on unseen items before and after, repeats counted."""
    repeats = judgements.answers["count"].to_numpy()[tested.triplets]
    triplets = judgements.answers[["a", "b", "odd"]].to_numpy()[tested.triplets]
    groups = np.repeat(triplet_groups(triplets, judgements.info["task"]), repeats)
    rows = []
    for metric, credits in (("before", tested.before), ("after", tested.credits)):
        found = mean_credit(np.repeat(credits, repeats), groups, **options)
        rows.append(_row(*place, f"accuracy_{metric}", found, len(groups), **more))
    return rows


def _changed_rows(place, before: Mapping, after: Mapping, more: Mapping) -> list[dict]:
    """Convexity of each family before and after."""
    rows = []
    for family, old in before.items():
        for metric, found in (("before", old), ("after", after[family])):
            value = Estimate(found.mean, found.low, found.high)
            own = {"concept": family, **more}
            rows.append(_row(*place, f"graph_convexity_{metric}", value, found.n_pairs, **own))
    return rows


# --- convexity against alignment ----------------------------------------------------------------


def relation_measures(
    convexity: pd.DataFrame,
    alignment: pd.DataFrame,
    groups: Mapping[str, Sequence[str]],
    *,
    bootstrap: int = 1000,
    seed: int = 0,
) -> pd.DataFrame:
    """Correlation of convexity with alignment over the layers of models.

    `groups` names sets of models. For each group, family of concepts and set of triplets (column
    `triplets`): correlation (Spearman) and partial_correlation given relative depth, with intervals
    by a bootstrap that draws models and keeps their layers together, as a model's layers are no
    independent draws; a group of one model has none. A correlation that is not defined, because
    one side does not vary (or not beyond depth), has no row.
    """
    points = relation_points(convexity, alignment)
    rows = []
    for group, models in groups.items():
        for (family, triplets), part in points.groupby(["family", "triplets"], sort=False):
            part = part[part["model"].isin(list(models))]
            if len(part) < 4:
                continue
            for metric, controlled in (("correlation", False), ("partial_correlation", True)):
                found = _clustered_correlation(part, controlled, bootstrap, seed)
                if np.isnan(found.value):
                    continue
                row = _row(0, "all", family, metric, found, len(part), triplets=triplets)
                rows.append(row | {"model": group, "dataset": part["dataset"].iloc[0]})
    if not rows:
        raise StrataError(
            "convexity cannot be related to alignment: that needs four layers or more, and both to "
            "vary over them"
        )
    return check_measures(pd.DataFrame(rows).assign(seed=seed), "relation")


def relation_points(convexity: pd.DataFrame, alignment: pd.DataFrame) -> pd.DataFrame:
    """A row per model, layer, family and set of triplets: convexity, accuracy, relative depth."""
    keys = ["model", "dataset", "layer", "layer_index"]
    left = convexity[convexity["metric"] == "graph_convexity"]
    left = left[[*keys, "family", "value"]].rename(columns={"value": "convexity"})
    right = alignment[alignment["metric"] == "accuracy"]
    right = right[[*keys, "family", "value"]]
    right = right.rename(columns={"value": "accuracy", "family": "triplets"})
    points = left.merge(right, on=keys)
    deepest = points.groupby("model")["layer_index"].transform("max").clip(lower=1)
    return points.assign(relative_depth=points["layer_index"] / deepest)


def _rank_correlation(points: np.ndarray, controlled: bool) -> float:
    """Spearman's correlation of the first two columns, perhaps given the third (depth)."""
    from scipy.stats import rankdata

    ranks = rankdata(points, axis=0)
    x, y, depth = (ranks - ranks.mean(axis=0)).T
    if controlled and depth.any():
        x, y = (v - depth * (v @ depth) / (depth @ depth) for v in (x, y))
    length = np.sqrt((x @ x) * (y @ y))
    return float(x @ y / length) if length > 1e-9 else np.nan


def _clustered_correlation(
    part: pd.DataFrame, controlled: bool, bootstrap: int, seed: int
) -> Estimate:
    columns = ["convexity", "accuracy", "relative_depth"]
    value = _rank_correlation(part[columns].to_numpy(), controlled)
    models = [rows[columns].to_numpy() for _, rows in part.groupby("model", sort=False)]
    if np.isnan(value) or len(models) < 2:
        return Estimate(value, np.nan, np.nan)
    draw = np.random.default_rng(seed)
    drawn = np.empty(bootstrap)
    for number in range(bootstrap):
        chosen = draw.integers(len(models), size=len(models))
        drawn[number] = _rank_correlation(np.concatenate([models[i] for i in chosen]), controlled)
    return Estimate(value, *percentile_interval(drawn))
