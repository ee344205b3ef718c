"""Data sets: a user's own folders, manifests, and the rendered world."""

import numpy as np
import pandas as pd
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from strata import StrataError
from strata.data import microspeech, open_dataset
from strata.data.factors import FAMILIES
from strata.data.files import index_files
from strata.data.folder import index_folder
from strata.data.manifest import families_of, write_dataset
from strata.data.microspeech import make_microspeech
from strata.data.microworld import NOT_LABELS, make_microworld, vocabulary

IMAGES = {"modality": "image"}


@pytest.fixture
def photos(tmp_path):
    root = tmp_path / "photos"
    for name, color in (("cats/a.jpg", "red"), ("cats/b.png", "blue"), ("dogs/c.jpg", "green")):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (20, 16), color).save(root / name)
    return root


def write_labels(photos, text):
    (photos / "labels.csv").write_text(text)
    return {"labels": "labels.csv"}


def test_class_folders_become_a_data_set(photos, tmp_path):
    spec = {"path": "photos", "modality": "image", "family": "animal"}
    index_folder(spec, tmp_path / "out", base=tmp_path)
    dataset = open_dataset(tmp_path / "out")
    assert dataset.manifest["animal"].tolist() == ["cats", "cats", "dogs"]
    assert dataset.info["families"] == {"animal": ["cats", "dogs"]} and dataset.info["n"] == 3
    assert dataset.image(2).size == (20, 16) and dataset.image(1).mode == "RGB"


def test_a_table_gives_labels_and_splits(photos):
    layout = write_labels(
        photos, "path,split,animal,age\ncats/a.jpg,train,cat,3\ndogs/c.jpg,test,dog,"
    )
    layout["families"] = ["animal"]
    manifest = index_files(photos, layout, **IMAGES)
    assert manifest.to_dict("list") == {
        "path": ["cats/a.jpg", "dogs/c.jpg"],
        "split": ["train", "test"],
        "animal": ["cat", "dog"],
    }


def test_a_pattern_reads_labels_from_names(photos):
    manifest = index_files(photos, {"pattern": r"(?P<kind>\w+)/[ab]\..*"}, **IMAGES)
    assert manifest["path"].tolist() == ["cats/a.jpg", "cats/b.png"]


def test_sounds_are_read_too(tmp_path):
    for word in ("yes", "no"):
        (tmp_path / word).mkdir()
        soundfile.write(tmp_path / word / "a.wav", np.linspace(0, 0.1, 1600), 16000)
    assert len(index_files(tmp_path, {}, modality="audio")) == 2
    (tmp_path / "no" / "b.flac").write_bytes(b"fLaC but no more")
    with pytest.raises(StrataError, match=r"b\.flac: cannot be read"):
        index_files(tmp_path, {}, modality="audio")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("file,animal\ncats/a.jpg,cat\n", r"labels\.csv: no column 'path'; it has file, animal"),
        ("path,age\ncats/a.jpg,3\n", r"no column 'animal'"),
        ("path,animal\n", "has no rows"),
        ("path,animal\ncats/a.jpg,cat\ncats/a.jpg,cat\n", "'cats/a.jpg' is listed twice"),
        ("path,animal\ncats/a.jpg,\ndogs/c.jpg,\n", "column 'animal' is empty; fill it, or leave"),
        ("path,animal\ncats/gone.jpg,cat\n", r"gone\.jpg: file is missing"),
    ],
)
def test_a_bad_table_is_named(photos, text, message):
    layout = write_labels(photos, text) | {"families": ["animal"]}
    with pytest.raises(StrataError, match=message):
        index_files(photos, layout, **IMAGES)


def test_bad_folders_are_named(photos, tmp_path):
    with pytest.raises(StrataError, match=r"no table of labels .*none\.csv"):
        index_files(photos, {"labels": "none.csv"}, **IMAGES)
    with pytest.raises(StrataError, match="no folder"):
        index_files(tmp_path / "nowhere", {}, **IMAGES)
    (tmp_path / "none/birds").mkdir(parents=True)
    with pytest.raises(StrataError, match="class 'birds' is empty"):
        index_files(tmp_path / "none", {}, **IMAGES)
    with pytest.raises(StrataError, match="no class folders"):
        index_files(photos / "cats", {}, **IMAGES)
    with pytest.raises(StrataError, match="no file below"):
        index_files(photos, {"pattern": "(?P<x>nothing)"}, **IMAGES)


def test_a_truncated_picture_is_named(photos):
    whole = (photos / "cats/a.jpg").read_bytes()
    (photos / "cats/a.jpg").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(StrataError, match=r"cats/a\.jpg: cannot be read"):
        index_files(photos, {}, **IMAGES)


def test_a_picture_that_vanishes_later_is_named(photos, tmp_path):
    index_folder({"path": "photos", "modality": "image"}, tmp_path / "out", base=tmp_path)
    (photos / "cats/a.jpg").unlink()
    with pytest.raises(StrataError, match=r"cats/a\.jpg: picture is missing"):
        open_dataset(tmp_path / "out").image(0)


labels = st.lists(st.sampled_from(["a", "b", "c"]), min_size=1, max_size=60)


@settings(max_examples=40)
@given(labels, st.floats(0.1, 0.9), st.integers(0, 5))
def test_splits_hold_in_every_class_and_cover_all(tmp_path_factory, words, share, seed):
    root = tmp_path_factory.mktemp("files")
    (root / "f").mkdir()
    rows = []
    for number, word in enumerate(words):
        Image.new("L", (1, 1)).save(root / "f" / f"{number}.png")
        rows.append(f"f/{number}.png,{word}")
    (root / "t.csv").write_text("\n".join(["path,word", *rows]))
    options = {"splits": {"train": share, "test": 1 - share}, "seed": seed, **IMAGES}
    manifest = index_files(root, {"labels": "t.csv"}, **options)
    assert manifest["word"].tolist() == words
    assert set(manifest["split"]) <= {"train", "test"}
    for _, rows in manifest.groupby("word"):
        assert abs((rows["split"] == "train").sum() - share * len(rows)) <= 0.5 + 1e-9
    assert manifest.equals(index_files(root, {"labels": "t.csv"}, **options))


columns = st.dictionaries(
    st.sampled_from(["color", "size", "word"]), st.sampled_from(["x", "y", "ü", "nan"]), min_size=1
)


@settings(max_examples=40)
@given(st.integers(1, 20), columns)
def test_a_manifest_comes_back_as_it_was_written(tmp_path_factory, n, families):
    directory = tmp_path_factory.mktemp("set")
    table = pd.DataFrame({"split": ["train"] * n, "index": np.arange(n)[::-1], **families})
    write_dataset(directory, table, {"name": "x", "root": "."})
    dataset = open_dataset(directory)
    assert dataset.manifest["sample"].tolist() == list(range(n))
    assert dataset.manifest.drop(columns="sample").equals(
        table.astype(dataset.manifest.dtypes[table.columns])
    )
    assert dataset.info["n"] == n and dataset.info["counts"] == {"train": n}
    assert dataset.info["families"] == {key: [value] for key, value in families.items()}


def test_an_empty_or_incomplete_manifest_is_refused(tmp_path):
    good = pd.DataFrame({"split": ["a"], "path": ["b"]})
    for bad in (good.iloc[:0], good[["split"]], good[["path"]]):
        with pytest.raises(StrataError, match="words:"):
            write_dataset(tmp_path / "x", bad, {"name": "words"})
    with pytest.raises(StrataError, match=r"no manifest\.parquet"):
        open_dataset(tmp_path)


def test_microworld_is_what_its_seed_says():
    images, manifest = make_microworld(40, 32, 3, {"train": 0.75, "test": 0.25})
    again, same = make_microworld(40, 32, 3, {"train": 0.75, "test": 0.25})
    other, _ = make_microworld(40, 32, 4, {"all": 1.0})
    assert images.shape == (40, 32, 32, 3) and (images == again).all() and manifest.equals(same)
    assert (images != other).any()
    assert manifest["split"].value_counts().to_dict() == {"train": 30, "test": 10}
    for family, values in FAMILIES.items():
        assert set(manifest[family]) <= set(values)


def test_made_worlds_have_the_families_that_they_say():
    _, manifest = make_microworld(10, 32, 3, {"all": 1.0})
    info = {"storage": "images.npy", "not_labels": list(NOT_LABELS)}
    assert set(families_of(manifest, info)) == set(FAMILIES)
    _, manifest, _ = make_microspeech(1, 1, seed=1, words=("yes",))
    info = {"storage": "sounds.npy", "not_labels": list(microspeech.NOT_LABELS)}
    assert families_of(manifest, info) == ["word", "speaker", "voice"]


def test_every_word_names_factors_that_exist():
    for word, factors in vocabulary().items():
        assert factors, word
        for factor in factors:
            family, _, value = factor.partition("=")
            assert value in FAMILIES[family]


@pytest.mark.parametrize(("n", "splits"), [(1, {"all": 1.0}), (10, {"a": 0.5, "b": 0.4})])
def test_a_microworld_that_cannot_be_is_refused(n, splits):
    with pytest.raises(StrataError, match="microworld"):
        make_microworld(n, 32, 0, splits)
