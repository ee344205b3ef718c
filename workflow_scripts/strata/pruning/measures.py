"""Tables of the study of pruning (`strata.tables`).

Further columns: `family`, the task or concept family that a row is about; `kept`, the numbers of
the layers that are left, as text ("0 1 2"); `p_value`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from strata import __version__
from strata.activations import SEGMENTS, ActivationCache
from strata.errors import StrataError
from strata.measures import convexity_measures
from strata.pruning.criteria import (
    RULES,
    Layers,
    angular_distance_layers,
    block_influence_layers,
    cka_layers,
    convexity_cut,
    every_second_layer,
    last_dropped,
    random_layers,
)
from strata.splits import Task, shared_rows
from strata.stats import Estimate, adjust_p_values, paired_test, t_interval, wilson_interval
from strata.tables import check_measures

if TYPE_CHECKING:
    from strata.data.manifest import Dataset
    from strata.pruning.similarity import LayerSimilarities
    from strata.zoo.tuning import Training

Log = Callable[[str], None]
CUT = "most_convex"
_FEWEST_PAIRS = 3  # of model and task, to say anything over them
_EXAMPLES = 32  # samples of which sounds for pricing take their median length
_NONE = Estimate(np.nan, np.nan, np.nan)


def kept_text(layers: Iterable[int]) -> str:
    """Numbers of layers as the text of the column `kept`."""
    return " ".join(map(str, layers))


def kept_layers(text: str) -> Layers:
    """Numbers of layers from the text of the column `kept`."""
    return tuple(map(int, text.split()))


# --- convexity ----------------------------------------------------------------------------------


def task_convexity(
    directory: str | Path,
    dataset: Dataset,
    families: Sequence[str],
    tasks: Mapping[str, Task],
    part: str,
    *,
    model: str,
    log: Log = print,
    **options,
) -> pd.DataFrame:
    """Graph convexity of concept families in every layer, on one part of the data.

    For "train", what a cut is chosen by, a family that is a task is measured on the rows that the
    task trains on, and another on the samples of the data set's own split of that name (all, where
    it has none). For "test" every family is measured on the samples that no task has trained or
    validated on, so that a model fine-tuned on one is not asked about what it has seen. A family
    that labels pieces of sounds is measured on the pieces of those samples. `directory` holds the
    activations; `options` are those of `strata.measures.convexity_measures`, and so are the
    metrics.

    Raises
    ------
    StrataError
        A family is no column of the data set, besides what `convexity_measures` raises.
    """
    manifest, segments = dataset.manifest, dataset.segments
    tables = []
    for family in families:
        folder, labelled = Path(directory), manifest
        rows = _rows_of(family, tasks, part, manifest)
        if family not in manifest:
            if segments is None or family not in segments:
                raise StrataError(f"{dataset.info['name']}: no label column {family!r}")
            folder, labelled = folder / SEGMENTS, segments
            rows = np.flatnonzero(segments["sample"].isin(rows))
        labels = labelled[[family]].iloc[rows].reset_index(drop=True)
        rows, labels = _pairable(rows, labels, family, log)
        layers = _layers(ActivationCache(folder), rows)
        if len(labels[family].unique()) < 2:
            raise StrataError(
                f"{dataset.info['name']}: too few samples in {part} to measure the convexity of "
                f"{family!r}; give the tasks' splits more"
            )
        name = dataset.info["name"]
        tables.append(
            convexity_measures(layers, labels, model=model, dataset=name, log=log, **options)
        )
    return pd.concat(tables, ignore_index=True)


def _rows_of(
    family: str, tasks: Mapping[str, Task], part: str, manifest: pd.DataFrame
) -> np.ndarray:
    """Samples on which a family's convexity is measured (`task_convexity`)."""
    if part == "test" and tasks:
        return shared_rows(tasks, part)
    if family in tasks:
        return tasks[family].rows[part]
    chosen = manifest["split"] == part
    return np.flatnonzero(chosen if chosen.any() else np.ones(len(manifest)))


def _pairable(rows: np.ndarray, labels: pd.DataFrame, family: str, log: Log):
    """Without values that occur once: between one sample and itself there is no path."""
    counts = labels[family].value_counts()
    alone = sorted(counts.index[counts < 2])
    if alone:
        log(f"{family}: left out, with one sample each: {', '.join(map(str, alone))}")
    kept = ~labels[family].isin(alone).to_numpy()
    return rows[kept], labels[kept].reset_index(drop=True)


def _layers(cache: ActivationCache, rows: np.ndarray):
    for index, name in enumerate(cache.layers):
        yield name, cache.layer(index)[rows]


# --- similarities of layers -----------------------------------------------------------------------


def similarity_measures(
    found: LayerSimilarities, layers: Sequence[str], *, model: str, dataset: str, seed: int
) -> pd.DataFrame:
    """Block influence of each layer; angular distance and CKA between places.

    A place is what enters a layer (`layer_index`), or, numbered n, what leaves the last; the column
    `other` is the second place, -1 for block influence.
    """
    n = len(layers)
    places = [*layers, "output"]
    rows = [(layers[i], i, -1, "block_influence", found.block_influence[i]) for i in range(n)]
    for metric in ("angular_distance", "cka"):
        matrix = getattr(found, metric)
        rows += [
            (places[i], i, j, metric, matrix[i, j]) for i in range(n + 1) for j in range(n + 1)
        ]
    table = pd.DataFrame(rows, columns=["layer", "layer_index", "other", "metric", "value"])
    table = table.assign(model=model, dataset=dataset, concept=None, low=np.nan, high=np.nan)
    return check_measures(table.assign(n=found.n_samples, seed=seed), f"similarity of {model}")


def _matrix(table: pd.DataFrame, metric: str) -> np.ndarray:
    rows = table[table["metric"] == metric]
    return rows.pivot(index="layer_index", columns="other", values="value").to_numpy()


# --- cuts -----------------------------------------------------------------------------------------


def choose_cuts(
    convexity: pd.DataFrame,
    similarity: pd.DataFrame,
    tasks: Sequence[str],
    *,
    seeds: Sequence[int],
    penalty: float,
    every_depth: bool = True,
) -> pd.DataFrame:
    """Which layers each criterion keeps of a pretrained model, for each task (`family`).

    The metric is the criterion, the value the number of layers kept, `n` that of the model. Beside
    the variants of the convexity cut: full; prefix, every depth (the oracle's material), or with
    `every_depth` off none; and the baselines at the depth of the convexity cut, of which random has
    a row for each seed.

    Raises StrataError for a task whose labels' convexity is not in the table.
    """
    table = []
    for task in tasks:
        scores = _scores(convexity, task)
        n = len(scores)
        errors = scores["error"].to_numpy()
        cuts = {
            rule: last_dropped(n, convexity_cut(scores["value"], rule, errors, penalty))
            for rule in RULES
        }
        keep = len(cuts[CUT])
        choices = [(rule, seeds[0], kept) for rule, kept in cuts.items()]
        choices.append(("full", seeds[0], last_dropped(n, n)))
        if every_depth:
            choices += [("prefix", seeds[0], last_dropped(n, depth + 1)) for depth in range(n)]
        choices += [(name, seeds[0], kept) for name, kept in _baselines(similarity, n, keep)]
        choices += [("random", seed, random_layers(n, keep, seed)) for seed in seeds]
        names = scores["layer"].tolist()
        table += [
            (task, metric, names[kept[-1]], kept[-1], len(kept), n, seed, kept_text(kept))
            for metric, seed, kept in choices
        ]
    columns = ["family", "metric", "layer", "layer_index", "value", "n", "seed", "kept"]
    table = pd.DataFrame(table, columns=columns).assign(
        model=convexity["model"].iloc[0],
        dataset=convexity["dataset"].iloc[0],
        concept=None,
        low=np.nan,
        high=np.nan,
    )
    return check_measures(table, "cuts")


def _scores(convexity: pd.DataFrame, task: str) -> pd.DataFrame:
    """Convexity of a task's labels by layer, with its standard error (half the interval's width in
    deviations)."""
    from scipy.stats import norm

    from strata.stats import LEVEL

    chosen = (convexity["metric"] == "graph_convexity") & (convexity["family"] == task)
    rows = convexity[chosen].sort_values("layer_index")
    if rows.empty:
        raise StrataError(f"no convexity of {task!r}: it should be one of the study's families")
    width = 2 * norm.ppf((1 + LEVEL) / 2)
    return rows.assign(error=(rows["high"] - rows["low"]) / width)


def _baselines(similarity: pd.DataFrame, n: int, keep: int) -> list[tuple[str, Layers]]:
    influence = similarity[similarity["metric"] == "block_influence"].sort_values("layer_index")
    return [
        ("every_second", every_second_layer(n, keep)),
        ("block_influence", block_influence_layers(influence["value"].to_numpy(), keep)),
        (
            "angular_distance",
            angular_distance_layers(_matrix(similarity, "angular_distance"), keep),
        ),
        ("cka", cka_layers(_matrix(similarity, "cka"), keep)),
    ]


def cuts_of(table: pd.DataFrame, task: str, seed: int) -> list[Layers]:
    """The different choices of layers that one seed of a task needs, deepest last."""
    rows = table[table["family"] == task]
    rows = rows[(rows["metric"] != "random") | (rows["seed"] == seed)]
    return sorted({kept_layers(text) for text in rows["kept"]}, key=lambda kept: (len(kept), kept))


# --- fine-tuning ----------------------------------------------------------------------------------


def finetune_cuts(
    source: str | Path,
    dataset: Dataset,
    task: Task,
    cuts: Sequence[Layers],
    training: Training,
    *,
    seed: int,
    checkpoints: str | Path,
    device: str = "cpu",
    log: Log = print,
) -> pd.DataFrame:
    """Fine-tune every cut of the pretrained model in `source` on a task, all in the same way.

    The head's first weights, the order of the samples and all else that is random are the same for
    all cuts of a seed. Metrics, for each `kept`: test_accuracy, validation_accuracy (both of the
    epoch that validated best; Wilson intervals), epochs (run), and by `epoch` (a further column, 0
    for the others) validation_curve and loss_curve.

    `checkpoints` is a folder: what was finished before a run was killed is taken from there, and
    the cut that it was at goes on where it was.
    """
    import torch

    from strata.inference import pick_device
    from strata.pruning.surgery import prune
    from strata.zoo.tuning import classifier, inputs_of

    source, device = Path(source), pick_device(device)
    classes, targets = task.targets(dataset.manifest[task.target])
    torch.manual_seed(seed)
    full = classifier(source, classes, training.overrides)
    inputs = inputs_of(source, dataset, full, device)
    folder = Path(checkpoints) / _digest(source, dataset, task, training, seed)
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for kept in cuts:
        done = folder / f"{kept_text(kept).replace(' ', '-')}.json"
        if not done.is_file():
            model, checkpoint = prune(full, kept).to(device), done.with_suffix(".pt")
            found = _finetune_cut(model, inputs, task, targets, training, seed, checkpoint, log)
            log(f"layers {kept_text(kept)}: test accuracy {found['test']:.3f}")
            part = done.with_suffix(".part")
            part.write_text(json.dumps(found))
            part.replace(done)
        rows += _cut_rows(kept, json.loads(done.read_text()), task)
    table = pd.DataFrame(rows).assign(
        model=source.name, dataset=dataset.info["name"], concept=None, seed=seed
    )
    return check_measures(table, f"fine-tuning of {source.name}")


def _digest(source: Path, dataset: Dataset, task: Task, training: Training, seed: int) -> str:
    """A name for all that decides the result, so that no other run's checkpoints are taken up."""
    found = hashlib.sha256()
    files = [source / name for name in ("model.safetensors", "config.json")]
    files += [source / "preprocessor_config.json"]
    files += [dataset.directory / name for name in ("manifest.parquet", "dataset.json")]
    for file in files:
        found.update(file.read_bytes())
    rows = {split: chosen.tolist() for split, chosen in sorted(task.rows.items())}
    settings = [__version__, task.target, rows, asdict(training), seed]
    found.update(json.dumps(settings, sort_keys=True, default=dict).encode())
    return found.hexdigest()[:16]


def _finetune_cut(model, inputs, task, targets, training, seed, checkpoint, log) -> dict:
    """Train one cut; returns its accuracies and, by epoch, validation accuracy and loss."""
    from strata.zoo.tuning import train_classifier

    trained = train_classifier(
        model, inputs, task.rows, targets, training, seed, checkpoint=checkpoint, log=log
    )
    checkpoint.unlink(missing_ok=True)
    history = trained.history
    losses = np.split(np.array(history.losses), history.steps[:-1])
    return {
        "test": trained.accuracy["test"],
        "validation": trained.accuracy["validation"],
        "curve": history.scores,
        "losses": [float(part.mean()) for part in losses],
    }


def _cut_rows(kept: Layers, found: Mapping, task: Task) -> list[dict]:
    place = {
        "layer": f"layer {kept[-1]}",
        "layer_index": kept[-1],
        "family": task.target,
        "kept": kept_text(kept),
    }
    rows = []
    for split in ("test", "validation"):
        n = len(task.rows[split])
        value = wilson_interval(round(found[split] * n), n)
        rows.append(place | {"metric": f"{split}_accuracy", "n": n, "epoch": 0} | value._asdict())
    epochs = len(found["curve"])
    n = len(task.rows["train"])
    rows.append(place | {"metric": "epochs", "n": n, "epoch": 0} | _only(epochs))
    for metric, values in (("validation_curve", found["curve"]), ("loss_curve", found["losses"])):
        rows += [
            place | {"metric": metric, "n": n, "epoch": epoch} | _only(value)
            for epoch, value in enumerate(values, start=1)
        ]
    return rows


def _only(value: float) -> dict:
    """A value without an interval."""
    return _NONE._replace(value=float(value))._asdict()


# --- cost -----------------------------------------------------------------------------------------


def cost_measures(
    source: str | Path,
    dataset: Dataset,
    task: Task,
    training: Training,
    *,
    seed: int,
    log: Log = print,
) -> pd.DataFrame:
    """What a classifier for `task` costs when it keeps the layers up to each, for one sample.

    Metrics: parameters, macs, file_bytes, memory_bytes, and of the part before the first layer
    front_end_parameters, front_end_macs (`strata.pruning.price.Cost`).
    """
    from strata.pruning.price import cost
    from strata.pruning.surgery import prune

    rows = []
    full, example = _priced(Path(source), dataset, task, training, n=1)
    for depth, name in _depths(full):
        found = asdict(cost(prune(full, depth).eval(), example))
        del found["latency"]
        place = {"layer": name, "layer_index": depth - 1, "n": 1}
        rows += [place | {"metric": key} | _only(value) for key, value in found.items()]
        log(f"{depth} layers: {found['macs']:,} multiply-accumulates")
    return _finished_costs(rows, source, dataset, seed)


def timing_measures(
    source: str | Path,
    dataset: Dataset,
    task: Task,
    training: Training,
    *,
    repeats: int,
    warmup: int,
    threads: int,
    steps: int,
    device: str = "cpu",
    seed: int = 0,
    log: Log = print,
) -> pd.DataFrame:
    """Seconds at every depth, medians with quartiles (`low`, `high`).

    Metrics: latency (a forward pass of one sample, over `repeats`) and epoch_seconds (an epoch of
    training as transformers alone would do it: `steps` steps of a batch are timed, the front end's
    forward pass included, and multiplied). Sounds have the median length of the first.
    """
    from strata.inference import pick_device
    from strata.pruning.price import cost, seconds_of, training_step
    from strata.pruning.surgery import prune

    rows, device = [], pick_device(device)
    full, example = _priced(Path(source), dataset, task, training, n=1)
    _, batch = _priced(Path(source), dataset, task, training, n=training.batch_size)
    example, batch = ({k: v.to(device) for k, v in each.items()} for each in (example, batch))
    per_epoch = max(1, len(task.rows["train"]) // training.batch_size)
    options = {"warmup": warmup, "threads": threads}
    for depth, name in _depths(full):
        model = prune(full, depth).eval().to(device)
        place = {"layer": name, "layer_index": depth - 1}
        latency = cost(model, example, repeats=repeats, **options).latency
        rows.append(place | {"metric": "latency", "n": repeats} | _seconds(latency, 1))
        step = seconds_of(training_step(model.train(), batch), steps, **options)
        rows.append(place | {"metric": "epoch_seconds", "n": steps} | _seconds(step, per_epoch))
        log(f"{depth} layers: {1000 * latency.median:.2f} ms")
    return _finished_costs(rows, source, dataset, seed)


def _priced(source: Path, dataset: Dataset, task: Task, training: Training, n: int):
    """A classifier for `task` and the first n samples as its arguments (sounds of one length)."""
    from strata.zoo.tuning import classifier, raw_example

    classes, _ = task.targets(dataset.manifest[task.target])
    model = classifier(source, classes, training.overrides)
    examples = raw_example(source, dataset, range(min(max(n, _EXAMPLES), len(dataset))))
    return model, {key: value[:n] for key, value in examples.items()}


def _depths(model) -> Iterable[tuple[int, str]]:
    from strata.models import find_layers

    return enumerate(find_layers(model), start=1)


def _seconds(found, times: int) -> dict:
    return {"value": found.median * times, "low": found.low * times, "high": found.high * times}


def _finished_costs(rows: list[dict], source, dataset: Dataset, seed: int) -> pd.DataFrame:
    name = Path(source).name
    table = pd.DataFrame(rows).assign(model=name, dataset=dataset.info["name"], concept=None)
    return check_measures(table.assign(seed=seed), f"cost of {name}")


# --- comparison -----------------------------------------------------------------------------------


def compare_cuts(
    cuts: pd.DataFrame, trained: pd.DataFrame, *, seed: int, permutations: int = 9999
) -> pd.DataFrame:
    """How well every criterion does over seeds, and how the convexity cut compares with it.

    Metrics, for each model and task (`family`): accuracy (`concept` is the criterion; mean over
    seeds with a t interval; `layers` kept), and difference: accuracy of the convexity cut less that
    of the criterion, paired by seed, with a t interval and the p-value of a sign-flip test. They
    are about chance in training: split and test samples are the same for all seeds. `same` counts
    the seeds in which the criterion keeps the same layers as the convexity cut.

    Rows of model "all" are over models and tasks, each the mean of its seeds, which are no
    independent evidence of another model or task: `n` is the number of pairs of model and task,
    `same` of those without any difference, and the p-values are also adjusted over the criteria
    (`p_adjusted`, Benjamini and Hochberg). There are none for fewer than three pairs.

    Further criteria are made of the depths tried: oracle, the depth that validates best on average
    over seeds; and random_depth, the mean over all depths, which is what a depth drawn blindly
    would give.
    """
    runs = runs_by_criterion(cuts, trained)
    rows, pooled = [], {}
    for (model, task), mine in runs.groupby(["model", "family"], sort=False):
        wide = mine.pivot(index="seed", columns="criterion", values="accuracy")
        layers = mine.groupby("criterion")["layers"].mean()
        texts = mine.pivot(index="seed", columns="criterion", values="kept")
        place = {"model": model, "family": task, "dataset": mine["dataset"].iloc[0]}
        for criterion in dict.fromkeys(mine["criterion"]):
            own = {**place, "concept": criterion, "layers": layers[criterion], "n": len(wide)}
            own["same"] = int((texts[criterion] == texts[CUT]).sum())
            found = t_interval(wide[criterion].to_numpy())
            rows.append(own | {"metric": "accuracy"} | found._asdict())
            if criterion != CUT:
                gains = (wide[CUT] - wide[criterion]).to_numpy()
                pooled.setdefault(criterion, []).append(gains.mean())
                rows.append(own | {"metric": "difference"} | _compared(gains, seed, permutations))
    place = {"model": "all", "family": "all", "dataset": runs["dataset"].iloc[0]}
    pooled = {name: gains for name, gains in pooled.items() if len(gains) >= _FEWEST_PAIRS}
    together = [
        {**place, "concept": criterion, "layers": np.nan, "metric": "difference"}
        | {"n": len(gains), "same": int(np.sum(np.array(gains) == 0))}
        | _compared(np.array(gains), seed, permutations)
        for criterion, gains in pooled.items()
    ]
    adjusted = adjust_p_values(np.array([row["p_value"] for row in together]))
    together = [row | {"p_adjusted": p} for row, p in zip(together, adjusted, strict=True)]
    table = pd.DataFrame([*rows, *together]).assign(layer="all", layer_index=0, seed=seed)
    return check_measures(table, "comparison of cuts")


def _compared(gains: np.ndarray, seed: int, permutations: int) -> dict:
    return t_interval(gains)._asdict() | {"p_value": paired_test(gains, permutations, seed)}


def runs_by_criterion(cuts: pd.DataFrame, trained: pd.DataFrame) -> pd.DataFrame:
    """A row per model, task (`family`), criterion and seed: test accuracy and layers kept."""
    tests = trained[trained["metric"] == "test_accuracy"]
    keys = ["model", "family", "kept"]
    scores = tests[[*keys, "dataset", "seed", "value"]].rename(columns={"value": "accuracy"})
    fixed = cuts[~cuts["metric"].isin(["random", "prefix"])]
    drawn = cuts[cuts["metric"] == "random"]
    found = [
        fixed[[*keys, "metric", "value"]].merge(scores, on=keys),
        drawn[[*keys, "metric", "value", "seed"]].merge(scores, on=[*keys, "seed"]),
    ]
    runs = pd.concat(found).rename(columns={"metric": "criterion", "value": "layers"})
    prefixes = cuts.loc[cuts["metric"] == "prefix", [*keys, "value"]]
    if len(prefixes):
        runs = pd.concat([runs, *_depth_criteria(prefixes, trained, scores)])
    columns = ["model", "family", "dataset", "criterion", "seed", "layers", "kept", "accuracy"]
    return runs[columns].reset_index(drop=True)


def tradeoff_points(cuts: pd.DataFrame, trained: pd.DataFrame, cost: pd.DataFrame) -> pd.DataFrame:
    """A row per model, task (`family`) and criterion: accuracy (mean over seeds, t interval),
    layers kept and multiply-accumulates; every depth is there as the criterion prefix."""
    runs = runs_by_criterion(cuts, trained)
    runs = runs[runs["criterion"] != "random_depth"]
    tests = trained[trained["metric"] == "test_accuracy"]
    keys = ["model", "family", "kept"]
    scores = tests[[*keys, "seed", "value"]].rename(columns={"value": "accuracy"})
    prefixes = cuts[cuts["metric"] == "prefix"]
    prefixes = prefixes[[*keys, "value"]].merge(scores, on=keys)
    prefixes = prefixes.rename(columns={"value": "layers"}).assign(criterion="prefix")
    macs = {
        (row.model, row.layer_index + 1): row.value
        for row in cost[cost["metric"] == "macs"].itertuples()
    }
    rows = []
    grouped = pd.concat([prefixes, runs]).groupby(
        ["model", "family", "criterion", "layers"], sort=False
    )
    for (model, task, criterion, layers), mine in grouped:
        found = t_interval(mine["accuracy"].to_numpy())
        place = {"model": model, "family": task, "criterion": criterion, "layers": int(layers)}
        rows.append(place | {"macs": macs[model, layers], "n": len(mine)} | found._asdict())
    return pd.DataFrame(rows)


def pareto_front(points: pd.DataFrame) -> pd.DataFrame:
    """The points than which none is both cheaper and better, from the cheapest."""
    ordered = points.sort_values(["macs", "value"], ascending=[True, False], kind="stable")
    best = ordered["value"].cummax().shift(fill_value=-np.inf)
    return ordered[ordered["value"] > best]


def _depth_criteria(
    prefixes: pd.DataFrame, trained: pd.DataFrame, scores: pd.DataFrame
) -> list[pd.DataFrame]:
    """The oracle over all depths, and the mean of all depths."""
    keys = ["model", "family", "kept"]
    depths = prefixes.rename(columns={"value": "layers"}).merge(scores, on=keys)
    validated = trained[trained["metric"] == "validation_accuracy"]
    validated = prefixes.merge(validated[[*keys, "seed"]].assign(score=validated["value"]), on=keys)
    means = validated.groupby(["model", "family", "kept", "value"], sort=False)["score"].mean()
    # The first of equal depths is the cheapest, since depths come in order.
    means = means.reset_index().sort_values("value", kind="stable")
    best = means.loc[means.groupby(["model", "family"])["score"].idxmax(), keys]
    oracle = depths.merge(best, on=keys).assign(criterion="oracle")
    blind = depths.groupby(["model", "family", "dataset", "seed"], sort=False, as_index=False)
    blind = blind.agg({"accuracy": "mean", "layers": "mean"})
    return [oracle, blind.assign(criterion="random_depth", kept="")]
