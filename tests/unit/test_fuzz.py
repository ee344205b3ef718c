"""Whatever is done to a configuration, a table or a data set: it is read, or told in one line."""

import copy
import json
from pathlib import Path

import pandas as pd
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from strata import StrataError
from strata.config.prepare import prepare_config
from strata.data import open_dataset
from strata.data.arrays import read_names
from strata.data.manifest import write_dataset
from strata.data.segments import read_segments
from strata.data.triplets import read_triplets
from strata.data.user_tables import read_numbers, read_table
from strata.data.vocabulary import read_vocabulary
from strata.data.words import read_categories, read_concepts
from strata.tables import read_measures

ROOT = Path(__file__).parents[2]


def overlaid(name):
    """The configuration under a shipped overlay."""
    config = yaml.safe_load((ROOT / "config.yaml").read_text())
    for key, value in yaml.safe_load((ROOT / f"studies/{name}.yaml").read_text()).items():
        config[key] = config[key] | value if isinstance(value, dict) else value
    return config


CONFIGS = [overlaid(name) for name in ("zoo", "published", "speech", "real")]
SEEDED = {"derandomize": True, "database": None, "deadline": None}
SEEDED |= {"suppress_health_check": [HealthCheck.function_scoped_fixture]}


def places(value, where=()):
    """Every place in a configuration."""
    if isinstance(value, dict):
        for key, part in value.items():
            yield (*where, key)
            yield from places(part, (*where, key))
    elif isinstance(value, list):
        for number, part in enumerate(value):
            yield (*where, number)
            yield from places(part, (*where, number))


PLACES = [list(places(config)) for config in CONFIGS]
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-2, 5),
    st.integers(),
    st.floats(),
    st.text(max_size=6),
    st.sampled_from(
        ["all", "own", "micro", "microworld", "random", "../x", "$(x)", "a\n", "{dataset}"]
    ),
    st.dates(),
    st.binary(max_size=2),
)
VALUES = st.recursive(
    SCALARS,
    lambda each: st.lists(each, max_size=3) | st.dictionaries(SCALARS, each, max_size=3),
    max_leaves=5,
)


def told(error):
    assert str(error).strip() and "\n" not in str(error)


@settings(max_examples=80, **SEEDED)
@given(data=st.data())
def test_a_changed_configuration_is_right_or_told_in_one_line(data):
    number = data.draw(st.integers(0, len(CONFIGS) - 1))
    config = copy.deepcopy(CONFIGS[number])
    for _ in range(data.draw(st.integers(1, 3))):
        *outer, last = data.draw(st.sampled_from(PLACES[number]))
        place = config
        try:
            for key in outer:
                place = place[key]
            if data.draw(st.booleans()):
                del place[last]
            else:
                place[last] = data.draw(VALUES)
        except (KeyError, IndexError, TypeError):
            continue  # an earlier change took the place away
    try:
        prepare_config(config, ROOT)
    except StrataError as error:
        told(error)


@settings(max_examples=60, **SEEDED)
@given(data=st.data())
def test_values_of_other_places_are_right_or_told_in_one_line(data):
    config = copy.deepcopy(CONFIGS[0])
    *outer, last = data.draw(st.sampled_from(PLACES[0]))
    place, other = config, config
    for key in outer:
        place = place[key]
    for key in data.draw(st.sampled_from(PLACES[0])):
        other = other[key]
    place[last] = copy.deepcopy(other)
    try:
        prepare_config(config, ROOT)
    except StrataError as error:
        told(error)


# --- tables and texts -----------------------------------------------------------------------------

TEXTS = {
    "table": 'path,split,word\na.png,train,cat\n"b.png",test,"a, b"\nc.png,train,\n',
    "pieces": "path;start;end;word\na.wav;0;0,5;cat\na.wav;0,5;1;dog\n",
    "triplets": "a,b,odd,count\nx,y,z,3\nx,z,y,1\n",
    "numbers": "0 1 2\n2 1 0\n",
    "choices": "image1\timage2\timage3\tchoice\n1\t2\t3\t1\n",
    "votes": '{"answers": [[0, 1, 2], [1, 0, 2]], "agreement": [[3, 1], [0, 2]]}',
    "concepts": "cat\ndog\n",
    "json": '{"cat": ["kind=animal"], "dog": ["kind=animal", "size=big"]}',
}
ITEMS = ["x", "y", "z"]
SOUNDS = pd.DataFrame({"path": ["b.wav"]})  # of which no file is opened
READERS = {
    "table": lambda file: read_table(file, ["path"]),
    "pieces": lambda file: [
        read_numbers(read_table(file, ["start"]), "start", file),
        read_segments(file.parent, file.name, SOUNDS),
    ],
    "triplets": lambda file: read_triplets(file, "table", ITEMS),
    "numbers": lambda file: read_triplets(file, "numbers", ITEMS),
    "choices": lambda file: read_triplets(file, "choices", ITEMS),
    "votes": lambda file: read_triplets(file, "votes", ITEMS),
    "concepts": read_concepts,
    "json": lambda file: (read_categories(file), read_vocabulary(file)),
}
BITS = [
    b"",
    b"\0",
    b'"',
    b",",
    b";",
    b"\t",
    b"|",
    b"\n",
    b"\r",
    b"\xff\xfe",
    b"\xef\xbb\xbf",
    b"sep=:\n",
]
BITS += [
    b"sep=;\n",
    b"1e999",
    b"-1",
    b"[[",
    b"{",
    b"NaN",
    b"null",
    b"true",
    b"\\ud800",
    b"\x80",
    b"\x1b",
]
BITS += [b"9" * 30, "é".encode(), "\u202e".encode(), b" ", b"''", b":", b"}", b"]", b"\\"]


@settings(max_examples=400, **SEEDED)
@given(kind=st.sampled_from(sorted(TEXTS)), data=st.data())
def test_a_changed_text_is_read_or_told_in_one_line(kind, data, tmp_path):
    content = TEXTS[kind].encode()
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(content)))
        length = data.draw(st.sampled_from([0, 0, 1, 5, 1000]))
        content = content[:start] + data.draw(st.sampled_from(BITS)) + content[start + length :]
    file = tmp_path / "file.csv"
    file.write_bytes(content)
    for read in (READERS[kind], lambda path: read_names(path, "path", lambda line: None)):
        try:
            read(file)
        except StrataError as error:
            told(error)


@settings(max_examples=200, **SEEDED)
@given(kind=st.sampled_from(sorted(TEXTS)), content=st.binary(max_size=60))
def test_any_bytes_are_read_or_told_in_one_line(kind, content, tmp_path):
    file = tmp_path / "file.csv"
    file.write_bytes(content)
    try:
        READERS[kind](file)
    except StrataError as error:
        told(error)


# --- what Strata wrote itself ---------------------------------------------------------------------


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """The two files of a data set."""
    folder = tmp_path_factory.mktemp("set")
    manifest = pd.DataFrame(
        {"split": ["all"] * 3, "path": ["a", "b", "c"], "word": ["x", "y", None]}
    )
    info = {"name": "set", "modality": "image", "root": ".", "storage": "files"}
    write_dataset(folder, manifest, info)
    return {file: (folder / file).read_bytes() for file in ("manifest.parquet", "dataset.json")}


@settings(max_examples=150, **SEEDED)
@given(name=st.sampled_from(["manifest.parquet", "dataset.json"]), data=st.data())
def test_a_damaged_data_set_is_opened_or_told_in_one_line(name, data, written, tmp_path):
    content = bytearray(written[name])
    if data.draw(st.booleans()):
        content = content[: data.draw(st.integers(0, len(content)))]
    for _ in range(data.draw(st.integers(0, 3))):
        if content:
            content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    for file, whole in written.items():
        (tmp_path / file).write_bytes(content if file == name else whole)
    try:
        found = open_dataset(tmp_path)
        assert len(found) == 3 and found.families is not None
    except StrataError as error:
        told(error)
    if name == "manifest.parquet":
        with pytest.raises(StrataError) as error:
            read_measures(tmp_path / name)
        told(error.value)


LIES = [
    ("n", 4),
    ("n", "3"),
    ("name", ...),
    ("name", 5),
    ("root", []),
    ("storage", 1),
    ("modality", {}),
]
LIES += [("not_labels", "word"), ("unreadable", {}), ("storage", "images.npy")]


@pytest.mark.parametrize(("key", "value"), LIES)
def test_a_data_set_that_says_otherwise_is_told(key, value, written, tmp_path):
    info = json.loads(written["dataset.json"]) | {key: value}
    if value is ...:
        del info[key]
    (tmp_path / "dataset.json").write_text(json.dumps(info))
    (tmp_path / "manifest.parquet").write_bytes(written["manifest.parquet"])
    with pytest.raises(StrataError, match="remove it, to have it made again"):
        open_dataset(tmp_path)


@pytest.mark.parametrize("column", ["sample", "split", "path"])
def test_a_manifest_without_a_column_is_told(column, written, tmp_path):
    (tmp_path / "dataset.json").write_bytes(written["dataset.json"])
    (tmp_path / "manifest.parquet").write_bytes(written["manifest.parquet"])
    table = pd.read_parquet(tmp_path / "manifest.parquet")
    table.drop(columns=column).to_parquet(tmp_path / "manifest.parquet")
    with pytest.raises(StrataError, match=f"no column '{column}'"):
        open_dataset(tmp_path)
    table.iloc[::-1].to_parquet(tmp_path / "manifest.parquet")
    with pytest.raises(StrataError, match="sample should count from 0"):
        open_dataset(tmp_path)
