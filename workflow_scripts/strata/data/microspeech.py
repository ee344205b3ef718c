"""Microspeech: words of Speech Commands spoken by synthetic speakers, with all labels known.

A speaker is an espeak-ng voice with a pitch, a rate and a loudness; a take varies pitch and rate a
little, puts the word anywhere in its second and adds background noise at a drawn level. Word and
speaker are known for every clip, phonemes with their times.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from strata.data.espeak import RATE as SPOKEN_RATE
from strata.data.espeak import Utterance, speak
from strata.errors import StrataError

RATE = 16000
CLIP = RATE  # one second
# Vocabulary of Speech Commands v0.02 (Warden 2018): digits, commands, the words added in its second
# version and its auxiliary words.
DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
COMMANDS = ("yes", "no", "up", "down", "left", "right", "on", "off", "stop", "go")
ADDED = ("backward", "forward", "follow", "learn", "visual")
AUXILIARY = ("bed", "bird", "cat", "dog", "happy", "house", "marvin", "sheila", "tree", "wow")
VOCABULARY = (*DIGITS, *COMMANDS, *ADDED, *AUXILIARY)
PIECES = ("phoneme",)  # families that label pieces of clips
FAMILIES = ("word", "speaker", "voice", *PIECES)
LANGUAGE = "gmw/en-US"
# Variants of espeak-ng that sound like people: no robots, whispers or croaks.
VOICES = (
    *(f"f{i}" for i in range(1, 6)),
    *(f"m{i}" for i in range(1, 9)),
    *("Alex", "Alicia", "Andrea", "Andy", "Annie", "Denis", "Diogo", "Gene", "Henrique", "Hugo"),
    *("Jacky", "Lee", "Marco", "Mario", "Michael", "Mike", "Nguyen", "Reed", "Storm", "adam"),
    *("anika", "aunty", "belinda", "benjamin", "boris", "caleb", "david", "ed", "gustave", "ian"),
    *("linda", "max", "norbert", "pablo", "paul", "quincy", "rob", "shelby", "steph", "victor"),
)
_NOISES = {"white": 0.0, "pink": 0.5, "brown": 1.0}  # amplitude falls with this power of frequency
_SNR = (5.0, 30.0)  # decibels, drawn uniformly
NOT_LABELS = ("take", "snr")  # columns of the manifest that are no families


def make_microspeech(
    speakers: int,
    takes: int,
    seed: int,
    splits: Mapping[str, float] | None = None,
    *,
    words: Sequence[str] = (*DIGITS, *COMMANDS),
    voices: Sequence[str] = VOICES,
) -> tuple[np.ndarray, pd.DataFrame, pd.DataFrame]:
    """Speak `words` by `speakers` in `takes` each.

    Returns the sounds, int16 (n, 16000) at 16 kHz; the manifest (index, split, word, speaker,
    voice, take, snr in decibels); and the segments (sample, start and end in seconds, phoneme). The
    splits are by speaker: nobody is heard in two of them.

    Raises
    ------
    StrataError
        There are fewer speakers than splits, or nothing to say.
    """
    if speakers < max(1, len(splits or {})) or takes < 1 or not words:
        raise StrataError(
            f"microspeech: {speakers} speakers, {takes} takes, {len(words)} words; "
            "there must be a speaker for each split, a take and a word"
        )
    people = _draw_speakers(speakers, voices, splits, np.random.default_rng([seed, 0]))
    rows, utterances = [], []
    for person in people.itertuples():
        for word in words:
            for take in range(takes):
                draw = np.random.default_rng([seed, 1, person.Index, len(rows)])
                pitch = person.pitch + int(draw.integers(-4, 5))
                rate = round(person.rate * draw.uniform(0.92, 1.08))
                rows.append((person.split, word, person.speaker, person.voice, take))
                utterances.append(Utterance(word, f"{LANGUAGE}+{person.voice}", pitch, rate))
    manifest = pd.DataFrame(rows, columns=["split", "word", "speaker", "voice", "take"])
    sounds, levels, segments = _record(
        utterances, people["loudness"].repeat(len(words) * takes), seed
    )
    manifest.insert(0, "index", np.arange(len(manifest)))
    return sounds, manifest.assign(snr=levels), segments


def _draw_speakers(
    n: int, voices: Sequence[str], splits: Mapping[str, float] | None, draw: np.random.Generator
) -> pd.DataFrame:
    """Voice, pitch, rate, loudness and split of each speaker; voices repeat when all are used."""
    order = np.concatenate([draw.permutation(len(voices)) for _ in range(-(-n // len(voices)))])[:n]
    shares = splits or {"all": 1.0}
    ends = np.round(np.cumsum(list(shares.values()))[:-1] * n).astype(int)
    sizes = np.diff([0, *ends, n])
    return pd.DataFrame(
        {
            "speaker": [f"s{i:02d}-{voices[v]}" for i, v in enumerate(order)],
            "voice": [voices[v] for v in order],
            "pitch": draw.integers(25, 75, n),
            "rate": draw.uniform(140, 200, n),
            "loudness": draw.uniform(0.2, 0.8, n),
            "split": np.repeat(list(shares), sizes),
        }
    )


def _record(
    utterances: Sequence[Utterance], loudness: pd.Series, seed: int
) -> tuple[np.ndarray, np.ndarray, pd.DataFrame]:
    """Each utterance somewhere in its second, with noise: sounds, noise levels and segments."""
    sounds = np.zeros((len(utterances), CLIP), dtype=np.int16)
    levels, segments = np.zeros(len(utterances)), []
    for i, (said, loud) in enumerate(zip(speak(utterances), loudness, strict=True)):
        draw = np.random.default_rng([seed, 2, i])
        word, bounds = _trimmed(said)
        start = int(draw.integers(0, CLIP - len(word) + 1))
        levels[i] = round(draw.uniform(*_SNR), 2)
        clip = np.zeros(CLIP)
        clip[start : start + len(word)] = word
        noise = _noise(CLIP, _NOISES[str(draw.choice(list(_NOISES)))], draw)
        clip += noise * np.sqrt(np.mean(word**2) / 10 ** (levels[i] / 10))
        clip *= loud * draw.uniform(0.8, 1.2) / np.abs(clip).max()
        sounds[i] = np.round(clip * 32767).astype(np.int16)
        for name, first, last in bounds:
            segments.append((i, (start + first) / RATE, (start + last) / RATE, name))
    table = pd.DataFrame(segments, columns=["sample", "start", "end", "phoneme"])
    return sounds, levels, table.round({"start": 4, "end": 4})


def _trimmed(said) -> tuple[np.ndarray, list[tuple[str, int, int]]]:
    """The word alone at 16 kHz, peak 1, and its phonemes with first and last sample."""
    from scipy.signal import resample_poly

    spoken = [(name.strip("',%="), start) for name, start in said.phonemes]
    pauses = [start for name, start in spoken if name.startswith("_") and start]
    end = min([*pauses, len(said.sound), SPOKEN_RATE * CLIP // RATE])
    word = resample_poly(said.sound[:end].astype(np.float64), 320, 441)[:CLIP]
    scale = RATE / SPOKEN_RATE
    named = [(name, start) for name, start in spoken if name and not name.startswith("_")]
    starts = [round(start * scale) for _, start in named]
    ends = [*starts[1:], len(word)]
    bounds = [(name, a, b) for (name, _), a, b in zip(named, starts, ends, strict=True) if b > a]
    return word / np.abs(word).max(), bounds


def _noise(n: int, slope: float, draw: np.random.Generator) -> np.ndarray:
    """Noise of unit power whose amplitude falls with a power of frequency."""
    spectrum = np.fft.rfft(draw.standard_normal(n))
    shaped = np.fft.irfft(spectrum / np.maximum(np.arange(len(spectrum)), 1) ** slope, n)
    return shaped / np.sqrt(np.mean(shaped**2))
