"""Fine-tuning an image encoder on a classification task of one's own."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from strata.errors import StrataError
from strata.zoo import evaluate
from strata.zoo.loop import fit
from strata.zoo.pictures import shifted
from strata.zoo.recipe import Schedule


def finetune(
    source: str | Path,
    images: np.ndarray,
    labels: np.ndarray,
    train_rows: np.ndarray,
    test_rows: np.ndarray,
    directory: str | Path,
    schedule: Schedule,
    log: Callable[[str], None] = print,
) -> dict:
    """Fine-tune all weights of the model in `source` to predict `labels`; return the card.

    Parameters
    ----------
    images : uint8 (samples, size, size, 3), at the model's input size
    labels : str (samples,)
    train_rows, test_rows : sample numbers; the card's accuracy is measured on `test_rows`

    The result in `directory` is a transformers image classifier of the source's architecture
    (a masked autoencoder continues as a plain ViT, as its authors do).

    Raises
    ------
    StrataError
        Fewer than two classes, or a test class that training does not have.
    """
    source, directory = Path(source), Path(directory)
    classes, targets = np.unique(labels, return_inverse=True)
    if len(classes) < 2:
        raise StrataError(f"fine-tuning {source.name}: only one class ({classes[0]}) to tell apart")
    unseen = sorted(set(labels[test_rows]) - set(labels[train_rows]))
    if unseen:
        raise StrataError(f"fine-tuning {source.name}: class {unseen[0]} is not in the train split")
    torch.manual_seed(schedule.seed)
    model = _classifier(source, [str(name) for name in classes])
    wanted = torch.from_numpy(targets[train_rows])
    pictures = images[train_rows]

    def loss_of(rows, draw):
        logits = model(pixel_values=shifted(pictures[rows], draw)).logits
        return torch.nn.functional.cross_entropy(logits, wanted[rows])

    fit(model, loss_of, len(pictures), schedule, log)
    accuracy = evaluate.classification_accuracy(model, images[test_rows], targets[test_rows])
    log(f"held-out accuracy {accuracy:.3f}")
    directory.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(directory)
    shutil.copyfile(source / "preprocessor_config.json", directory / "preprocessor_config.json")
    card = {
        "name": directory.name,
        "architecture": type(model).__name__,
        "objective": "fine-tuned",
        "classes": [str(name) for name in classes],
        "parameters": sum(p.numel() for p in model.parameters()),
        "scores": {"test_accuracy": round(accuracy, 4)},
        "training": vars(schedule) | {"pictures": len(train_rows)},
        "held_out": {"pictures": len(test_rows)},
    }
    (directory / "card.json").write_text(json.dumps(card, indent=2, sort_keys=True) + "\n")
    return card


def _classifier(source: Path, classes: list[str]):
    """The model in `source` with a fresh classification head."""
    from transformers import AutoConfig, AutoModelForImageClassification, ViTConfig

    names = dict(enumerate(classes))
    head = {"id2label": names, "label2id": {name: i for i, name in names.items()}}
    config = AutoConfig.from_pretrained(source, local_files_only=True)
    if config.model_type == "vit_mae":
        shared = {k: v for k, v in config.to_dict().items() if k in ViTConfig().to_dict()}
        config = ViTConfig(**{k: v for k, v in shared.items() if k not in ("model_type", *head)})
    config.id2label, config.label2id = head["id2label"], head["label2id"]
    model = AutoModelForImageClassification.from_pretrained(
        source,
        config=config,
        local_files_only=True,
        use_safetensors=True,
        ignore_mismatched_sizes=True,
    )
    return model
