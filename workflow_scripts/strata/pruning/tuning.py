"""Every cut of a model fine-tuned on a task, in the same way."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd

from strata import __version__
from strata.data.splits import Task, as_text
from strata.pruning.criteria import Layers
from strata.pruning.crossed import crossed_interval
from strata.pruning.kept import cut_place, kept_text
from strata.stats import wilson_interval, without_interval
from strata.tables import EMBEDDING, check_measures

if TYPE_CHECKING:
    from strata.data.manifest import Dataset
    from strata.models.training.tuning import Inputs, Training


_FORM = "answers"  # what the file of a finished cut holds; another form is another folder


class Tuned(NamedTuple):
    """What came of fine-tuning: measures, and what was answered to each sample of the test split.

    `answers` has a row for each `kept` and `sample` (row of the manifest): whether it is `right`,
    its `cluster` (the value of the column named in `apart`, or without one its own number); and
    model, dataset, family and seed.
    """

    measures: pd.DataFrame
    answers: pd.DataFrame


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
    context: str | None = None,
    embedding: bool = False,
    apart: str | None = None,
    shared: dict[str, Inputs] | None = None,
    log: Callable[[str], None] = print,
) -> Tuned:
    """Fine-tune every cut of the pretrained model in `source` on a task, all in the same way.

    The head's first weights, the order of the samples and all else that is random are the same for
    all cuts of a seed. Metrics, for each `kept`: test_accuracy, validation_accuracy (both of the
    epoch that validated best), epochs (run), and by `epoch` (a further column, 0
    for the others) validation_curve and loss_curve. `context` is what an encoder of sounds that was
    trained on clips of one length sees (`strata.models.front_ends`).

    Intervals of the accuracies hold the training as it is; `about` says whom they speak of. With
    `apart`, the column of the task no value of which is in two splits, they are about new values
    of it (`strata.pruning.crossed`), otherwise about new samples (Wilson).

    `embedding` says whether tables of the model number the embedding among its layers.
    `checkpoints` is a folder: what was finished before a run was killed is taken from there, and
    the cut that it was at goes on where it was. `shared`, empty at first, keeps what was read for
    further calls that differ in task, cuts, training or seed alone.
    """
    import torch

    from strata.models.inference import pick_device
    from strata.models.layers import find_layers
    from strata.models.training.tuning import classifier, inputs_of
    from strata.pruning.surgery import prune

    source, device = Path(source), pick_device(device)
    classes, targets = task.targets(dataset.manifest[task.target])
    torch.manual_seed(seed)
    full = classifier(source, classes, training.overrides)
    shared = {} if shared is None else shared
    inputs = inputs_of(source, dataset, full, device, context, shared.get("inputs"))
    shared["inputs"] = inputs
    folder = Path(checkpoints) / _digest(source, dataset, task, training, seed, context)
    folder.mkdir(parents=True, exist_ok=True)
    names = [*([EMBEDDING] if embedding else []), *find_layers(full)]
    clusters = _clusters(dataset, task, apart)
    rows, answers = [], []
    for kept in cuts:
        done = folder / f"{kept_text(kept).replace(' ', '-')}.json"
        if not done.is_file():
            model, checkpoint = prune(full, kept).to(device), done.with_suffix(".pt")
            found = _finetune_cut(model, inputs, task, targets, training, seed, checkpoint, log)
            log(f"layers {kept_text(kept)}: test accuracy {np.mean(found['test']):.3f}")
            _write(found, done)
        found = json.loads(done.read_text())
        place = cut_place(kept, names) | {"family": task.target, "kept": kept_text(kept)}
        rows += _cut_rows(place, found, task, clusters, apart)
        own = {"kept": kept_text(kept), "sample": task.rows["test"], "cluster": clusters["test"]}
        answers.append(pd.DataFrame(own | {"right": np.array(found["test"], dtype=bool)}))
    place = {"model": source.name, "dataset": dataset.info["name"], "seed": seed}
    return _tuned(rows, answers, place, task, apart)


def _tuned(
    rows: list[dict], answers: list[pd.DataFrame], place: dict, task: Task, apart: str | None
) -> Tuned:
    table = pd.DataFrame(rows).assign(**place, concept=None)
    given = pd.concat(answers, ignore_index=True).assign(**place, family=task.target, apart=apart)
    return Tuned(check_measures(table, f"fine-tuning of {place['model']}"), given)


def _write(found: dict, done: Path) -> None:
    """Write what came of a cut, complete or not at all."""
    part = done.with_suffix(".part")
    part.write_text(json.dumps(found))
    part.replace(done)


def _clusters(dataset: Dataset, task: Task, apart: str | None) -> dict[str, np.ndarray]:
    """Of each split, the cluster of every sample as text: of its number where none is given."""
    if apart is None:
        return {split: rows.astype(str) for split, rows in task.rows.items()}
    values = as_text(dataset.manifest[apart])
    return {split: values[rows] for split, rows in task.rows.items()}


def _digest(
    source: Path, dataset: Dataset, task: Task, training: Training, seed: int, context: str | None
) -> str:
    """A name for all that decides the result, so that no other run's checkpoints are taken up."""
    found = hashlib.sha256()
    files = [source / name for name in ("model.safetensors", "config.json")]
    files += [source / "preprocessor_config.json"]
    files += [dataset.directory / name for name in ("manifest.parquet", "dataset.json")]
    for file in files:
        found.update(file.read_bytes())
    rows = {split: chosen.tolist() for split, chosen in sorted(task.rows.items())}
    settings = [_FORM, __version__, task.target, rows, asdict(training), seed, context]
    found.update(json.dumps(settings, sort_keys=True, default=dict).encode())
    return found.hexdigest()[:16]


def _finetune_cut(model, inputs, task, targets, training, seed, checkpoint, log) -> dict:
    """Train one cut; returns what it gets right (1 or 0 a sample) and, by epoch, validation
    accuracy and loss."""
    from strata.models.training.tuning import train_classifier

    trained = train_classifier(
        model, inputs, task.rows, targets, training, seed, checkpoint=checkpoint, log=log
    )
    checkpoint.unlink(missing_ok=True)
    history = trained.history
    losses = np.split(np.array(history.losses), history.steps[:-1])
    return {
        "test": trained.right["test"].astype(int).tolist(),
        "validation": trained.right["validation"].astype(int).tolist(),
        "curve": history.scores,
        "losses": [float(part.mean()) for part in losses],
    }


def _cut_rows(
    place: Mapping, found: Mapping, task: Task, clusters: Mapping, apart: str | None
) -> list[dict]:
    rows = []
    for split in ("test", "validation"):
        right = np.array(found[split], dtype=bool)
        if apart is None:
            value = wilson_interval(int(right.sum()), len(right))._asdict()
            value["about"] = "samples, of this training"
        else:
            value = crossed_interval(right, clusters[split], apart, share=True)._asdict()
            del value["p_value"]  # of a share's being 0
        rows.append(place | {"metric": f"{split}_accuracy", "n": len(right), "epoch": 0} | value)
    epochs = len(found["curve"])
    n = len(task.rows["train"])
    rows.append(
        place | {"metric": "epochs", "n": n, "epoch": 0} | without_interval(epochs)._asdict()
    )
    for metric, values in (("validation_curve", found["curve"]), ("loss_curve", found["losses"])):
        rows += [
            place | {"metric": metric, "n": n, "epoch": epoch} | without_interval(value)._asdict()
            for epoch, value in enumerate(values, start=1)
        ]
    return rows
