"""Folders as people have them: what is a sample, what is not and is told, and damaged files.

docs/files.md has these cases as a table.
"""

import csv
import json
import os
import shutil
from pathlib import Path

import pandas as pd
import pytest
import soundfile
import yaml
from PIL import Image
from test_sound_files import chirp

from strata import StrataError
from strata.config.prepare import prepare_config
from strata.data import open_dataset
from strata.data.download import download_dataset
from strata.data.files import index_files, index_with_account
from strata.data.folder import folder_state, index_folder
from strata.data.listing import list_files
from strata.data.reading import SUFFIXES
from strata.data.triplets import collected_triplets
from strata.paper.data import data_values, skipped_text
from strata.paper.sections import study_section


def picture(path, color="red"):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (4, 4), color).save(path)


def damage(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"no picture at all")


@pytest.fixture
def root(tmp_path):
    """Two classes of two pictures."""
    for name in ("cats/a.png", "cats/b.jpg", "dogs/c.png", "dogs/d.tif"):
        picture(tmp_path / "in" / name)
    return tmp_path / "in"


ALL = ["cats/a.png", "cats/b.jpg", "dogs/c.png", "dogs/d.tif"]


def index(root, layout=None, **options):
    return index_with_account(root, layout or {}, modality="image", **options)


def paths(root, layout=None, **options):
    return index(root, layout, **options).manifest["path"].tolist()


def made(root, out, **spec):
    index_folder({"path": str(root), "modality": "image", **spec}, out)
    return open_dataset(out)


# --- what is no sample ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    ["cats/._a.jpg", "cats/.a.png", ".ipynb_checkpoints/a.png", "cats/.ipynb_checkpoints/a.png",
     "__MACOSX/cats/a.png", "cats/Thumbs.db", "cats/.DS_Store", "cats/desktop.ini", ".git/x.png",
     "@eaDir/a.png", "$RECYCLE.BIN/a.png"],
)  # fmt: skip
def test_what_systems_leave_behind_is_nothing(name, root):
    before = folder_state(root)
    damage(root / name)
    for layout in ({}, {"pattern": "(?P<kind>[^/]+)/.*"}):
        found = index(root, layout)
        assert found.manifest["path"].tolist() == ALL and found.left_out == {}
    assert folder_state(root) == before


def test_what_is_no_sample_is_counted_by_reason(root, tmp_path, capsys):
    picture(root / "loose.png")
    for name in ("cats/x.heic", "cats/y.HEIC", "dogs/z.avif", "dogs/z.svg", "notes", "dogs/s.mp3"):
        damage(root / name)
    types = {
        "of type .avif": 1, "of type .heic": 2, "of type .mp3": 1, "of type .svg": 1,
        "of type without suffix": 1,
    }  # fmt: skip
    dataset = made(root, tmp_path / "out")
    assert dataset.manifest["path"].tolist() == ALL
    assert dataset.info["left_out"] == types | {"beside the class folders": 1}
    assert "out: 4 samples; left out: " in capsys.readouterr().out
    (root / "labels.csv").write_text("path,kind\ncats/a.png,x\nloose.png,y\n")
    dataset = made(root, tmp_path / "table", labels="labels.csv")
    assert dataset.info["left_out"] == types | {"not in labels.csv": 3}
    pattern = made(root, tmp_path / "pattern", pattern="(?P<kind>cats)/.*")
    expected = {"whose names do not match the pattern": 3, "of type .csv": 1}
    assert pattern.info["left_out"] == types | expected
    listed = {"pattern": "(?P<kind>.+)/.*", "lists": {"test": "labels.csv"}, "skip": ["cats/a.png"]}
    (root / "labels.csv").write_text("dogs/c.png\n")
    dataset = made(root, tmp_path / "lists", **listed)
    assert dataset.info["left_out"] == types | {"whose names do not match the pattern": 1}
    assert dataset.info["n"] == 3


def test_nothing_is_told_where_nothing_is_left_out(root, tmp_path):
    info = made(root, tmp_path / "out").info
    assert (info["left_out"], info["read"], info["unreadable"]) == ({}, {}, [])


def test_what_was_done_to_pictures_is_counted(root, tmp_path):
    Image.new("RGBA", (4, 4), (0, 0, 0, 0)).save(root / "cats/a.png")
    exif = Image.Exif()
    exif[0x0112] = 3
    Image.new("RGB", (4, 4)).save(root / "cats/b.jpg", exif=exif)
    dataset = made(root, tmp_path / "out")
    assert dataset.info["read"] == {"transparent, on white": 1, "turned as EXIF says": 1}
    assert dataset.image(0).getpixel((0, 0)) == (255, 255, 255)


def test_the_documentation_names_what_is_read():
    page = (Path(__file__).parents[2] / "docs/files.md").read_text()
    for suffixes in SUFFIXES.values():
        assert f"`{' '.join(suffixes)}`" in page


# --- classes --------------------------------------------------------------------------------------


def test_an_empty_class_is_told(root, tmp_path, capsys):
    (root / "birds").mkdir()
    damage(root / "fish/only.heic")
    assert paths(root) == ALL
    assert "class folders without files: birds, fish" in capsys.readouterr().out
    picture(tmp_path / "one/cats/a.png")
    assert paths(tmp_path / "one") == ["cats/a.png"]
    (tmp_path / "one/dogs").mkdir()
    with pytest.raises(StrataError, match=r"class 'dogs' is empty; it needs \.jpg, "):
        index(tmp_path / "one")


def test_folders_in_a_class_belong_to_it(root):
    picture(root / "cats/kittens/small/e.png")
    found = index_files(root, {}, modality="image")
    assert (
        dict(zip(found["path"], found["class"], strict=True))["cats/kittens/small/e.png"] == "cats"
    )
    top = index_files(root.parent, {"classes": "in", "family": "animal"}, modality="image")
    assert top["path"].tolist() == sorted(
        [f"in/{name}" for name in ALL] + ["in/cats/kittens/small/e.png"]
    )
    assert top["animal"].tolist() == ["cats"] * 3 + ["dogs"] * 2


def test_splits_are_no_classes(tmp_path):
    for name in ("train/cats/a.png", "train/dogs/b.png", "val/cats/c.png", "val/dogs/d.png"):
        picture(tmp_path / "in" / name)
    with pytest.raises(StrataError, match="the folders train, val are splits") as error:
        index(tmp_path / "in")
    pattern = str(error.value).rpartition("pattern: ")[2]
    found = index_files(tmp_path / "in", {"pattern": pattern}, modality="image")
    assert found.to_numpy().tolist() == [
        ["train/cats/a.png", "train", "cats"], ["train/dogs/b.png", "train", "dogs"],
        ["val/cats/c.png", "val", "cats"], ["val/dogs/d.png", "val", "dogs"],
    ]  # fmt: skip


def test_a_group_that_matches_nothing_is_refused(root):
    with pytest.raises(StrataError, match=r"group 'kind' is empty for 'cats/a\.png'"):
        index(root, {"pattern": "(?P<animal>[^/]+)/[a-d](?P<kind>x)?[.].*"})


# --- links ----------------------------------------------------------------------------------------


def test_a_folder_that_links_lead_to_twice_counts_once(root, tmp_path):
    (root / "again").symlink_to(root / "cats")
    (root / "dogs/more").symlink_to(root / "cats")
    (root / "dogs/circle").symlink_to(root)
    found = index(root)
    assert found.manifest["path"].tolist() == ALL
    assert found.left_out == {"folders met again through a link": 3}
    for name in ("one", "two"):
        (tmp_path / "linked" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "linked" / name).symlink_to(root / "cats")
    (tmp_path / "linked/dogs").symlink_to(root / "dogs")
    (root / "dogs/circle").unlink()
    found = index(tmp_path / "linked")
    assert found.manifest["path"].tolist() == ["dogs/c.png", "dogs/d.tif", "one/a.png", "one/b.jpg"]
    assert found.left_out == {"folders met again through a link": 2}


def test_linked_files_are_samples(root, tmp_path):
    (tmp_path / "in2/cats").mkdir(parents=True)
    (tmp_path / "in2/cats/z.png").symlink_to(root / "cats/a.png")
    assert paths(tmp_path / "in2") == ["cats/z.png"]
    (root / "cats/a.png").unlink()
    with pytest.raises(StrataError, match=r"in2/cats/z\.png: file is missing"):
        index(tmp_path / "in2")


def test_the_state_of_a_folder_follows_links(root, tmp_path):
    (tmp_path / "far/deep").mkdir(parents=True)
    picture(tmp_path / "far/deep/x.png")
    (root / "far").symlink_to(tmp_path / "far")
    (root / "far/circle").symlink_to(root)
    (root / "gone.png").symlink_to(tmp_path / "nowhere.png")
    states = [folder_state(root)]
    assert states[0] == folder_state(root) and states[0]
    picture(tmp_path / "far/deep/y.png")  # new
    states.append(folder_state(root))
    os.utime(tmp_path / "far/deep/x.png", ns=(1, 1))  # changed
    states.append(folder_state(root))
    (tmp_path / "far/deep/y.png").unlink()  # gone
    states.append(folder_state(root))
    picture(tmp_path / "nowhere.png")  # there at last
    states.append(folder_state(root))
    assert len(set(states)) == 5
    assert folder_state(tmp_path / "no such folder") == "" == folder_state(tmp_path / "nowhere.png")
    assert "far/deep/x.png" in list_files(root).files


def test_names_that_are_not_utf_8_are_refused(root):
    with open(os.fsencode(root / "cats") + b"/\xe9.png", "wb") as file:
        file.write(b"x")
    with pytest.raises(StrataError, match=r"cats/\\xe9\.png: the file's name is not UTF-8"):
        index(root)
    assert folder_state(root) == "cannot be listed"  # so that the job says it


# --- damaged files --------------------------------------------------------------------------------

DAMAGED = ["cats/b.jpg", "cats/e.png", "cats/f.gif", "dogs/d.tif", "dogs/g.webp"]


@pytest.fixture
def damaged(root):
    for name in DAMAGED:
        damage(root / name)
    return root


def test_all_damaged_files_are_told_in_one_go(damaged, tmp_path):
    with pytest.raises(StrataError) as error:
        made(damaged, tmp_path / "out")
    text, report = str(error.value), tmp_path / "out/unreadable.csv"
    assert "\n" not in text
    for name in DAMAGED[:3]:
        assert f"{damaged / name}: cannot be read (picture unreadable: cannot identify" in text
    assert f"and 2 more; all 5 are listed in {report}; " in text
    assert text.endswith("replace or remove them, or leave them out by unreadable: skip")
    with report.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["path"] for row in rows] == DAMAGED
    assert all("cannot identify" in row["reason"] for row in rows)
    assert not (tmp_path / "out/manifest.parquet").exists()
    for name in DAMAGED:
        (damaged / name).unlink()
    assert made(damaged, tmp_path / "out").manifest["path"].tolist() == ["cats/a.png", "dogs/c.png"]
    assert not report.exists()


def test_skipped_files_are_as_if_they_were_not_there(damaged, tmp_path, capsys):
    for number in range(12):
        picture(damaged / f"cats/n{number:02}.png")
    options = {"splits": {"train": 0.5, "test": 0.5}}
    skipped = made(damaged, tmp_path / "skipped", unreadable="skip", **options)
    assert "cannot be read and skipped: 5" in capsys.readouterr().out
    records = skipped.info["unreadable"]
    assert [record["path"] for record in records] == DAMAGED
    assert [record["labels"] for record in records[2:4]] == [{"class": "cats"}, {"class": "dogs"}]
    assert all("cannot identify" in record["reason"] for record in records)
    assert len((tmp_path / "skipped/unreadable.csv").read_text().splitlines()) == 6
    for name in DAMAGED:
        (damaged / name).unlink()
    without = made(damaged, tmp_path / "without", **options)
    assert skipped.manifest.equals(without.manifest)
    assert skipped.info["content"] == without.info["content"]
    assert without.info["unreadable"] == []


def test_files_of_a_table_that_are_missing_go_the_same_way(root, tmp_path):
    table = "path,kind\ncats/a.png,x\ngone.png,y\ncats/b.jpg,y\ndogs/gone too.png,01\n"
    (root / "labels.csv").write_text(table)
    with pytest.raises(
        StrataError, match=r"in/gone\.png: file is missing.*in/dogs/gone too\.png: "
    ):
        made(root, tmp_path / "out", labels="labels.csv")
    dataset = made(root, tmp_path / "out", labels="labels.csv", unreadable="skip")
    assert dataset.manifest[["path", "kind"]].to_numpy().tolist() == [
        ["cats/a.png", "x"], ["cats/b.jpg", "y"]
    ]  # fmt: skip
    assert [(one["row"], one["labels"]) for one in dataset.info["unreadable"]] == [
        (1, {"kind": "y"}), (3, {"kind": "01"})
    ]  # fmt: skip


def test_nothing_left_is_an_error(root, tmp_path):
    for name in ALL:
        damage(root / name)
    with pytest.raises(StrataError, match="no file is left to read"):
        made(root, tmp_path / "out", unreadable="skip")


def test_a_download_goes_the_same_way(damaged, tmp_path):
    spec = {"modality": "image", "licence": "none", "source": "here", "files": [], "layout": {}}
    options = {"log": lambda line: None}
    with pytest.raises(StrataError, match="all 5 are listed in"):
        download_dataset(spec, tmp_path / "out", damaged, **options)
    download_dataset(spec | {"unreadable": "skip"}, tmp_path / "out", damaged, **options)
    dataset = open_dataset(tmp_path / "out")
    assert dataset.manifest["path"].tolist() == ["cats/a.png", "dogs/c.png"]
    assert [one["path"] for one in dataset.info["unreadable"]] == DAMAGED


def test_a_file_in_two_lists_is_refused(root):
    (root / "val.txt").write_text("cats/a.png\ncats/b.jpg\n")
    (root / "test.txt").write_text("dogs/c.png\ncats/b.jpg\n")
    lists = {"validation": "val.txt", "test": "test.txt"}
    with pytest.raises(StrataError, match=r"test\.txt: 'cats/b\.jpg' is in the list of 'valid"):
        index(root, {"lists": lists})


def test_pieces_of_skipped_sounds_are_dropped(tmp_path):
    for name in ("a", "b"):
        (tmp_path / "in/s").mkdir(parents=True, exist_ok=True)
        soundfile.write(tmp_path / f"in/s/{name}.wav", chirp(0.1), 16000)
    damage(tmp_path / "in/s/aa.wav")
    rows = ["path,start,end,phoneme", "s/aa.wav,0,1,x", "s/b.wav,0,0.1,y", "s/aa.wav,1,2,z"]
    (tmp_path / "in/pieces.csv").write_text("\n".join(rows))
    spec = {"path": str(tmp_path / "in"), "modality": "audio", "segments": "pieces.csv"}
    index_folder(spec | {"unreadable": "skip"}, tmp_path / "out")
    dataset = open_dataset(tmp_path / "out")
    assert dataset.segments.to_numpy().tolist() == [[1, 0, 0.1, "y"]]
    assert dataset.info["dropped_segments"] == 2


def judged(root, tmp_path, answers, **spec):
    dataset = made(root, tmp_path / "pictures", labels="labels.csv", unreadable="skip")
    (root / "answers.csv").write_text(answers)
    options = {"images": "pictures", "column": "object", "triplets": "answers.csv", "form": "table"}
    collected_triplets(options | spec, dataset, tmp_path / "judged")
    found = open_dataset(tmp_path / "judged")
    rows = pd.read_parquet(tmp_path / "judged/triplets.parquet").to_numpy().tolist()
    return found, rows


@pytest.fixture
def objects(root):
    """Items w, x, y, z in this order; x has one picture, which is damaged, and y another too."""
    damage(root / "x.png")
    damage(root / "y.png")
    rows = ["path,object", "cats/a.png,w", "x.png,x", "y.png,y", "cats/b.jpg,z", "dogs/c.png,y"]
    (root / "labels.csv").write_text("\n".join(rows))
    return root


def test_answers_about_skipped_items_are_dropped(objects, tmp_path):
    found, rows = judged(objects, tmp_path, "a,b,odd,count\nw,y,z,3\nw,x,y,2\nx,y,w,1\n")
    # The items stay in the order that they had with x: w, y, z.
    assert found.manifest["item"].tolist() == ["w", "y", "z"]
    assert rows == [[0, 1, 2, 3]]
    assert (found.info["dropped_items"], found.info["dropped_answers"]) == (1, 3)


def test_numbers_of_items_count_skipped_ones(objects, tmp_path):
    found, rows = judged(objects, tmp_path, "0 2 3\n0 1 2\n", form="numbers")
    assert found.manifest["item"].tolist() == ["w", "y", "z"] and rows == [[0, 1, 2, 1]]
    (objects / "items.txt").write_text("z\nx\ny\nw\n")
    (objects / "marks.csv").write_text("alive\n1\n0\n0\n1\n")
    found, rows = judged(
        objects, tmp_path, "0 2 3\n0 1 2\n", form="numbers", items="items.txt",
        categories="marks.csv",
    )  # fmt: skip
    assert found.manifest["item"].tolist() == ["z", "y", "w"] and rows == [[0, 1, 2, 1]]
    assert found.manifest["alive"].tolist() == [True, False, True]


def test_judgements_that_lose_all_or_count_samples_are_refused(objects, tmp_path):
    with pytest.raises(StrataError, match="no answer is left; 1 items have no picture"):
        judged(objects, tmp_path, "a,b,odd\nw,x,z\n")
    with pytest.raises(StrataError, match="2 pictures are skipped, so that the others' sample num"):
        judged(objects, tmp_path, "a,b,odd\n0,1,2\n", column="sample")


# --- configuration and paper ----------------------------------------------------------------------


def test_the_configuration_says_stop_unless_told(root):
    base = Path(__file__).parents[2]
    for given, expected in ((None, "stop"), ("skip", "skip")):
        config = yaml.safe_load((base / "config.yaml").read_text())
        entry = {"kind": "folder", "path": str(root), "modality": "image"}
        config["datasets"]["mine"] = entry | ({"unreadable": given} if given else {})
        prepare_config(config, base)
        assert config["datasets"]["mine"]["unreadable"] == expected
        assert config["datasets"]["oxford_pets_sample"]["unreadable"] == "stop"
        assert "unreadable" not in config["datasets"]["microworld"]
    config["datasets"]["mine"]["unreadable"] = "maybe"
    with pytest.raises(StrataError, match="mine: unreadable: 'maybe' should be one of stop, skip"):
        prepare_config(config, base)


def test_the_paper_counts_what_was_skipped(damaged, tmp_path):
    skipped = made(damaged, tmp_path / "my_photos", unreadable="skip").info
    for name in ("a", "b", "c"):
        picture(tmp_path / f"in2/x/{name}.png")
    whole = made(tmp_path / "in2", tmp_path / "whole").info
    judgements = {"name": "judged", "n": 3, "dropped_answers": 4}
    infos = {info["name"]: info for info in (skipped, whole, judgements)}
    assert data_values(infos.values()) == {
        "DataMyPhotosN": 2, "DataMyPhotosSkipped": 5, "DataWholeN": 3, "DataWholeSkipped": 0,
        "DataJudgedN": 3, "DataMyPhotosClassConcepts": 2, "DataWholeClassConcepts": 1,
    }  # fmt: skip
    study = {"title": "Mine", "kind": "convexity", "dataset": "my_photos", "triplets": ["judged"]}
    text = skipped_text(study, infos)
    assert text == (
        "\\DataMyPhotosSkipped{} files of \\emph{my\\_photos} cannot be read and took no part. "
        "4 answers of \\emph{judged} are about items without a readable picture and left out."
    )
    assert skipped_text({"probing": ["whole"]}, infos) == ""
    assert text in study_section("mine", study, ["mine"], "", text)
    sound = skipped | {"dropped_segments": 7}
    assert "nor did 7 labelled pieces" in skipped_text(study, {"my_photos": sound})
    assert json.loads((tmp_path / "my_photos/dataset.json").read_text())["unreadable"]


def test_a_data_set_moves_with_its_folder_and_says_the_same_anywhere(root, tmp_path):
    spec, written = {"path": "in", "modality": "image"}, []
    for place in ("one", "another place"):
        base = tmp_path / place
        base.mkdir()
        shutil.copytree(root, base / "in")
        scratch = base / "scratch"  # results may lie elsewhere, behind a link
        scratch.mkdir()
        (base / "results").symlink_to("scratch")
        index_folder(spec, base / "results/pictures", base=base)
        dataset = open_dataset(base / "results/pictures")
        assert dataset.root == base / "in" and dataset.image(0).size == (4, 4)
        written.append((scratch / "pictures/dataset.json").read_bytes())
    assert written[0] == written[1]
    (tmp_path / "one").rename(tmp_path / "moved")
    assert open_dataset(tmp_path / "moved/results/pictures").image(3).size == (4, 4)
