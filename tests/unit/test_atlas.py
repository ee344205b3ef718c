"""What the atlas is told of neurons, layers and samples."""

import json

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from strata.atlas import Samples, neurons, shown_words, study_data, write_data
from strata.atlas.writing import short
from strata.concepts import category_shares, concept_counts
from strata.data.manifest import Dataset

WORDS = ["dog", "red", "sea", "cat"]
CATEGORIES = {"animals": ["dog", "cat"], "colors": ["red"]}


def labels(order=slice(None)):
    """Two layers of three neurons by two functions, not sorted by neuron."""
    rows = pd.DataFrame(
        {
            "layer_index": [0, 0, 0, 1, 1, 1],
            "unit": [2, 0, 1, 0, 2, 1],
            "concept": ["dog", "red", None, "sea", "cat", "dog"],
            "value": [0.5, 0.25, 0.0, 1 / 3, 2.0, 1.0],
            "runner_up": ["red;sea", "dog", "", "cat", "", "sea"],
            "q_value": [0.01, 0.5, np.nan, 0.2, 0.3, 0.4],
            "images": ["2;0", "1;2", None, "0;1", "2;1", "1;0"],
        }
    )
    other = rows.assign(concept="cat", value=9.0)
    table = pd.concat([rows.assign(metric="soft_wpmi"), other.assign(metric="cosine")])
    table["layer"] = table["layer_index"].map({0: "one", 1: "two"})
    return table.assign(model="m").iloc[order]


@pytest.fixture
def samples(tmp_path):
    pictures = np.stack([np.full((8, 8, 3), 80 * i, dtype=np.uint8) for i in range(3)])
    np.save(tmp_path / "images.npy", pictures)
    manifest = pd.DataFrame(
        {
            "sample": range(3),
            "index": range(3),
            "split": ["train", "test", "test"],
            "kind": [*"abc"],
        }
    )
    info = {"name": "some", "root": ".", "modality": "image", "storage": "images.npy"}
    return lambda split="all": Samples([Dataset(tmp_path, info, manifest)], split)


def told(samples, table=None, **tables):
    study = {"kind": "concepts", "title": "T", "models": ["m"], "alpha": 0.1}
    given = {"labels": {"m": labels() if table is None else table}}
    given |= {name: {"m": each} for name, each in tables.items()}
    study, models = study_data(study, {"m": "Model"}, given, samples, WORDS, CATEGORIES)
    return study, models["m"]


def test_neurons_are_sorted_and_named(samples):
    study, model = told(samples())
    assert study["models"] == [["m", "Model"]] and study["words"] == WORDS
    assert [study["categories"][c]["name"] if c >= 0 else None for c in study["category"]] == [
        "animals",
        "colors",
        None,
        "animals",
    ]
    assert model["layer"] == [0, 0, 0, 1, 1, 1] and model["unit"] == [0, 1, 2] * 2
    assert [WORDS[w] if w >= 0 else None for w in model["label"][0]] == [
        "red",
        None,
        "dog",
        "sea",
        "dog",
        "cat",
    ]
    assert model["score"][0] == [0.25, 0, 0.5, 0.3333, 1, 2]
    assert model["q_value"] == [0.5, None, 0.01, 0.2, 0.4, 0.3]
    assert [[WORDS[w] for w in row] for row in model["runners"]][2] == ["red", "sea"]


def test_a_word_in_two_categories_is_of_the_first(samples):
    categories = {"pets": ["dog"]} | CATEGORIES
    given = {"labels": {"m": labels()}}
    study = {"kind": "concepts", "title": "T", "models": ["m"]}
    told, _ = study_data(study, {}, given, samples(), WORDS, categories)
    assert told["categories"][told["category"][WORDS.index("dog")]]["name"] == "pets"


def test_what_activates_a_neuron_least_is_told_apart(samples):
    _, model = told(samples(), labels().assign(sign=lambda table: 1 - 2 * (table["unit"] == 1)))
    assert model["sign"] == [1, -1, 1] * 2


def test_the_order_of_rows_plays_no_part(samples):
    order = np.argsort(labels()["metric"] == "cosine", kind="stable")[::1]
    mixed = [*np.random.default_rng(0).permutation(order[:6]), *order[6:][::-1]]
    assert told(samples())[1] == told(samples(), labels(mixed))[1]


def test_places_lead_to_the_samples_of_the_split(samples, tmp_path):
    shown = samples("test")
    table = labels().assign(images="1;0")
    _, model = told(shown, table)
    written = shown.write(tmp_path / "out")
    assert [written["text"][place] for place in model["top"][0]] == ["c", "b"]
    sheet = np.asarray(Image.open(tmp_path / "out/sheet0.jpg"))
    side = written["side"]
    assert sheet[5, 5].mean() == pytest.approx(160, abs=4)  # the first asked: the last picture
    assert sheet[5, side + 5].mean() == pytest.approx(80, abs=4)


def test_counts_and_shares_are_those_of_the_study(samples):
    table = labels().rename(columns={"concept": "description", "value": "similarity"})
    table = table[table["metric"] == "soft_wpmi"]
    _, model = told(samples())
    assert model["concepts"][0] == concept_counts(table)["n_concepts"].tolist()
    shares = category_shares(table, CATEGORIES)
    assert model["shares"][0] == [
        short(shares[shares["layer"] == layer]["share"], 3) for layer in ("one", "two")
    ]


def test_planted_factors_are_labels_of_a_further_function(samples):
    truth = labels().assign(factor="kind=dog", auc=0.75)[lambda t: t["unit"] != 1]
    words = shown_words(CATEGORIES, {"dog": ["kind=dog"], "red": ["color=red"]})
    assert words["animals"] == ["dog", "cat", "kind=dog"]
    study, model = told(samples(), truth=truth)
    assert model["functions"] == ["soft_wpmi", "cosine", "planted_factor"]
    named = [study["words"][w] if w >= 0 else None for w in model["label"][2]]
    assert named == ["kind=dog", None, "kind=dog"] * 2
    assert model["score"][2] == [0.75, None, 0.75] * 2


def test_nearest_neurons_are_rows(samples):
    near = pd.DataFrame(
        {
            "concept": ["sea", "sea", "dog"],
            "layer_index": [1, 0, 1],
            "unit": [2, 1, 0],
            "value": [0.9, 0.8, 0.7],
        }
    )
    _, model = told(samples(), nearest=near)
    assert model["nearest"] == {"2": [[5, 1], [0.9, 0.8]], "0": [[3], [0.7]]}


def test_portraits_and_histograms_stand_beside_their_neurons(samples):
    keys = {"layer_index": [0, 0, 1], "unit": [0, 2, 1]}
    found = pd.DataFrame({**keys, "nearest_unit": [2, 0, -1], "value": [0.1, 0.2, 0.3]})
    spread = pd.DataFrame({**keys, "low": 0.0, "high": [1.0, 2, 3], "counts": "0;7;70"})
    _, model = told(samples(), portraits=found.assign(metric="clarity"), histograms=spread)
    assert model["clarity"] == [0.1, None, 0.2, None, 0.3, None]
    assert model["twin"] == [2, -1, 0, -1, -1, -1]
    assert model["spread"] == ["04z", "", "04z", "", "04z", ""]
    assert model["high"] == [1, None, 2, None, 3, None]


def measures(**columns):
    rows = pd.DataFrame(columns)
    return rows.assign(model="m", low=rows["value"] - 0.1, high=rows["value"] + 0.1)


def test_layers_have_families_judgements_cuts_and_neighbors(samples):
    layers = {"layer": ["embedding", "one"], "layer_index": [0, 1]}
    near = measures(**layers, sample=1, neighbor=[2, 0], rank=1, value=0.5)
    convexity = pd.concat(
        [
            measures(
                **layers, family="kind", concept=None, metric="graph_convexity", value=[0.2, 0.4]
            ),
            measures(
                **layers,
                family="kind",
                concept="dog",
                metric="graph_convexity_concept",
                value=[0.1, 0.3],
            ),
        ]
    )
    judged = pd.concat(
        [
            measures(**layers, family="people", concept=None, metric=name, value=[0.5, 0.6])
            for name in ("accuracy", "noise_ceiling")
        ]
    )
    cuts = pd.DataFrame({"family": "kind", "metric": ["most_convex", "prefix"], "kept": ["0", "0"]})
    accuracy = measures(family=["kind"], concept="most_convex", metric="accuracy", value=0.9)
    study = {"kind": "pruning", "title": "T", "models": ["m"]}
    tables = {"neighbors": near, "convexity": convexity, "alignment": judged, "cuts": cuts}
    given = {name: {"m": table} for name, table in tables.items()} | {
        "comparison": {"all": accuracy}
    }
    shown = samples()
    _, models = study_data(study, {}, given, shown)
    model = models["m"]
    assert model["layers"] == [["embedding", 0], ["one", 1]]
    assert model["families"]["kind"]["mean"] == [0.2, 0.4]
    assert model["families"]["kind"]["concepts"] == [["dog", [0.1, 0.3]]]
    assert model["judgements"]["people"]["ceiling"] == [0.5, 0.6]
    assert model["cuts"] == [
        {"family": "kind", "criterion": "most_convex", "kept": "0", "accuracy": (0.9, 0.8, 1)}
    ]
    [[own, by_layer]] = model["neighbors"]
    assert [shown.add(number) for number in (1, 2, 0)] == [own, by_layer[0][0], by_layer[1][0]]


def test_data_is_a_script_without_what_no_browser_reads(tmp_path):
    write_data(tmp_path / "a/x.js", 'na"me', {"text": "</script> é", "value": short([np.nan, 1.0])})
    text = (tmp_path / "a/x.js").read_text()
    assert text.isascii()
    name, _, value = text.removeprefix("strata.take(").removesuffix(");\n").partition('",')
    assert json.loads(name + '"') == 'na"me'
    assert json.loads(value) == {"text": "</script> é", "value": [None, 1]}
    with pytest.raises(ValueError):
        write_data(tmp_path / "y.js", "y", float("nan"))


def test_numbers_are_short():
    assert short([0.123456, 1234567.0, -np.inf, None, 2.0]) == [0.1235, 1235000, None, None, 2]


def test_runners_up_may_have_semicolons_in_their_names():
    number = {name: i for i, name in enumerate(["tags=a", "tags=a;b", "b"])}
    assert neurons._joined("tags=a;tags=a;b", number) == [0, 1]
    assert neurons._joined("unknown;b", number) == [2] and neurons._joined("", number) == []
