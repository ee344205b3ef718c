"""Annotations of a study: columns, pieces, computed numbers, and what becomes of them."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from strata import StrataError
from strata.data import microspeech, open_dataset
from strata.data.annotating import (
    COMPUTED,
    computed_numbers,
    orientation_annotations,
    piece_annotations,
    probing_annotations,
    sample_annotations,
)
from strata.data.folder import index_folder
from strata.data.manifest import write_dataset
from strata.dissect import Annotations, label_by_annotation
from strata.dissect.annotated import annotations_of, listed_annotations
from strata.dissect.annotation_measures import annotation_halves, annotation_measures, category_of

DRAW = np.random.default_rng(0)


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    base = tmp_path_factory.mktemp("photos")
    (base / "photos").mkdir()
    lines = ["path,kind,texture"]
    for i in range(12):
        color = ((200, 20, 20), (20, 40, 200))[i % 2]
        pixels = np.full((20, 20, 3), color, np.uint8)
        if i % 3 == 0:
            pixels[::4] = 240  # horizontal lines
        Image.fromarray(pixels).save(base / "photos" / f"{i:02}.png")
        lines.append(f"{i:02}.png,{('cat', 'dog', '')[i % 3]},{'fur' if i % 3 else ''}")
    (base / "photos/labels.csv").write_text("\n".join(lines))
    spec = {"path": "photos", "modality": "image", "labels": "labels.csv"}
    index_folder(spec, base / "photos-data", base=base)
    dataset = open_dataset(base / "photos-data")
    numbers = computed_numbers(dataset)
    numbers.to_parquet(base / "photos-data/annotations.parquet")
    return dataset, numbers


def test_pictures_have_their_labels_colours_and_numbers(photos):
    dataset, numbers = photos
    assert len(numbers) == 12
    found = sample_annotations(dataset, numbers)
    assert {category_of(name) for name in found} == {*COMPUTED["image"], "kind", "texture"}
    red = found["color=red>0.5"].to_numpy()
    np.testing.assert_array_equal(red, np.arange(12) % 2 == 0)
    missing = dataset.manifest["kind"].isna().to_numpy()
    assert np.isnan(found.loc[missing, "kind=cat"]).all() and missing.sum() == 4
    assert found.loc[~missing, "kind=cat"].isin([0, 1]).all()
    striped = found["orientation=horizontal"].to_numpy()
    np.testing.assert_array_equal(striped, np.arange(12) % 3 == 0)
    assert (found["orientation=none"].to_numpy() == 1 - striped).all()


def test_what_is_taken_can_be_chosen(photos):
    found = sample_annotations(
        *photos, columns=["kind"], computed=["color"], color_above=[0.3], share=0.1
    )
    assert {category_of(name) for name in found} == {"kind", "color"}
    assert all(name.endswith(">0.3") for name in found if name.startswith("color"))
    with pytest.raises(StrataError, match="no label column 'breed'"):
        sample_annotations(*photos, columns=["breed"])
    dataset, numbers = photos
    named = replace(dataset, manifest=dataset.manifest.assign(**{"age>30": "yes"}))
    with pytest.raises(StrataError, match="'age>30' has '=' or '>' in it; rename it"):
        sample_annotations(named, numbers, columns=["kind", "age>30"])


def test_orientation_is_a_class_and_179_degrees_are_next_to_0():
    numbers = pd.DataFrame(
        {
            "orientation": [0.0, 179.0, 22.0, 23.0, 45.0, 90.0, 135.0, 158.0, np.nan, 90.0],
            "orientation_strength": [0.9] * 8 + [0.0, 0.1],
        }
    )
    found = orientation_annotations(numbers)
    assert (found.sum(axis=1) == 1).all()
    names = [name.partition("=")[2] for name in found.idxmax(axis=1)]
    flat, steep = ["horizontal"] * 3, ["rising"] * 2
    assert names == [*flat, *steep, "vertical", "falling", "horizontal", "none", "none"]


def test_sounds_have_their_numbers_and_the_labels_of_their_pieces(tmp_path):
    sounds, manifest, segments = microspeech.make_microspeech(4, 1, 3, {"train": 0.5, "test": 0.5})
    np.save(tmp_path / "sounds.npy", sounds)
    info = {"name": "s", "kind": "microspeech", "modality": "audio", "root": ".", "licence": "x"}
    info |= {"storage": "sounds.npy", "rate": microspeech.RATE, "source": "x"}
    info |= {"not_labels": list(microspeech.NOT_LABELS)}
    write_dataset(tmp_path, manifest, info, segments)
    dataset = open_dataset(tmp_path)
    found = sample_annotations(dataset, computed_numbers(dataset))
    assert {category_of(name) for name in found} >= {*COMPUTED["audio"], "word", "phoneme"}
    pieces = piece_annotations(dataset, "phoneme")
    for name in pieces.columns[:3]:
        value = name.partition("=")[2]
        has = set(segments.loc[segments["phoneme"] == value, "sample"])
        assert set(np.flatnonzero(pieces[name] == 1)) == has


def test_what_a_data_set_does_not_have_does_not_apply():
    one, two = pd.DataFrame({"a=x": [1.0, 0.0]}), pd.DataFrame({"a=x": [0.0], "b=y": [1.0]})
    found = probing_annotations([one, two])
    assert np.isnan(found["b=y"]).tolist() == [True, True, False] and len(found) == 3


def test_annotations_follow_the_files_and_are_listed(photos):
    folder = photos[0].directory
    manifests = [folder / "manifest.parquet"]
    numbers = [folder / "annotations.parquet"]
    options = {"columns": ["kind"], "computed": []}
    assert list(annotations_of(manifests, numbers, "all", options).values) == [
        "kind=cat",
        "kind=dog",
    ]
    values = annotations_of(manifests, numbers, "all", options | {"min_positives": 5})
    assert not len(values.values.columns)  # of four each
    table = listed_annotations(values, min_positives=5).set_index("concept")
    assert table.loc["kind=cat", ["category", "has", "lacks", "used"]].tolist() == [
        "kind",
        4,
        4,
        False,
    ]
    photos[1].iloc[:5].to_parquet(folder / "short.parquet")
    with pytest.raises(StrataError, match="5 rows for 12 samples"):
        annotations_of(manifests, [folder / "short.parquet"], "all", {})


VALUES = (DRAW.random((200, 6)) < np.array([0.5, 0.4, 0.3, 0.2, 0.1, 0.05])).astype(np.float32)
NAMES = [f"k={i}" for i in range(6)]


def test_the_greatest_area_may_decide():
    layer = DRAW.normal(size=(200, 40)).astype(np.float32)
    prepared = Annotations(VALUES, NAMES)
    z, auc = prepared.deviations(layer.T)
    for best, deciding in (("deviation", abs(z)), ("auc", abs(auc - 0.5))):
        table = label_by_annotation(layer, VALUES, NAMES, best=best)
        names = prepared.concepts[deciding.argmax(axis=1)]
        assert table["label"].tolist() == names.tolist()
        ordered = np.sort(deciding, axis=1)
        np.testing.assert_allclose(table["margin"], ordered[:, -1] - ordered[:, -2])
        at = np.arange(40), deciding.argmax(axis=1)
        np.testing.assert_allclose(table["deviation"], abs(z[at]))
    # Areas of rare concepts vary most by chance.
    by_area = label_by_annotation(layer, VALUES, NAMES, best="auc")["label"]
    assert (by_area == "k=5").mean() > 0.4
    with pytest.raises(StrataError, match="best 'area' is unknown: use deviation, auc"):
        label_by_annotation(layer, VALUES, NAMES, best="area")


@pytest.mark.parametrize("best", ["deviation", "auc"])
def test_p_values_of_noise_are_uniform(best):
    layer = DRAW.normal(size=(200, 1500)).astype(np.float32)
    table = label_by_annotation(layer, VALUES, NAMES, best=best, n_permutations=999)
    assert (table["p_value"] <= 0.1).mean() == pytest.approx(0.1, abs=0.04)
    assert table["p_value"].mean() == pytest.approx(0.5, abs=0.05)


def test_measures_name_the_samples_that_go_with_a_label():
    layer = DRAW.normal(size=(200, 3)).astype(np.float32)
    layer[:, 0] += 5 * VALUES[:, 0]
    layer[:, 1] -= 5 * VALUES[:, 1]
    layer[:, 2] = 1.0
    found = annotation_measures([("l", layer)], Annotations(VALUES, NAMES), model="m", dataset="d")
    assert found["concept"].tolist()[:2] == ["k=0", "k=1"] and pd.isna(found["concept"][2])
    assert found["category"].tolist()[:2] == ["k", "k"]
    tops = [[int(i) for i in row.split(";")] for row in found["images"][:2]]
    assert tops[0] == np.argsort(-layer[:, 0])[:5].tolist()
    assert tops[1] == np.argsort(layer[:, 1])[:5].tolist() and found["images"][2] == ""


def test_labels_on_halves_are_those_of_the_halves_alone():
    layer = DRAW.normal(size=(200, 10)).astype(np.float32)
    halves = DRAW.random((2, 200)) < 0.5
    found = annotation_halves(lambda: [("l", layer)], VALUES, NAMES, halves)
    assert found.index.tolist() == list(range(2 * 2 * 10))
    own = found[(found["split"] == 1) & (found["half"] == 1)].set_index("unit")["concept"]
    rows = ~halves[1]
    alone = label_by_annotation(
        layer[rows], VALUES[rows], NAMES, min_positives=3, log=lambda line: None
    )
    assert own.tolist() == alone["label"].tolist()
    assert not len(annotation_halves(lambda: [("l", layer)], VALUES, NAMES, halves[:0]))
