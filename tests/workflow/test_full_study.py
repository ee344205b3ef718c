"""`studies/full.yaml` from a hub and a mirror to the paper, on small networks and data."""

import hashlib
import json

import pandas as pd
import pytest
import yaml

from hub import Hub
from papers_data import make_mirror, make_user_data
from running import Workflow, planned
from small_models import fetched_models, read_overlay, save_model

BROKEN = "microsoft/wavlm-large"  # whose download breaks off
# One network of every architecture and role, so that the test takes minutes; that all of them load
# is shown in tests/unit/test_hub_models.py.
KEPT = {
    "concepts-full": [
        "vit-base", "mae-base", "clip-base", "resnet-50", "vit-base-random", "vit-cub",
    ],
    "convexity-full": [
        "vit-base-own", "vit-base-own-random", "beit-base", "beit-base-imagenet",
        "data2vec-large",
    ],
    "pruning-full": [
        "wav2vec2-base", "wav2vec2-base-random", "wav2vec2-base-word", "wavlm-large",
    ],
}  # fmt: skip


def thinned(overlay: dict) -> dict:
    """The full study without the networks that are not kept."""
    for name, kept in KEPT.items():
        study = overlay["studies"][name]
        study["models"] = [model for model in study["models"] if model in kept]
        for key, compared in study["comparisons"].items():
            study["comparisons"][key] = _without_others(compared, kept)
    return overlay


def _without_others(compared, kept):
    """A list, pairs or groups of pairs of networks, without those that are not kept."""
    if isinstance(compared, list):
        return [model for model in compared if model in kept]
    left = {}
    for key, value in compared.items():
        if isinstance(value, dict):
            value = _without_others(value, kept)
        elif not {key, value} <= set(kept):
            continue
        if value:
            left[key] = value
    return left


class Offline:
    """A copy of the workflow that finds an overlay's networks and data on this machine."""

    def __init__(self, root, hub: Hub, overlay: str):
        places = {"HF_ENDPOINT": hub.url, "STRATA_MIRROR": str(root / "mirror"), "HF_TOKEN": ""}
        self.copy = Workflow(root / "workflow", **places)
        full = self.copy.path("studies/full.yaml")
        full.write_text(yaml.safe_dump(thinned(read_overlay("full"))))
        make_user_data(self.copy.directory)
        files = make_mirror(root / "mirror")
        words = "data/words_per_category_curated.json"
        (self.copy.directory / "data/words.sha256").write_text(
            f"{sha256(files[f'published_neuron_labels/{words}'])}  {words}\n"
        )
        (root / "checksums.yaml").write_text(yaml.safe_dump(_checksums(files, overlay)))
        little = [f"{folder}/{overlay}.yaml" for folder in ("studies", "tests/workflow")]
        self.overlays = ("--configfile", *little, str(root / "checksums.yaml"))

    def __call__(self, *arguments: str, expect: int = 0) -> str:
        return self.copy(*arguments, *self.overlays, expect=expect)

    def table(self, name: str) -> pd.DataFrame:
        return pd.read_parquet(self.copy.path(f"results/measures/{name}.parquet"))


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _checksums(files: dict[str, bytes], overlay: str) -> dict:
    """An overlay with the checksums of the small files in place of the real ones."""
    datasets = {"published_neuron_labels": {"checksums": "data/words.sha256"}}
    for name, entry in read_overlay(overlay)["datasets"].items():
        for file in entry.get("files", []):
            content = files[f"{name}/{file.get('name') or file['url'].split('/')[-1]}"]
            kind = "md5" if "md5" in file else "sha256"
            file[kind] = hashlib.new(kind, content).hexdigest()
            datasets[name] = {"files": entry["files"]}
    words = {"sha256": sha256(files["concept_sets/20k.txt"])}
    return {"datasets": datasets, "concept_sets": {"words-20k": words}}


@pytest.fixture(scope="module")
def hub(tmp_path_factory):
    """A hub that holds every network of both studies, at the commits that they pin."""
    folder = tmp_path_factory.mktemp("hub")
    with Hub() as running:
        for repository, entry in fetched_models("full", "small").items():
            save_model(repository, folder / repository)
            running.publish(repository, folder / repository)
            if entry["revision"] != "main":
                running.pin(repository, entry["revision"])
        yield running


@pytest.fixture(scope="module")
def full(tmp_path_factory, hub):
    """The full study, which has run to the paper at the second attempt."""
    study = Offline(tmp_path_factory.mktemp("full"), hub, "full")
    hub.troubles[f"{BROKEN}/resolve/"] = [0.5, *[503] * 11]  # four attempts of each of three tries
    study.told = study(expect=1)
    study.asked = len(hub.requests)
    study.then = study()
    return study


def test_a_model_that_cannot_be_fetched_is_told_in_one_line_and_all_else_goes_on(full):
    line = next(line for line in full.told.splitlines() if line.startswith("error: wavlm-large:"))
    assert f"cannot fetch {BROKEN} at revision" in line and line.endswith("of the data mirror")
    assert "HTTP status 503 after 4 attempts; run again to go on from there" in line
    assert "Traceback" not in full.told


def test_the_next_run_goes_on_from_there(full, hub):
    again = {path for path, _ in hub.requests[full.asked :] if path.count("/") > 2}
    assert again and all(BROKEN in path for path in again)
    assert planned(full.then) >= {"fetch_model", "finetune_cuts", "paper"}
    assert not planned(full.then) & {"download_dataset", "embed_images", "label_neurons"}


def test_everything_arrives_as_it_was_pinned(full):
    entries = read_overlay("full")["models"]
    for name in {name for kept in KEPT.values() for name in kept}:
        entry = entries[name]
        card = json.loads(full.copy.path(f"results/models/{name}/card.json").read_text())
        if "id" in entry:
            assert card["source"] == entry["id"] and card["licence"] == entry["licence"]
            assert entry["revision"] in (card["revision"], "main")
    left = [path.name for path in full.copy.path("results/models").iterdir()]
    assert not [name for name in left if name.startswith(".")]


def test_the_data_are_read_as_they_are_laid_out(full):
    tables = {
        name: pd.read_parquet(full.copy.path(f"results/data/{name}/manifest.parquet"))
        for name in (
            "imagenet_val",
            "broden",
            "things_images",
            "things_triplets",
            "speech_commands",
        )
    }
    assert tables["imagenet_val"].groupby("class").size().tolist() == [10, 10, 10]
    assert tables["imagenet_val"]["path"][0] == "n01440764/ILSVRC2012_val_00000003.JPEG"
    assert set(tables["broden"]["origin"]) == {"ade20k", "dtd", "opensurfaces", "pascal"}
    assert len(tables["broden"]) == 12  # no map of labels among them
    assert tables["things_images"].groupby("object").size().eq(3).all()
    assert {"animal", "tool"} <= set(tables["things_triplets"])
    speech = tables["speech_commands"]
    assert len(speech) == 240 and not speech["word"].str.startswith("_").any()
    assert speech.groupby("split")["speaker"].nunique().to_dict() == {
        "test": 2, "train": 6, "validation": 2
    }  # fmt: skip


def test_every_network_of_every_study_is_measured(full):
    for model in KEPT["concepts-full"]:
        labels = full.table(f"concepts-full/labels/{model}")
        assert labels["concept"].notna().eq(~labels["constant"]).all()
        assert labels["layer"].nunique() == (5 if model == "resnet-50" else 3)
    alignments, convexities = {}, {}
    for model in KEPT["convexity-full"]:
        alignment = full.table(f"convexity-full/alignment/{model}")
        alignments[model] = alignment.loc[alignment["metric"] == "accuracy", "value"]
        convexity = full.table(f"convexity-full/convexity/{model}")
        convexities[model] = convexity.loc[convexity["metric"] == "graph_convexity", "value"]
    assert all(value.between(0, 1).all() and len(value) for value in alignments.values())
    assert all(value.between(0, 1).all() and len(value) for value in convexities.values())
    cut = full.table("pruning-full/comparison/all")
    assert {"wav2vec2-base", "wavlm-large"} <= set(cut["model"])


def test_the_full_study_ends_in_its_paper(full):
    assert full.copy.path("results/paper/strata.pdf").read_bytes().startswith(b"%PDF")
    drawn = pd.read_csv(full.copy.path("results/figures/concepts-full_counts.csv"))
    assert {"ViT", "CLIP", "MAE"} <= set(drawn["label"])


def test_the_small_study_ends_in_its_figures(tmp_path, hub):
    study = Offline(tmp_path, hub, "small")
    study("figures")
    drawn = pd.read_csv(study.copy.path("results/figures/concepts-small_counts.csv"))
    assert {"ViT tiny", "ViT tiny (timm)", "DINOv2 small", "CLIP B/32"} <= set(drawn["label"])
    manifest = pd.read_parquet(study.copy.path("results/data/imagenette/manifest.parquet"))
    assert manifest.groupby("class").size().tolist() == [6, 6]  # the training half is not shown
