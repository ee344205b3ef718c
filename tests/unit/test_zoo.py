"""The shipped zoo keeps the promises of its recipes."""

import json
from pathlib import Path

import pytest

from strata.data.microworld import vocabulary
from strata.zoo import read_recipe
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
