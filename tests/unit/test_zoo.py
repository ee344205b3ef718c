"""The shipped zoo keeps the promises of its recipes."""

import importlib
import json
import re
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from strata import StrataError
from strata.data.microworld import vocabulary
from strata.models.encoder import load_encoder
from strata.models.locked import checksum
from strata.models.training import read_recipe, train
from strata.models.training.interpolation import interpolated, partners
from strata.models.training.pictures import Look
from strata.models.training.recipe import SpeechData
from strata.models.training.rendered import Rendered
from strata.models.training.text import caption_tokenizer

ZOO = Path(__file__).parents[2] / "resources" / "zoo"


@pytest.mark.parametrize("name", sorted(path.parent.name for path in ZOO.glob("*/recipe.yaml")))
def test_a_shipped_model_has_learned_what_its_recipe_requires(name):
    card = json.loads((ZOO / name / "card.json").read_text())
    requires = read_recipe(ZOO / name / "recipe.yaml").requires
    assert requires
    for metric, least in requires.items():
        assert card["scores"][metric] >= least


@pytest.mark.parametrize("name", sorted(path.parent.name for path in ZOO.glob("*/adapter")))
def test_a_shipped_adapter_belongs_to_a_shipped_network_and_knows_its_task(name):
    card = json.loads((ZOO / name / "card.json").read_text())
    assert card["adapts"] == checksum(ZOO.parent / "networks" / card["base"])
    assert card["scores"]["test_accuracy"] > 3 / len(card["classes"])
    assert card["recipe"]["finetune"]["target"] == card["target"]


SPEECH = [name for name in ("micro-wav2vec2", "micro-hubert") if (ZOO / name).is_dir()]


@pytest.mark.parametrize("name", SPEECH)
def test_a_speech_model_knows_more_than_its_random_twin(name):
    scores = json.loads((ZOO / name / "card.json").read_text())["scores"]
    for probe, least in (("word", 0.3), ("unheard_word", 0.3), ("speaker", 0.05)):
        known = scores[f"{probe}_probe_accuracy"]
        assert known > scores[f"random_{probe}_probe_accuracy"] + least


@pytest.mark.parametrize("name", SPEECH)
def test_a_speech_recipe_is_followed_to_a_model_that_loads(name, tmp_path):
    """The shipped recipe with a step or two, a layer or two and a few voices."""
    recipe = read_recipe(ZOO / name / "recipe.yaml")
    options = recipe.objective_options
    if "clusters" in options:
        options = {"clusters": [5, 6], "first_steps": 2, "layer": 1}
    little = replace(
        recipe,
        architecture=recipe.architecture | {"num_hidden_layers": 2},
        data=SpeechData(speakers=2, takes=1, held_out_speakers=4, seed=1),
        schedule=replace(recipe.schedule, steps=2, batch_size=8),
        objective_options=options,
        requires={},
    )
    card = train(little, tmp_path / name, log=lambda line: None)
    encoder = load_encoder(tmp_path / name, device="cpu")
    assert encoder.rate == 16000 and len(encoder.layers) == 2
    assert {"word_probe_accuracy", "random_speaker_probe_accuracy"} <= set(card["scores"])
    with pytest.raises(StrataError, match=r"word_probe_accuracy is .* its recipe requires 1\.1"):
        train(replace(little, requires={"word_probe_accuracy": 1.1}), tmp_path / "x", log=str)


def test_clip_pools_at_the_end_token():
    tokenizer = caption_tokenizer(vocabulary(), 24)
    assert tokenizer.eos_token_id == len(tokenizer) - 1 != 2
    for word in vocabulary():
        assert len(tokenizer(word)["input_ids"]) == 3


def test_partners_are_others_of_the_same_class():
    targets = np.array([0, 1, 1, 2, 0, 1, 0, 2, 3])
    found = partners(targets, torch.Generator().manual_seed(0))
    assert (targets[found] == targets).all() and sorted(found) == list(range(9))
    assert (found[:8] != np.arange(8)).all() and found[8] == 8  # alone in its class


def test_between_samples_of_a_class_lie_points_of_their_segment():
    layers, targets = [nn.Identity(), nn.Identity()], torch.tensor([0, 0, 1, 1])
    states = torch.tensor([[0.0], [1.0], [10.0], [20.0]])
    with interpolated(layers, targets, torch.Generator().manual_seed(0)):
        mixed = layers[1](layers[0](states))
    low, high = torch.tensor([0.0, 0, 10, 10]), torch.tensor([1.0, 1, 20, 20])
    assert ((mixed[:, 0] > low) & (mixed[:, 0] < high)).all()
    assert torch.equal(layers[1](layers[0](states)), states)  # the hook is gone


def test_a_killed_zoo_training_goes_on_where_it_was(tmp_path, monkeypatch):
    from strata.models.training import loop
    from strata.models.training.recipe import TrainingData

    module = importlib.import_module("strata.models.training.train")
    monkeypatch.setattr(loop, "_STEPS_BETWEEN_CHECKPOINTS", 3)
    monkeypatch.setattr(loop, "_SECONDS_BETWEEN_CHECKPOINTS", 0)
    recipe = replace(
        read_recipe(ZOO / "micro-resnet" / "recipe.yaml"),
        data=TrainingData(n=40, held_out=10, seed=5, size=64, seen=48, world="scenes"),
        requires={},
    )
    recipe = replace(recipe, schedule=replace(recipe.schedule, steps=8, batch_size=8))
    train(recipe, tmp_path / "whole", log=str)
    real, folder = loop.fit, tmp_path / "checkpoints"

    def killed(model, loss_of, *arguments, **options):
        steps = iter(range(5))

        def until(rows, draw):
            next(steps)
            return loss_of(rows, draw)

        return real(model, until, *arguments, **options)

    monkeypatch.setattr(module, "fit", killed)
    with pytest.raises(StopIteration):
        train(recipe, tmp_path / "killed", log=str, checkpoints=folder)
    monkeypatch.setattr(module, "fit", real)
    lines = []
    train(recipe, tmp_path / "killed", log=lines.append, checkpoints=folder)
    assert "resumed at step 3" in lines
    first, second = (tmp_path / name / "model.safetensors" for name in ("whole", "killed"))
    assert first.read_bytes() == second.read_bytes()
    assert not list(folder.iterdir())


train_module = importlib.import_module("strata.models.training.train")


def with_twins(names) -> set[str]:
    return {f"{twin}{name}" for name in names for twin in ("", "random_")}


LITTLE = {"supervised": "micro-vit", "masked": "micro-mae", "contrastive": "micro-clip"}


@pytest.mark.parametrize("objective", LITTLE)
def test_a_picture_recipe_is_followed_and_its_card_is_that_of_what_is_saved(objective, tmp_path):
    """The shipped recipe with two steps, a layer or two and a few pictures; then its scores are
    taken again of what was saved."""
    import transformers

    recipe = read_recipe(ZOO / LITTLE[objective] / "recipe.yaml")
    assert recipe.objective == objective
    smaller = {"num_hidden_layers": 2}
    towers = ("vision_config", "text_config")
    architecture = recipe.architecture | (
        {tower: recipe.architecture[tower] | smaller for tower in towers}
        if objective == "contrastive"
        else smaller
    )
    little = replace(
        recipe,
        architecture=architecture,
        data=replace(recipe.data, n=60, held_out=300),
        schedule=replace(recipe.schedule, steps=2, batch_size=30),
        requires={},
    )
    card = train(little, tmp_path / "it", log=lambda line: None)
    assert len(load_encoder(tmp_path / "it", device="cpu").layers) == 2
    held_out = Rendered.render(little.data, 300, little.data.seed + 1)
    if objective == "supervised":
        model = transformers.AutoModelForImageClassification.from_pretrained(tmp_path / "it").eval()
        pixels = held_out.look.tensor(held_out.images)
        with torch.inference_mode():
            found = model(pixel_values=pixels).logits.argmax(dim=1).numpy()
        again = {"object_accuracy": (found == held_out.classes("object")).mean()}
        assert list(model.config.id2label.values()) == list(held_out.world.families["object"])
    elif objective == "masked":
        model = transformers.ViTMAEForPreTraining.from_pretrained(tmp_path / "it").eval()
        again = held_out.probe_scores(train_module._unmasked(model))
        assert set(card["scores"]) == {"held_out_loss"} | with_twins(again)
        assert 0.9 < card["scores"]["held_out_loss"] < 1.5  # of patches of variance 1
    else:
        model = transformers.CLIPModel.from_pretrained(tmp_path / "it").eval()
        tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path / "it")
        again = train_module._clip_scores(model, tokenizer, held_out)
        assert {f"zero_shot_{name}" for name in ("object", "texture")} <= set(again)
    assert again == pytest.approx({name: card["scores"][name] for name in again}, abs=1e-4)


def test_a_distilled_model_learns_what_its_teacher_sees_and_nothing_of_labels(tmp_path):
    """A teacher with random weights and 40 pictures: they are told better than by their mean."""
    import transformers

    recipe = read_recipe(ZOO / "scenes-distilled" / "recipe.yaml")
    teacher = tmp_path / "teacher"
    sizes = {"hidden_size": 12, "num_hidden_layers": 2, "num_attention_heads": 2}
    config = transformers.Dinov2Config(image_size=56, patch_size=14, **sizes)
    transformers.Dinov2Model(config).save_pretrained(teacher)
    Look(56).write(teacher)
    little = replace(
        recipe,
        architecture=recipe.architecture | {"num_hidden_layers": 2},
        data=replace(recipe.data, n=40, held_out=600, size=56),
        schedule=replace(recipe.schedule, steps=100, batch_size=20),
        objective_options={"teacher": str(teacher)},
        requires={},
    )
    lines = []
    card = train(little, tmp_path / "it", log=lines.append)
    assert card["teacher"] == {"folder": str(teacher), "sha256": checksum(teacher)}
    assert float(re.search(r"step 100/100  loss (\S+)", "".join(lines))[1]) < 0.7
    model = transformers.AutoModel.from_pretrained(tmp_path / "it", add_pooling_layer=False).eval()
    held_out = Rendered.render(little.data, 600, little.data.seed + 1)
    again = held_out.probe_scores(lambda x: model(pixel_values=x).last_hidden_state[:, 0])
    assert again == pytest.approx({name: card["scores"][name] for name in again}, abs=1e-4)
    assert set(card["scores"]) == {"held_out_loss"} | with_twins(again)
    assert len(load_encoder(tmp_path / "it", device="cpu").layers) == 2


def test_states_of_a_teacher_stand_where_its_patches_stand(tmp_path):
    """A teacher that repeats what it is shown: the class token apart, then row by row."""
    module = importlib.import_module("strata.models.training.distilled")
    recipe = read_recipe(ZOO / "scenes-distilled" / "recipe.yaml")
    teacher = object.__new__(module._Teacher)
    teacher.look, teacher.grid = Look(112), 4
    values = torch.arange(64.0).view(1, 64, 1)

    def shown(pixel_values):
        tokens = torch.cat([torch.tensor([[[-1.0], [-2.0]]]), values], dim=1)  # one of a register
        return SimpleNamespace(last_hidden_state=tokens.expand(len(pixel_values), -1, -1))

    shown.config = SimpleNamespace(patch_size=14)
    teacher.model = shown
    found = teacher._states(np.zeros((2, 112, 112, 3), dtype=np.uint8))
    assert found.shape == (2, 17, 1) and found.dtype == torch.float16
    means = values.view(4, 2, 4, 2).mean(dim=(1, 3)).flatten()
    assert found[1, :, 0].tolist() == [-1, *means.tolist()]
    assert module._Teacher(recipe).grid == 6
