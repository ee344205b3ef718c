"""Studies of annotations alone, from folders with empty label cells to the paper; no CLIP."""

import json
import re

import pandas as pd
import pytest
import soundfile
from PIL import Image

from running import Workflow
from strata.data.microspeech import RATE, make_microspeech
from strata.data.microworld import make_microworld


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    copy = Workflow(tmp_path_factory.mktemp("annotated"))
    images, manifest = make_microworld(60, 48, 3, {"train": 0.75, "test": 0.25})
    folder = copy.path("given/pictures")
    folder.mkdir(parents=True)
    for number, image in enumerate(images):
        Image.fromarray(image).save(folder / f"{number}.png")
    table = manifest[["kind", "texture", "size"]].assign(path=[f"{i}.png" for i in range(60)])
    table.loc[:14, "kind"] = ""
    table.to_csv(folder / "labels.csv", index=False)
    sounds, manifest, _ = make_microspeech(6, 1, 3, {"all": 1.0}, words=["yes", "no", "one"])
    folder = copy.path("given/voices")
    folder.mkdir()
    for number, sound in enumerate(sounds):
        soundfile.write(folder / f"{number}.wav", sound, RATE)
    table = manifest[["word"]].assign(path=[f"{i}.wav" for i in range(len(sounds))])
    table.loc[0, "word"] = ""
    table.to_csv(folder / "labels.csv", index=False)
    copy("--configfile", "tests/workflow/annotated.yaml")
    return copy


def test_empty_cells_are_counted_and_no_class(run):
    info = json.loads(run.path("results/data/pictures/dataset.json").read_text())
    assert info["missing"] == {"kind": 15} and "" not in info["families"]["kind"]
    listing = pd.read_csv(run.path("results/annotations/seen.csv"))
    own = listing[listing["category"] == "kind"]
    assert set(own["has"] + own["lacks"]) == {45}
    assert not listing["concept"].str.contains("=nan").any()


@pytest.mark.parametrize(("study", "models"), [("seen", 2), ("heard", 1)])
def test_neurons_have_annotations_that_are_used(run, study, models):
    listing = pd.read_csv(run.path(f"results/annotations/{study}.csv"))
    used = set(listing.loc[listing["used"], "concept"])
    files = sorted(run.path(f"results/measures/{study}/labels").glob("*.parquet"))
    assert len(files) == models
    labels = pd.concat(map(pd.read_parquet, files))
    told = labels[labels["concept"].notna()]
    assert set(told["concept"]) <= used and told["q_value"].between(0, 1).all()
    assert set(told["category"]) <= set(listing["category"])
    assert told["stability"].between(0, 1).all() and labels["layer"].nunique() >= 3
    shares = pd.concat(
        map(pd.read_parquet, run.path(f"results/measures/{study}/shares").glob("*.parquet"))
    )
    shares = shares[shares["metric"] == "category_share_mean"]
    sums = shares.groupby(["model", "layer"])["value"].sum()
    assert sums.between(1 - 1e-6, 1 + 1e-6).all()
    assert set(shares["about"]) == {"pictures and neurons"}


def test_networks_are_compared(run):
    found = pd.read_parquet(run.path("results/measures/seen/differences/concepts.parquet"))
    assert set(found["contrast"]) == {"first", "best", "twin"}
    assert {"n_concepts_median_difference", "category_share_mean_difference"} <= set(
        found["metric"]
    )


def test_the_paper_says_nothing_of_a_clip(run):
    text = run.path("results/paper/generated/studies.tex").read_text()
    assert "by annotation" in text and "CLIP" not in text and "WPMI" not in text
    numbers = run.path("results/paper/generated/numbers.tex").read_text()
    for macro in set(re.findall(r"\\((?:Seen|Heard|Data)\w+)", text)):
        assert f"\\newcommand{{\\{macro}}}" in numbers
    assert run.path("results/paper/strata.pdf").read_bytes().startswith(b"%PDF")
