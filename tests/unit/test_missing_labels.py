"""A label that is missing: the column does not apply, and nowhere is it a class of its own."""

import json

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from strata import StrataError
from strata.activations.cache import ActivationCache
from strata.alignment.judgements import _members
from strata.concepts.truth import factor_auc, factor_indicators
from strata.convexity.families import study_convexity
from strata.data import Dataset, open_dataset
from strata.data.folder import index_folder
from strata.data.splits import Task, task_rows
from strata.data.triplets import simulate_answers

SPLITS = {"train": 0.5, "validation": 0.25, "test": 0.25}


def manifest(n=40):
    kinds = pd.Series(["cat", "dog", None, "cat", "dog"] * (n // 5), dtype="str")
    place = pd.Series(["in", "out"] * (n // 2), dtype="str")
    frame = {"sample": np.arange(n), "index": np.arange(n), "split": "all"}
    return pd.DataFrame(frame | {"kind": kinds, "place": place})


@pytest.fixture
def photos(tmp_path):
    root = tmp_path / "photos"
    root.mkdir()
    lines = ["path,kind,texture"]
    for i in range(6):
        Image.new("RGB", (12, 12), (40 * i, 10, 10)).save(root / f"{i}.png")
        lines.append(f"{i}.png,{('cat', 'dog', '')[i % 3]},{'' if i % 3 < 2 else 'fur'}")
    (root / "labels.csv").write_text("\n".join(lines))
    spec = {"path": "photos", "modality": "image", "labels": "labels.csv"}
    index_folder(spec, tmp_path / "out", base=tmp_path)
    return open_dataset(tmp_path / "out")


def test_an_empty_cell_stays_missing_and_is_counted(photos):
    assert photos.manifest["kind"].isna().tolist() == [False, False, True] * 2
    assert photos.info["families"] == {"kind": ["cat", "dog"], "texture": ["fur"]}
    assert photos.info["missing"] == {"kind": 2, "texture": 4}
    assert "nan" not in json.dumps(photos.info).lower()


def test_tasks_leave_out_what_has_no_label():
    table = manifest()
    rows = task_rows(table, "kind", splits=SPLITS, seed=1, name="d")
    kept = np.concatenate(list(rows.values()))
    assert set(kept) == set(np.flatnonzero(table["kind"].notna()))
    classes, codes = Task("kind", rows).targets(table["kind"].to_numpy())
    assert classes == ["cat", "dog"] and (codes[table["kind"].isna()] == -1).all()


def test_groups_kept_apart_leave_out_what_has_no_group():
    table = manifest(60).assign(speaker=[f"s{i % 6}" if i % 7 else None for i in range(60)])
    rows = task_rows(table, "place", splits=SPLITS, apart="speaker", seed=0, name="d")
    kept = np.concatenate(list(rows.values()))
    assert table["speaker"].iloc[kept].notna().all() and len(kept) == table["speaker"].count()


def test_convexity_is_that_of_the_labelled_samples_alone(tmp_path):
    table, draw = manifest(), np.random.default_rng(0)
    features = draw.normal(size=(40, 4)).astype(np.float32)
    features[table["kind"].eq("cat").to_numpy()] += 1
    known = np.flatnonzero(table["kind"].notna())
    found = []
    for name, rows in (("whole", np.arange(40)), ("labelled", known)):
        with ActivationCache.create(tmp_path / name, len(rows), {"layers": ["layers.0"]}) as writer:
            writer.append([features[rows]])
        part = table.iloc[rows].reset_index(drop=True).assign(sample=np.arange(len(rows)))
        dataset = Dataset(tmp_path, {"name": "d", "storage": "x"}, part)
        options = {"model": "m", "n_neighbors": 3, "halves": 2, "log": lambda line: None}
        found.append(study_convexity(tmp_path / name, dataset, ["kind", "place"], **options))
    whole, labelled = (each[each["family"] == "kind"].reset_index(drop=True) for each in found)
    pd.testing.assert_frame_equal(whole.drop(columns="deviates"), labelled.drop(columns="deviates"))
    assert not found[0].equals(found[1])  # all forty have a place


def test_concepts_of_a_transform_have_no_missing_member():
    found = _members(manifest()[["kind", "place"]])
    assert list(found) == ["kind=cat", "kind=dog", "place=in", "place=out"]
    assert not found.loc[manifest()["kind"].isna(), ["kind=cat", "kind=dog"]].any(axis=None)


def test_observers_see_nothing_alike_in_two_missing_labels():
    factors = pd.DataFrame({"kind": pd.Series([None] * 8 + ["a"], dtype="str")})
    _, ceiling = simulate_answers(factors, triplets=300, repeats=2, weights={"kind": 9.0}, seed=0)
    assert ceiling == pytest.approx(1 / 3, abs=0.1)  # nothing to go by


def test_planted_factors_leave_out_samples_to_which_they_do_not_apply():
    table = manifest()
    names, present = factor_indicators(table, {"cat": ["kind=cat"], "in": ["place=in"]})
    assert names == ["kind=cat", "place=in"] and np.isnan(present[2, 0]) and present[2, 1] == 1
    activations = np.random.default_rng(0).normal(size=(40, 3)).astype(np.float32)
    known = table["kind"].notna().to_numpy()
    expected = factor_auc(activations[known], present[known][:, :1])
    np.testing.assert_allclose(factor_auc(activations, present)[:, :1], expected)


def test_a_column_without_any_label_is_refused(photos):
    folder = photos.root
    (folder / "labels.csv").write_text("path,kind\n0.png,\n1.png,\n")
    spec = {"path": str(folder), "modality": "image", "labels": "labels.csv"}
    with pytest.raises(StrataError, match="column 'kind' is empty; fill it, or leave it out"):
        index_folder(spec, folder.parent / "out2", base=folder)
