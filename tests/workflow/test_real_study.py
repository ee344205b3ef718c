"""studies/real.yaml: what make real would run, with stand-ins for its downloads."""

import hashlib

import pytest
import yaml

from running import ROOT, Workflow, planned

STUDY = yaml.safe_load((ROOT / "studies/real.yaml").read_text())


@pytest.fixture(scope="module")
def copy(tmp_path_factory) -> Workflow:
    """A copy with an empty mirror."""
    mirror = tmp_path_factory.mktemp("mirror")
    copy = Workflow(tmp_path_factory.mktemp("real"), STRATA_MIRROR=str(mirror))
    return copy


def test_the_study_is_planned_from_downloads_to_figures(copy):
    rules = planned(copy("-n", "--configfile", "studies/real.yaml", "--", "figures"))
    made = {"download_dataset", "fetch_model", "random_twin", "extract_shard", "plot_measure"}
    measured = {"score_convexity", "score_alignment", "transform_layers", "score_task_convexity"}
    cut = {"choose_cuts", "finetune_cuts", "compare_cuts", "count_cost", "time_cuts"}
    compared = {"compare_convexity", "compare_alignment", "label_by_annotation"}
    assert made | measured | cut | compared <= rules


def test_networks_are_the_shipped_ones_and_each_has_its_twin(copy):
    models = STUDY["models"]
    own = {name: entry for name, entry in models.items() if "path" in entry}
    assert {entry["base"] for entry in models.values() if "base" in entry} == set(own)
    sums = (ROOT / "resources/networks/SHA256SUMS").read_text().splitlines()
    for entry in own.values():
        weights = f"{entry['path'].removeprefix('resources/networks/')}/model.safetensors"
        (line,) = [line for line in sums if line.endswith(f" {weights}")]
        digest = hashlib.sha256((ROOT / "resources/networks" / weights).read_bytes()).hexdigest()
        assert line.split()[0] == digest
