"""docs/fidelity.md says what studies/full.yaml says, of every key, and nothing else."""

import copy
import json
import re
from pathlib import Path

import pytest
import yaml

from strata.config.defaults import fill_defaults
from strata.config.form import SCHEMA
from strata.dissect.parameters import DEFAULTS

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/fidelity.md").read_text()
STUDIES = ("concepts-full", "convexity-full", "pruning-full")
JUDGEMENTS = ("yes", "no", "unknown", "beyond")
_CELL = re.compile(r"`([\w-]+/[\w/-]+): ([^`]+)`")


@pytest.fixture(scope="module")
def full():
    """config.yaml with studies/full.yaml over it, as Snakemake joins them, and the defaults."""
    config, overlay = (
        yaml.safe_load((ROOT / name).read_text()) for name in ("config.yaml", "studies/full.yaml")
    )
    joined = {k: config[k] | v for k, v in overlay.items() if isinstance(v, dict) and k in config}
    config = copy.deepcopy(config | overlay | joined)
    fill_defaults(config, json.loads((ROOT / SCHEMA).read_text()))
    return config


def value_of(config: dict, path: str):
    """The value at a path; None where a key is left out and has no default."""
    first, *rest = path.split("/")
    if first in DEFAULTS:
        return getattr(DEFAULTS[first], rest[0])
    place = config["studies"] if first in config["studies"] else config
    keys = [first, *rest]
    for key in keys[:-1]:
        place = place[key]
    return place.get(keys[-1])


def rows() -> list[list[str]]:
    """Cells of every row of the tables."""
    lines = [line for line in PAGE.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]


def test_every_value_on_the_page_is_that_of_the_study(full):
    found = _CELL.findall(PAGE)
    assert len(found) > 90
    for path, text in found:
        assert value_of(full, path) == yaml.safe_load(text), path


def test_no_key_of_the_studies_is_missing_from_the_page(full):
    named = {path for path, _ in _CELL.findall(PAGE)}

    def missing(path: str, entry) -> list[str]:
        if path in named:
            return []
        if not isinstance(entry, dict) or not entry:
            return [path]
        return [left for key, value in entry.items() for left in missing(f"{path}/{key}", value)]

    for name in STUDIES:
        told = {k: v for k, v in full["studies"][name].items() if k not in ("kind", "title")}
        left = missing(name, told)
        # What has a default that leaves nothing out of the paper's results needs no row.
        assert not [path for path in left if value_of(full, path) not in ([], {}, False)], left


def test_every_row_says_whether_it_is_the_same():
    counted = 0
    for row in rows():
        assert len(row) == 4, row
        if row[0] == "setting":
            continue
        counted += 1
        word = re.split(r"\W", row[3])[0]
        assert word in JUDGEMENTS, row[3]
        if word == "no":
            assert len(row[3]) > len("no: why"), row
    assert counted > 40


def test_models_of_the_convexity_papers_are_read_as_in_their_code(full):
    study = full["studies"]["convexity-full"]
    for name in study["models"]:
        assert full["models"][name]["pool"] == ("cls" if name.startswith("vit") else "mean")
        assert "preprocess" not in full["models"][name]
        assert full["models"][name].get("embedding") or "base" in full["models"][name]


def test_every_network_of_the_first_study_sees_the_same_pictures(full):
    for name in full["studies"]["concepts-full"]["models"]:
        entry = full["models"][name]
        assert entry["preprocess"] == "imagenet" and entry.get("size", 224) == 224
