"""Every network of the full and the small study, as pinned, from a hub on the loopback."""

import numpy as np
import pytest
import torch
from PIL import Image

from hub import Hub
from small_models import fetched_models, save_model
from strata.activations.checks import check_fetched
from strata.models.encoder import load_encoder
from strata.models.fetching import fetch
from strata.models.layers import encoder_of

ENTRIES = fetched_models("full", "small")


@pytest.fixture(scope="module")
def hub():
    with Hub() as running, pytest.MonkeyPatch.context() as patch:
        running.stand_in(patch)
        yield running


@pytest.mark.parametrize("repository", ENTRIES)
def test_a_network_arrives_with_its_weights_and_layers(repository, hub, tmp_path):
    original = save_model(repository, tmp_path / "source")
    hub.publish(repository, tmp_path / "source")
    spec = ENTRIES[repository]
    if spec["revision"] != "main":
        hub.pin(repository, spec["revision"])
    card = fetch(spec, tmp_path / "model", name="model", check=check_fetched, log=str)
    assert card["source"] == repository and len(card["revision"]) == 40
    assert spec["revision"] in (card["revision"], "main")
    assert card["licence"] == spec.get("licence", "apache-2.0")
    encoder = load_encoder(
        tmp_path / "model", device="cpu", preprocess=spec.get("preprocess", "own")
    )
    depth = 4 if "large" in repository else 3
    assert len(encoder.layers) == (5 if "resnet" in repository else depth)
    assert_same_weights(original, encoder.module)
    assert_finite(encoder, spec)


def assert_same_weights(original, loaded):
    """Every weight of the encoder is the original's: nothing was drawn anew."""
    source = original if not hasattr(original, "config") else encoder_of(original)
    there = source.state_dict()
    for name, value in loaded.state_dict().items():
        if "pooler" in name and name not in there:
            continue
        torch.testing.assert_close(value, there[name], rtol=0, atol=0, msg=name)


def assert_finite(encoder, spec):
    draw = np.random.default_rng(0)
    if spec["modality"] == "image":
        picture = Image.fromarray(draw.integers(0, 256, (40, 50, 3), dtype=np.uint8))
        batch = encoder.preprocess([picture])
        # As the paper shows them to all, whatever a network was made for.
        side = 224 if spec.get("preprocess") == "imagenet" else 32
        assert batch.shape == (1, 3, side, side)
    else:
        assert encoder.rate == 16_000
        batch = encoder.preprocess([draw.normal(size=16_000).astype(np.float32)])
    with torch.inference_mode():
        found = encoder.forward(batch)
    states = found if torch.is_tensor(found) else found["last_hidden_state"]
    assert torch.isfinite(states).all()
