"""The released labels of "From Colors to Classes" give the paper's numbers exactly."""

import os
from pathlib import Path

import pandas as pd
import pytest

from strata.concepts.counts import category_shares, concept_counts
from strata.concepts.measures import count_measures
from strata.concepts.released import read_released_labels, released_measures
from strata.data.words import read_categories

ROOT = Path(__file__).parents[2]
MIRROR = Path(os.environ.get("STRATA_MIRROR", ROOT.parent / "shared" / "data"))
LABELS = MIRROR / "published_neuron_labels"

COUNTS = {
    "vit": "46 77 93 113 114 115 136 142 161 183 191 172",
    "dinov2": "84 102 103 92 82 90 107 119 134 139 122 226",
    "clip": "59 93 115 119 128 112 119 120 130 140 168 251",
    "mae": "32 80 96 96 96 99 95 99 111 106 124 150",
    "resnet": "12 35 72 192 441",
    "vit_cub": "49 78 88 102 104 104 109 104 107 104 113 157",
    "vit_bloodmnist": "43 78 83 97 100 113 115 128 124 138 158 179",
}
COLORS_VIT = [0.514, 0.481, 0.377, 0.273, 0.241, 0.180, 0.170, 0.145, 0.109, 0.047, 0.003, 0.013]

pytestmark = pytest.mark.skipif(not LABELS.is_dir(), reason="needs the data mirror")


def released(model: str) -> pd.DataFrame:
    return read_released_labels(LABELS / "results" / f"{model}.csv")


@pytest.mark.parametrize("model", COUNTS)
def test_concepts_above_the_median(model):
    labels = released(model)
    assert concept_counts(labels)["n_concepts"].tolist() == [int(n) for n in COUNTS[model].split()]


def test_measures_hold_the_same_counts():
    measures = count_measures(released_measures(released("vit"), "vit", "imagenet"), bootstrap=50)
    median = measures[measures["metric"] == "n_concepts_median"]
    assert median["value"].tolist() == [int(n) for n in COUNTS["vit"].split()]
    assert ((median["low"] <= median["value"]) & (median["value"] <= median["high"])).all()
    assert "n_concepts_significant" not in set(measures["metric"])


def test_share_of_colours_in_the_supervised_transformer():
    categories = read_categories(LABELS / "data" / "words_per_category_curated.json")
    shares = category_shares(released("vit"), categories)
    colors = shares.loc[shares["category"] == "colors", "share"]
    assert colors.round(3).tolist() == COLORS_VIT
