"""espeak-ng, through its own library: a word, a voice, a pitch and a rate give sound and phonemes.

The synthesiser draws breath noise from a generator that it seeds with the time; here it is seeded
before every word. What is left of earlier words in its state is the same for the same list of
utterances, each list being spoken in a process of its own: the same list, the same bytes.
"""

from __future__ import annotations

import ctypes
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from strata.errors import StrataError

RATE = 22050
# From speak_lib.h: synchronous output, events for phonemes, and the codes used below.
_SYNCHRONOUS, _PHONEME_EVENTS, _UTF8 = 2, 1, 1
_SEED = 1
_RATE_PARAMETER, _PITCH_PARAMETER, _PHONEME, _LIST_END = 1, 3, 7, 0


class Utterance(NamedTuple):
    """A word spoken by an espeak-ng voice; `pitch` 0 to 99, `rate` in words per minute."""

    word: str
    voice: str
    pitch: int
    rate: int


class Spoken(NamedTuple):
    """Sound (int16, at `RATE`) and its phonemes up to the last pause: (mnemonic, first sample)."""

    sound: np.ndarray
    phonemes: list[tuple[str, int]]


def speak(utterances: Sequence[Utterance]) -> list[Spoken]:
    """Speak the utterances, in one process of its own and in this order.

    Raises
    ------
    StrataError
        A voice is unknown, or the library cannot be used.
    """
    package = Path(__file__).parents[2]
    paths = [str(package), *filter(None, [os.environ.get("PYTHONPATH")])]
    with tempfile.TemporaryDirectory() as folder:
        wanted, made = Path(folder) / "utterances.json", Path(folder) / "spoken.npz"
        wanted.write_text(json.dumps(utterances))
        done = subprocess.run(
            [sys.executable, "-m", __spec__.name, str(wanted), str(made)],
            env=os.environ | {"PYTHONPATH": os.pathsep.join(paths)},
            capture_output=True,
            text=True,
        )
        if done.returncode:
            reason = (done.stderr.strip().splitlines() or [f"exit {done.returncode}"])[-1]
            raise StrataError(f"espeak-ng: {reason}")
        with np.load(made, allow_pickle=False) as arrays:
            sound, ends = arrays["sound"], arrays["ends"]
            phonemes = json.loads(str(arrays["phonemes"]))
    parts = np.split(sound, ends[:-1])
    return [
        Spoken(part, [(name, int(start)) for name, start in each])
        for part, each in zip(parts, phonemes, strict=True)
    ]


def version() -> str:
    """Version of the synthesiser, for the record."""
    library, _ = _load()
    library.espeak_Info.restype = ctypes.c_char_p
    return library.espeak_Info(None).decode().split()[0]


class _Name(ctypes.Union):
    _fields_ = [("number", ctypes.c_int), ("string", ctypes.c_char * 8)]


class _Event(ctypes.Structure):
    _fields_ = [
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", _Name),
    ]


_CALLBACK = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event)
)


def _load() -> tuple[ctypes.CDLL, bytes]:
    import espeakng_loader

    return ctypes.CDLL(espeakng_loader.get_library_path()), (
        espeakng_loader.get_data_path().encode()
    )


class _Synthesiser:
    """The library with one voice's output collected by a callback."""

    def __init__(self):
        self.library, data = _load()
        if self.library.espeak_Initialize(_SYNCHRONOUS, 0, data, _PHONEME_EVENTS) != RATE:
            raise StrataError(f"the library does not start at {RATE} Hz")
        self.sound: list[bytes] = []
        self.phonemes: list[tuple[str, int]] = []
        self.callback = _CALLBACK(self._collect)  # kept, or C would call into freed memory
        self.library.espeak_SetSynthCallback(self.callback)

    def _collect(self, samples, count, events) -> int:
        if count > 0:
            self.sound.append(ctypes.string_at(samples, 2 * count))
        place = 0
        while events[place].type != _LIST_END:
            if events[place].type == _PHONEME:
                name = events[place].id.string.decode("utf-8", "replace")
                self.phonemes.append((name, events[place].sample))
            place += 1
        return 0

    def say(self, word: str, voice: str, pitch: int, rate: int) -> tuple[np.ndarray, list]:
        self.sound, self.phonemes = [], []
        if self.library.espeak_SetVoiceByName(voice.encode()) != 0:
            raise StrataError(f"no voice {voice!r}")
        self.library.espeak_ng_SetRandSeed(ctypes.c_long(_SEED))
        self.library.espeak_SetParameter(_RATE_PARAMETER, rate, 0)
        self.library.espeak_SetParameter(_PITCH_PARAMETER, pitch, 0)
        text = word.encode()
        self.library.espeak_Synth(text, len(text) + 1, 0, 1, 0, _UTF8, None, None)
        self.library.espeak_Synchronize()
        return np.frombuffer(b"".join(self.sound), dtype=np.int16), self.phonemes


def _main(wanted: str, made: str) -> None:
    synthesiser = _Synthesiser()
    spoken = [synthesiser.say(*each) for each in json.loads(Path(wanted).read_text())]
    np.savez(
        made,
        sound=np.concatenate([sound for sound, _ in spoken]),
        ends=np.cumsum([len(sound) for sound, _ in spoken]),
        phonemes=json.dumps([phonemes for _, phonemes in spoken]),
    )


if __name__ == "__main__":
    try:
        _main(*sys.argv[1:])
    except StrataError as error:
        sys.exit(str(error))
