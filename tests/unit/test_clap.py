"""Sounds and words in one space: a CLAP labels neurons that hear."""

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file, save_file

from clap_model import RATE, SECONDS, save_clap
from strata import StrataError
from strata.activations.probing import picture_finder
from strata.data import open_dataset
from strata.data.manifest import write_dataset
from strata.dissect.clip import image_embeddings, text_embeddings
from strata.figures.sounds import sound_picture
from strata.models.fetching import fetch

LENGTHS = (0.3, 1.0, 0.5, 2.5, 1.01)  # seconds


def tone(hertz: float, seconds: float, rate: int = RATE) -> np.ndarray:
    noise = np.random.default_rng(int(hertz)).normal(size=round(seconds * rate))
    wave = np.sin(2 * np.pi * hertz * np.arange(len(noise)) / rate)
    return 0.3 * wave + 0.01 * noise


@pytest.fixture(scope="module")
def tones(tmp_path_factory):
    import soundfile

    folder = tmp_path_factory.mktemp("tones")
    paths = [f"{number}.wav" for number in range(len(LENGTHS))]
    for number, (path, seconds) in enumerate(zip(paths, LENGTHS, strict=True)):
        soundfile.write(folder / path, tone(500 + 700 * number, seconds), RATE, subtype="FLOAT")
    manifest = pd.DataFrame({"path": paths, "split": "all", "pitch": paths})
    write_dataset(folder, manifest, {"name": "tones", "modality": "audio", "root": "."})
    return open_dataset(folder)


@pytest.mark.parametrize("fused", [False, True])
def test_a_sound_is_heard_as_clap_hears_it_whatever_is_beside_it(tones, tmp_path, fused):
    model = save_clap(tmp_path / "clap", fused)
    fetch({"path": str(tmp_path / "clap")}, tmp_path / "own", name="own")
    found = image_embeddings(tmp_path / "own", tones, device="cpu")
    assert found.shape == (5, 16)
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-6)
    alone = image_embeddings(tmp_path / "own", tones, device="cpu", batch_size=1)
    np.testing.assert_allclose(alone, found, atol=1e-5)
    from transformers import ClapFeatureExtractor

    hearing = ClapFeatureExtractor.from_pretrained(tmp_path / "clap")

    def heard(sound):
        inputs = hearing(sound, sampling_rate=RATE, return_tensors="pt")
        inputs["is_longer"] = torch.zeros(1, 1, dtype=torch.bool)
        with torch.inference_mode():
            unit = model.get_audio_features(**inputs).pooler_output[0].numpy()
        return unit / np.linalg.norm(unit)

    for sample, seconds in enumerate(LENGTHS):
        sound = tones.sound(sample, RATE)
        parts = np.array_split(sound, int(np.ceil(seconds / SECONDS)))
        mean = np.mean([heard(part) for part in parts], axis=0)
        np.testing.assert_allclose(found[sample], mean / np.linalg.norm(mean), atol=1e-5)
    assert np.abs(found[0] - found[4]).max() > 1e-3


def test_words_are_read_by_the_same_model(tmp_path):
    model = save_clap(tmp_path / "clap")
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "clap")
    concepts = ["a dog", "rain"]
    found = text_embeddings(tmp_path / "clap", concepts, template="this is {}", device="cpu")
    with torch.inference_mode():
        for concept, own in zip(concepts, found, strict=True):
            tokens = tokenizer(f"this is {concept}", return_tensors="pt")
            expected = model.get_text_features(**tokens).pooler_output[0]
            np.testing.assert_allclose(own, expected / expected.norm(), atol=1e-5)
    with pytest.raises(StrataError, match=r"concept 'xxx.*'\.\.\.: clap reads \d+ tokens"):
        text_embeddings(tmp_path / "clap", ["rain", "x" * 99], device="cpu")


def test_words_in_batches_are_as_in_one(tmp_path, monkeypatch):
    save_clap(tmp_path / "clap")
    concepts = ["a dog", "rain", "x" * 9, "a bird", "thunder"]
    whole = text_embeddings(tmp_path / "clap", concepts, device="cpu")
    monkeypatch.setattr("strata.dissect.clip._TEXTS_PER_BATCH", 2)
    batches = text_embeddings(tmp_path / "clap", concepts, device="cpu")
    np.testing.assert_allclose(batches, whole, atol=1e-5)


def test_what_cannot_label_is_told_in_one_line(tones, tmp_path):
    save_clap(tmp_path / "clap")
    world = {"name": "world", "modality": "image", "root": "."}
    write_dataset(tmp_path / "world", pd.DataFrame({"split": ["all"], "index": [0]}), world)
    with pytest.raises(StrataError, match="by a CLIP, sounds by a CLAP; world holds image"):
        image_embeddings(tmp_path / "clap", open_dataset(tmp_path / "world"), device="cpu")
    weights = load_file(tmp_path / "clap/model.safetensors")
    lost = next(key for key in weights if key.startswith("text_projection"))
    kept = {key: value for key, value in weights.items() if key != lost}
    save_file(kept, tmp_path / "clap/model.safetensors", metadata={"format": "pt"})
    with pytest.raises(StrataError, match=f"lacks weights of {lost}"):
        fetch({"path": str(tmp_path / "clap")}, tmp_path / "own", name="own")
    (tmp_path / "clap/config.json").write_text('{"model_type": "hubert"}')
    with pytest.raises(StrataError, match="pictures are labelled by a CLIP, sounds by a CLAP"):
        image_embeddings(tmp_path / "clap", tones, device="cpu")


def test_a_neurons_sounds_are_drawn_with_time_to_the_right_and_pitch_upwards(tones):
    draw = picture_finder([tones], "all", sound_picture)
    for sample in range(len(LENGTHS)):
        picture = np.asarray(draw(sample)).astype(float).sum(axis=2)
        assert picture.shape == (144, 144)
        height = 1 - (picture.mean(axis=1).argmax() + 0.5) / 144
        assert height * RATE / 2 == pytest.approx(500 + 700 * sample, abs=60)
