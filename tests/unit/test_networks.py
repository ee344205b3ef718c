"""The real networks that ship with the repository are whole, licensed, and load without a hub."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from safetensors import safe_open

from strata.data.files import sha256_of
from strata.models import load_encoder

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


def test_whisper_has_four_blocks():
    encoder = load_encoder(NETWORKS / "whisper-tiny.en", device="cpu")
    assert len(encoder.layers) == 4 and encoder.rate == 16000
