"""A linear probe: the head of a classifier learns and its encoder stays what it was."""

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from strata import StrataError
from strata.compat import prepare_imports
from strata.data.manifest import open_dataset, write_dataset
from strata.data.microworld import make_microworld
from strata.models.training.finetune import finetune
from strata.models.training.pictures import Look
from strata.models.training.tuning import Training

prepare_imports()
import transformers  # noqa: E402

SHARES = {"train": 0.6, "test": 0.4}
TRAINING = Training(epochs=2, batch_size=8, learning_rate=0.01)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pictures")
    images, manifest = make_microworld(40, 16, 3, {"train": 0.6, "test": 0.4})
    info = {"name": "forty", "kind": "microworld", "modality": "image", "root": "."}
    info |= {"licence": "none", "source": "test", "families": {}, "storage": "images.npy"}
    write_dataset(folder, manifest, info)
    np.save(folder / "images.npy", images)
    return open_dataset(folder)


def saved(model, directory):
    model.save_pretrained(directory)
    Look(16).write(directory)
    return directory


def vit(directory):
    torch.manual_seed(0)
    small = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
    small |= {"intermediate_size": 16, "image_size": 16, "patch_size": 8}
    return saved(transformers.ViTModel(transformers.ViTConfig(**small)), directory)


def probe(source, pictures, directory, **options):
    return finetune(
        source, pictures, "kind", directory, TRAINING, splits=SHARES, log=lambda line: None,
        **options,
    )  # fmt: skip


def test_only_the_head_learns(pictures, tmp_path):
    source = vit(tmp_path / "vit")
    card = probe(source, pictures, tmp_path / "probe", frozen=True)
    assert card["objective"] == "linear probe"
    before = load_file(source / "model.safetensors")
    after = load_file(tmp_path / "probe/model.safetensors")
    shared = {name: f"vit.{name}" for name in before if f"vit.{name}" in after}
    assert len(shared) > 20
    assert all((before[name] == after[own]).all() for name, own in shared.items())
    probe(source, pictures, tmp_path / "tuned")
    tuned = load_file(tmp_path / "tuned/model.safetensors")
    assert any((before[name] != tuned[own]).any() for name, own in shared.items())


def test_what_cannot_be_frozen_is_told(pictures, tmp_path):
    source = vit(tmp_path / "vit")
    with pytest.raises(StrataError, match="vit: interpolate trains layers"):
        probe(source, pictures, tmp_path / "x", frozen=True, interpolate=True)
    config = transformers.ResNetConfig(embedding_size=8, hidden_sizes=[8, 8], depths=[1, 1])
    resnet = saved(transformers.ResNetModel(config), tmp_path / "resnet")
    with pytest.raises(StrataError, match="resnet: frozen is for encoders without batch norms"):
        probe(resnet, pictures, tmp_path / "y", frozen=True)
