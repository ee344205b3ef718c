"""Fine-tuning an encoder of images or speech on a classification task of one's own."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from torch.nn.modules.batchnorm import _BatchNorm

from strata.data.manifest import Dataset
from strata.data.splits import Task, task_rows
from strata.errors import StrataError
from strata.models.cards import read_model_json, write_card
from strata.models.inference import pick_device
from strata.models.layers import encoder_of, find_layers
from strata.models.locked import checksum
from strata.models.training.adapters import BASE, adapted, save_adapter
from strata.models.training.interpolation import interpolated
from strata.models.training.pictures import Look
from strata.models.training.tuning import (
    Inputs,
    Trained,
    Training,
    classifier,
    inputs_of,
    train_classifier,
)


def finetune(
    source: str | Path,
    dataset: Dataset,
    target: str,
    directory: str | Path,
    training: Training,
    *,
    splits: Mapping[str, float] | str = "own",
    apart: str | None = None,
    at_least: int = 1,
    split_seed: int = 0,
    interpolate: bool = False,
    frozen: bool = False,
    adapter_rank: int | None = None,
    recipe: Mapping | None = None,
    context: str | None = None,
    preprocess: str = "own",
    size: int | None = None,
    seed: int = 0,
    device: str = "cpu",
    log: Callable[[str], None] = print,
) -> dict:
    """Fine-tune the model in `source` to predict the column `target`.

    Trained on the `train` split (`strata.data.splits.task_rows` has `splits`, `apart`, `at_least`,
    `split_seed`), scored on the `test` split. The result in `directory` is a transformers
    classifier of the source's architecture. With `interpolate` it is trained on points between
    pictures of a class, behind a layer drawn at every step
    (`strata.models.training.interpolation`): a direct objective for convex classes. With `frozen`
    only the head learns: a linear probe. With `adapter_rank` low-rank adapters learn instead of the
    encoder (`strata.models.training.adapters`). `context` is what an encoder of sounds sees
    (`strata.models.front_ends`); pictures are made as the model is read with `preprocess` and
    `size` (`strata.models.encoder`). `recipe` goes to the returned card as it is.

    Raises
    ------
    StrataError
        As `strata.data.splits.task_rows`; no classifier can be made of the model; `interpolate`
        for an encoder that reads clips of different lengths one after the other, or together with
        `frozen`; `frozen` together with `adapter_rank`, or for an encoder whose batch norms learn
        without gradients.
    """
    source, directory, device = Path(source), Path(directory), pick_device(device)
    name, labels = dataset.info["name"], dataset.manifest
    needed = ("train", "test", *(["validation"] if training.patience is not None else []))
    rows = task_rows(labels, target, splits, apart, at_least, split_seed, name, needed)
    classes, targets = Task(target, rows).targets(labels[target])
    torch.manual_seed(seed)
    model = classifier(source, classes, training.overrides)
    look = Look.reading(source, preprocess, size) if dataset.modality == "image" else None
    inputs = inputs_of(source, dataset, model, device, context, look=look)
    if frozen:
        _freeze(model, source.name, interpolate, adapter_rank)
    adapter = adapted(model, adapter_rank) if adapter_rank else None
    model.to(device)
    around = _interpolating(model, source.name, inputs, rows["train"]) if interpolate else None
    trained = train_classifier(model, inputs, rows, targets, training, seed, around=around, log=log)
    log(f"accuracy on the test split {trained.accuracy['test']:.3f}")
    card = _told(dataset, rows, trained, training.precision) | {"base": source.name}
    card |= {"objective": _objective(frozen, interpolate, adapter_rank), "target": target}
    card |= {"classes": classes} | ({"recipe": dict(recipe)} if recipe else {})
    if adapter is not None:
        card[BASE] = checksum(source)
        save_adapter(adapter, source, directory)
        model = adapter.merge_and_unload()
    return _save(model, source, directory, card)


def _interpolating(model, name: str, inputs: Inputs, train: np.ndarray) -> Callable:
    """Training steps between samples of a class, behind a layer drawn at every step."""
    if len(inputs.passes(train)) != 1:
        raise StrataError(
            f"{name}: interpolate needs a batch in one pass, the model reads clips of "
            "different lengths one after the other; make them equally long"
        )
    layers = list(find_layers(model).values())
    return lambda wanted, draw: interpolated(layers, wanted, draw)


def _told(dataset: Dataset, rows: Mapping, trained: Trained, precision: str) -> dict:
    """What a card says of the data and the training."""
    samples = {"image": "pictures", "audio": "sounds"}[dataset.modality]
    return {
        "dataset": dataset.info["name"],
        "scores": {"test_accuracy": round(trained.accuracy["test"], 4)},
        "training": asdict(trained.schedule)
        | {samples: len(rows["train"]), "precision": precision},
        "held_out": {samples: len(rows["test"])},
    }


def _objective(frozen: bool, interpolate: bool, adapter_rank: int | None) -> str:
    if frozen:
        return "linear probe"
    words = ["fine-tuned"]
    words += ["interpolating"] if interpolate else []
    words += [f"adapters of rank {adapter_rank}"] if adapter_rank else []
    return ", ".join(words)


def _freeze(model, name: str, interpolate: bool, adapter_rank: int | None) -> None:
    encoder = encoder_of(model)
    if interpolate or adapter_rank:
        key = "interpolate" if interpolate else "adapter_rank"
        raise StrataError(f"{name}: {key} trains layers, which frozen keeps as they are")
    if any(isinstance(module, _BatchNorm) for module in encoder.modules()):
        raise StrataError(
            f"{name}: frozen is for encoders without batch norms, which change without gradients"
        )
    encoder.requires_grad_(False)


def _save(model, source: Path, directory: Path, told: dict) -> dict:
    """Write the classifier with its source's preprocessing and its card, which is returned."""
    card = told | {
        "name": directory.name,
        "architecture": type(model).__name__,
        "parameters": sum(p.numel() for p in model.parameters()),
    }
    if (source / "card.json").is_file():  # what is made of weights is under their licence
        licence = read_model_json(source / "card.json").get("licence")
        card |= {"licence": licence} if licence else {}
    directory.mkdir(parents=True, exist_ok=True)
    model.cpu().save_pretrained(directory)
    shutil.copyfile(source / "preprocessor_config.json", directory / "preprocessor_config.json")
    write_card(directory, card)
    return card
