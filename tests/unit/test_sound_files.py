"""Sounds as people have them: each kind of file gives the samples that it holds, or one line.

docs/files.md has these cases as a table.
"""

import struct

import numpy as np
import pytest
import soundfile

from strata import StrataError
from strata.data.reading import SUFFIXES, read_all
from strata.data.sounds import read_recording, read_sound, resample

RATE = 16000
# Suffix: format, samples that it holds, and how far off a lossy one may be.
FORMATS = {
    "wav": "WAV", "wave": "WAV", "flac": "FLAC", "mp3": "MP3", "ogg": "OGG", "oga": "OGG",
    "opus": "OGG", "aif": "AIFF", "aiff": "AIFF", "aifc": "AIFF", "au": "AU", "snd": "AU",
    "caf": "CAF", "w64": "W64", "rf64": "RF64", "voc": "VOC", "sph": "NIST", "nist": "NIST",
    "avr": "AVR", "svx": "SVX", "paf": "PAF", "pvf": "PVF", "sds": "SDS",
}  # fmt: skip
LOSSY = dict.fromkeys(("mp3", "ogg", "oga", "opus"), 0.07)


def chirp(seconds=1.0, rate=RATE):
    """A tone that rises from 200 to 2,200 Hz, with silence in its first quarter: a shift shows."""
    time = np.arange(round(rate * seconds)) / rate
    sound = 0.5 * np.sin(2 * np.pi * (200 * time + 1000 * time**2))
    sound[: len(sound) // 4] = 0
    return sound.astype(np.float32)


def refused(path):
    with pytest.raises(StrataError, match=path.name) as error:
        read_sound(path)
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize("suffix", FORMATS)
def test_every_format_gives_its_samples_at_their_times(suffix, tmp_path):
    path, sound = tmp_path / f"a.{suffix}", chirp()
    kind = {"subtype": "OPUS"} if suffix == "opus" else {}
    soundfile.write(path, sound, RATE, format=FORMATS[suffix], **kind)
    found, rate = read_sound(path)
    assert rate == RATE and len(found) == RATE and found.dtype == np.float32
    assert alike(found, sound) <= LOSSY.get(suffix, 2**-14)


def alike(found, sound):
    """The largest difference, but for the ends where codecs ring; no shift is closer than none."""
    middle = slice(5000, -500)
    near = [np.abs(np.roll(found, shift) - sound)[middle].max() for shift in range(-20, 21)]
    assert np.argmin(near) == 20
    return near[20]


def test_all_that_soundfile_writes_is_known_by_a_suffix():
    known = {*FORMATS.values(), "WAVEX"}
    no_sounds = {"RAW", "MAT4", "MAT5", "XI", "SD2", "HTK", "MPC2K", "IRCAM", "WVE"}
    assert known | no_sounds == set(soundfile.available_formats())
    assert {f".{suffix}" for suffix in FORMATS} == set(SUFFIXES["audio"])


@pytest.mark.parametrize(
    ("subtype", "step"),
    [("PCM_U8", 2**-7), ("PCM_16", 2**-15), ("PCM_24", 2**-23), ("PCM_32", 2**-24), ("FLOAT", 0),
     ("DOUBLE", 0), ("ULAW", 0.02), ("ALAW", 0.02)],
)  # fmt: skip
def test_the_width_of_samples_does_not_matter(subtype, step, tmp_path):
    sound = np.array([0, 0.5, -0.5, 0.25, -1.0, 0.125], dtype=np.float32)
    soundfile.write(tmp_path / "a.wav", sound, RATE, subtype=subtype)
    assert np.abs(read_sound(tmp_path / "a.wav")[0] - sound).max() <= step


def test_eight_bits_are_unsigned_in_wav(tmp_path):
    head = b"WAVEfmt " + struct.pack("<IHHIIHH", 16, 1, 1, 8000, 8000, 1, 8)
    data = b"data" + struct.pack("<I", 4) + bytes([128, 192, 64, 0])
    content = head + data
    (tmp_path / "a.wav").write_bytes(b"RIFF" + struct.pack("<I", len(content)) + content)
    assert read_sound(tmp_path / "a.wav")[0].tolist() == [0, 0.5, -0.5, -1]


def test_overshoot_is_clipped_as_16_bits_would(tmp_path):
    sound = np.array([0.5, 1.3, -1.9, 0.25])
    soundfile.write(tmp_path / "a.wav", sound, RATE, subtype="FLOAT")
    soundfile.write(tmp_path / "b.wav", sound, RATE, subtype="PCM_16")
    assert read_sound(tmp_path / "a.wav")[0].tolist() == [0.5, 1, -1, 0.25]
    assert read_recording(tmp_path / "a.wav")[2] == ["clipped at full scale"]
    assert np.abs(read_sound(tmp_path / "b.wav")[0] - [0.5, 1, -1, 0.25]).max() <= 2**-15
    loud = np.sign(chirp())
    soundfile.write(tmp_path / "c.ogg", loud, RATE)  # decodes to 1.2
    assert np.abs(read_sound(tmp_path / "c.ogg")[0]).max() == 1


@pytest.mark.parametrize("scale", [2.1, 100, 32768, 2.0**31])
def test_samples_in_another_unit_are_refused(scale, tmp_path):
    sound = np.array([0.5, 1.0, -0.5]) * scale
    soundfile.write(tmp_path / "a.wav", sound, RATE, subtype="FLOAT")
    assert (
        f"samples reach {np.float32(scale):g}, but floating-point samples should be in -1 to 1"
        in refused(tmp_path / "a.wav")
    )


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_samples_that_are_no_numbers_are_refused(bad, tmp_path):
    soundfile.write(tmp_path / "a.wav", np.array([0.1, bad, 0.2]), RATE, subtype="FLOAT")
    assert "NaN or infinite" in refused(tmp_path / "a.wav")


def test_what_is_silent_in_every_way_is_refused(tmp_path):
    tone = chirp()
    clips = {
        "zero": (np.zeros(100), "all samples are 0"),
        "constant": (np.full(100, 0.25), "all samples are equal"),
        "opposite": (np.stack([tone, -tone], axis=1), "channels cancel each other"),
        "nearly": (np.stack([tone, -0.99 * tone], axis=1), "channels cancel each other"),
        "none": (np.zeros(0), "length zero"),
    }
    for name, (sound, message) in clips.items():
        soundfile.write(tmp_path / f"{name}.wav", sound, RATE)
        assert message in refused(tmp_path / f"{name}.wav")


def test_channels_are_averaged(tmp_path):
    tone = chirp()
    for name, channels in {
        "one silent": [tone, 0 * tone],
        "three": [tone, tone, -0.5 * tone],
        "level": [tone, 0 * tone + 0.25],
    }.items():
        path = tmp_path / f"{name}.wav"
        soundfile.write(path, np.stack(channels, axis=1), RATE, subtype="FLOAT")
        assert read_sound(path)[0] == pytest.approx(np.mean(channels, axis=0), abs=1e-6)


def test_a_level_other_than_zero_stays(tmp_path):
    soundfile.write(tmp_path / "a.wav", chirp() + 0.25, RATE, subtype="FLOAT")
    assert read_sound(tmp_path / "a.wav")[0] == pytest.approx(chirp() + 0.25, abs=1e-6)


def test_one_sample_is_nothing_and_two_are_a_sound(tmp_path):
    soundfile.write(tmp_path / "a.wav", np.array([0.5]), RATE)
    assert "all samples are equal" in refused(tmp_path / "a.wav")
    soundfile.write(tmp_path / "b.wav", np.array([0.5, -0.5]), RATE)
    assert read_sound(tmp_path / "b.wav")[0].tolist() == [0.5, -0.5]


# A PAF's or PVF's header tells no length.
@pytest.mark.parametrize("suffix", [suffix for suffix in FORMATS if suffix not in ("paf", "pvf")])
def test_a_sound_that_is_cut_off_is_refused(suffix, tmp_path):
    path = tmp_path / f"a.{suffix}"
    kind = {"subtype": "OPUS"} if suffix == "opus" else {}
    soundfile.write(path, chirp(2)[8000:], RATE, format=FORMATS[suffix], **kind)
    whole = path.read_bytes()
    for share in (0.0, 0.01, 0.5, 0.9):
        path.write_bytes(whole[: int(len(whole) * share)])
        assert "a." in refused(path)


def test_headers_of_streams_name_no_length(tmp_path):
    path = tmp_path / "a.wav"
    soundfile.write(path, chirp(), RATE)
    content = bytearray(path.read_bytes())
    for size in (0, 2**32 - 1):
        content[4:8] = struct.pack("<I", size)
        path.write_bytes(content)
        assert len(read_sound(path)[0]) == RATE


@pytest.mark.parametrize(
    ("content", "suffix"),
    [("FLAC", "wav"), ("MP3", "wav"), ("OGG", "wav"), ("WAV", "mp3"), ("AIFF", "mp3"),
     ("MP3", "aiff")],
)  # fmt: skip
def test_the_content_says_what_it_is(content, suffix, tmp_path):
    path = tmp_path / f"a.{suffix}"
    soundfile.write(path, chirp(), RATE, format=content)
    assert alike(read_sound(path)[0], chirp()) <= 0.07


def test_reading_all_tells_what_and_how_many(tmp_path):
    soundfile.write(tmp_path / "a.wav", chirp(), RATE)
    soundfile.write(tmp_path / "b.wav", 3 * chirp(), RATE, subtype="FLOAT")
    (tmp_path / "c.mp3").write_bytes(b"nothing of the kind")
    read = read_all(tmp_path, ["a.wav", "b.wav", "c.mp3", "d.wav"], "audio")
    assert read.notes == {"clipped at full scale": 1}
    assert list(read.reasons) == ["c.mp3", "d.wav"]
    assert read.reasons["c.mp3"].startswith("cannot be read (sound unreadable: ")
    assert read.reasons["d.wav"] == "file is missing; its label is listed"


@pytest.mark.parametrize("own", [8000, 11025, 11127, 22050, 22254, 44100, 44099, 48000, 96000])
def test_any_rate_becomes_the_models(own):
    sound = np.sin(2 * np.pi * 440 * np.arange(own) / own).astype(np.float32)
    found = resample(sound, own, RATE)
    assert found.dtype == np.float32 and abs(len(found) - RATE) <= 1
    expected = np.sin(2 * np.pi * 440 * np.arange(len(found)) / RATE)
    assert np.abs(found - expected)[500:-500].max() < 0.01
