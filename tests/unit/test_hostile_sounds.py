"""Sounds that are damaged or meant to harm: read as they are, or refused in one line."""

import struct
import time

import numpy as np
import pytest
import soundfile

from strata import StrataError
from strata.data.sounds import read_recording

KINDS = [
    ("WAV", "PCM_16"),
    ("WAV", "FLOAT"),
    ("FLAC", "PCM_16"),
    ("OGG", "VORBIS"),
    ("AIFF", "PCM_16"),
    ("AU", "PCM_16"),
    ("CAF", "PCM_16"),
    ("W64", "PCM_16"),
    ("MP3", "MPEG_LAYER_III"),
    ("RF64", "PCM_16"),
    ("NIST", "PCM_16"),
]


def noise(path, kind, subtype):
    sound = np.random.default_rng(0).normal(0, 0.1, 2000).astype(np.float32)
    soundfile.write(path, sound, 16000, format=kind, subtype=subtype)
    return path.read_bytes()


def wav(rate=16000, channels=1, bits=16, kind=1, length=4000, body=None):
    """A WAV by hand, with what its header says."""
    body = np.random.default_rng(0).bytes(4000) if body is None else body
    form = struct.pack("<HHIIHH", kind, channels, rate, 0, channels * bits // 8, bits)
    parts = b"WAVEfmt " + struct.pack("<I", 16) + form + b"data" + struct.pack("<I", length) + body
    return b"RIFF" + struct.pack("<I", len(parts)) + parts


def read(path, content):
    """A sound and its rate, or None with what is said against it in one line."""
    path.write_bytes(content)
    try:
        return read_recording(path)
    except StrataError as error:
        assert str(path) in str(error) and "\n" not in str(error)
        return None


@pytest.mark.parametrize(("kind", "subtype"), KINDS)
def test_damage_of_a_header_is_a_sound_or_one_line_and_takes_no_memory(kind, subtype, tmp_path):
    content, draw = noise(tmp_path / "a", kind, subtype), np.random.default_rng(1)
    started = time.monotonic()
    for _ in range(120):
        spoiled = bytearray(content)
        for place in draw.integers(0, 200, 3):
            spoiled[place] = draw.choice([0, 1, 127, 128, 255])
        found = read(tmp_path / "a", bytes(spoiled))
        assert found is None or (100 <= found[1] <= 1_000_000 and len(found[0]) < 2**28)
    assert time.monotonic() - started < 60


def flac_of(frames, tmp_path):
    """A FLAC whose header says so many samples (36 bits behind the rate)."""
    content = bytearray(noise(tmp_path / "a", "FLAC", "PCM_16"))
    word = int.from_bytes(content[18:26], "big")
    content[18:26] = ((word >> 36 << 36) | frames).to_bytes(8, "big")
    return bytes(content)


@pytest.mark.parametrize("frames", [2**28 + 1, 2**30, 2**33, 2**36 - 1])
def test_a_length_that_lies_is_told_before_memory_is_taken(frames, tmp_path):
    (tmp_path / "a.flac").write_bytes(flac_of(frames, tmp_path))
    told = rf"a\.flac: its header says {frames} samples of 1 channels; .*cut it into shorter files"
    with pytest.raises(StrataError, match=told):
        read_recording(tmp_path / "a.flac")


@pytest.mark.parametrize("rate", [1, 99, 1_000_001, 16_000_000, 2**31 - 1])
def test_a_rate_that_no_sound_has_is_told(rate, tmp_path):
    (tmp_path / "a.wav").write_bytes(wav(rate))
    told = rf"a\.wav: its header says {rate} Hz; sounds should have 100 to 1000000 Hz"
    with pytest.raises(StrataError, match=told):
        read_recording(tmp_path / "a.wav")


LIES = {
    "no rate": wav(rate=0),
    "no channel": wav(channels=0),
    "no bits": wav(bits=0),
    "many bits": wav(bits=999),
    "another kind": wav(kind=0x7FFF),
    "more than there is": wav(length=2**30),
    "no samples": wav(length=0, body=b""),
    "silence": wav(body=bytes(4000)),
    "one value": wav(body=b"\1\1" * 2000),
    "no data": wav()[:36],
    "a header alone": wav()[:12],
    "nothing": b"",
    "text": b"not a sound",
    "a picture": b"\x89PNG\r\n\x1a\n" + bytes(100),
    "zeros": bytes(5000),
    "a page": b"<html>404</html>",
    "an empty Ogg": b"OggS" + bytes(40),
    "an empty FLAC": b"fLaC" + bytes(40),
    "a tag of MP3 alone": b"ID3\4\0\0\0\0\0\0",
    "MIDI": b"MThd\0\0\0\6\0\1\0\1\0\x60",
    "infinite": wav(kind=3, bits=32, body=np.full(1000, np.inf, "<f4").tobytes()),
    "no numbers": wav(kind=3, bits=32, body=np.full(1000, np.nan, "<f4").tobytes()),
    "huge": wav(kind=3, bits=32, body=np.linspace(0, 1e30, 1000).astype("<f4").tobytes()),
}


@pytest.mark.parametrize("lie", LIES)
def test_a_sound_that_is_none_is_told_in_one_line(lie, tmp_path):
    assert read(tmp_path / "a.wav", LIES[lie]) is None


def test_the_sound_by_hand_is_one(tmp_path):
    assert read(tmp_path / "a.wav", wav())[1] == 16000
