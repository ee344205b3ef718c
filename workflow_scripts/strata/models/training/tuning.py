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
from strata.errors import StrataError, one_line
from strata.models.front_end import sound_reader
from strata.models.front_ends import front_end_of
from strata.models.inference import mixed
from strata.models.layers import encoder_of, find_layers
from strata.models.sound_families import check_family, family_of
from strata.models.training.loop import History, Watch, fit
from strata.models.training.pictures import Look, OwnLook
from strata.models.training.recipe import Schedule

_BATCH = 256
# The passes in which a classifier sees a batch: for each the places of its samples in the batch,
# and its arguments.
Passes = list[tuple[list[int], dict]]


# --- inputs -------------------------------------------------------------------------------------


class PictureInputs:
    """All pictures of a data set as an image classifier's arguments.

    `inputs(rows, draw)` with a generator moves them a little; without one they are as they are.
    Without a `look` they are as the model's preprocessor says.
    """

    def __init__(
        self,
        source: Path,
        dataset: Dataset,
        device: str = "cpu",
        look: Look | OwnLook | None = None,
    ):
        self.look, self.device = look or OwnLook(source), device
        self.pictures = self.look.load(dataset)

    def __call__(self, rows: np.ndarray, draw: torch.Generator | None = None) -> dict:
        pictures = self.pictures[rows]
        pixels = self.look.shifted(pictures, draw) if draw else self.look.tensor(pictures)
        return {"pixel_values": pixels.to(self.device)}

    def passes(self, rows: np.ndarray, draw: torch.Generator | None = None) -> Passes:
        return [(list(range(len(rows))), self(rows, draw))]

    def feeding(self, model: nn.Module):
        """The context in which `model` takes these inputs: any."""
        return nullcontext()


class SoundInputs:
    """All sounds of a data set as what a speech model's front end makes of them.

    The convolutional front end of the wav2vec 2.0 kind is not trained, as is usual in fine-tuning,
    so its frames are computed once and serve every cut of the model, every seed and every epoch;
    log-mel frames do so too. What is said of a clip does not depend on the clips beside it.
    """

    def __init__(
        self,
        source: Path,
        dataset: Dataset,
        model: nn.Module,
        device: str = "cpu",
        context: str | None = None,
        read: SoundInputs | None = None,
    ):
        # Moved outside of inference mode, in which weights would become unfit for training.
        encoder = encoder_of(model).to(device).eval()
        self.front_end, self.device = front_end_of(source, encoder, context), device
        self.frames: list[torch.Tensor] = read.frames if read else self._read(source, dataset)

    def _read(self, source: Path, dataset: Dataset) -> list[torch.Tensor]:
        """What is computed of all clips once."""
        front_end, read = self.front_end, sound_reader(self.front_end, dataset, source.name)
        frames: list[torch.Tensor] = []
        with torch.inference_mode():
            for start in range(0, len(dataset), _BATCH):
                samples = range(start, min(start + _BATCH, len(dataset)))
                clips = front_end.prepare([read(i) for i in samples])
                clips = [clip.to(self.device) for clip in clips]
                frames += [f.cpu().clone() for f in front_end.once(clips)]
        return frames

    def passes(self, rows: np.ndarray, draw: torch.Generator | None = None) -> Passes:
        frames = [self.frames[row].to(self.device) for row in rows]
        groups = self.front_end.groups(frames)
        return [(g, self.front_end.arguments([frames[place] for place in g])) for g in groups]

    def feeding(self, model: nn.Module):
        """The context in which `model` takes these inputs: its front end is left out."""
        return self.front_end.feeding(encoder_of(model))


Inputs = PictureInputs | SoundInputs


def inputs_of(
    source: Path,
    dataset: Dataset,
    model: nn.Module,
    device: str = "cpu",
    context: str | None = None,
    read: Inputs | None = None,
    look: Look | OwnLook | None = None,
) -> Inputs:
    """The inputs that suit a classifier made from `source`; `read` are those of another classifier
    made from it, for the same data set and context, and what they hold is shared. Pictures are made
    as `look` says, else in the model's own way. With the context "clip" a network of sounds that
    was trained on clips of one length is changed to take any (`strata.models.front_ends`)."""
    if family_of(model.config) is not None:
        return SoundInputs(source, dataset, model, device, context, read)
    return read or PictureInputs(source, dataset, device, look)


def raw_example(
    source: Path,
    dataset: Dataset,
    model: nn.Module,
    samples: Iterable[int],
    context: str | None = None,
) -> dict[str, torch.Tensor]:
    """Samples as a user gives them to a classifier: pictures, or sounds of their median length,
    longer ones cut and shorter ones followed by silence. `model` is changed as by `inputs_of`."""
    if dataset.modality == "image":
        return {"pixel_values": OwnLook(source).made([dataset.image(i) for i in samples])}
    front_end = front_end_of(source, encoder_of(model), context)
    read = sound_reader(front_end, dataset, source.name)
    sounds = [read(i) for i in samples]
    length = int(np.median([len(sound) for sound in sounds]))
    sounds = [np.pad(sound[:length], (0, max(0, length - len(sound)))) for sound in sounds]
    return front_end.example(front_end.prepare(sounds))


# --- classifiers --------------------------------------------------------------------------------


def classifier(source: Path, classes: list[str], overrides: Mapping | None = None) -> nn.Module:
    """The transformers model in `source` with a fresh classification head.

    A masked autoencoder continues as a plain ViT, as its authors do. `overrides` are set in the
    model's configuration (dropout, say). The convolutions that a speech model begins with are
    frozen where transformers has them frozen in fine-tuning.

    Raises StrataError for a setting that the model does not have, and for an encoder of sounds for
    which transformers has no classifier.
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
    kind = "AudioClassification" if _is_spoken(config, source.name) else "ImageClassification"
    model, report = getattr(transformers, f"AutoModelFor{kind}").from_pretrained(
        source,
        config=config,
        local_files_only=True,
        use_safetensors=True,
        ignore_mismatched_sizes=True,
        dtype=torch.float32,
        output_loading_info=True,
    )
    _check_loaded(model, report, source.name)
    _forget_head(model, report)
    if hasattr(model, "freeze_feature_encoder"):
        model.freeze_feature_encoder()
    return model


def _check_loaded(model: nn.Module, report: Mapping, name: str) -> None:
    """Refuse an encoder of which weights did not fit what `overrides` made of it: they would be
    random."""
    encoder = {id(parameter) for parameter in encoder_of(model).parameters()}
    own = {path for path, parameter in model.named_parameters() if id(parameter) in encoder}
    blocks = set(map(id, find_layers(model).values()))
    layers = tuple(f"{path}." for path, part in model.named_modules() if id(part) in blocks)
    unfit = [key for key, *_ in report["mismatched_keys"] if key in own]
    absent = [key for key in report["missing_keys"] if key in own and key.startswith(layers)]
    if lost := sorted({*unfit, *absent}):
        raise StrataError(
            f"{name}: its weights do not fit its configuration: {lost[0]} would be random; leave "
            "out of overrides what changes sizes"
        )


def _forget_head(model: nn.Module, report: Mapping) -> None:
    """Draw anew what of the head came with the weights: another task's, of as many classes."""
    fresh = {*report["missing_keys"], *(key for key, *_ in report["mismatched_keys"])}
    head = {id(parameter) for parameter in head_parameters(model)}
    for path, module in model.named_modules():
        own = dict(module.named_parameters(recurse=False))
        kept = [f"{path}.{name}".lstrip(".") for name, p in own.items() if id(p) in head]
        if not fresh.issuperset(kept):
            for part in (module, *own.values()):
                part._is_hf_initialized = False  # transformers draws nothing twice
            model._init_weights(module)


def _is_spoken(config, name: str) -> bool:
    """Whether a classifier of sounds is made; one that cannot be is refused."""
    from transformers import MODEL_FOR_AUDIO_CLASSIFICATION_MAPPING as CLASSIFIERS

    check_family(config, name)
    family = family_of(config)
    if family is None:
        return False
    if type(config) not in CLASSIFIERS:
        raise StrataError(
            f"{name}: transformers has no classifier around a {config.model_type} encoder, so it "
            "can be neither fine-tuned nor pruned"
        )
    if family.front_end == "whisper" and config.use_weighted_layer_sum:
        raise StrataError(
            f"{name}: use_weighted_layer_sum mixes layers that a cut takes out; set it to false"
        )
    return True


def _override(config, overrides: Mapping, name: str) -> None:
    for key, value in overrides.items():
        if not hasattr(config, key):
            raise StrataError(f"overrides: {key!r} is no setting of {name} ({config.model_type})")
        try:
            setattr(config, key, value)
        except Exception as error:  # transformers checks some of them, and raises what it likes
            told = one_line(error)
            raise StrataError(f"overrides: {key}: {value!r} does not fit {name}: {told}") from None


def head_parameters(model: nn.Module) -> list[nn.Parameter]:
    """The parameters of a classifier that are not its encoder's."""
    encoder = {id(p) for p in encoder_of(model).parameters()}
    return [p for p in model.parameters() if id(p) not in encoder]


def logits_of(model: nn.Module, passes: Passes) -> torch.Tensor:
    """What `model` says of the samples of a batch, in their order, (samples, classes) float32.

    Batch norms of an encoder of sounds keep the statistics that they were pretrained with: what is
    said of a clip does not depend on those beside it.
    """
    if family_of(model.config) is not None:
        for module in model.modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                module.eval()
    found = torch.cat([model(**arguments).logits.float() for _, arguments in passes])
    places = torch.tensor([place for group, _ in passes for place in group])
    return found[places.argsort().to(found.device)]


def right_answers(
    model: nn.Module, inputs: Inputs, rows: np.ndarray, targets: np.ndarray
) -> np.ndarray:
    """Of each of the samples `rows` whether its most likely class is its target: booleans, in the
    order of `rows`. Call while `feeding`."""
    right = []
    with torch.inference_mode():
        for start in range(0, len(rows), _BATCH):
            part = rows[start : start + _BATCH]
            logits = logits_of(model, inputs.passes(part)).cpu().numpy()
            right.append(logits.argmax(axis=1) == targets[part])
    return np.concatenate(right) if right else np.empty(0, dtype=bool)


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
    """What came of a training: which samples of each split that is not trained on it gets right
    (booleans, in the order of the split's rows), its history."""

    right: dict[str, np.ndarray]
    history: History
    schedule: Schedule

    @property
    def accuracy(self) -> dict[str, float]:
        return {split: float(right.mean()) for split, right in self.right.items()}


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
    each step's forward pass runs; `checkpoint` as in `strata.models.training.loop.fit`.
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
        passes = inputs.passes(train[chosen], draw)
        wanted = torch.from_numpy(targets[train[chosen]])
        inside = around(wanted, draw) if around else nullcontext()
        with inside, mixed(inputs.device, training.precision):
            logits = logits_of(model, passes)
        return torch.nn.functional.cross_entropy(logits, wanted.to(logits.device))

    def answers(split: str) -> np.ndarray:
        return right_answers(model, inputs, rows[split], targets)

    watch = None
    if training.patience is not None:
        watch = Watch(lambda: float(answers("validation").mean()), steps, training.patience)
    fast = training.head_factor != 1
    head = {"head": head_parameters(model), "head_factor": training.head_factor} if fast else {}
    with inputs.feeding(model):
        history = fit(
            model, loss_of, len(train), schedule, log, watch=watch, checkpoint=checkpoint, **head
        )
        found = {split: answers(split) for split in rows if split != "train"}
    return Trained(found, history, schedule)
