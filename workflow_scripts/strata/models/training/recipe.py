"""What makes a zoo model: its recipe, read from YAML and checked."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from pathlib import Path

from strata.errors import StrataError

SPEECH_OBJECTIVES = ("contrastive_speech", "clustered_speech")
OBJECTIVES = ("supervised", "masked", "contrastive", "locked", "distilled", *SPEECH_OBJECTIVES)


@dataclass(frozen=True)
class Schedule:
    """How long and how fast: AdamW with linear warm-up and cosine decay to zero."""

    steps: int
    batch_size: int = 256
    learning_rate: float = 1e-3
    weight_decay: float = 0.05
    warmup: float = 0.05
    seed: int = 0


@dataclass(frozen=True)
class TrainingData:
    """Microworld pictures rendered for training at `size`, and held-out ones of another seed.

    `seen` is the side at which the model sees them, where that is another: they are resized as its
    processor will resize them, because a picture drawn small is not a large one made small.
    """

    n: int
    held_out: int
    seed: int
    size: int = 48
    seen: int | None = None
    world: str = "shapes"


@dataclass(frozen=True)
class SpeechData:
    """Microspeech for training, and held-out speakers of another seed."""

    speakers: int
    takes: int
    held_out_speakers: int
    seed: int


@dataclass(frozen=True)
class Recipe:
    """Everything that makes a zoo model.

    `architecture` names a transformers configuration class (`config`) and its arguments;
    `requires` maps a metric of the card to the least value with which the model may be shipped;
    `objective_options` are the objective's own (for clustered_speech: `clusters` of either round,
    `first_steps` of the first, `layer` whose states are clustered for the second; for distilled:
    `teacher`, the folder of a vision transformer with a class token).
    """

    name: str
    objective: str
    architecture: dict
    data: TrainingData | SpeechData
    schedule: Schedule
    requires: dict[str, float]
    objective_options: dict = field(default_factory=dict)


def read_recipe(path: str | Path) -> Recipe:
    """Read `recipe.yaml` of a zoo model, named after its folder.

    Raises
    ------
    StrataError
        The file is missing, a key is missing or unknown, or the objective is not one of ours.
    """
    import yaml

    path = Path(path)
    if not path.is_file():
        raise StrataError(f"{path}: no such recipe; a zoo model needs a recipe.yaml in its folder")
    content = yaml.safe_load(path.read_text())
    if content.get("objective") not in OBJECTIVES:
        raise StrataError(
            f"{path}: objective is {content.get('objective')!r}, use one of {', '.join(OBJECTIVES)}"
        )
    objective = content.pop("objective")
    data_class = SpeechData if objective in SPEECH_OBJECTIVES else TrainingData
    try:
        return Recipe(
            name=path.parent.name,
            objective=objective,
            architecture=content.pop("architecture"),
            data=data_class(**content.pop("data")),
            schedule=Schedule(**content.pop("schedule")),
            requires=content.pop("requires", {}),
            **content,
        )
    except (KeyError, TypeError) as error:
        keys = ", ".join(field.name for field in fields(Recipe)[1:])
        raise StrataError(f"{path}: {error}; a recipe has the keys {keys}") from None
