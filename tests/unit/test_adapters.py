"""Low-rank adapters: the encoder's own matrices stay, what was learned ships alone."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.numpy import load_file
from test_frozen import pictures, probe, saved, transformers, vit  # noqa: F401 - a fixture

from strata import StrataError
from strata.data.splits import task_rows
from strata.models.encoder import load_encoder
from strata.models.training.adapters import merge_adapter
from strata.models.training.pictures import Look
from strata.models.training.tuning import PictureInputs, right_answers

ROOT = Path(__file__).parents[2]
KEPT = ("card.json", "preprocessor_config.json")


@pytest.fixture(scope="module", params=["vit", "dinov2"])
def adapter(request, pictures, tmp_path_factory):  # noqa: F811
    folder = tmp_path_factory.mktemp(request.param)
    if request.param == "vit":
        source = vit(folder / "vit")
    else:
        torch.manual_seed(0)
        small = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
        config = transformers.Dinov2Config(**small, image_size=16, patch_size=8)
        source = saved(transformers.Dinov2Model(config), folder / "dinov2")
    (source / "card.json").write_text('{"licence": "MIT"}')
    card = probe(source, pictures, folder / "tuned", adapter_rank=2, recipe={"target": "kind"})
    return folder, source, card


def test_only_a_correction_of_low_rank_is_added_to_the_matrices(adapter):
    folder, source, card = adapter
    assert card["objective"] == "fine-tuned, adapters of rank 2"
    assert card["recipe"] == {"target": "kind"} and card["training"]["precision"] == "float32"
    assert card["licence"] == "MIT"
    before, after = (load_file(f / "model.safetensors") for f in (source, folder / "tuned"))
    prefix = source.name + "."
    changed = 0
    for name, values in before.items():
        if prefix + name not in after:
            continue  # a pooler, which a classifier does not have
        moved = after[prefix + name] - values
        if values.ndim == 2 and "weight" in name and "attention" in name:
            assert np.linalg.matrix_rank(moved, tol=1e-6) <= 2
            changed += bool(moved.any())
        if values.ndim == 1:
            assert not moved.any()
    assert changed > 4


def test_what_was_learned_is_laid_out_again_without_the_rest(adapter, pictures, tmp_path):  # noqa: F811
    folder, source, card = adapter
    parts = tmp_path / "parts"
    shutil.copytree(folder / "tuned/adapter", parts / "adapter")
    for name in KEPT:
        shutil.copyfile(folder / "tuned" / name, parts / name)
    assert "tmp" not in (parts / "adapter/adapter_config.json").read_text()
    merge_adapter(parts, source, tmp_path / "again")
    first, again = (
        load_file(f / "model.safetensors") for f in (folder / "tuned", tmp_path / "again")
    )
    assert set(first) == set(again)
    assert all((first[name] == again[name]).all() for name in first)
    assert json.loads((tmp_path / "again/card.json").read_text()) == card
    model = transformers.AutoModelForImageClassification.from_pretrained(tmp_path / "again").eval()
    rows = task_rows(pictures.manifest, "kind", {"train": 0.6, "test": 0.4})["test"]
    targets = np.array([card["classes"].index(kind) for kind in pictures.manifest["kind"]])
    inputs = PictureInputs(tmp_path / "again", pictures)
    right = right_answers(model, inputs, rows, targets)
    assert round(float(right.mean()), 4) == card["scores"]["test_accuracy"]
    other = vit(tmp_path / "vit")
    (other / "model.safetensors").write_bytes(b"another")
    with pytest.raises(StrataError, match="the adapter parts belongs to"):
        merge_adapter(parts, other, tmp_path / "wrong")


def test_frozen_layers_take_no_adapter(pictures, tmp_path):  # noqa: F811
    source = vit(tmp_path / "vit")
    Look(16).write(source)
    with pytest.raises(StrataError, match="vit: adapter_rank trains layers"):
        probe(source, pictures, tmp_path / "x", frozen=True, adapter_rank=2)


def test_pictures_are_made_as_the_model_is_read(pictures):  # noqa: F811
    source = ROOT / "resources/networks/dinov2-small"
    assert PictureInputs(source, pictures)([0])["pixel_values"].shape == (1, 3, 224, 224)
    seen = PictureInputs(source, pictures, look=Look.reading(source, "whole", 112))
    assert seen([0, 1])["pixel_values"].shape == (2, 3, 112, 112)
    draw = np.random.default_rng(0)
    picture = Image.fromarray(draw.integers(0, 255, (90, 130, 3), dtype=np.uint8))
    for preprocess in ("whole", "imagenet"):
        encoder = load_encoder(source, device="cpu", preprocess=preprocess, size=56)
        look = Look.reading(source, preprocess, 56)
        found, wanted = (
            look.tensor(look.resized(picture)[None])[0],
            encoder.preprocess([picture])[0],
        )
        assert (found - wanted).abs().max() < 0.02
