"""What docs/promises.md says: each promise is checked where data passes, in one line."""

import importlib
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strata import StrataError
from strata.activations.cache import ActivationCache, merge_shards
from strata.activations.probing import ProbingSet
from strata.alignment.accuracy import Answers
from strata.alignment.judgements import Judgements
from strata.alignment.measures import alignment_differences
from strata.atlas.samples import Samples
from strata.concepts.truth import checked_layers
from strata.data import open_dataset
from strata.data.files import sha256_of
from strata.data.manifest import write_dataset
from strata.dissect.problem import read_embeddings
from strata.stats import percentile_interval
from strata.tables import check_measures, measures_by_model, read_measures, write_measures

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/promises.md").read_text()
FEW = settings(max_examples=15, derandomize=True, deadline=None)


def outputs():
    """Every file that a rule writes, but logs."""
    for path in sorted((ROOT / "rules").glob("*.smk")):
        for block in re.findall(r"\n    output:\n((?:        .*\n)+)", path.read_text()):
            yield from re.findall(r'"(results/[^"]+)"', block.replace("{{", "{").replace("}}", "}"))


# --- the page -----------------------------------------------------------------------------------


def test_every_function_that_the_page_names_exists():
    named = set(re.findall(r"`(strata\.[\w.]+)`", PAGE))
    assert len(named) > 40
    for name in named:
        parts = name.split(".")
        for end in range(len(parts), 0, -1):
            try:
                found = importlib.import_module(".".join(parts[:end]))
            except ModuleNotFoundError:
                continue
            break
        for part in parts[end:]:
            assert hasattr(found, part), name
            found = getattr(found, part)
        assert end < len(parts), f"{name} is a module, not what checks"


def test_every_file_on_the_page_is_written_by_a_rule_and_the_other_way_round():
    told = set(re.findall(r"`(results/[^`]+)`", PAGE))
    written = set(outputs())
    assert told <= written, told - written
    kinds = "data|activations|embeddings|annotations|measures|claims"
    tables = {name for name in written if re.match(f"results/({kinds})/", name)}
    assert tables <= told, tables - told


def test_every_test_that_the_page_names_exists():
    for name in set(re.findall(r"(test_\w+\.py)", PAGE)):
        assert (ROOT / "tests/unit" / name).is_file(), name


# --- tables of measures -------------------------------------------------------------------------


@st.composite
def measures(draw):
    """A good table: a model's layers, a family's values with intervals, n and p-values."""
    layers = draw(st.integers(1, 4))
    names = draw(st.permutations(list("pqrs")))[:layers]
    concepts = draw(st.lists(st.sampled_from("abcd"), min_size=1, max_size=3, unique=True))
    rows = []
    for index, layer in enumerate(names):
        for concept in concepts:
            value = draw(st.floats(0, 1))
            low, high = value - draw(st.floats(0, 0.5)), value + draw(st.floats(0, 0.5))
            row = {"layer": layer, "layer_index": index, "concept": concept, "value": value}
            row |= {"n": draw(st.integers(1, 99)), "p_value": draw(st.floats(0, 1))}
            ends = draw(st.booleans())
            rows.append(row | {"low": low if ends else np.nan, "high": high if ends else np.nan})
    keys = {"model": "m", "dataset": "d", "metric": "accuracy_category", "seed": 0, "family": "f"}
    return pd.DataFrame(rows).assign(**keys)


WRONG = {
    "value is missing": {"value": np.nan},
    "value is endless": {"value": np.inf},
    "a share is in percent": {"value": 54.0},
    "an interval is upside down": {"low": 0.6, "high": 0.4},
    "an interval lies beside its value": {"value": 0.2, "low": 0.3, "high": 0.4},
    "an interval has one end": {"value": 0.5, "low": 0.4, "high": np.nan},
    "nothing was counted": {"n": 0},
    "n is no whole number": {"n": 2.5},
    "seed is missing": {"seed": np.nan},
    "the model has no name": {"model": None},
    "a p-value is in percent": {"p_value": 5.0},
    "a layer's number is negative": {"layer_index": -1},
}


@FEW
@given(measures(), st.sampled_from(sorted(WRONG)), st.integers(0, 99))
def test_a_good_table_passes_and_one_wrong_cell_is_refused_in_one_line(table, kind, place):
    same = check_measures(table, "file")
    pd.testing.assert_frame_equal(check_measures(same, "file"), same)
    shuffled = check_measures(table.sample(frac=1, random_state=place), "file")
    assert len(shuffled) == len(table)
    wrong = table.astype({"n": float, "seed": float})
    for column, value in WRONG[kind].items():
        wrong.loc[place % len(table), column] = value
    with pytest.raises(StrataError, match=r"^file: ") as refused:
        check_measures(wrong, "file")
    assert "\n" not in str(refused.value)


@FEW
@given(measures(), st.integers(0, 99))
def test_two_rows_about_the_same_and_two_numbers_of_a_layer_are_refused(table, place):
    row = table.iloc[[place % len(table)]]
    with pytest.raises(StrataError, match="two rows are about the same: model m"):
        check_measures(pd.concat([table, row.assign(value=0.5, low=0.5, high=0.5)]))
    with pytest.raises(StrataError, match="has several layer"):
        check_measures(pd.concat([table, row.assign(layer_index=7, family="g")]))
    with pytest.raises(StrataError, match="has several layers"):
        check_measures(pd.concat([table, row.assign(layer="other", family="g")]))


def test_what_is_about_a_network_as_a_whole_stands_beside_its_layers():
    row = {"model": "m", "dataset": "d", "layer_index": 0, "concept": None, "value": 0.5}
    row |= {"metric": "accuracy", "low": 0.4, "high": 0.6, "n": 3, "seed": 0}
    table = check_measures(pd.DataFrame([row | {"layer": name} for name in ("all", "first")]))
    assert table["layer"].tolist() == ["all", "first"]


def test_a_table_is_read_once_and_under_its_own_name(tmp_path):
    row = {"model": "m", "dataset": "d", "layer": "l", "layer_index": 0, "concept": None}
    row |= {"metric": "accuracy", "value": 0.5, "low": 0.4, "high": 0.6, "n": 3, "seed": 0}
    for name in ("m", "copy"):
        write_measures(pd.DataFrame([row]), tmp_path / f"{name}.parquet")
    assert list(measures_by_model([tmp_path / "m.parquet"])) == ["m"]
    with pytest.raises(StrataError, match="two rows are about the same"):
        read_measures([tmp_path / "m.parquet", tmp_path / "copy.parquet"])
    with pytest.raises(StrataError, match=r"copy.parquet: the table is about m"):
        measures_by_model([tmp_path / "copy.parquet"])


@FEW
@given(st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=9), st.floats(-1e3, 1e3))
def test_a_percentile_interval_holds_what_was_observed(draws, value):
    low, high = percentile_interval(np.array(draws), value)
    assert low <= value <= high


# --- data and activations -----------------------------------------------------------------------


def data_set(folder, n, **columns):
    np.save(folder.parent / "images.npy", np.zeros((n, 2, 2, 3), np.uint8))
    table = pd.DataFrame({"split": "all", "index": range(n), **columns})
    info = {"name": folder.name, "modality": "image", "root": ".", "storage": "../images.npy"}
    write_dataset(folder, table, info)
    return folder / "manifest.parquet"


def cache(folder, rows, layers=("a", "b"), **info):
    with ActivationCache.create(folder, len(rows), {"layers": list(layers), **info}) as writer:
        writer.append([rows] * len(layers))
    return folder


@FEW
@given(st.integers(2, 9), st.integers(-1, 1), st.booleans(), st.booleans())
def test_activations_are_those_of_the_manifest_beside_them(tmp_path_factory, n, more, other, twice):
    folder = tmp_path_factory.mktemp("promises")
    manifest = data_set(folder / "d", n)
    info = {"dataset_sha256": "0" * 64 if other else sha256_of(manifest)}
    rows = np.ones((n + more, 3), np.float32)
    made = cache(folder / "m", rows, ("a", "a") if twice else ("a", "b"), **info)
    if not (more or other or twice):
        assert [len(x) for _, x in ProbingSet.open([manifest], [made]).layers()] == [n, n]
        return
    with pytest.raises(StrataError, match=r"rows|another|once"):
        ProbingSet.open([manifest], [made])


def test_a_layer_that_is_cut_off_or_stretched_is_refused(tmp_path):
    made = cache(tmp_path / "m", np.ones((4, 3), np.float32))
    np.save(made / "01.npy", np.ones((3, 3), np.float32))
    with pytest.raises(StrataError, match=r"01.npy: layer b should be \(4, 3\) float32"):
        ActivationCache(made).layer(1)
    (made / "01.npy").unlink()
    with pytest.raises(StrataError, match=r"01.npy: no such file"):
        ActivationCache(made).layer(1)
    with (
        pytest.raises(StrataError, match=r"layer 1 gives \(1, 3\) for rows 0 to 4"),
        ActivationCache.create(tmp_path / "s", 4, {"layers": ["a", "b"]}) as writer,
    ):
        writer.append([np.ones((4, 3)), np.ones((1, 3))])


@FEW
@given(st.permutations(range(3)), st.integers(1, 3))
def test_shards_join_in_their_order_and_all_of_them_only(tmp_path_factory, order, many):
    folder = tmp_path_factory.mktemp("shards")
    made = [
        cache(folder / f"s{i}", np.full((2, 1), i, np.float32), shard=[i, 3], pooling="mean")
        for i in range(3)
    ]
    if list(order) == [0, 1, 2] and many == 3:
        merge_shards(made, folder / "whole")
        assert ActivationCache(folder / "whole").layer(0)[:, 0].tolist() == [0, 0, 1, 1, 2, 2]
        return
    with pytest.raises(StrataError, match="stands where"):
        merge_shards([made[i] for i in order][:many], folder / "whole")


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda t: t.iloc[::-1], "sample should count from 0"),
        (lambda t: t.iloc[:4], "4 rows, where dataset.json says 5"),
        (lambda t: t.assign(split=None), "sample 0 has no split"),
        (lambda t: t.assign(index=3), "index should be different rows"),
        (lambda t: t.assign(index=t["index"] + 1), "index should be different rows"),
        (lambda t: t.assign(path="a.png"), "'a.png' is twice"),
    ],
)
def test_a_manifest_that_is_not_its_data_sets_is_refused(tmp_path, change, told):
    manifest = data_set(tmp_path / "d", 5)
    change(pd.read_parquet(manifest)).to_parquet(manifest)
    with pytest.raises(StrataError, match=told):
        open_dataset(tmp_path / "d")


def test_pieces_are_in_the_order_of_their_sounds_and_changed_ones_change_the_manifest(tmp_path):
    table = pd.DataFrame({"split": "all", "path": ["a.wav", "b.wav"]})
    info = {"name": "s", "modality": "audio", "root": ".", "storage": "files"}
    pieces = pd.DataFrame({"sample": [0, 1], "start": [0.0, 0.1], "end": [0.2, 0.3], "word": "x"})
    digests = []
    for moved in (pieces, pieces.assign(end=0.4), pieces):
        write_dataset(tmp_path / "s", table, info, moved)
        digests.append(sha256_of(tmp_path / "s/manifest.parquet"))
    assert digests[0] == digests[2] != digests[1]
    assert len(open_dataset(tmp_path / "s").segments) == 2
    for wrong in (pieces.iloc[::-1], pieces.assign(sample=[0, 2]), pieces.assign(end=0.0)):
        write_dataset(tmp_path / "s", table, info, wrong)
        with pytest.raises(StrataError, match=r"pieces should be of the samples 0 to 1"):
            _ = open_dataset(tmp_path / "s").segments


# --- what meets ---------------------------------------------------------------------------------


@FEW
@given(st.integers(1, 6), st.integers(-1, 1), st.sampled_from([1.0, 1.001, 0.0, 2.0, np.nan]))
def test_embeddings_have_a_row_each_of_length_one(tmp_path_factory, n, more, length):
    path = tmp_path_factory.mktemp("embeddings") / "e.npy"
    vectors = np.eye(n + more, 8, dtype=np.float32)
    vectors[-1:] *= length
    np.save(path, vectors)
    if more == 0 and abs(length - 1) < 0.01:
        np.testing.assert_array_equal(read_embeddings(path, n, "words.txt"), vectors)
        return
    with pytest.raises(StrataError, match=r"e.npy: (embeddings of shape|row)"):
        read_embeddings(path, n, "words.txt")


def test_labels_are_those_of_the_neurons():
    labels = pd.DataFrame({"layer": list("aab"), "unit": [0, 1, 0], "model": "m"})
    layers = [("a", np.ones((3, 2))), ("b", np.ones((3, 1)))]
    assert [name for name, _ in checked_layers(layers, labels)] == ["a", "b"]
    for wrong in (layers[:1], [*layers, ("c", np.ones((3, 1)))], [layers[0], ("b", layers[0][1])]):
        with pytest.raises(StrataError, match="labels of m: "):
            list(checked_layers(wrong, labels))


@pytest.mark.parametrize(
    ("items", "answers", "told"),
    [
        (["x", "x", "z"], [[0, 1, 2, 1]], "3 items have 2 names"),
        (["x", "y", "z"], [[0, 1, 3, 1]], "names an unknown item: there are 3"),
        (["x", "y", "z"], [[0, 1, 1, 1]], "names an item twice"),
        (["x", "y", "z"], [[0, 1, 2, 0]], "given less than once"),
    ],
)
def test_answers_are_about_the_items(items, answers, told):
    manifest = pd.DataFrame({"item": items, "split": "all", "sample": 0, "index": 0})
    given = pd.DataFrame(answers, columns=["a", "b", "odd", "count"])
    with pytest.raises(StrataError, match=f"t: .*{told}"):
        Judgements.of(manifest, given, {"name": "t", "images": "d"}, pd.Series(["x", "y", "z"]))


def test_credits_of_other_answers_are_refused():
    answers = {"t": Answers(np.array([[0, 1, 2], [3, 4, 5]]))}
    keys = {"model": "m", "dataset": "d", "concept": None, "metric": "accuracy", "family": "t"}
    rows = [{"layer": n, "layer_index": i, "value": 0.5} for i, n in enumerate(["p", "q"])]
    table = pd.DataFrame(rows).assign(**keys, low=np.nan, high=np.nan, n=2, seed=0)
    credits = pd.DataFrame({"family": "t", "answer": [0, 0], "p": 6, "q": 3})
    with pytest.raises(StrataError, match="credits of m: 2 answers of t"):
        alignment_differences(table, {"m": credits}, answers, twins={}, bases={})


def test_the_atlas_shows_no_sample_that_is_not_there(tmp_path):
    data_set(tmp_path / "d", 3)
    samples = Samples([open_dataset(tmp_path / "d")])
    assert samples.add_all([2, 0, 2]) == [0, 1, 0]
    for number in (-1, 3):
        with pytest.raises(StrataError, match=f"no sample {number} among 3"):
            samples.add(number)
