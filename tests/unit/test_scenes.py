"""Microworld's scenes: factors, pictures, captions and words agree with each other."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from strata import StrataError
from strata.data.microworld import make_microworld
from strata.data.scenes.captions import caption, prompts, short_caption
from strata.data.scenes.factors import (
    COLORS,
    FAMILIES,
    KIND_OF,
    KINDS,
    OBJECTS,
    PLACES,
    REALM_OF,
    STUDIO,
    SURFACES,
    TEXTURES,
    TYPICAL,
    sample_factors,
)
from strata.data.scenes.patterns import grid, pattern
from strata.data.scenes.places import background, shaded
from strata.data.scenes.rendering import SHAPES, render
from strata.data.scenes.words import plural, vocabulary, with_article
from strata.data.worlds import NAMES, world_named
from strata.models.training.text import words_of

RESOURCES = Path(__file__).parents[2] / "resources"


def rows(**fixed):
    """Scenes that differ from a plain one in the columns given as lists."""
    n = max(len(values) for values in fixed.values())
    plain = {
        "object": "house",
        "kind": "building",
        "realm": "made",
        "object_color": "red",
        "surface": "plain",
        "place": STUDIO,
        "background_color": "beige",
        "texture": "plain",
        "activity": "standing",
        "size": "medium",
        "position": "center",
    }
    return pd.DataFrame([plain | {k: v[i] for k, v in fixed.items()} for i in range(n)])


def test_the_world_has_room():
    assert len(OBJECTS) == len(set(OBJECTS)) == 60 and set(SHAPES) == set(OBJECTS)
    assert len(KINDS) == 12 and len(COLORS) >= 16 and len(TEXTURES) > 20
    assert set(TYPICAL) == set(KINDS)
    for place, color, surface in TYPICAL.values():
        assert place in PLACES and color in COLORS and surface in SURFACES


def test_factors_are_uniform_independent_and_in_their_trees():
    found = sample_factors(6000, seed=3)
    assert list(found) == list(FAMILIES)
    for family, values in FAMILIES.items():
        assert set(found[family].dropna()) == set(values)
    assert (found["kind"] == found["object"].map(KIND_OF)).all()
    assert (found["realm"] == found["kind"].map(REALM_OF)).all()
    studio = found["place"] == STUDIO
    assert studio.mean() == pytest.approx(0.5, abs=0.03)
    for family in ("background_color", "texture"):
        assert found[family].notna().eq(studio).all()
    assert (found["object_color"] != found["background_color"]).all()
    for one, other in (("kind", "place"), ("kind", "surface"), ("activity", "object_color")):
        table = pd.crosstab(found[one], found[other])
        expected = np.outer(table.sum(axis=1), table.sum(axis=0)) / len(found)
        chi2, df = (
            ((table - expected) ** 2 / expected).to_numpy().sum(),
            np.prod(np.array(table.shape) - 1),
        )
        assert chi2 < df + 4 * np.sqrt(2 * df)


def test_a_longer_data_set_begins_with_the_shorter():
    pd.testing.assert_frame_equal(sample_factors(40, 5).iloc[:12], sample_factors(12, 5))


def test_correlated_factors_are_typical_of_the_kind():
    found = sample_factors(1500, 1, correlation=0.6)
    typical = found["kind"].map(lambda kind: TYPICAL[kind][0])
    other = 1 / 2 / (len(PLACES) - 1)  # those drawn otherwise that hit it
    assert (found["place"] == typical).mean() == pytest.approx(0.6 + 0.4 * other, abs=0.04)
    assert (sample_factors(200, 1, 1.0)["surface"] != "plain").mean() > 0.8
    with pytest.raises(StrataError, match=r"correlation is 1\.5"):
        sample_factors(3, 1, 1.5)


def test_a_picture_depends_on_its_row_and_seed_alone():
    factors = sample_factors(12, 2)
    images = render(factors, 48, seed=2)
    assert images.shape == (12, 48, 48, 3) and images.dtype == np.uint8
    np.testing.assert_array_equal(images[:5], render(factors.iloc[:5], 48, seed=2))
    np.testing.assert_array_equal(images[5:], render(factors.iloc[5:], 48, seed=2))
    assert (images != render(factors, 48, seed=3)).any()
    with pytest.raises(StrataError, match="size 20 is too small"):
        render(factors, 20, seed=2)


def test_the_same_picture_comes_at_any_size():
    factors = sample_factors(30, 4)
    small, large = (render(factors, size, seed=4).astype(float) for size in (56, 112))
    shrunk = large.reshape(30, 56, 2, 56, 2, 3).mean(axis=(2, 4))
    apart = np.abs(small - shrunk).mean(axis=(1, 2, 3))
    others = np.abs(small - np.roll(shrunk, 1, axis=0)).mean(axis=(1, 2, 3))
    assert (apart < 0.35 * others).all() and apart.mean() < 8


@pytest.mark.parametrize("name", [name for name in TEXTURES if name != "plain"])
def test_a_texture_shows_on_every_colour(name):
    tones = pattern(name, *grid(112), np.random.default_rng(1))
    assert tones.shape == (112, 112) and np.isfinite(tones).all()
    for color in COLORS.values():
        painted = shaded(color, tones, 0.3)
        assert painted.min() >= 0 and painted.max() <= 255
        assert painted.mean(axis=2).std() > 3
    assert (shaded(COLORS["red"], np.zeros((2, 2), np.float32), 0.3) == COLORS["red"]).all()


def test_a_backdrop_has_its_colour():
    near = {}
    for color in COLORS:
        row = next(rows(background_color=[color]).itertuples())
        pixels = background(row, 32, np.random.default_rng(0)).reshape(-1, 3).mean(axis=0)
        apart = {other: np.abs(pixels - value).sum() for other, value in COLORS.items()}
        near[color] = min(apart, key=apart.get)
    assert near == {color: color for color in COLORS}


def test_the_object_has_its_colour_size_and_position():
    def shown(**fixed):
        """Pixels that a green object changes, by its redder version."""
        images = [
            render(rows(object_color=[c] * 12, **{k: [v] * 12 for k, v in fixed.items()}), 64, 9)
            for c in ("green", "red")
        ]
        return np.abs(images[0].astype(int) - images[1]).sum(axis=3) > 60

    areas = {size: shown(size=size).mean() for size in ("small", "medium", "large")}
    assert areas["small"] < 0.75 * areas["medium"] and areas["medium"] < 0.75 * areas["large"]
    middles = {
        place: np.average(np.arange(64), weights=shown(position=place).sum(axis=(0, 1)))
        for place in ("left", "center", "right")
    }
    assert middles["left"] < 26 < middles["center"] < 38 < middles["right"]
    heights = {
        activity: np.average(np.arange(64), weights=shown(activity=activity).sum(axis=(0, 2)))
        for activity in ("flying", "standing")
    }
    assert heights["flying"] + 10 < heights["standing"]


def test_captions_are_true_and_differ_in_wording_and_completeness():
    factors, words = sample_factors(400, 6), vocabulary()
    lines = [caption(row, np.random.default_rng(i)) for i, row in enumerate(factors.itertuples())]
    lengths = [len(line.split()) for line in lines]
    assert min(lengths) <= 4 and max(lengths) >= 12 and len(set(lines)) > 390
    # Single words that name factors of one family name one that the scene has.
    for line, row in zip(lines, factors.to_dict("records"), strict=True):
        for word in set(line.split()) & set(words):
            named = [factor.split("=") for factor in words[word]]
            assert any(row[family] == value for family, value in named), (line, word, row)


def test_short_captions_are_true():
    words = vocabulary()
    for i, row in enumerate(sample_factors(400, 8).itertuples()):
        line = short_caption(row, np.random.default_rng(i))
        named = [factor.split("=") for factor in words.get(line, [])]
        assert not named or any(getattr(row, family) == value for family, value in named)


def test_every_factor_has_a_word():
    named = {factor for factors in vocabulary().values() for factor in factors}
    assert named == {f"{family}={value}" for family in FAMILIES for value in FAMILIES[family]}


@pytest.mark.parametrize(
    ("noun", "several"),
    [("cat", "cats"), ("bus", "buses"), ("cherry", "cherries"), ("fish", "fish"), ("key", "keys"),
     ("piece of furniture", "pieces of furniture"), ("church", "churches"), ("box", "boxes")],
)  # fmt: skip
def test_plurals(noun, several):
    assert plural(noun) == several


def test_articles():
    assert with_article("owl") == "an owl" and with_article("red owl") == "a red owl"
    assert with_article("red scissors") == "red scissors" and with_article("fish") == "a fish"


def test_shipped_words_are_those_of_the_world_and_many_that_never_occur():
    words = vocabulary()
    listed = (RESOURCES / "concepts/scenes.txt").read_text().split("\n")[:-1]
    categories = json.loads((RESOURCES / "categories/scenes.json").read_text())
    assert json.loads((RESOURCES / "concepts/scenes_factors.json").read_text()) == words
    assert listed == sorted(set(listed)) and len(listed) > 400 and set(words) < set(listed)
    assert len(set(listed) - set(words)) > 200
    members = [word for own in categories.values() for word in own]
    assert sorted(members) == listed


def test_scenes_become_a_data_set():
    splits = {"train": 0.75, "test": 0.25}
    images, manifest = make_microworld(24, 48, 3, splits, "scenes", correlation=0.5)
    np.testing.assert_array_equal(images, render(sample_factors(24, 3, 0.5), 48, 3))
    assert list(manifest) == ["sample", "index", "split", *FAMILIES, "caption"]
    assert manifest["split"].value_counts().to_dict() == {"train": 18, "test": 6}
    assert manifest["texture"].isna().any() and manifest["caption"].notna().all()
    with pytest.raises(StrataError, match="no world 'sea'; there are shapes, scenes"):
        make_microworld(24, 48, 3, splits, "sea")


@pytest.mark.parametrize("name", NAMES)
def test_worlds_have_what_they_promise(name):
    world = world_named(name)
    factors = world.sample(6, 1)
    assert list(factors) == list(world.families)
    assert world.render(factors, 48, 1).shape == (6, 48, 48, 3)
    row, draw = next(factors.itertuples()), np.random.default_rng(0)
    assert world.caption(row, draw) and world.short_caption(row, draw) and world.vocabulary()


def test_every_word_of_a_factor_is_said_of_some_scene():
    draw = np.random.default_rng(5)
    said = set()
    for row in sample_factors(3000, seed=2).itertuples(index=False):
        for write in (caption, short_caption, caption, short_caption):
            said |= words_of([write(row, draw)])
    unsaid = [word for word in vocabulary() if not words_of([word]) <= said]
    asked = [p for family in prompts().values() for phrases in family.values() for p in phrases]
    assert not unsaid and not [line for line in asked if not words_of([line]) <= said]
