"""Labels against planted truth: does a dissection name the factor that a neuron tells best?

On Microworld every picture's factors are known. A neuron's best factor is the value of a factor
family ("texture=striped") whose presence its activation tells best, by the area under the ROC curve
(AUC): the chance that a picture with the factor activates the neuron more than one without.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np
import pandas as pd

from strata.concepts.quadrants import BOTH, NEURONS, have_own_labels, quadrants
from strata.dissect.annotation_ranks import masks_of
from strata.errors import StrataError
from strata.intervals import deviate_interval, deviates
from strata.stats import Estimate, bootstrap_interval, wilson_interval, without_interval
from strata.tables import blocks_passed

STRONG_AUC = 0.75  # "names_any_factor_above": the neuron clearly tells what its label says


_NEURONS = 256  # ranked at a time


def factor_indicators(
    manifest: pd.DataFrame, vocabulary: Mapping[str, Sequence[str]]
) -> tuple[list[str], np.ndarray]:
    """The planted factors that the vocabulary names, and which sample has which.

    Returns names (factors,) and 1 or 0 (samples, factors), NaN for samples without a label in the
    factor's family; factors that all or no samples have are left out. Raises StrataError for a
    family that the manifest does not have.
    """
    names = list(dict.fromkeys(factor for factors in vocabulary.values() for factor in factors))
    columns = []
    for name in names:
        family, _, value = name.partition("=")
        if family not in manifest:
            raise StrataError(f"vocabulary: the data set has no factor family {family!r}")
        has = (manifest[family] == value).to_numpy(dtype=np.float32)
        columns.append(np.where(manifest[family].isna(), np.float32(np.nan), has))
    present = np.stack(columns, axis=1)
    varying = varying_factors(present)
    return [n for n, v in zip(names, varying, strict=True) if v], present[:, varying]


def varying_factors(present: np.ndarray) -> np.ndarray:
    """Which factors some samples have and others lack."""
    return (present == 1).any(axis=0) & (present == 0).any(axis=0)


def factor_auc(activations: np.ndarray, present: np.ndarray) -> np.ndarray:
    """AUC (neurons, factors) of every neuron for every factor; ties count half.

    `activations` is (samples, neurons), `present` (samples, factors) 1 or 0, NaN for samples that
    take no part. AUC is the Mann-Whitney statistic over the number of pairs, from ranks.
    """
    masks, found = masks_of(present), np.empty((activations.shape[1], present.shape[1]))
    for start in range(0, activations.shape[1], _NEURONS):
        block = np.asarray(activations[:, start : start + _NEURONS]).T
        for mask in masks:
            found[start : start + _NEURONS, mask.places] = mask.deviations(block).auc
    return found


def neuron_truth(
    labels: pd.DataFrame,
    auc: np.ndarray,
    factors: Sequence[str],
    vocabulary: Mapping[str, Sequence[str]],
) -> pd.DataFrame:
    """The planted truth beside the labels of one layer.

    `labels` has unit, concept and metric (the similarity function); `auc` is (neurons, factors).
    Returned are these with factor (the best; of equals the first by name), auc (its AUC), named
    (the label names it) and label_auc (the highest AUC of the factors that the label names; NaN
    where it names none). Neurons without a label are left out.
    """
    numbers = {factor: i for i, factor in enumerate(factors)}
    labels = labels[labels["concept"].notna()]
    units = labels["unit"].to_numpy()
    by_name = np.argsort(factors)
    best = by_name[auc[:, by_name].argmax(axis=1)][units]
    named = [[numbers[f] for f in vocabulary.get(w, ()) if f in numbers] for w in labels["concept"]]
    return labels.assign(
        factor=[factors[i] for i in best],
        auc=auc[units, best],
        named=[b in own for b, own in zip(best, named, strict=True)],
        label_auc=[
            auc[unit, own].max() if own else np.nan for unit, own in zip(units, named, strict=True)
        ],
    )


def chance_of_naming(neurons: pd.DataFrame, vocabulary: Mapping[str, Sequence[str]]) -> float:
    """Expected share of named factors when the layer's labels are dealt out again at random."""
    labels = neurons["concept"].value_counts(normalize=True)
    factors = neurons["factor"].value_counts(normalize=True)
    return float(
        sum(
            share * factors.get(factor, 0.0)
            for word, share in labels.items()
            for factor in vocabulary.get(word, ())
        )
    )


def score_truth(
    labels: pd.DataFrame,
    layers: Iterable[tuple[str, np.ndarray]],
    manifest: pd.DataFrame,
    vocabulary: Mapping[str, Sequence[str]],
    half_labels: pd.DataFrame | None = None,
    halves: np.ndarray | None = None,
    *,
    bootstrap: int = 1000,
    seed: int = 0,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """How often each similarity function names the planted truth, by layer.

    Parameters
    ----------
    labels
        A labels measure of one model.
    layers
        Name and activations (samples, neurons) of its layers.
    manifest
        Factors of the samples.
    half_labels, halves
        Labels on halves of the samples (`strata.dissect.label_halves`) and the halves (splits,
        samples): with them intervals about pictures and neurons, and `deviates`, of mean_best_auc
        and, where a label is a neuron's own (`quadrants`), of the main function's other shares.
        The column `about` says so; other intervals are about neurons.

    Returns
    -------
    The measure, with the similarity function as `concept` and the metrics names_best_factor (share
    of neurons whose label names their best factor; Wilson interval, none where neurons compete for
    concepts and it does not cover), names_any_factor_above (whose label names some factor with AUC
    of at least `STRONG_AUC`), mean_best_auc (bootstrap interval)
    and chance (`chance_of_naming`); and the table of neurons behind it, with the AUC as `value` and
    the best factor as `concept`.
    """
    factors, present = factor_indicators(manifest, vocabulary)
    labels = labels.assign(block=blocks_passed(labels))
    main, rows, tables = labels["metric"].iloc[0], [], []
    layers = checked_layers(layers, labels)
    for name, activations in layers:
        halved = {}
        if half_labels is not None and halves is not None and len(halves):
            own = half_labels[half_labels["layer"] == name]
            halved = _truth_deviates(own, activations, factors, present, halves, vocabulary, seed)
        mine = labels[labels["layer"] == name]
        neurons = neuron_truth(mine, factor_auc(activations, present), factors, vocabulary)
        for similarity, part in neurons.groupby("metric", sort=False):
            found = _summaries(part, str(similarity), vocabulary, bootstrap, seed)
            rows += [_about_both(row, halved, similarity == main) for row in found]
        tables.append(neurons)
    table = pd.concat(tables, ignore_index=True)
    table = table.rename(columns={"concept": "label", "value": "score"})
    table = table.assign(concept=table["factor"], value=table["auc"])
    kept = ["unit", "label", "score", "factor", "auc", "named", "label_auc"]
    keys = ["model", "dataset", "layer", "layer_index", "concept", "metric", "value"]
    return pd.DataFrame(rows), table[[*keys, "low", "high", "n", "seed", *kept]]


def checked_layers(
    layers: Iterable[tuple[str, np.ndarray]], labels: pd.DataFrame
) -> Iterator[tuple[str, np.ndarray]]:
    """The layers as they come, whose names and numbers of neurons are those of the labels.

    Raises StrataError for a layer or a neuron that only one of both has.
    """
    left = labels.groupby("layer", sort=False)["unit"].agg(lambda units: set(units)).to_dict()
    model = labels["model"].iloc[0]
    for name, activations in layers:
        if left.pop(name, None) != set(range(activations.shape[1])):
            raise StrataError(
                f"labels of {model}: not those of the {activations.shape[1]} neurons of {name}"
            )
        yield name, activations
    if left:
        raise StrataError(f"labels of {model}: {next(iter(left))} is no layer of the activations")


def _summaries(
    part: pd.DataFrame, similarity: str, vocabulary: Mapping, bootstrap: int, seed: int
) -> list[dict]:
    strong = (part["label_auc"] >= STRONG_AUC).to_numpy()
    named = {"names_best_factor": part["named"].to_numpy(), "names_any_factor_above": strong}
    own = have_own_labels(similarity)
    summaries = {
        metric: wilson_interval(int(hits.sum()), len(part))
        if own
        else without_interval(hits.mean())
        for metric, hits in named.items()
    } | {
        "mean_best_auc": bootstrap_interval(part["auc"].to_numpy(), n=bootstrap, seed=seed),
        "chance": Estimate(chance_of_naming(part, vocabulary), np.nan, np.nan),
    }
    keys = part.iloc[0][["model", "dataset", "layer", "layer_index", "block"]].to_dict()
    return [
        keys
        | {"concept": similarity, "metric": metric, **estimate._asdict()}
        | {"n": len(part), "seed": seed, "about": NEURONS}
        for metric, estimate in summaries.items()
    ]


def _truth_deviates(
    half_labels: pd.DataFrame,
    activations: np.ndarray,
    factors: Sequence[str],
    present: np.ndarray,
    halves: np.ndarray,
    vocabulary: Mapping,
    seed: int,
) -> dict[str, np.ndarray]:
    """Deviates (splits,) of one layer's summaries, by metric; NaN where a half has no neuron."""
    values, given = [], half_labels["split"].unique()
    if sorted(given) != [*range(len(halves))]:
        named = ", ".join(map(str, sorted(given)))
        raise StrataError(
            f"labels on halves are of the splits {named}, but there are halves of {len(halves)} "
            "splits, numbered from 0"
        )
    for (first, second), half in zip(quadrants(half_labels, seed), halves, strict=False):
        pair = []
        for labels, rows in ((first, half), (second, ~half)):
            labels = labels[labels["concept"].notna()]
            units = labels["unit"].to_numpy()
            varying = varying_factors(present[rows])
            known = [name for name, kept in zip(factors, varying, strict=True) if kept]
            if not (len(units) and known):
                pair.append([np.nan] * 3)
                continue
            auc = factor_auc(activations[rows][:, units], present[rows][:, varying])
            labels = labels.assign(unit=np.arange(len(labels)))
            neurons = neuron_truth(labels, auc, known, vocabulary)
            strong = (neurons["label_auc"] >= STRONG_AUC).mean()
            pair.append([neurons["named"].mean(), strong, neurons["auc"].mean()])
        values.append(pair)
    names = ("names_best_factor", "names_any_factor_above", "mean_best_auc")
    table = np.array(values, dtype=float).reshape(-1, 2, 3)
    return {name: deviates(table[:, 0, i], table[:, 1, i]) for i, name in enumerate(names)}


def _about_both(row: dict, halved: Mapping[str, np.ndarray], main: bool) -> dict:
    """The row with an interval about pictures and neurons, where its metric has one."""
    metric = row["metric"]
    own = main and have_own_labels(row["concept"])
    if metric not in halved or not (own or metric == "mean_best_auc"):
        return row
    found = halved[metric]
    estimate = deviate_interval(row["value"], found, share=metric != "mean_best_auc")
    return row | estimate._asdict() | {"about": BOTH, "deviates": found}
