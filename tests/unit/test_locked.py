"""A text tower tuned to a locked image tower: trained, shipped without that, laid out again."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from strata import StrataError
from strata.compat import prepare_imports
from strata.data.manifest import open_dataset, write_dataset
from strata.data.microworld import make_microworld
from strata.dissect.clip import image_embeddings, text_embeddings
from strata.models.locked import complete, dual_encoder, is_locked
from strata.models.training import read_recipe, train
from strata.models.training.pictures import Look
from strata.models.training.recipe import Schedule, TrainingData

ROOT = Path(__file__).parents[2]
sys.path.append(str(ROOT / "tools" / "terminal"))
from ship_model import ship  # noqa: E402


def tower(directory, seed=0):
    prepare_imports()
    from transformers import Dinov2Config, Dinov2Model

    torch.manual_seed(seed)
    config = Dinov2Config(
        image_size=28, patch_size=14, hidden_size=16, num_hidden_layers=2, num_attention_heads=2
    )
    Dinov2Model(config).eval().save_pretrained(directory)
    Look(28).write(directory)
    return directory


def little(folder, **changes):
    recipe = read_recipe(ROOT / "resources/zoo/scenes-lit/recipe.yaml")
    text = recipe.architecture["text_config"] | {"hidden_size": 16, "projection_dim": 8}
    return replace(
        recipe,
        architecture=recipe.architecture
        | {
            "image_tower": str(folder),
            "read_blocks": [1, 2],
            "projection_dim": 8,
            "text_config": text | {"num_attention_heads": 2},
        },
        data=TrainingData(n=24, held_out=60, seed=3, size=42, world="scenes"),
        schedule=Schedule(steps=3, batch_size=8, seed=1),
        objective_options=recipe.objective_options
        | {"concepts": str(ROOT / recipe.objective_options["concepts"]), "absent": 4},
        requires={},
        **changes,
    )


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("locked")
    seen = tower(folder / "tower")
    card = train(little(seen), folder / "whole", log=lambda line: None)
    return folder, card


def test_the_tower_stays_as_it_was_and_the_rest_learns(trained):
    folder, card = trained
    kept, whole = (
        load_file(folder / "tower/model.safetensors"),
        load_file(folder / "whole/model.safetensors"),
    )
    for name, values in kept.items():
        np.testing.assert_array_equal(whole["vision_model." + name], values)
    assert {"zero_shot_object", "bare_texture"} <= set(card["scores"])
    assert card["image_tower"]["folder"] == str(folder / "tower")
    assert is_locked(folder / "whole") and not is_locked(folder / "tower")


def test_it_ships_without_the_tower_and_is_laid_out_whole(trained, tmp_path):
    folder, _ = trained
    ship(folder / "whole", tmp_path / "parts")
    assert not any(
        name.startswith("vision_model") for name in load_file(tmp_path / "parts/model.safetensors")
    )
    complete(tmp_path / "parts", folder / "tower", tmp_path / "again")
    first, again = (
        load_file(f / "model.safetensors") for f in (folder / "whole", tmp_path / "again")
    )
    assert set(first) == set(again)
    assert all((first[name] == again[name]).all() for name in first)
    other = tower(tmp_path / "other", seed=1)
    with pytest.raises(StrataError, match="trained with the image tower"):
        complete(tmp_path / "parts", other, tmp_path / "wrong")


def test_it_labels_pictures_by_all_blocks_and_words_by_name(trained, tmp_path):
    folder, _ = trained
    images, manifest = make_microworld(6, 42, 5, {"all": 1.0}, world="scenes")
    info = {"name": "six", "kind": "microworld", "modality": "image", "root": "."}
    info |= {"licence": "none", "source": "test", "families": {}, "storage": "images.npy"}
    write_dataset(tmp_path, manifest, info)
    np.save(tmp_path / "images.npy", images)
    model = dual_encoder().from_pretrained(folder / "whole").eval()
    look = Look.of(folder / "whole")
    with torch.inference_mode():
        pixels = look.tensor(images)
        states = model.vision_model(pixels, output_hidden_states=True).hidden_states
        features = model.picture_features(pixels)
    assert features.shape == (6, 2 * 2 * 16)
    torch.testing.assert_close(features[:, :16], states[1][:, 0])
    torch.testing.assert_close(features[:, 48:], states[2][:, 1:].mean(dim=1))
    words = text_embeddings(folder / "whole", ["red", "cat", "zebra"], device="cpu")
    assert words.shape == (3, 8) and np.allclose(np.linalg.norm(words, axis=1), 1)
    with pytest.raises(StrataError, match="does not know this word"):
        text_embeddings(folder / "whole", ["xylophonist"], device="cpu")
    seen = image_embeddings(folder / "whole", open_dataset(tmp_path), device="cpu")
    with torch.inference_mode():
        expected = torch.nn.functional.normalize(model.visual_projection(features), dim=-1)
    np.testing.assert_allclose(seen, expected.numpy(), atol=0.02)  # of resized pictures


def test_a_recipe_that_is_not_met_saves_nothing(trained, tmp_path):
    folder, _ = trained
    recipe = replace(little(folder / "tower"), requires={"zero_shot_object": 1.1})
    with pytest.raises(StrataError, match=r"zero_shot_object is .* its recipe requires"):
        train(recipe, tmp_path / "x", log=lambda line: None)
    assert not (tmp_path / "x").exists()


def test_the_shipped_labeller_belongs_to_the_shipped_tower():
    parts = ROOT / "resources/zoo/scenes-lit"
    card = json.loads((parts / "card.json").read_text())
    assert not any(n.startswith("vision_model") for n in load_file(parts / "model.safetensors"))
    assert (ROOT / card["image_tower"]["folder"]).is_dir()
