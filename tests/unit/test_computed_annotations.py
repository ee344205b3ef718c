"""Annotations from labels and numbers, and numbers of pictures and sounds whose answer is known."""

import numpy as np
import pandas as pd
import pytest

from strata import StrataError
from strata.data.annotations import label_annotations, number_annotations
from strata.data.picture_annotations import (
    COLOR_NAMES,
    color_shares,
    contrast,
    edge_density,
    luma,
    orientation,
    picture_numbers,
    spatial_frequency,
)
from strata.data.sound_annotations import loudness, pitch, sound_numbers, spectral_centroid

# CSS colours of these names; foci of Berlin & Kay's terms as screens show them.
FOCI = {
    "black": (0, 0, 0),
    "blue": (0, 0, 255),
    "brown": (139, 69, 19),
    "green": (0, 128, 0),
    "grey": (128, 128, 128),
    "orange": (255, 165, 0),
    "pink": (255, 192, 203),
    "purple": (128, 0, 128),
    "red": (255, 0, 0),
    "white": (255, 255, 255),
    "yellow": (255, 255, 0),
}
RATE = 16000


def plain(color, side=8):
    return np.full((side, side, 3), color, dtype=np.uint8)


def grating(degrees, cycles, side=128):
    """Stripes that run along `degrees`, counter-clockwise from horizontal."""
    down, right = np.mgrid[:side, :side] / side
    angle = np.radians(degrees)
    across = right * np.sin(angle) + down * np.cos(angle)
    return 0.5 + 0.5 * np.cos(2 * np.pi * cycles * across)


@pytest.mark.parametrize("name", COLOR_NAMES)
def test_the_eleven_colours_have_their_names(name):
    shares = color_shares(plain(FOCI[name]))
    assert shares[name] == 1 and sum(shares.values()) == 1
    half = np.concatenate([plain(FOCI[name]), plain(FOCI["white" if name != "white" else "red"])])
    assert color_shares(half)[name] == 0.5


def test_lightness_contrast_and_edges_of_known_pictures():
    numbers = picture_numbers(plain((255, 0, 0)))
    assert numbers["lightness"] == pytest.approx(0.2126) and numbers["color=red"] == 1
    assert numbers["contrast"] == pytest.approx(0) and numbers["edge_density"] == 0
    assert np.isnan(numbers["orientation"]) and np.isnan(numbers["spatial_frequency"])
    grey = luma(np.concatenate([plain((0, 0, 0)), plain((255, 255, 255))]))
    assert contrast(grey) == pytest.approx(0.5)
    assert edge_density(grey) == 2 / 16  # the two rows beside the border


@pytest.mark.parametrize("degrees", [0, 30, 45, 90, 150])
def test_gratings_have_their_orientation(degrees):
    angle, strength = orientation(grating(degrees, 8))
    assert min(abs(angle - degrees), 180 - abs(angle - degrees)) < 1 and strength > 0.95


@pytest.mark.parametrize("cycles", [4, 8, 16])
def test_gratings_have_their_frequency(cycles):
    assert spatial_frequency(grating(90, cycles)) == pytest.approx(cycles, rel=0.03)


@pytest.mark.parametrize("hertz", [80, 120, 220, 400])
def test_voices_have_their_pitch(hertz):
    time = np.arange(RATE) / RATE
    voice = sum(np.sin(2 * np.pi * hertz * k * time) / k for k in (1, 2, 3, 4)) / 4
    height, voiced = pitch(voice.astype(np.float32), RATE)
    assert height == pytest.approx(hertz, rel=0.005) and voiced == 1
    half = np.concatenate([voice, np.zeros(RATE)])
    assert pitch(half, RATE)[1] > 0.95  # silence is no unvoiced sound


def test_noise_has_no_pitch_and_a_tone_its_centroid():
    noise = np.random.default_rng(0).normal(size=RATE).astype(np.float32) / 10
    assert pitch(noise, RATE)[1] < 0.05
    tone = np.sin(2 * np.pi * 1000 * np.arange(RATE) / RATE)
    assert spectral_centroid(tone, RATE) == pytest.approx(1000, abs=1)
    assert loudness(tone) == pytest.approx(-3.01, abs=0.01)
    assert loudness(tone / 10) == pytest.approx(-23.01, abs=0.01)
    numbers = sound_numbers(tone[:8000], RATE)
    assert numbers["duration"] == 0.5
    assert np.isnan(sound_numbers(tone[:100], RATE)["pitch"])


def test_labels_become_concepts_and_missing_ones_do_not_apply():
    table = pd.DataFrame({"kind": ["cat", "", None, "dog"], "n": [1, 2, 1, 2]})
    found = label_annotations(table, ["kind", "n"])
    assert list(found) == ["kind=cat", "kind=dog", "n=1", "n=2"]
    np.testing.assert_array_equal(found["kind=cat"], [1, np.nan, np.nan, 0])
    np.testing.assert_array_equal(found["n=2"], [0, 1, 0, 1])
    with pytest.raises(StrataError, match="no column 'color'"):
        label_annotations(table, ["color"])


def test_numbers_become_low_and_high_or_shares_above():
    numbers = pd.DataFrame({"pitch": [1, 2, 3, 4, 5, np.nan], "none": [np.nan] * 6})
    found = number_annotations(numbers)
    assert list(found) == ["pitch=low", "pitch=high"]
    np.testing.assert_array_equal(found["pitch=low"], [1, 1, 0, 0, 0, np.nan])
    np.testing.assert_array_equal(found["pitch=high"], [0, 0, 0, 1, 1, np.nan])
    shares = number_annotations(pd.DataFrame({"color=red": [0.05, 0.3, 0.6]}), above=(0.1, 0.5))
    assert list(shares) == ["color=red>0.1", "color=red>0.5"]
    np.testing.assert_array_equal(shares["color=red>0.1"], [0, 1, 1])
    with pytest.raises(StrataError, match=r"at most 0\.5, not 0\.7"):
        number_annotations(numbers, share=0.7)
