"""The recordings that ship with the repository are whole, licensed, and read as they were made."""

from pathlib import Path

import pandas as pd
import soundfile

from strata.data.files import sha256_of

RECORDINGS = Path(__file__).parents[2] / "resources/recordings"


def test_checksums_name_every_file():
    listed = dict(
        line.split()[::-1] for line in (RECORDINGS / "SHA256SUMS").read_text().splitlines()
    )
    files = {
        str(path.relative_to(RECORDINGS)) for path in RECORDINGS.rglob("*/*") if path.is_file()
    }
    assert set(listed) == files
    assert {name: sha256_of(RECORDINGS / name) for name in files} == listed


def test_labels_are_those_of_the_names_and_every_speaker_says_every_digit():
    labels = pd.read_csv(RECORDINGS / "fsdd/labels.csv", dtype=str)
    stems = labels["word"] + "_" + labels["speaker"] + "_" + labels["take"]
    assert ("sounds/" + stems + ".flac" == labels["path"]).all()
    assert labels.groupby(["word", "speaker"]).size().eq(10).all() and len(labels) == 600


def test_a_recording_is_short_of_one_channel_at_8_khz():
    for path in sorted((RECORDINGS / "fsdd/sounds").iterdir())[::25]:
        info = soundfile.info(path)
        assert (info.samplerate, info.channels, info.subtype) == (8000, 1, "PCM_16")
        assert 0.1 < info.duration < 3


def test_they_are_attributed():
    told = (RECORDINGS / "README.md").read_text()
    assert "CC BY-SA 4.0" in told and "Jakobovski" in told
    assert "resources/recordings" in (RECORDINGS.parents[1] / "NOTICE").read_text()
