"""Speech transformers that learn from sound alone, by the objectives of wav2vec 2.0 and HuBERT.

wav2vec 2.0 (Baevski et al. 2020): hidden frames are told from other frames of the same clip by
their quantised features. HuBERT (Hsu et al. 2021): hidden frames' cluster is predicted, first
clusters of MFCC, then of a layer of the model itself.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from strata.compat import prepare_imports
from strata.data import microspeech
from strata.models.training import evaluate
from strata.models.training.loop import fit
from strata.models.training.recipe import Recipe, SpeechData

Log = Callable[[str], None]
_BATCH = 128
_HOP = 320  # samples from one frame of the models to the next: 20 ms
_MASK_LENGTH = 5  # frames hidden in one piece
_MASKED = 0.5  # share of frames hidden, about
_NEGATIVES = 30
# Voices and words that the training never hears, for the probes on the card.
HEARD_VOICES, UNHEARD_VOICES = microspeech.VOICES[:40], microspeech.VOICES[40:]
HEARD_WORDS = (*microspeech.DIGITS, *microspeech.COMMANDS, *microspeech.ADDED)
UNHEARD_WORDS = microspeech.AUXILIARY


class Clips:
    """Microspeech clips, normalised to mean 0 and deviation 1, with their labels."""

    def __init__(self, sounds: np.ndarray, labels: pd.DataFrame):
        self.sounds, self.labels = torch.from_numpy(sounds), labels

    @classmethod
    def heard(cls, data: SpeechData) -> Clips:
        """Training clips: heard words by heard voices."""
        return cls._speak(data.speakers, data.takes, data.seed, HEARD_WORDS, HEARD_VOICES)

    @classmethod
    def unheard(cls, data: SpeechData) -> Clips:
        """Held-out clips: all words by unheard voices."""
        words = microspeech.VOCABULARY
        return cls._speak(data.held_out_speakers, data.takes, data.seed + 1, words, UNHEARD_VOICES)

    @classmethod
    def _speak(cls, speakers, takes, seed, words, voices) -> Clips:
        made = microspeech.make_microspeech(speakers, takes, seed, words=words, voices=voices)
        return cls(*made[:2])

    def __len__(self) -> int:
        return len(self.sounds)

    def batch(self, rows, draw: torch.Generator | None = None) -> torch.Tensor:
        """Clips (batch, samples); with `draw` moved around in time by up to a tenth of a second."""
        clips = self.sounds[torch.as_tensor(rows)].float()
        if draw is not None:
            moves = torch.randint(-1600, 1601, (len(clips),), generator=draw).tolist()
            clips = torch.stack([clip.roll(move) for clip, move in zip(clips, moves, strict=True)])
        clips = clips - clips.mean(dim=1, keepdim=True)
        return clips / clips.std(dim=1, keepdim=True)

    def batches(self):
        for start in range(0, len(self), _BATCH):
            yield self.batch(np.arange(start, min(start + _BATCH, len(self))))


def hide(clips: int, frames: int, draw: torch.Generator) -> torch.Tensor:
    """Which frames to hide (clips, frames): pieces of `_MASK_LENGTH` from random starts."""
    chance = 1 - (1 - _MASKED) ** (1 / _MASK_LENGTH)
    starts = torch.rand(clips, frames, generator=draw) < chance
    # A clip with next to nothing hidden has nothing to be told from.
    starts[:, frames // 2] |= ~starts[:, :-_MASK_LENGTH].any(dim=1)
    hidden = starts.clone()
    for shift in range(1, _MASK_LENGTH):
        hidden[:, shift:] |= starts[:, :-shift]
    return hidden


def other_hidden_frames(hidden: torch.Tensor, draw: torch.Generator) -> torch.Tensor:
    """For every frame, `_NEGATIVES` others of the same clip's hidden ones, as transformers numbers
    them: (clips, frames, negatives), counted through the batch; a frame is never its own."""
    clips, frames = hidden.shape
    picks = torch.zeros(clips, frames, _NEGATIVES, dtype=torch.long)
    for i in range(clips):
        places = torch.nonzero(hidden[i])[:, 0]
        n = len(places)
        drawn = torch.randint(0, n - 1, (n, _NEGATIVES), generator=draw)
        drawn += drawn >= torch.arange(n)[:, None]
        picks[i, places] = places[drawn] + i * frames
    return picks


def contrastive(
    recipe: Recipe, clips: Clips, log: Log, checkpoint: Path | None = None
) -> nn.Module:
    """A `Wav2Vec2ForPreTraining` trained by wav2vec 2.0's loss."""
    model = build(recipe.architecture, "Wav2Vec2ForPreTraining")
    steps, seen = recipe.schedule.steps, 0

    def loss_of(rows, draw):
        nonlocal seen
        model.set_gumbel_temperature(max(2.0 * 0.25 ** (seen / steps), 0.5))
        seen += 1
        sounds = clips.batch(rows, draw)
        frames = int(model._get_feat_extract_output_lengths(sounds.shape[1]))
        hidden = hide(len(rows), frames, draw)
        negatives = other_hidden_frames(hidden, draw)
        found = model(sounds, mask_time_indices=hidden, sampled_negative_indices=negatives)
        return found.loss / hidden.sum()

    fit(model, loss_of, len(clips), recipe.schedule, log, checkpoint=checkpoint)
    return model


class _ClusterPredictor(nn.Module):
    """An encoder with a linear layer that names the cluster of every frame."""

    def __init__(self, encoder: nn.Module, clusters: int):
        super().__init__()
        self.encoder = encoder
        self.head = nn.Linear(encoder.config.hidden_size, clusters)


def clustered(recipe: Recipe, clips: Clips, log: Log, checkpoint: Path | None = None) -> nn.Module:
    """A `HubertModel`: trained on clusters of MFCC, then a fresh one on clusters of its layer."""
    first, second = recipe.objective_options["clusters"]
    layer, seed = recipe.objective_options["layer"], recipe.schedule.seed
    share = recipe.objective_options["first_steps"]
    targets = cluster([mfcc(batch) for batch in clips.batches()], first, seed)
    log(f"{recipe.name}: {first} clusters of MFCC")
    early = replace(recipe.schedule, steps=share)
    model = _predict_clusters(recipe.architecture, clips, targets, early, log)
    with torch.inference_mode():
        states = [
            model(batch, output_hidden_states=True).hidden_states[layer]
            for batch in clips.batches()
        ]
    targets = cluster(states, second, seed)
    log(f"{recipe.name}: {second} clusters of layer {layer}")
    return _predict_clusters(recipe.architecture, clips, targets, recipe.schedule, log, checkpoint)


def _predict_clusters(
    architecture, clips: Clips, targets: torch.Tensor, schedule, log: Log, checkpoint=None
):
    torch.manual_seed(schedule.seed)
    model = build(architecture, "HubertModel")
    predictor = _ClusterPredictor(model, int(targets.max()) + 1)

    def loss_of(rows, draw):
        hidden = hide(len(rows), targets.shape[1], draw)
        states = model(clips.batch(rows), mask_time_indices=hidden).last_hidden_state
        wanted = targets[torch.as_tensor(rows)]
        return cross_entropy(predictor.head(states)[hidden], wanted[hidden])

    fit(predictor, loss_of, len(clips), schedule, log, checkpoint=checkpoint)
    return model


def mfcc(clips: torch.Tensor) -> torch.Tensor:
    """13 mel-frequency cepstra with first and second differences (clips, frames, 39)."""
    prepare_imports()
    from torchaudio.functional import compute_deltas
    from torchaudio.transforms import MFCC

    spectrum = {"n_fft": 512, "win_length": 400, "hop_length": _HOP, "n_mels": 40, "center": False}
    cepstra = MFCC(microspeech.RATE, n_mfcc=13, melkwargs=spectrum)(clips)
    deltas = compute_deltas(cepstra)
    return torch.cat([cepstra, deltas, compute_deltas(deltas)], dim=1).transpose(1, 2)


def cluster(batches: list[torch.Tensor], clusters: int, seed: int) -> torch.Tensor:
    """k-means over all frames, each dimension scaled to deviation 1: numbers (clips, frames)."""
    from sklearn.cluster import MiniBatchKMeans

    frames = torch.cat(batches)
    flat = frames.reshape(-1, frames.shape[-1]).numpy()
    flat = (flat - flat.mean(axis=0)) / flat.std(axis=0)
    means = MiniBatchKMeans(clusters, random_state=seed, batch_size=4096, n_init=3)
    return torch.from_numpy(means.fit_predict(flat).astype(np.int64)).reshape(frames.shape[:2])


def build(architecture: dict, model_class: str) -> nn.Module:
    """A model of a transformers class with fresh weights."""
    prepare_imports()
    import transformers

    arguments = {key: value for key, value in architecture.items() if key != "config"}
    config = getattr(transformers, architecture["config"])(**arguments)
    return getattr(transformers, model_class)(config)


def probe_scores(model: nn.Module, clips: Clips) -> dict[str, float]:
    """Linear probes on unheard voices, in the best layer: heard words, unheard words, speakers.

    A word's probe is fitted on half of the speakers and tested on the other half.
    """
    encoder = getattr(model, model.base_model_prefix, model)
    with torch.inference_mode():
        batches = [encoder(b, output_hidden_states=True).hidden_states for b in clips.batches()]
    layers = [
        torch.cat([b[i].mean(dim=1) for b in batches]).numpy() for i in range(len(batches[0]))
    ]
    labels, scores = clips.labels, {}
    for name, words in (("word", HEARD_WORDS), ("unheard_word", UNHEARD_WORDS)):
        rows = labels["word"].isin(words).to_numpy()
        groups = labels["speaker"].to_numpy()[rows]
        wanted = labels["word"].to_numpy()[rows]
        found = [evaluate.probe_accuracy(x[rows], wanted, groups=groups) for x in layers[1:]]
        scores[f"{name}_probe_accuracy"] = max(found)
    wanted = labels["speaker"].to_numpy()
    found = [evaluate.probe_accuracy(x, wanted) for x in layers[1:]]
    return scores | {"speaker_probe_accuracy": max(found)}
