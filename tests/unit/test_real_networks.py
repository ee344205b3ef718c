"""docs/real-networks.md is made of the numbers beside it, and its verdicts are what these say."""

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

sys.path.insert(0, str(Path(__file__).parents[2] / "tools/terminal"))
import real_networks
from real_claims import CLAIMS, COURSES, Course, Line

SHIPPED = [
    yaml.safe_load((real_networks.DOCS.parent / "studies" / name).read_text())
    for name in ("real.yaml", "real-photos.yaml")
]
STUDIES = {name: study for file in SHIPPED for name, study in file.get("studies", {}).items()}
MEASURES = {
    "convexity",
    "euclidean",
    "alignment",
    "differences",
    "transforms",
    "comparison",
    "shares",
    "counts",
}


def test_the_page_is_made_of_the_numbers_beside_it():
    numbers = pd.read_csv(real_networks.NUMBERS)
    assert real_networks.PAGE.read_text() == real_networks.page(numbers)


def test_the_numbers_are_those_that_the_claims_ask_for():
    keys = pd.read_csv(real_networks.NUMBERS)["key"]
    assert set(keys) == {key for key, _ in real_networks.wanted()}
    tests = [key for key, asked in real_networks.wanted() if isinstance(asked, Line)]
    assert len(tests) == len(set(tests)) and keys.value_counts()[tests].eq(1).all()


def test_claims_ask_only_for_what_the_study_makes():
    for _, asked in real_networks.wanted():
        study, measure = asked.table.split("/")[:2]
        assert any(study in file["run"] for file in SHIPPED)
        assert measure in MEASURES
        named = STUDIES[study]
        assert asked.where.get("model", named["models"][0]) in named["models"]
        families = [*named.get("families", []), *named.get("triplets", [])]
        assert asked.where.get("family") in [None, *families]


def test_every_claim_is_tested_or_says_why_not():
    assert {claim.study for claim in CLAIMS} == {1, 2, 3}
    assert all(claim.tests or claim.note for claim in CLAIMS)
    assert len({claim.key for claim in CLAIMS}) == len(CLAIMS)
    assert len({course.key for course in COURSES}) == len(COURSES)


@pytest.mark.parametrize(
    ("value", "low", "high", "options", "told"),
    [
        (0.1, 0.05, 0.2, {}, "supported"),
        (0.1, -0.05, 0.2, {}, "undecided"),
        (-0.1, -0.2, -0.05, {}, "refuted"),
        (-0.1, -0.2, -0.05, {"sign": -1}, "supported"),
        (0.1, 0.05, 0.2, {"sign": -1}, "refuted"),
        (0.0, 0.0, 0.0, {}, "undecided"),
        (-0.01, -0.015, -0.005, {"margin": 0.02}, "supported"),
        (-0.1, -0.2, -0.05, {"margin": 0.02}, "refuted"),
        (0.0, -0.03, 0.03, {"margin": 0.02}, "undecided"),
        (-0.0175, -0.03, -0.005, {"margin": 0.02}, "undecided"),
        (-0.045, -0.06, -0.03, {"margin": 0.02}, "refuted"),
        (0.1, np.nan, np.nan, {}, "undecided (no interval)"),
        (np.nan, np.nan, np.nan, {}, "not measured"),
        (3.0, np.nan, np.nan, {"below": 4}, "supported"),
        (4.0, np.nan, np.nan, {"below": 4}, "refuted"),
    ],
)
def test_verdicts(value, low, high, options, told):
    row = pd.Series({"value": value, "low": low, "high": high})
    assert real_networks.verdict(row, Line("k", "t", "x", {}, **options)) == told


def test_the_verdict_of_a_claim_leaves_out_what_is_not_measured():
    overall = real_networks._overall
    assert overall(["supported", "supported"]) == "Supported"
    assert overall(["supported", "not measured"]) == "Supported (1 of 2 not measured yet)"
    assert overall(["supported", "refuted"]) == "Mixed, see the lines"
    assert overall(["not measured"]) == "Not measured yet"


def row(block: int, value: float, **more) -> dict:
    return {"model": "m", "block": block, "value": value, "low": value, "high": value} | more


def test_numbers_are_taken_from_the_row_that_is_asked_for(tmp_path, monkeypatch):
    folder = tmp_path / "measures/s/differences"
    folder.mkdir(parents=True)
    rows = [row(1, 0.1), row(3, 0.3), row(2, 0.2), row(3, 9.0, concept="cat")]
    pd.DataFrame(rows).to_parquet(folder / "convexity.parquet")
    table = "s/differences/convexity.parquet"
    asked = [
        ("last", Line("k", "t", table, {"model": "m", "concept": None}, last=True)),
        ("none", Line("k", "t", table, {"model": "other"})),
        ("away", Line("k", "t", "s/differences/no.parquet", {})),
        ("depth", Course("c", 1, "t", table, {"concept": None})),
    ]
    monkeypatch.setattr(real_networks, "wanted", lambda: asked)
    taken = real_networks.take(tmp_path, "make real").set_index("key")
    assert taken.loc["last", "value"] == 0.3 and np.isnan(taken.loc["none", "value"])
    assert np.isnan(taken.loc["away", "value"]) and pd.isna(taken.loc["away", "date"])
    assert taken.loc["depth", "value"].tolist() == [0.1, 0.2, 0.3]
    asked[:] = [("several", Line("k", "t", table, {"model": "m"}))]
    with pytest.raises(SystemExit, match="several: 4 rows"):
        real_networks.take(tmp_path, "make real")
