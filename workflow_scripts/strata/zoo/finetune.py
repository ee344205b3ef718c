"""Fine-tuning an image encoder on a classification task of one's own."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch

from strata.compat import prepare_imports
from strata.data.manifest import Dataset
from strata.errors import StrataError
from strata.models import find_layers
from strata.zoo import evaluate
from strata.zoo.interpolation import interpolated
from strata.zoo.loop import fit
from strata.zoo.pictures import Look
from strata.zoo.recipe import Schedule


def finetune(
    source: str | Path,
    dataset: Dataset,
    target: str,
    directory: str | Path,
    *,
    epochs: int = 8,
    learning_rate: float = 5e-4,
    batch_size: int = 128,
    weight_decay: float = 0.05,
    interpolate: bool = False,
    seed: int = 0,
    log: Callable[[str], None] = print,
) -> dict:
    """Fine-tune all weights of the image model in `source` to predict the column `target`.

    Trained on the data set's `train` split; the accuracy on the returned card is measured on its
    `test` split. The result in `directory` is a transformers image classifier of the source's
    architecture (a masked autoencoder continues as a plain ViT, as its authors do). With
    `interpolate` it is trained on points between pictures of the same class, behind a layer drawn
    at every step (`strata.zoo.interpolation`): a direct objective for convex classes.

    Raises
    ------
    StrataError
        The column or a split is missing, there are fewer than two classes, or the test split has
        a class that the train split lacks.
    """
    source, directory = Path(source), Path(directory)
    train_rows, test_rows, labels = _task(dataset, target)
    classes, targets = np.unique(labels, return_inverse=True)
    torch.manual_seed(seed)
    model = _classifier(source, [str(name) for name in classes])
    look = Look.of(source)
    pictures = look.load(dataset)
    wanted = torch.from_numpy(targets[train_rows])

    layers = list(find_layers(model).values())

    def loss_of(rows, draw):
        pixels = look.shifted(pictures[train_rows[rows]], draw)
        with interpolated(layers, wanted[rows], draw) if interpolate else nullcontext():
            logits = model(pixel_values=pixels).logits
        return torch.nn.functional.cross_entropy(logits, wanted[rows])

    schedule = Schedule(
        steps=epochs * max(1, len(train_rows) // batch_size),
        batch_size=batch_size,
        learning_rate=learning_rate,
        weight_decay=weight_decay,
        seed=seed,
    )
    fit(model, loss_of, len(train_rows), schedule, log)
    accuracy = evaluate.classification_accuracy(
        model, look, pictures[test_rows], targets[test_rows]
    )
    log(f"accuracy on the test split {accuracy:.3f}")
    directory.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(directory)
    shutil.copyfile(source / "preprocessor_config.json", directory / "preprocessor_config.json")
    card = {
        "name": directory.name,
        "architecture": type(model).__name__,
        "objective": "fine-tuned, interpolating" if interpolate else "fine-tuned",
        "base": source.name,
        "dataset": dataset.info["name"],
        "target": target,
        "classes": [str(name) for name in classes],
        "parameters": sum(p.numel() for p in model.parameters()),
        "scores": {"test_accuracy": round(accuracy, 4)},
        "training": asdict(schedule) | {"pictures": len(train_rows)},
        "held_out": {"pictures": len(test_rows)},
    }
    (directory / "card.json").write_text(json.dumps(card, indent=2, sort_keys=True) + "\n")
    return card


def _task(dataset: Dataset, target: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows to train and to test on, and the label of every sample."""
    name, manifest = dataset.info["name"], dataset.manifest
    if target not in manifest:
        raise StrataError(f"{name}: no column {target!r} to fine-tune on")
    rows = {split: np.flatnonzero(manifest["split"] == split) for split in ("train", "test")}
    for split, found in rows.items():
        if not len(found):
            raise StrataError(f"{name}: fine-tuning needs a {split!r} split, and it is empty")
    labels = manifest[target].to_numpy(dtype=str)
    train_classes, test_classes = (set(labels[rows[split]]) for split in ("train", "test"))
    if len(train_classes) < 2:
        raise StrataError(f"{name}: column {target!r} has only one class to tell apart")
    if test_classes - train_classes:
        unseen = sorted(test_classes - train_classes)[0]
        raise StrataError(f"{name}: class {unseen!r} of {target!r} is not in the train split")
    return rows["train"], rows["test"], labels


def _classifier(source: Path, classes: list[str]):
    """The model in `source` with a fresh classification head."""
    prepare_imports()
    from transformers import AutoConfig, AutoModelForImageClassification, ViTConfig

    names = dict(enumerate(classes))
    head = {"id2label": names, "label2id": {name: i for i, name in names.items()}}
    config = AutoConfig.from_pretrained(source, local_files_only=True)
    if config.model_type == "vit_mae":
        shared = {k: v for k, v in config.to_dict().items() if k in ViTConfig().to_dict()}
        config = ViTConfig(**{k: v for k, v in shared.items() if k not in ("model_type", *head)})
    config.id2label, config.label2id = head["id2label"], head["label2id"]
    return AutoModelForImageClassification.from_pretrained(
        source,
        config=config,
        local_files_only=True,
        use_safetensors=True,
        ignore_mismatched_sizes=True,
    )
