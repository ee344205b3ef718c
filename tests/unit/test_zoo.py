"""The shipped zoo keeps the promises of its recipes."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from strata.data.microworld import vocabulary
from strata.zoo import read_recipe
from strata.zoo.interpolation import interpolated, partners
from strata.zoo.text import caption_tokenizer

ZOO = Path(__file__).parents[2] / "resources" / "zoo"


@pytest.mark.parametrize("name", sorted(path.name for path in ZOO.iterdir()))
def test_a_shipped_model_has_learned_what_its_recipe_requires(name):
    card = json.loads((ZOO / name / "card.json").read_text())
    requires = read_recipe(ZOO / name / "recipe.yaml").requires
    assert requires
    for metric, least in requires.items():
        assert card["scores"][metric] >= least


def test_clip_pools_at_the_end_token():
    tokenizer = caption_tokenizer()
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
