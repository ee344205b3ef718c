"""Tables and texts as people have them: every cell is what it says, or one line says why not.

docs/files.md has these cases as a table.
"""

import unicodedata
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile
import yaml
from PIL import Image
from test_sound_files import chirp

from strata import StrataError
from strata.concepts.released import read_released_labels
from strata.config.files import check_files
from strata.config.prepare import prepare_config
from strata.convexity.measures import convexity_measures
from strata.data import open_dataset
from strata.data.files import index_files
from strata.data.folder import index_folder
from strata.data.segments import read_segments
from strata.data.splits import Task, task_rows
from strata.data.triplets import collected_triplets, read_items, read_triplets
from strata.data.user_tables import read_header, read_table
from strata.data.vocabulary import read_vocabulary
from strata.data.words import read_categories, read_concepts
from strata.figures.style import new_figure, save
from strata.tables import read_measures, write_measures

LABELS = {"labels": "labels.csv"}
CAFE = "café"  # composed


@pytest.fixture
def pictures(tmp_path):
    """A folder `in` with a.png, b.png and deep/c.png."""
    for name in ("a.png", "b.png", "deep/c.png"):
        (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (4, 4), "red").save(tmp_path / "in" / name)
    return tmp_path / "in"


def indexed(folder, text, encoding="utf-8", **layout):
    content = text if isinstance(text, bytes) else text.encode(encoding)
    (folder / "labels.csv").write_bytes(content)
    return index_files(folder, LABELS | layout, modality="image").to_dict("list")


def refused(folder, text, **layout):
    with pytest.raises(StrataError) as error:
        indexed(folder, text, **layout)
    assert "\n" not in str(error.value) and "labels.csv" in str(error.value)
    return str(error.value)


# --- names of columns -----------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["take", "index", "caption", "snr", "item", "n", "naïve", "a b"])
def test_a_label_column_has_any_name(name, pictures, tmp_path):
    (pictures / "labels.csv").write_text(f"path,{name}\na.png,x\nb.png,y\n", encoding="utf-8")
    index_folder({"path": str(pictures), "modality": "image", **LABELS}, tmp_path / "out")
    dataset = open_dataset(tmp_path / "out")
    assert dataset.families == [name] and dataset.info["families"] == {name: ["x", "y"]}
    assert dataset.manifest[name].tolist() == ["x", "y"]
    assert dataset.image(1).getpixel((0, 0)) == (255, 0, 0)
    assert dataset.place_of(1).endswith("b.png")


def test_a_name_that_cannot_be_used_is_refused(pictures):
    text = "path,sample,kind\na.png,1,x\n"
    assert "'sample' cannot name labels" in refused(pictures, text)
    assert indexed(pictures, text, families=["kind"])["kind"] == ["x"]
    assert "'split' cannot name labels" in refused(
        pictures, "path,split\na.png,x\n", families=["split"]
    )
    with pytest.raises(StrataError, match="'sample' cannot name labels"):
        index_files(pictures, {"pattern": "(?P<sample>.+)[.]png"}, modality="image")
    with pytest.raises(StrataError, match="'split' cannot name labels"):
        index_files(pictures, {"family": "split"}, modality="image")
    assert "column 'kind' is there twice" in refused(pictures, "path,kind,kind\na.png,x,y\n")
    assert "'kind' is there twice" in refused(pictures, "path,kind, kind \na.png,x,y\n")


def test_the_row_numbers_that_pandas_writes_are_no_labels(pictures):
    table = pd.DataFrame({"path": ["a.png"], "kind": ["x"]}).to_csv()
    assert list(indexed(pictures, table)) == ["path", "split", "kind"]


# --- cells ----------------------------------------------------------------------------------------

WORDS = ["NA", "nan", "null", "None", "01", "1.0", "1e5", "TRUE", "0x10", "-", "2020-01-01", "∞"]


@pytest.mark.parametrize("word", WORDS)
def test_labels_are_what_they_say(word, pictures, tmp_path):
    (pictures / "labels.csv").write_text(f"path,kind\na.png,{word}\nb.png,x\n", encoding="utf-8")
    index_folder({"path": str(pictures), "modality": "image", **LABELS}, tmp_path / "out")
    dataset = open_dataset(tmp_path / "out")
    assert dataset.manifest["kind"].tolist() == [word, "x"]
    assert set(dataset.info["families"]["kind"]) == {word, "x"}


def test_labels_stay_what_they_say_up_to_the_figure(tmp_path):
    rows = ["path,kind"]
    for number, word in enumerate([*WORDS, "1", "x"] * 3):
        Image.new("L", (1, 1)).save(tmp_path / f"{number:02}.png")
        rows.append(f"{number:02}.png,{word}")
    (tmp_path / "labels.csv").write_text("\n".join(rows), encoding="utf-8")
    index_folder({"path": str(tmp_path), "modality": "image", **LABELS}, tmp_path / "out")
    manifest = open_dataset(tmp_path / "out").manifest
    layers = [("block 1", np.random.default_rng(0).standard_normal((len(manifest), 4)))]
    options = {"model": "m", "dataset": "d", "n_neighbors": 5, "log": lambda line: None}
    measured = convexity_measures(layers, manifest[["kind"]], halves=2, **options)
    write_measures(measured, tmp_path / "m.parquet")
    back = read_measures(tmp_path / "m.parquet")
    column = next(name for name in back if set(WORDS) <= set(back[name].dropna()))
    shown = back[back["metric"] == "graph_convexity_concept"]
    assert set(shown[column]) == {*WORDS, "1", "x"}
    stem = tmp_path / "figure"
    save(new_figure(1, 1), shown, stem)
    drawn = pd.read_csv(stem.with_suffix(".csv"), dtype={column: "str"}, keep_default_na=False)
    assert drawn[column].tolist() == shown[column].tolist()
    task = task_rows(manifest, "kind", splits={"train": 0.7, "test": 0.3}, name="d")
    classes, _ = Task("kind", task).targets(manifest["kind"])
    assert classes == sorted({*WORDS, "1", "x"})


@pytest.mark.parametrize("word", WORDS)
def test_labels_of_pieces_are_what_they_say(word, tmp_path):
    (tmp_path / "in/s").mkdir(parents=True)
    soundfile.write(tmp_path / "in/s/a.wav", chirp(0.1), 16000)
    table = f"path,start,end,phoneme\ns/a.wav,0,0.05,{word}\ns/a.wav,0.05,0.1,b\n"
    (tmp_path / "in/pieces.csv").write_text(table, encoding="utf-8")
    spec = {"path": str(tmp_path / "in"), "modality": "audio", "segments": "pieces.csv"}
    index_folder(spec, tmp_path / "out")
    assert open_dataset(tmp_path / "out").segments["phoneme"].tolist() == [word, "b"]


def test_every_other_table_keeps_its_words(tmp_path):
    items = ["NA", "01", "1"]
    (tmp_path / "t.csv").write_text("a,b,odd\nNA,01,1\n")
    found = read_triplets(tmp_path / "t.csv", "table", items)
    assert found[["a", "b", "odd"]].to_numpy().tolist() == [[0, 1, 2]]
    (tmp_path / "items.tsv").write_text("name\tx\nNA\t\n01\t\n1\t\n")
    assert read_items(tmp_path / "items.tsv", "name") == items
    (tmp_path / "items.txt").write_text("NA\n01\n1\n\n")
    assert read_items(tmp_path / "items.txt") == items
    (tmp_path / "words.txt").write_text("null\nNA\n01\n")
    assert read_concepts(tmp_path / "words.txt") == ["null", "NA", "01"]
    (tmp_path / "r.csv").write_text("layer,unit,description,similarity\n01,0,007,0.5\n01,1,NA,1\n")
    released = read_released_labels(tmp_path / "r.csv")
    assert released["description"].tolist() == ["007", "NA"]
    assert released["layer"].tolist() == ["01", "01"]


def test_spaces_around_cells_and_names_go(pictures):
    found = indexed(pictures, ' path , kind\n a.png ,  two words \n"b.png" , "x, y"\n'.replace(
        '" ,', '",'))  # fmt: skip
    assert found["path"] == ["a.png", "b.png"] and found["kind"] == ["two words", "x, y"]
    assert indexed(pictures, "path,kind\na.png\u00a0,x\u00a0\n")["kind"] == ["x"]


def test_what_looks_like_nothing_is_nothing(pictures):
    text = "\n\npath,kind,,\n\na.png,x,,\n,,,\n  \nb.png,y\n\n"
    assert indexed(pictures, text)["kind"] == ["x", "y"]
    assert "column 'kind' is empty; fill it" in refused(pictures, "path,kind\na.png,\nb.png\n")
    assert "line 2: column 'path' is empty" in refused(pictures, "path,kind\n ,x\n")
    assert "line 2: column 'split' is empty" in refused(pictures, "path,split,kind\na.png,,x\n")
    assert indexed(pictures, "path,kind,age\na.png,x\n", families=["kind"])["kind"] == ["x"]
    assert "the table is empty" in refused(pictures, " \n\n")
    assert "the table has no rows" in refused(pictures, "path,kind\n\n")


def test_quotes_hold_commas_and_lines(pictures):
    text = 'path,kind,age\na.png,"one\ntwo, three",5" nail\ndeep/c.png,"say ""x""",7\nb.png,,8\n'
    found = indexed(pictures, text)
    assert found["kind"][:2] == ["one\ntwo, three", 'say "x"'] and pd.isna(found["kind"][2])
    assert found["age"] == ['5" nail', "7", "8"]
    assert "line 3: not a row of a table (a quote does not end)" in refused(
        pictures, 'path,kind\na.png,x\nb.png,"y\n'
    )
    assert "line 3: 3 values for 2 columns; a value with commas in it needs quotes" in refused(
        pictures, "path,kind\na.png,x\nb.png,y, or z\n"
    )


# --- separators, encodings, ends of lines ---------------------------------------------------------


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_every_separator_and_end_of_line(separator, end, pictures):
    rows = [("path", "kind, of"), ("a.png", "x"), ("b.png", "y; z")]
    if separator in ",;":
        rows = [("path", "kind of"), ("a.png", "x"), ("b.png", "y z")]
    text = end.join(separator.join(row) for row in rows) + end
    assert indexed(pictures, text)[rows[0][1]] == ["x", rows[2][1]]


def test_excel_says_what_separates(pictures):
    assert indexed(pictures, "sep=;\r\npath;kind\r\na.png;x,y\r\n")["kind"] == ["x,y"]


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252", "latin-1"]
)
def test_every_usual_encoding(encoding, pictures, tmp_path, capsys):
    assert indexed(pictures, f"path,{CAFE}\na.png,größe\n", encoding)[CAFE] == ["größe"]
    told = "labels.csv: not in UTF-8, read as Windows-1252" in capsys.readouterr().out
    assert told == (encoding in ("cp1252", "latin-1"))
    assert read_header(pictures / "labels.csv", ["path"]) == ["path", CAFE]
    (tmp_path / "words.txt").write_bytes(f"{CAFE}\r\ngröße\r\n".encode(encoding))
    assert read_concepts(tmp_path / "words.txt") == [CAFE, "größe"]
    assert read_items(tmp_path / "words.txt") == [CAFE, "größe"]
    (tmp_path / "c.json").write_bytes(f'{{"{CAFE}": ["größe"]}}'.encode(encoding))
    assert read_categories(tmp_path / "c.json") == {CAFE: ["größe"]}
    (tmp_path / "v.json").write_bytes(f'{{"{CAFE}": ["a=größe"]}}'.encode(encoding))
    assert read_vocabulary(tmp_path / "v.json") == {CAFE: ["a=größe"]}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"PK\x03\x04 and more", "is a workbook; save the table as CSV"),
        (b"\xd0\xcf\x11\xe0 and more", "is a workbook"),
        (b"path,kind\na.png,\x81\x8d\x90\n", "no text in UTF-8, UTF-16 or Windows-1252"),
        (b"path,kind\na.png,x\0y\n", "no text in UTF-8"),
    ],
)
def test_what_is_no_text_is_refused(content, message, pictures):
    assert message in refused(pictures, content)


def test_accents_have_one_form(pictures, tmp_path):
    apart = unicodedata.normalize("NFD", CAFE)
    assert apart != CAFE
    found = indexed(pictures, f"path,{apart}\na.png,{apart}\nb.png,{CAFE}\n")
    assert found[CAFE] == [CAFE, CAFE]
    for place, name in enumerate((apart, CAFE)):
        folder = tmp_path / f"classes{place}" / name
        folder.mkdir(parents=True)
        Image.new("L", (2, 2)).save(folder / "a.png")
        found = index_files(folder.parent, {}, modality="image")
        assert found["class"].tolist() == [CAFE] and found["path"].tolist() == [f"{name}/a.png"]
        found = index_files(folder.parent, {"pattern": "(?P<x>.+)/a[.]png"}, modality="image")
        assert found["x"].tolist() == [CAFE]


# --- paths ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "written",
    ["deep/c.png", "./deep/c.png", "deep//c.png", "deep\\c.png", ".\\deep\\c.png", "Deep/C.PNG",
     "deep/../deep/c.png", " deep/c.png ", "{root}/deep/c.png"],
)  # fmt: skip
def test_paths_are_found_as_they_are_written(written, pictures):
    written = written.format(root=pictures)
    assert indexed(pictures, f"path,kind\n{written},x\n")["path"] == ["deep/c.png"]


def test_accents_in_names_of_files_may_be_composed_or_not(tmp_path):
    apart = unicodedata.normalize("NFD", CAFE)
    for place, (disk, table) in enumerate([(apart, CAFE), (CAFE, apart)]):
        folder = tmp_path / str(place)
        folder.mkdir()
        Image.new("L", (2, 2)).save(folder / f"{disk}.png")
        assert indexed(folder, f"path,kind\n{table}.png,x\n")["path"] == [f"{disk}.png"]


@pytest.mark.parametrize(
    "written", ["../a.png", "/etc/a.png", "deep/../../a.png", "C:\\pictures\\a.png", ".", ".."]
)
def test_paths_that_leave_the_folder_are_refused(written, pictures):
    assert f"line 2: path {written!r} should be of a file below" in refused(
        pictures, f"path,kind\n{written},x\n"
    )


def test_the_same_file_is_listed_once(pictures):
    for other in ("a.png", "./a.png", "deep/../a.png", "A.PNG"):
        assert "line 3: 'a.png' is listed twice" in refused(
            pictures, f"path,kind\na.png,x\n{other},y\n"
        )
    Image.new("L", (2, 2)).save(pictures / "A.png")
    assert indexed(pictures, "path,kind\na.png,x\nA.png,y\n")["path"] == ["a.png", "A.png"]
    assert "line 2: 'a.PNG' may be 'A.png' or 'a.png'" in refused(pictures, "path,kind\na.PNG,x\n")


def test_lists_and_skip_and_pieces_find_files_too(tmp_path):
    for name in ("a", "b", "c"):
        (tmp_path / "in/s").mkdir(parents=True, exist_ok=True)
        soundfile.write(tmp_path / f"in/s/{name}.wav", chirp(0.1), 16000)
    (tmp_path / "in/test.txt").write_bytes("./s\\a.wav\r\n\r\n".encode("utf-8-sig"))
    (tmp_path / "in/pieces.csv").write_text("path;start;end;phoneme\n./s//b.wav;0,01;0,05;NA\n")
    spec = {"path": str(tmp_path / "in"), "modality": "audio", "segments": "pieces.csv"}
    spec |= {"lists": {"test": "test.txt"}, "skip": ["./s/c.wav"]}
    index_folder(spec, tmp_path / "out")
    dataset = open_dataset(tmp_path / "out")
    assert dataset.manifest[["path", "split"]].to_numpy().tolist() == [
        ["s/a.wav", "test"], ["s/b.wav", "train"]
    ]  # fmt: skip
    assert dataset.segments.to_numpy().tolist() == [[1, 0.01, 0.05, "NA"]]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("a.wav,zero,1,x", "line 2: start should be a number, not 'zero'"),
        ("a.wav,,1,x", "line 2: start should be a number, not ''"),
        ("a.wav,0,inf,x", "line 2: end should be a number, not 'inf'"),
        ("a.wav,0,nan,x", "line 2: end should be a number"),
        ("a.wav,-1,1,x", "line 2: 'a.wav' should be a sample, and start before end"),
        ("a.wav,1,1,x", "start before end"),
        ("z.wav,0,1,x", "line 2: 'z.wav' should be a sample"),
        ("a.wav,100,250,x", "line 2: 'a.wav' has 1.000 seconds, and the piece ends at 250"),
        ("a.wav,0.5,1.2,x", "the piece ends at 1.2; times should be in seconds"),
        ("a.wav,0,1,", "column 'phoneme' is empty; fill it, or leave it out"),
    ],
)
def test_pieces_that_cannot_be_are_refused(row, message, tmp_path):
    soundfile.write(tmp_path / "a.wav", chirp(1), 16000)
    (tmp_path / "p.csv").write_text(f"path,start,end,phoneme\n{row}\n")
    with pytest.raises(StrataError, match=r"p\.csv") as error:
        read_segments(tmp_path, "p.csv", pd.DataFrame({"path": ["a.wav"]}))
    assert message in str(error.value)


# --- judgements -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a;b;odd\nx;y;w\n", "line 2: unknown item 'w'"),
        ("a,b,odd,count\nx,y,z,two\n", "line 2: count should be a whole number, not 'two'"),
        ("a,b,odd,count\nx,y,z,-1\n", "line 2: count should be a whole number, not '-1'"),
        ("a,b,odd,count\nx,y,z,\n", "line 2: count should be a whole number, not ''"),
        ("a,b\nx,y\n", "no column 'odd'; it has a, b"),
        ("a,b,odd\nx,x,z\n", "names an item twice"),
    ],
)
def test_judgements_that_cannot_be_are_refused(text, message, tmp_path):
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(StrataError, match=r"t\.csv") as error:
        read_triplets(tmp_path / "t.csv", "table", ["x", "y", "z"])
    assert message in str(error.value)


def test_judgements_come_from_excel_too(tmp_path):
    (tmp_path / "t.csv").write_bytes("a;b;odd;count\r\n x ;größe;z;3\r\n".encode("cp1252"))
    found = read_triplets(tmp_path / "t.csv", "table", ["x", "größe", "z"])
    assert found.to_numpy().tolist() == [[0, 1, 2, 3]]


@pytest.mark.parametrize("text", ["0 1 two\n", "a b odd\n0 1 2\n", "0 1 2\n0 1\n", "0.5 1 2\n"])
def test_numbers_that_are_none_are_refused(text, tmp_path):
    (tmp_path / "t.txt").write_text(text)
    with pytest.raises(StrataError, match=r"t\.txt: should hold whole numbers alone"):
        read_triplets(tmp_path / "t.txt", "numbers", ["x", "y", "z"])


def test_items_without_a_name_are_refused(tmp_path):
    (tmp_path / "items.txt").write_text("a\n\nb\n")
    with pytest.raises(StrataError, match="item 2 has no name"):
        read_items(tmp_path / "items.txt")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("alive\tbig\n1\t0\n0\t1\n0\t0\n", [[True, False], [False, True], [False, False]]),
        ("alive;big\nTrue;FALSE\nfalse;1.0\n0;0\n", [[True, False], [False, True], [False] * 2]),
        ("name,alive\nx,1\ny,0\nz,0\n", "line 2: column 'name' should be 1 or 0, not 'x'"),
        ("alive,big\n1,\n0,0\n1,1\n", "line 2: column 'big' should be 1 or 0, not ''"),
        ("alive\n1\n0\n", "2 rows for 3 items"),
        ("item\n1\n0\n1\n", "'item' cannot name a category"),
    ],
)
def test_marks_of_categories(text, expected, pictures, tmp_path):
    (pictures / "labels.csv").write_text("path,object\na.png,x\nb.png,y\ndeep/c.png,z\n")
    index_folder({"path": str(pictures), "modality": "image", **LABELS}, tmp_path / "pictures")
    (pictures / "t.csv").write_text("a,b,odd\nx,y,z\n")
    (pictures / "marks.csv").write_text(text)
    spec = {"images": "pictures", "column": "object", "triplets": "t.csv", "form": "table"}
    spec |= {"categories": "marks.csv"}
    dataset = open_dataset(tmp_path / "pictures")
    if isinstance(expected, str):
        with pytest.raises(StrataError, match=r"marks\.csv") as error:
            collected_triplets(spec, dataset, tmp_path / "t")
        assert expected in str(error.value)
        return
    collected_triplets(spec, dataset, tmp_path / "t")
    items = open_dataset(tmp_path / "t").manifest
    assert items[["alive", "big"]].to_numpy().tolist() == expected


def test_a_label_column_may_be_named_like_one_of_the_items(pictures, tmp_path, capsys):
    (pictures / "labels.csv").write_text(
        "path,object,item,index,kind\na.png,x,1,2,k\nb.png,y,1,2,k\ndeep/c.png,z,1,2,l\n"
    )
    index_folder({"path": str(pictures), "modality": "image", **LABELS}, tmp_path / "pictures")
    (pictures / "t.csv").write_text("a,b,odd\nx,y,z\n")
    spec = {"images": "pictures", "column": "object", "triplets": "t.csv", "form": "table"}
    collected_triplets(spec, open_dataset(tmp_path / "pictures"), tmp_path / "t")
    items = open_dataset(tmp_path / "t").manifest
    assert items["item"].tolist() == ["x", "y", "z"] and items["index"].tolist() == [0, 1, 2]
    assert items["kind"].tolist() == ["k", "k", "l"]
    assert "'item' cannot name a category of items" in capsys.readouterr().out


def test_words_of_a_category_are_words(tmp_path):
    (tmp_path / "c.json").write_text('{"numbers": ["one", 2]}')
    with pytest.raises(StrataError, match="category 'numbers' should hold words in quotes"):
        read_categories(tmp_path / "c.json")


# --- before any job -------------------------------------------------------------------------------


def test_columns_are_known_before_any_job(pictures, tmp_path):
    (pictures / "labels.csv").write_bytes("path;größe\na.png;x\n".encode("cp1252"))
    entry = {"kind": "folder", "path": "in", "modality": "image", **LABELS}
    study = {"kind": "convexity", "dataset": "mine", "families": ["größe"], "models": []}
    config = {"datasets": {"mine": entry}, "models": {}, "zoo": "bundled"}
    check_files("studies: s", study, config, tmp_path)
    with pytest.raises(StrataError, match=r"no column 'grösse'.*größe"):
        check_files("studies: s", study | {"families": ["grösse"]}, config, tmp_path)


def test_a_task_is_part_of_a_files_name():
    base = Path(__file__).parents[2]
    config = yaml.safe_load((base / "config.yaml").read_text())
    study = next(one for one in config["studies"].values() if one["kind"] == "pruning")
    entry = {"kind": "folder", "path": "mine", "modality": "audio", "labels": "labels.csv"}
    config["datasets"]["mine"] = entry
    study |= {"dataset": "mine", "families": ["a/b"]}
    study["tasks"] = {"a/b": {"splits": "own"}}
    with pytest.raises(StrataError, match="tasks: 'a/b' is part of files' names"):
        prepare_config(config, base)


def test_a_table_gives_the_lines_of_its_rows(tmp_path):
    (tmp_path / "t.csv").write_text('\nx\n"a\nb"\n\nc\n')
    assert read_table(tmp_path / "t.csv")["x"].to_dict() == {3: "a\nb", 6: "c"}
