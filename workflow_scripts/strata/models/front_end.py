"""How sounds enter a network: one interface for all families of sound encoders."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from strata.compat import prepare_imports
from strata.errors import StrataError, one_line

if TYPE_CHECKING:
    import torch
    from torch import nn

    from strata.data.manifest import Dataset

CONTEXTS = ("clip", "full")


@dataclass(frozen=True)
class FrontEnd:
    """What lies between sounds and the layers of `module`, an encoder.

    A clip's states never depend on the clips beside it: clips that go through the network together
    (`groups`) are of one length, or stand behind a mask that hides the padding exactly.

    `rate` is the sample rate in Hz; `process` makes of one sound (samples,) what the network takes;
    a sound has `shortest` to `longest` samples (None: no limit). Frame i of a layer is centred at
    sample `centre + i * hop`. `context` is "clip" or "full" for networks that were trained on
    clips padded to one length (`strata.models.front_ends`), None for those that take any length.
    """

    module: nn.Module
    rate: int
    process: Callable[[np.ndarray], torch.Tensor]
    hop: int
    centre: float
    shortest: int
    longest: int | None = None
    context: str | None = None

    # Whether clips of different lengths can go through the network in one pass.
    together = False
    argument = "input_features"

    def prepare(self, sounds: Sequence[np.ndarray]) -> list[torch.Tensor]:
        """What the network takes of each sound, as long as the sound is."""
        return [self.process(sound) for sound in sounds]

    def once(self, clips: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        """What can be computed once for a whole training: here the clips as they are."""
        return list(clips)

    def groups(self, clips: Sequence[torch.Tensor]) -> list[list[int]]:
        """The places of the clips that go through the network together, of each pass."""
        if self.together:
            return [list(range(len(clips)))]
        places: dict[tuple, list[int]] = {}
        for place, clip in enumerate(clips):
            places.setdefault(tuple(clip.shape), []).append(place)
        return list(places.values())

    def arguments(self, clips: Sequence[torch.Tensor]) -> dict[str, Any]:
        """A group of clips (as `once` leaves them) as arguments of the network, or of a classifier
        around it that is `feeding`."""
        import torch

        return {self.argument: torch.stack(list(clips))}

    def example(self, clips: Sequence[torch.Tensor]) -> dict[str, Any]:
        """A group of clips as arguments of a classifier as it is, front end and all."""
        return self.arguments(clips)

    def feeding(self, module: nn.Module) -> AbstractContextManager:
        """The context in which an encoder takes the `arguments`."""
        return nullcontext()

    def forward(self, clips: Sequence[torch.Tensor]) -> Mapping:
        """The network on one of the `groups` of prepared clips."""
        ready = self.once(clips)
        with self.feeding(self.module):
            return self.module(**self.arguments(ready))

    def frame_counts(self, clips: Sequence[torch.Tensor]) -> list[int]:
        """Number of each prepared clip's own frames, as the layers have them."""
        raise NotImplementedError

    def frames(self, states: torch.Tensor) -> torch.Tensor:
        """States of a layer (clips, tokens, features) as frames (clips, frames, features)."""
        return states

    def own_tokens(self, states: torch.Tensor, counts: Sequence[int]) -> torch.Tensor:
        """Which tokens of a layer are the clips' own, (clips, tokens)."""
        import torch

        places = torch.arange(states.shape[1], device=states.device)
        return places < torch.tensor(counts, device=states.device)[:, None]

    def frame_span(self, start: float, end: float, frames: int) -> tuple[int, int]:
        """First and last frame (exclusive) whose centres lie in a piece of `start` to `end` seconds
        of a clip that has `frames` frames. A piece too short for that has the frame next to its
        middle."""
        times = np.array([start, end, (start + end) / 2]) * self.rate
        places = (times - self.centre) / self.hop
        first, last = (int(np.ceil(place)) for place in places[:2])
        first, last = max(first, 0), min(last, frames)
        if first < last:
            return first, last
        nearest = min(max(round(places[2]), 0), frames - 1)
        return nearest, nearest + 1


def sound_reader(front_end: FrontEnd, dataset: Dataset, name: str) -> Callable[[int], np.ndarray]:
    """How to read a sample of `dataset` for the model `name`, at its rate.

    The reader raises StrataError, with the file, for a sound that is shorter than one frame, or
    longer than the positions that the network has.
    """

    def sound(sample: int) -> np.ndarray:
        found, rate = dataset.sound(sample, front_end.rate), front_end.rate
        if len(found) < front_end.shortest:
            raise StrataError(
                f"{dataset.place_of(sample)}: {len(found)} samples at {rate} Hz are less than one "
                f"frame of {name} ({front_end.shortest}); remove it or lengthen it"
            )
        if front_end.longest is not None and len(found) > front_end.longest:
            raise StrataError(
                f"{dataset.place_of(sample)}: {len(found) / rate:.1f} s are more than {name} reads "
                f"({front_end.longest / rate:.1f} s); cut it into shorter files"
            )
        return found

    return sound


def feature_extractor(directory: Path, wanted: Sequence[str]):
    """transformers' feature extractor of a folder, without what would be left to chance.

    Raises StrataError without a `preprocessor_config.json` for sounds, for one that cannot be read,
    or for one of another kind than the network needs (`wanted` are names of classes).
    """
    prepare_imports()
    from transformers import AutoFeatureExtractor

    if not (directory / "preprocessor_config.json").is_file():
        raise StrataError(
            f"{directory.name}: no preprocessor_config.json; it names the sample rate"
        )
    try:
        processor = AutoFeatureExtractor.from_pretrained(
            directory, local_files_only=True, trust_remote_code=False
        )
    except Exception as error:  # what lies may fail anywhere
        raise StrataError(
            f"{directory.name}: preprocessor_config.json makes no feature extractor: "
            f"{one_line(error, 200)}"
        ) from None
    if getattr(processor, "sampling_rate", None) is None:
        raise StrataError(f"{directory.name}: preprocessor_config.json has no sampling_rate")
    if type(processor).__name__ not in wanted:
        raise StrataError(
            f"{directory.name}: preprocessor_config.json is for a {type(processor).__name__}, the "
            f"model takes what a {wanted[0]} makes"
        )
    if getattr(processor, "dither", 0.0):
        processor.dither = 0.0  # noise that would differ from run to run
    return processor


def write_sound_processor(directory: Path, sampling_rate: int, do_normalize: bool = True) -> None:
    """The file that transformers' AutoFeatureExtractor reads: rate in Hz, and whether each sound is
    scaled to mean 0 and deviation 1."""
    processor = {
        "feature_extractor_type": "Wav2Vec2FeatureExtractor",
        "feature_size": 1,
        "sampling_rate": sampling_rate,
        "padding_value": 0.0,
        "padding_side": "right",
        "do_normalize": do_normalize,
        "return_attention_mask": True,
    }
    text = json.dumps(processor, indent=2, sort_keys=True) + "\n"
    (directory / "preprocessor_config.json").write_text(text)
