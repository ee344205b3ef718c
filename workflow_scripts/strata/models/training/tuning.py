"""Classifiers made of encoders: inputs of either kind, heads, and what a training is made of."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn

from strata.compat import prepare_imports
from strata.data.manifest import Dataset
from strata.errors import StrataError
from strata.models.inference import mixed
from strata.models.layers import encoder_of
from strata.models.speech import (
    fed_with_frames,
    frame_batch,
    frames_of,
    has_front_end,
    sound_processor,
)
from strata.models.training.loop import History, Watch, fit
from strata.models.training.pictures import Look
from strata.models.training.recipe import Schedule

_BATCH = 256


# --- inputs -------------------------------------------------------------------------------------


class PictureInputs:
    """All pictures of a data set as an image classifier's arguments.

    `inputs(rows, draw)` with a generator moves them a little; without one they are as they are.
    """

    def __init__(self, source: Path, dataset: Dataset, device: str = "cpu"):
        self.look, self.device = Look.of(source), device
        self.pictures = self.look.load(dataset)

    def __call__(self, rows: np.ndarray, draw: torch.Generator | None = None) -> dict:
        pictures = self.pictures[rows]
        pixels = self.look.shifted(pictures, draw) if draw else self.look.tensor(pictures)
        return {"pixel_values": pixels.to(self.device)}

    def feeding(self, model: nn.Module):
        """The context in which `model` takes these inputs: any."""
        return nullcontext()


class SoundInputs:
    """All sounds of a data set as the frames that a speech model's front end makes of them.

    The convolutional front end is not trained, as is usual in fine-tuning, so its frames are
    computed once and serve every cut of the model, every seed and every epoch.
    """

    def __init__(self, source: Path, dataset: Dataset, model: nn.Module, device: str = "cpu"):
        rate, prepare = sound_processor(source)
        # Moved outside of inference mode, in which weights would become unfit for training.
        base = model.base_model.to(device).eval()
        self.config, self.device = base.config, device
        self.frames: list[torch.Tensor] = []
        with torch.inference_mode():
            for start in range(0, len(dataset), _BATCH):
                samples = range(start, min(start + _BATCH, len(dataset)))
                clips = prepare([dataset.sound(i, rate) for i in samples])
                clips = [clip.to(device) for clip in clips]
                self.frames += [f.cpu().clone() for f in frames_of(base, clips)]

    def __call__(self, rows: np.ndarray, draw: torch.Generator | None = None) -> dict:
        batch = frame_batch(self.config, [self.frames[row] for row in rows])
        return {
            key: None if value is None else value.to(self.device) for key, value in batch.items()
        }

    def feeding(self, model: nn.Module):
        """The context in which `model` takes these inputs: its front end is left out."""
        return fed_with_frames(model.base_model)


Inputs = PictureInputs | SoundInputs


def inputs_of(source: Path, dataset: Dataset, model: nn.Module, device: str = "cpu") -> Inputs:
    """The inputs that suit a classifier made from `source`."""
    if has_front_end(model.base_model):
        return SoundInputs(source, dataset, model, device)
    return PictureInputs(source, dataset, device)


def raw_example(source: Path, dataset: Dataset, samples: Iterable[int]) -> dict[str, torch.Tensor]:
    """Samples as a user gives them to a classifier: pictures, or sounds of their median length,
    longer ones cut and shorter ones followed by silence."""
    if dataset.modality == "image":
        look, side = Look.of(source), Look.of(source).size
        pictures = [dataset.image(i).resize((side, side)) for i in samples]
        return {"pixel_values": look.tensor(np.stack([np.asarray(p) for p in pictures]))}
    rate, prepare = sound_processor(source)
    clips = prepare([dataset.sound(i, rate) for i in samples])
    length = int(np.median([len(clip) for clip in clips]))
    clips = [
        torch.nn.functional.pad(clip[:length], (0, max(0, length - len(clip)))) for clip in clips
    ]
    return {"input_values": torch.stack(clips)}


# --- classifiers --------------------------------------------------------------------------------


def classifier(source: Path, classes: list[str], overrides: Mapping | None = None) -> nn.Module:
    """The transformers model in `source` with a fresh classification head.

    A masked autoencoder continues as a plain ViT, as its authors do. `overrides` are set in the
    model's configuration (dropout, say). The front end of a speech model is frozen.
    """
    prepare_imports()
    import transformers

    transformers.logging.set_verbosity_error()
    names = dict(enumerate(classes))
    head = {"id2label": names, "label2id": {name: i for i, name in names.items()}}
    config = transformers.AutoConfig.from_pretrained(source, local_files_only=True)
    if config.model_type == "vit_mae":
        plain = transformers.ViTConfig
        shared = {k: v for k, v in config.to_dict().items() if k in plain().to_dict()}
        config = plain(**{k: v for k, v in shared.items() if k not in ("model_type", *head)})
    config.id2label, config.label2id = head["id2label"], head["label2id"]
    _override(config, overrides or {}, source.name)
    spoken = hasattr(config, "conv_stride")
    kind = "AudioClassification" if spoken else "ImageClassification"
    model = getattr(transformers, f"AutoModelFor{kind}").from_pretrained(
        source,
        config=config,
        local_files_only=True,
        use_safetensors=True,
        ignore_mismatched_sizes=True,
        dtype=torch.float32,
    )
    if spoken:
        model.freeze_feature_encoder()
    return model


def _override(config, overrides: Mapping, name: str) -> None:
    for key, value in overrides.items():
        if not hasattr(config, key):
            raise StrataError(f"overrides: {key!r} is no setting of {name} ({config.model_type})")
        setattr(config, key, value)


def head_parameters(model: nn.Module) -> list[nn.Parameter]:
    """The parameters of a classifier that are not its encoder's."""
    encoder = {id(p) for p in encoder_of(model).parameters()}
    return [p for p in model.parameters() if id(p) not in encoder]


def accuracy(model: nn.Module, inputs: Inputs, rows: np.ndarray, targets: np.ndarray) -> float:
    """Share of the samples `rows` whose most likely class is their target. Call while `feeding`."""
    right = 0
    with torch.inference_mode():
        for start in range(0, len(rows), _BATCH):
            part = rows[start : start + _BATCH]
            logits = model(**inputs(part)).logits.float().cpu().numpy()
            right += int((logits.argmax(axis=1) == targets[part]).sum())
    return right / len(rows)


# --- training -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Training:
    """How a classifier is trained. With `patience` training ends when the accuracy on the
    validation split has not risen for so many epochs, and the best state is kept; `head_factor` is
    how much faster the new head learns; `overrides` are settings of the model's configuration;
    `precision` is that of the matrix products in a step (`strata.models.inference.mixed`)."""

    epochs: int = 8
    batch_size: int = 128
    learning_rate: float = 5e-4
    weight_decay: float = 0.05
    warmup: float = 0.05
    patience: int | None = None
    head_factor: float = 1.0
    overrides: Mapping | None = None
    precision: str = "float32"


@dataclass(frozen=True)
class Trained:
    """What came of a training: the accuracy on each split that is not trained on, its history."""

    accuracy: dict[str, float]
    history: History
    schedule: Schedule


def train_classifier(
    model: nn.Module,
    inputs: Inputs,
    rows: Mapping[str, np.ndarray],
    targets: np.ndarray,
    training: Training,
    seed: int,
    *,
    around: Callable[[torch.Tensor, torch.Generator], AbstractContextManager] | None = None,
    checkpoint: Path | None = None,
    log: Callable[[str], None] = print,
) -> Trained:
    """Train a classifier in place on the rows of the train split, by cross-entropy.

    `targets` holds the class number of every sample; `around(wanted, draw)` is a context in which
    each step's forward pass runs; `checkpoint` as in `strata.models.training.loop.Watch`.
    """
    train = rows["train"]
    steps = max(1, len(train) // training.batch_size)
    schedule = Schedule(
        steps=training.epochs * steps,
        batch_size=training.batch_size,
        learning_rate=training.learning_rate,
        weight_decay=training.weight_decay,
        warmup=training.warmup,
        seed=seed,
    )

    def loss_of(chosen: np.ndarray, draw: torch.Generator) -> torch.Tensor:
        given = inputs(train[chosen], draw)
        wanted = torch.from_numpy(targets[train[chosen]])
        inside = around(wanted, draw) if around else nullcontext()
        with inside, mixed(inputs.device, training.precision):
            logits = model(**given).logits.float()
        return torch.nn.functional.cross_entropy(logits, wanted.to(logits.device))

    def score(split: str) -> float:
        return accuracy(model, inputs, rows[split], targets)

    watch = None
    if training.patience is not None:
        watch = Watch(lambda: score("validation"), steps, training.patience, checkpoint)
    fast = training.head_factor != 1
    head = {"head": head_parameters(model), "head_factor": training.head_factor} if fast else {}
    with inputs.feeding(model):
        history = fit(model, loss_of, len(train), schedule, log, watch=watch, **head)
        found = {split: score(split) for split in rows if split != "train"}
    return Trained(found, history, schedule)
