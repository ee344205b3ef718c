"""Tables, lists and JSON that are broken or meant to harm: one line that names file and line."""

import re

import pandas as pd
import pytest

from strata import StrataError
from strata.data.arrays import read_names
from strata.data.download import remote_files
from strata.data.segments import read_segments
from strata.data.triplets import read_items, read_triplets
from strata.data.user_tables import Paths, read_header, read_json, read_lines, read_table
from strata.data.vocabulary import read_vocabulary
from strata.data.words import read_categories, read_concepts


def written(tmp_path, content):
    file = tmp_path / "file.txt"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    return file


def refused(read, file, told):
    """What `read` says of a file: one line, with its name."""
    with pytest.raises(StrataError, match=told) as error:
        read(file)
    assert str(file) in str(error.value) and "\n" not in str(error.value)


UNSEEN = [*range(1, 9), 0x0B, 0x0C, 0x0E, 0x1A, 0x1B, 0x1F, 0x7F, 0x85, 0x9F]
UNSEEN += [0x200B, 0x200E, 0x200F, 0x2028, 0x2029, 0x202A, 0x202E, 0x2066, 0x2069, 0xFEFF, 0xFFFE]


@pytest.mark.parametrize("code", UNSEEN, ids=hex)
def test_characters_that_nobody_sees_are_refused_with_their_line(code, tmp_path):
    told = f"line 3: holds U\\+{code:04X}, a character that is not seen; remove it"
    refused(read_concepts, written(tmp_path, f"red\r\ncat\nd{chr(code)}og\n"), told)
    refused(read_table, written(tmp_path, f"path,word\na.png,cat\nb.png,d{chr(code)}og\n"), told)


@pytest.mark.parametrize(
    "word", ["naïve", "日本語", "😀", "a\tb", "क्षि", "e\u0301", "$(rm -rf ~)", "%_&#"]
)
def test_words_of_any_script_are_words(word, tmp_path):
    assert len(read_concepts(written(tmp_path, f"{word}\nother\n"))) == 2


TABLES = [
    ("", "the table is empty"),
    ("\n\n \n", "the table is empty"),
    ("\ufeff", "the table is empty"),
    (",,,\n,,,\n", "no column 'path'"),
    ('""\n', "the table is empty"),
    ('"",""\n"",""\n', "the table is empty|no column 'path'"),
    ("sep=:\npath:word\na:b:c\n", "sep=: is no separator that is read; use commas"),
    ('sep="\npath"word\n', "is no separator that is read"),
    ("sep= \npath word\n", "is no separator that is read"),
    ("sep=x\npathxword\n", "is no separator that is read"),
    ("path,path\na,b\n", "column 'path' is there twice"),
    ("\ufeffpath, path \na,b\n", "column 'path' is there twice"),
    ("path,word\na,b,c\n", "line 2: 3 values for 2 columns"),
    ('path,word\na,"b\n', "line 2: .*a quote does not end"),
    ('"path,word\n', "a quote does not end"),
    ('path,word\n"a"b,c\n', "line 2: not a row of a table"),
    ("path,word\n" + "x" * 200_000 + ",b\n", "line 2: .*field larger than field limit"),
    ("Path,word\na,b\n", "no column 'path'; it has Path, word"),
    (b"path,word\n\x81,b\n", "no text in UTF-8"),
    (b"PK\x03\x04...", "is a workbook; save the table as CSV"),
    (b"\xd0\xcf\x11\xe0...", "is a workbook"),
    (b"path,word\na\0b,c\n", "no text in UTF-8"),
    (b"\xff\xfep", "no column 'path'"),
    (b"\x89PNG\r\n\x1a\n\0\0", "no text in UTF-8"),
    (b"PAR1" + bytes(40), "no text in UTF-8"),
]


@pytest.mark.parametrize(("content", "told"), TABLES)
def test_a_table_that_is_none_is_told_in_one_line(content, told, tmp_path):
    refused(lambda file: read_table(file, ["path"]), written(tmp_path, content), told)


@pytest.mark.parametrize(("content", "told"), [case for case in TABLES if "line 2" not in case[1]])
def test_its_header_is_told_the_same_way(content, told, tmp_path):
    if "twice" not in told:
        refused(lambda file: read_header(file, ["path"]), written(tmp_path, content), told)


JSON = [
    ("", "not JSON"),
    ("{", "not JSON"),
    ('{"a": ["b=c"], "a": ["d=e"]}', "not JSON: key 'a' is there twice"),
    ('{"a": NaN}', "not JSON: NaN is no number"),
    ('{"a": [-Infinity]}', "not JSON: -Infinity is no number"),
    ("[" * 100_000, "not JSON"),
    ('{"a": ' * 50_000, "not JSON"),
    ('{"a": ["b\\u0007=c"]}', r"holds U\+0007"),
    ('{"a\\u202e": ["b=c"]}', r"holds U\+202E"),
    ('{"a": ["\\ud800=c"]}', r"holds U\+D800"),
    (b"\xff\xfe{", "no text in UTF-8|not JSON"),
    (b"\x80\x04\x95pickle", "not JSON|no text|holds U"),
    ("{'a': 1}", "not JSON"),
    ('{"a": 1,}', "not JSON"),
    ("9" * 5000, "not JSON"),
]


@pytest.mark.parametrize("read", [read_vocabulary, read_categories, read_json])
@pytest.mark.parametrize(("content", "told"), JSON)
def test_json_that_is_none_or_says_two_things_is_told_in_one_line(content, told, read, tmp_path):
    refused(read, written(tmp_path, content), told)


@pytest.mark.parametrize("content", ["[]", "null", "5", '"a"', "true", '{"a": 5}', '{"a": [5]}'])
def test_json_of_another_form_is_told_what_is_right(content, tmp_path):
    file = written(tmp_path, content)
    refused(read_vocabulary, file, r"should (read \{word|map to)")
    refused(read_categories, file, r"should (read \{category|hold words)")


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("", "no concepts; it should hold one concept per line"),
        (" \n\t\n", "no concepts"),
        ("cat\n dog\ncat \n", "concept 'cat' is in lines 1 and 3; keep one"),
        ("caf\u00e9\ncafe\u0301\n", "concept 'café' is in lines 1 and 2"),
        (b"\0\0\0", "no text in UTF-8"),
    ],
)
def test_concept_lists_are_told_what_is_wrong(content, told, tmp_path):
    refused(read_concepts, written(tmp_path, content), told)


@pytest.mark.parametrize(
    ("form", "content", "told"),
    [
        ("votes", "[]", r"should read \{answers"),
        ("votes", '{"answers": [[0, 1, 2]]}', "no key 'agreement'"),
        ("votes", '{"answers": 3, "agreement": [[1, 0]]}', "answers: row 0 should be 3 whole"),
        ("votes", '{"answers": [[0, 1]], "agreement": [[1, 0]]}', "answers: row 0 should be 3"),
        ("votes", '{"answers": [[0, 1, 2.5]], "agreement": [[1, 0]]}', "row 0 should be 3 whole"),
        ("votes", '{"answers": [[0, 1, true]], "agreement": [[1, 0]]}', "row 0 should be 3 whole"),
        ("votes", '{"answers": [["0", 1, 2]], "agreement": [[1, 0]]}', "row 0 should be 3 whole"),
        ("votes", '{"answers": [[0, 1, 2]], "agreement": [[-1, 0]]}', "agreement: row 0 should"),
        ("votes", '{"answers": [[0, 1, 2]], "agreement": []}', "1 answers, but 0 of agreement"),
        ("votes", '{"answers": [[0, 1, 99]], "agreement": [[1, 0]]}', "names an unknown item"),
        ("votes", '{"answers": [[0, 1, 1]], "agreement": [[1, 0]]}', "names an item twice"),
        ("votes", f'{{"answers": [[0, 1, {10**30}]], "agreement": [[1, 0]]}}', "row 0 should be 3"),
        ("table", f"a,b,odd,count\nx,y,z,{10**30}\n", "line 2: count should be a whole number"),
        ("table", "a,b,odd,count\nx,y,z,-1\n", "line 2: count should be a whole number"),
        ("table", "a,b,odd\nx,y,$(ls)\n", r"line 2: unknown item '\$\(ls\)'"),
        ("table", "a,b\nx,y\n", "no column 'odd'"),
        ("numbers", "", "should hold whole numbers alone"),
        ("numbers", "0 1 99\n", "names an unknown item"),
        ("numbers", f"0 1 {10**30}\n", "should hold whole numbers alone|unknown item"),
        ("numbers", b"\xff\xfe\0", "should hold whole numbers alone"),
        ("choices", "", "should be a table|no column|whole numbers"),
        ("choices", b"\xff\xfe\0", "should be a table|no column|whole numbers"),
        ("choices", "image1\timage2\timage3\tchoice\n1\t2\t3\t4\n", "line 2: choice should be"),
    ],
)
def test_judgements_that_lie_are_told_in_one_line(form, content, told, tmp_path):
    items = ["x", "y", "z"]
    refused(lambda file: read_triplets(file, form, items), written(tmp_path, content), told)


@pytest.mark.parametrize("content", ["a\n\nb\n", "a\nb\na\n", "caf\u00e9\ncafe\u0301\n"])
def test_ids_that_are_missing_or_twice_are_told(content, tmp_path):
    refused(read_items, written(tmp_path, content), "has no name|is there twice")


@pytest.mark.parametrize(
    "times",
    ["a,1", "0,b", "1,0", "-1,1", "nan,1", "0,inf", "0,1e999", ",1", "0,", "0x1,2", "1:0,2"],
)
def test_pieces_at_no_times_are_told_with_their_line(times, tmp_path):
    file = written(tmp_path, f"path,start,end,word\na.wav,{times},x\n")
    manifest = pd.DataFrame({"path": ["a.wav"]})
    refused(lambda f: read_segments(tmp_path, f.name, manifest), file, "line 2: ")


@pytest.mark.parametrize(
    "name", ["../a", "/etc/passwd", "a/../../b", "C:\\a", "..", ".", "..\\a", "//host/a", "a/../.."]
)
def test_paths_that_leave_their_folder_are_refused(name, tmp_path):
    with pytest.raises(StrataError, match=r"labels, line 2: path .* should be of a file below"):
        Paths(tmp_path, ["a"]).find(name, "labels, line 2")


@pytest.mark.parametrize(
    "name", ["x" * 300, "x/" * 3000, "~", "$HOME", "`ls`", "a;b", "-rf", "*", "a b'"]
)
def test_paths_that_are_no_file_are_only_that(name, tmp_path):
    assert Paths(tmp_path, ["a"]).find(name, "here") == name.rstrip("/")


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("0" * 64, "should read 'sha256  name'"),
        ("z" * 64 + "  a.png", "should read 'sha256  name'"),
        ("0" * 63 + "  a.png", "should read 'sha256  name'"),
        ("0" * 64 + "  ../a.png", "must stay inside its folder"),
        ("0" * 64 + "  /a.png", "must stay inside its folder"),
        ("0" * 64 + "  a.png\n" + "1" * 64 + "  ./a.png", "'a.png' names two files"),
        (b"\x81\0", r"holds U\+0081"),
    ],
)
def test_lists_of_checksums_that_lie_are_refused(line, told, tmp_path):
    file = written(tmp_path, line)
    with pytest.raises(StrataError, match=re.compile(told)):
        remote_files({"checksums": file.name, "base_url": "http://localhost"}, tmp_path)


def test_a_folder_is_no_table(tmp_path):
    refused(read_lines, tmp_path, "cannot be read")
    with pytest.raises(StrataError, match="no such table of samples' names"):
        read_names(tmp_path, "path")
