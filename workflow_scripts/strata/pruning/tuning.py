"""Every cut of a model fine-tuned on a task, in the same way."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from strata import __version__
from strata.data.splits import Task
from strata.pruning.criteria import Layers
from strata.pruning.kept import cut_place, kept_text
from strata.stats import wilson_interval, without_interval
from strata.tables import EMBEDDING, check_measures

if TYPE_CHECKING:
    from strata.data.manifest import Dataset
    from strata.models.training.tuning import Training


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
    log: Callable[[str], None] = print,
) -> pd.DataFrame:
    """Fine-tune every cut of the pretrained model in `source` on a task, all in the same way.

    The head's first weights, the order of the samples and all else that is random are the same for
    all cuts of a seed. Metrics, for each `kept`: test_accuracy, validation_accuracy (both of the
    epoch that validated best; Wilson intervals), epochs (run), and by `epoch` (a further column, 0
    for the others) validation_curve and loss_curve. `context` is what an encoder of sounds that was
    trained on clips of one length sees (`strata.models.front_ends`).

    `embedding` says whether tables of the model number the embedding among its layers.
    `checkpoints` is a folder: what was finished before a run was killed is taken from there, and
    the cut that it was at goes on where it was.
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
    inputs = inputs_of(source, dataset, full, device, context)
    folder = Path(checkpoints) / _digest(source, dataset, task, training, seed, context)
    folder.mkdir(parents=True, exist_ok=True)
    names = [*([EMBEDDING] if embedding else []), *find_layers(full)]
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
        place = cut_place(kept, names) | {"family": task.target, "kept": kept_text(kept)}
        rows += _cut_rows(place, json.loads(done.read_text()), task)
    table = pd.DataFrame(rows).assign(
        model=source.name, dataset=dataset.info["name"], concept=None, seed=seed
    )
    return check_measures(table, f"fine-tuning of {source.name}")


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
    settings = [__version__, task.target, rows, asdict(training), seed, context]
    found.update(json.dumps(settings, sort_keys=True, default=dict).encode())
    return found.hexdigest()[:16]


def _finetune_cut(model, inputs, task, targets, training, seed, checkpoint, log) -> dict:
    """Train one cut; returns its accuracies and, by epoch, validation accuracy and loss."""
    from strata.models.training.tuning import train_classifier

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


def _cut_rows(place: Mapping, found: Mapping, task: Task) -> list[dict]:
    rows = []
    for split in ("test", "validation"):
        n = len(task.rows[split])
        value = wilson_interval(round(found[split] * n), n)
        rows.append(place | {"metric": f"{split}_accuracy", "n": n, "epoch": 0} | value._asdict())
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
