"""studies/real.yaml: what make real would run, with stand-ins for its downloads."""

import hashlib

import pytest
import yaml
from PIL import Image

from running import ROOT, Workflow, planned

STUDY = yaml.safe_load((ROOT / "studies/real.yaml").read_text())


@pytest.fixture(scope="module")
def copy(tmp_path_factory) -> Workflow:
    """A copy with an empty mirror, and two photographs for those that a user brings."""
    mirror = tmp_path_factory.mktemp("mirror")
    copy = Workflow(tmp_path_factory.mktemp("real"), STRATA_MIRROR=str(mirror))
    photographs = copy.path(STUDY["datasets"]["probing_photos"]["path"])
    photographs.mkdir(parents=True)
    table = "path,kind,domain,texture\na.jpg,bird,animals,\nb.jpg,,textures,banded\n"
    (photographs / "labels.csv").write_text(table)
    for name in ("a.jpg", "b.jpg"):
        Image.new("RGB", (32, 32)).save(photographs / name)
    return copy


def test_without_the_photographs_one_line_says_so(tmp_path):
    copy = Workflow(tmp_path)
    printed = copy("-n", "--configfile", "studies/real.yaml", "--", "figures", expect=1)
    (told,) = [line for line in printed.splitlines() if "no folder" in line]
    assert "probing_photos" in told and "data/probing_photos" in told


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
