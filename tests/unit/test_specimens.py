"""Pictures and sounds in figures: which samples, with which words, and what of a neuron."""

import numpy as np
import pandas as pd
import pytest
import soundfile
from PIL import Image

from made_up import concepts
from strata import StrataError
from strata.data import open_dataset
from strata.data.manifest import write_dataset
from strata.figures.pictures import (
    choose_examples,
    picture_grid,
    picture_specimen,
    specimens,
    thumbnail,
    with_truth,
)
from strata.figures.sounds import sound_specimen

RATE = 16000


def chosen(model="vit"):
    labels = concepts()["labels"]
    mine = labels[(labels["model"] == model) & (labels["metric"] == "soft_wpmi")]
    return choose_examples(mine.assign(images="3;1;2;0;5;4"))


def plain(sample):
    return Image.new("RGB", (8, 8), (sample, 0, 0))


def shown(figure):
    """Red of the pictures of a figure, from the upper left, by row."""
    found = []
    for ax in figure.axes:
        box = ax.get_position()
        found.append((-round(box.y1, 6), round(box.x0, 6), int(ax.images[0].get_array()[0, 0, 0])))
    return [red for *_, red in sorted(found)]


def texts(figure):
    return [text.get_text() for text in figure.texts]


def test_a_neuron_has_its_own_pictures_best_first():
    examples = chosen()
    examples["images"] = [f"{10 * i};{10 * i + 1};{10 * i + 2}" for i in range(len(examples))]
    figure, data = picture_grid(examples, plain, pictures=2)
    half = len(examples) // 2
    by_row = [10 * i + k for row in range(half) for i in (row, half + row) for k in (0, 1)]
    assert shown(figure) == by_row
    assert data["images"].tolist() == examples["images"].tolist()
    first = examples.iloc[0]
    assert texts(figure)[:2] == [first["concept"], f"embedding, neuron {first['unit']}"]
    assert texts(figure)[2] == f"score {first['value']:.2f}, q = 0.010"


def test_a_neurons_truth_is_ticked_where_its_label_names_it():
    examples = chosen().head(2)
    keys = examples[["model", "layer_index", "unit", "metric"]]
    truth = keys.assign(factor=["object=cup", None], auc=[0.875, np.nan], named=[True, None])
    other = keys.assign(model="mae", factor="object=car", auc=0.5, named=False)
    joined = with_truth(examples, pd.concat([other, truth]))
    assert joined["factor"].iloc[0] == "object=cup" and joined["factor"].isna().tolist()[1:] == [
        True
    ]
    figure, data = picture_grid(joined, plain)
    assert "✓ cup (object) AUC 0.88" in texts(figure)
    assert sum("AUC" in text for text in texts(figure)) == 1
    assert {"factor", "auc", "named"} <= set(data)
    wrong, _ = picture_grid(joined.assign(named=False), plain)
    assert "✗ cup (object) AUC 0.88" in texts(wrong)


def test_scores_without_a_test_have_no_q_and_small_ones_are_below_a_bound():
    examples = chosen().head(2).assign(q_value=[np.nan, 1e-5], concept="a very long concept indeed")
    told = texts(picture_grid(examples, plain)[0])
    assert told[2] == f"score {examples['value'].iloc[0]:.2f}" and told[5].endswith("q < 0.001")
    assert told[0] == "a very long conc…"


def test_a_thumbnail_is_the_middle_and_small_pictures_keep_their_pixels():
    wide = Image.new("RGB", (300, 100), (255, 0, 0))
    wide.paste((0, 255, 0), (100, 0, 200, 100))
    assert np.ptp(np.asarray(thumbnail(wide)), axis=(0, 1)).max() <= 1  # green all over
    small = Image.new("RGB", (4, 4))
    small.putpixel((0, 0), (0, 0, 255))
    drawn = np.asarray(thumbnail(small))[..., 2]
    assert drawn.shape == (96, 96) and set(np.unique(drawn)) == {0, 255}
    assert (drawn == 255).sum() == 24 * 24


@pytest.fixture
def photos(tmp_path):
    for number in range(6):
        plain(number).save(tmp_path / f"{number}.png")
    manifest = pd.DataFrame(
        {"path": [f"{i}.png" for i in range(6)], "split": "all", "kind": ["big_dog", "cat"] * 3}
    )
    families = {"kind": ["big_dog", "cat"]}
    info = {"name": "photos", "modality": "image", "root": ".", "families": families}
    write_dataset(tmp_path, manifest, info)
    return open_dataset(tmp_path)


def test_a_specimen_has_each_pictures_own_words(photos):
    some = specimens(photos, 4, seed=1)
    again = specimens(photos, 4, seed=1)
    assert [number for number, *_ in some] == [number for number, *_ in again]
    assert len({number for number, *_ in some}) == 4
    for number, picture, words in some:
        assert picture.getpixel((0, 0)) == (number, 0, 0)
        assert words == ("big dog" if number % 2 == 0 else "cat")
    figure, data = picture_specimen(some, columns=2)
    assert shown(figure) == [number for number, *_ in some] == data["sample"].tolist()
    assert texts(figure) == data["caption"].tolist()
    long, _ = picture_specimen([(0, plain(0), "a word and another and a third and more")])
    assert "\n" in texts(long)[0]
    with pytest.raises(StrataError, match="at least one picture"):
        picture_specimen([])


def test_sounds_are_shown_with_their_labels_and_pieces(tmp_path):
    seconds = (0.5, 0.25, 1.0)
    for number, length in enumerate(seconds):
        wave = 0.3 * np.sin(2 * np.pi * 1000 * np.arange(round(length * RATE)) / RATE)
        soundfile.write(tmp_path / f"{number}.wav", wave, RATE)
    paths = [f"{i}.wav" for i in range(3)]
    manifest = pd.DataFrame({"path": paths, "split": "all", "word": ["one", "two", None]})
    segments = pd.DataFrame(
        {"sample": [0, 0, 2], "start": [0.0, 0.2, 0.5], "end": [0.2, 0.4, 0.75],
         "phoneme": ["w", "n", "t"]}
    )  # fmt: skip
    families = {"word": ["one", "two"], "phoneme": ["w", "n", "t"]}
    info = {"name": "sounds", "modality": "audio", "root": ".", "families": families}
    write_dataset(tmp_path, manifest, info, segments)
    dataset = open_dataset(tmp_path)
    figure, data = sound_specimen(dataset, n=3, seed=0)
    assert sorted(data["sample"]) == [0, 1, 2]
    said = {0: "w n", 1: "", 2: "t"}
    assert data["pieces"].tolist() == [said[i] for i in data["sample"]]
    for ax, sample in zip(figure.axes, data["sample"], strict=True):
        assert ax.images[0].get_extent()[1] == pytest.approx(seconds[sample])
        assert ax.get_title() == ("one", "two", "")[sample]
        assert [text.get_text() for text in ax.texts] == said[sample].split()
        assert len(ax.lines) == 2 * len(said[sample].split())
        level = ax.images[0].get_array()
        loudest = np.asarray(level).mean(axis=1).argmax() / (len(level) - 1) * 8
        assert loudest == pytest.approx(1, abs=0.05)  # kHz
    middle = next(a for a, s in zip(figure.axes, data["sample"], strict=True) if s == 2).texts[0]
    assert middle.get_position()[0] == pytest.approx(0.625)
