"""Studies of what is neither a picture nor a network: sounds, and arrays."""

import json

import numpy as np
import pandas as pd
import pytest
import yaml
from PIL import Image

from clap_model import save_clap
from running import Workflow, planned
from strata.activations import ActivationCache
from strata.alignment import odd_one_out_accuracy

N = 12
WORDS = ["yes", "no", "one", "a man", "a woman"]
OVERLAY = {
    "run": ["seen", "heard", "labelled"],
    "datasets": {
        "photos": {"kind": "folder", "path": "data/photos", "modality": "image"},
        "spoken": {"kind": "microspeech", "speakers": 6, "takes": 1, "seed": 5}
        | {"words": ["yes", "no", "one"], "splits": {"train": 0.5, "test": 0.5}},
        "judged": {
            "kind": "triplets",
            "images": "spoken",
            "column": "sample",
            "simulated": {"split": "all", "items": 18, "triplets": 100, "repeats": 2}
            | {"weights": {"word": 2}},
        },
    },
    "models": {
        "brought": {"source": "arrays", "path": "data/features", "modality": "image"}
        | {"samples": "names.csv", "label": "Brought", "licence": "MIT"},
        "clap": {"source": "transformers", "path": "data/clap", "modality": "audio"},
    },
    "concept_sets": {"heard": {"kind": "file", "path": "data/words.txt"}},
    "studies": {
        "seen": {"kind": "convexity", "title": "Seen", "dataset": "photos", "families": ["class"]}
        | {"models": ["brought"], "n_neighbors": 2, "halves": 2, "permutations": 0},
        "heard": {"kind": "convexity", "title": "Heard", "dataset": "spoken", "n_neighbors": 3}
        | {"families": ["word", "speaker", "phoneme"], "triplets": ["judged"]}
        | {"models": ["micro-hubert"], "halves": 2, "permutations": 0},
        "labelled": {"kind": "concepts", "title": "Labelled", "probing": ["spoken"], "top_k": 5}
        | {"models": ["micro-hubert"], "clip": "clap", "concept_set": "heard"}
        | {"categories": "data/kinds.json", "permutations": 20, "bootstrap": 100},
    },
}
FIGURES = ("seen_convexity", "heard_convexity", "heard_alignment", "heard_specimen")
FIGURES += ("labelled_counts", "labelled_neurons_micro-hubert")
WANTED = (*(f"results/figures/{name}.pdf" for name in FIGURES),)
WANTED += ("results/paper/generated/numbers.tex", "--configfile", "origins.yaml")


def features(classes: list[str]) -> list[np.ndarray]:
    """Two layers: one that knows nothing of the class, one in which it is all there is."""
    draw = np.random.default_rng(0)
    near = draw.normal(size=(N, 4)).astype(np.float32)
    apart = near / 100
    apart[:, 0] += [10.0 * "ab".index(name) for name in classes]
    return [near, apart]


@pytest.fixture(scope="module")
def done(tmp_path_factory) -> Workflow:
    """A copy in which both studies have run, to figures and the paper's numbers."""
    copy = Workflow(tmp_path_factory.mktemp("origins"))
    copy.path("origins.yaml").write_text(yaml.safe_dump(OVERLAY))
    names = [f"{'ab'[i % 2]}/{i}.png" for i in range(N)]
    draw = np.random.default_rng(1)
    for name in names:
        path = copy.path(f"data/photos/{name}")
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(draw.integers(0, 256, (8, 8, 3), dtype=np.uint8)).save(path)
    order = draw.permutation(N)
    copy.path("data/features").mkdir()
    for number, layer in enumerate(features([name[0] for name in names]), 1):
        np.save(copy.path(f"data/features/layer{number}.npy"), layer[order])
    table = pd.DataFrame({"path": np.array(names)[order]})
    table.to_csv(copy.path("data/features/names.csv"), index=False)
    save_clap(copy.path("data/clap"))
    copy.path("data/words.txt").write_text("\n".join(WORDS))
    copy.path("data/kinds.json").write_text(json.dumps({"answers": WORDS[:2]}))
    copy(*WANTED)
    return copy


def test_arrays_are_measured_by_name(done):
    table = pd.read_parquet(done.path("results/measures/seen/convexity/brought.parquet"))
    scores = table[table["metric"] == "graph_convexity"].set_index("layer")["value"]
    assert scores["layer2"] == 1 and scores["layer1"] < 0.9


def test_sounds_are_measured_with_their_pieces_and_judgements(done):
    table = pd.read_parquet(done.path("results/measures/heard/convexity/micro-hubert.parquet"))
    rows = table[table["metric"] == "graph_convexity"]
    assert list(dict.fromkeys(rows["family"])) == ["word", "speaker", "phoneme"]
    pieces = pd.read_parquet(done.path("results/data/spoken/segments.parquet"))
    sizes = pieces["phoneme"].value_counts()
    assert (rows.loc[rows["family"] == "phoneme", "n"] == (sizes * (sizes - 1)).sum()).all()
    assert (rows.loc[rows["family"] == "word", "n"] == 3 * 6 * 5).all()
    judged = pd.read_parquet(done.path("results/measures/heard/alignment/micro-hubert.parquet"))
    answers = pd.read_parquet(done.path("results/data/judged/triplets.parquet"))
    triplets = answers.loc[answers.index.repeat(answers["count"]), ["a", "b", "odd"]].to_numpy()
    cache = ActivationCache(done.path("results/activations/spoken/micro-hubert"))
    for row in judged[judged["metric"] == "accuracy"].itertuples():
        expected = odd_one_out_accuracy(cache.layer(row.layer_index), triplets)
        assert row.value == pytest.approx(expected)


def test_figures_and_text_are_of_sounds(done):
    drawn = pd.read_csv(done.path("results/figures/heard_specimen.csv"))
    assert "pieces" in drawn
    drawn = pd.read_csv(done.path("results/figures/heard_convexity.csv"))
    assert set(drawn["family"]) == {"word", "speaker", "phoneme"}
    text = done.path("results/paper/generated/studies.tex").read_text()
    assert "HuBERT heard the \\DataSpokenN{} sounds of \\emph{spoken}" in text
    assert "joins each sound to its" in text
    assert "Brought saw the \\DataPhotosN{} pictures of \\emph{photos}" in text
    cards = done.path("results/paper/generated/tables.tex").read_text()
    assert "brought & activations made elsewhere & -- & --" in cards


def test_neurons_that_hear_are_labelled(done):
    table = pd.read_parquet(done.path("results/measures/labelled/labels/micro-hubert.parquet"))
    assert set(table["concept"]) <= {*WORDS, ""} and len(set(table["concept"])) > 1
    cache = ActivationCache(done.path("results/activations/spoken/micro-hubert"))
    row = table[table["layer_index"] == 1].iloc[7]
    top = np.argsort(-cache.layer(1)[:, row["unit"]], kind="stable")[:5]
    assert row["images"].split(";")[:5] == [str(number) for number in top]
    assert done.path("results/figures/labelled_neurons_micro-hubert.pdf").is_file()
    text = done.path("results/paper/generated/studies.tex").read_text()
    assert "its \\LabelledTopK{} most activating sounds" in text


def test_a_changed_array_is_measured_again(done):
    assert "Nothing to be done" in done("--dry-run", *WANTED)
    file = done.path("data/features/layer1.npy")
    np.save(file, np.load(file) * 2)
    assert {"import_arrays", "score_convexity"} <= planned(done("--dry-run", *WANTED))


def test_a_row_that_is_missing_stops_the_study_in_one_line(done):
    file = done.path("data/features/names.csv")
    kept = file.read_text()
    file.write_text(kept.replace("a/0.png", "a/00.png"))
    printed = done(*WANTED, expect=1)
    assert "1 of 12 samples of photos have no row ('a/0.png'); " in printed
    assert "1 names are of no sample of photos ('a/00.png')" in printed
    file.write_text(kept)
