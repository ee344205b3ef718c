"""Every rule in its own environment alone, under a stand-in for conda (standin/)."""

import functools
import hashlib
import http.server
import json
import os
import re
import sysconfig
import threading
from importlib.metadata import packages_distributions
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile
import torch
import yaml
from PIL import Image
from safetensors.torch import save_file

from hub import Hub
from running import ROOT, Workflow, rules_with_environment
from strata.compat import prepare_imports
from strata.data.microspeech import RATE, make_microspeech
from strata.data.microworld import make_microworld

STUDIES = "tests/workflow/alone.yaml"
CONDA = ("--sdm", "conda", "--configfile", STUDIES, "given/downloads.yaml")
FIGURES = ("named_specimen", "named_scores_timm", "named_neurons_timm", "named_counts")
FIGURES += ("shaped_transforms", "shaped_relation", "cut_specimen", "cut_tradeoff", "cut_seconds")
WANTED = [f"results/figures/{name}.pdf" for name in FIGURES]
# Measures and cards of all studies; sounds that none of them uses; models from a hub and adapted.
WANTED += ["results/paper/generated/numbers.tex", "results/data/spoken/manifest.parquet"]
WANTED += ["results/atlas/index.html"]
WANTED += ["results/models/fetched/card.json", "results/models/dinov2-small-texture/card.json"]
KINDS = ("named", "annotated", "shaped", "cut", "released")  # a study of each kind of notebook
WANTED += [f"results/notebooks/{study}.html" for study in KINDS]
TRAINED = ("vit", "mae", "clip", "wav2vec2", "hubert")
# What Snakemake needs to hand a script its job; nothing of ours imports any of it.
SNAKEMAKE = {"snakemake", "snakemake_interface_common", "snakemake_interface_logger_plugins"}
SNAKEMAKE |= {"snakemake_interface_storage_plugins", "tenacity"}


def with_conda(directory: Path) -> Workflow:
    """A copy of the workflow that calls the stand-in."""
    standin = directory / "tests/workflow/standin/bin"
    path = f"{standin}{os.pathsep}{sysconfig.get_path('scripts')}{os.pathsep}{os.environ['PATH']}"
    packages = sysconfig.get_path("purelib")
    return Workflow(directory, PATH=path, STRATA_PACKAGES=packages, PYTHONPATH="")


def give(folder: Path) -> None:
    """Files as a user would bring them: pictures, sounds at 8 kHz, a timm model, short recipes."""
    images, manifest = make_microworld(80, 48, 3, {"train": 0.75, "test": 0.25})
    images[60:] = images[60]  # so many that are the same make neighbours be searched for again
    paths = [f"{i}.png" for i in range(len(images))]
    (folder / "pictures").mkdir(parents=True)
    for path, image in zip(paths, images, strict=True):
        Image.fromarray(image).save(folder / "pictures" / path)
    table = manifest.drop(columns="index").assign(path=paths)
    table.drop(columns="sample").to_csv(folder / "pictures/labels.csv", index=False)
    (folder / "features").mkdir()
    layer = torch.randn(len(images), 4, generator=torch.Generator().manual_seed(3))
    save_file({"only": layer.bfloat16()}, folder / "features/x.safetensors")
    (folder / "features/names.txt").write_text("\n".join(paths))

    splits = {"train": 0.5, "validation": 0.17, "test": 0.33}
    sounds, manifest, segments = make_microspeech(6, 1, 3, splits, words=["yes", "no", "one"])
    paths = [f"{i}.wav" for i in range(len(sounds))]
    (folder / "voices").mkdir()
    for path, sound in zip(paths, sounds, strict=True):
        soundfile.write(folder / "voices" / path, sound[::2], RATE // 2)
    columns = ["split", "word", "speaker"]
    manifest[columns].assign(path=paths).to_csv(folder / "voices/labels.csv", index=False)
    segments = segments.assign(path=[paths[i] for i in segments["sample"]])
    segments.drop(columns="sample").to_csv(folder / "voices/segments.csv", index=False)

    prepare_imports()
    import timm

    arguments = {"num_classes": 0, "stem_width": 8, "channels": [8, 8, 16, 16]}
    config = {"architecture": "resnet10t", "model_args": arguments}
    config["pretrained_cfg"] = {"input_size": [3, 48, 48]}
    (folder / "timm").mkdir()
    (folder / "timm/config.json").write_text(json.dumps(config))
    weights = timm.create_model("resnet10t", **arguments).state_dict()
    save_file(weights, folder / "timm/model.safetensors")

    for name in TRAINED:
        recipe = yaml.safe_load((ROOT / f"resources/zoo/micro-{name}/recipe.yaml").read_text())
        few = {"n": 200, "held_out": 100, "speakers": 6, "takes": 1, "held_out_speakers": 4}
        recipe["data"] |= {key: few[key] for key in few.keys() & recipe["data"].keys()}
        recipe["schedule"] |= {"steps": 3, "batch_size": 16}
        if "first_steps" in recipe.get("objective_options", {}):
            recipe["objective_options"] |= {"first_steps": 2, "clusters": [4, 4]}
        (folder / f"zoo/micro-{name}").mkdir(parents=True)
        written = yaml.safe_dump(recipe | {"requires": {}})
        (folder / f"zoo/micro-{name}/recipe.yaml").write_text(written)


def serve(folder: Path) -> http.server.ThreadingHTTPServer:
    """Offer downloads on this machine, and write down their addresses and checksums."""
    words = [path.read_text() for path in (ROOT / "resources/concepts").glob("microworld.txt")]
    labels = pd.DataFrame(
        {
            "layer": np.repeat(["layer[0]", "layer[1]"], 8),
            "unit": [*range(8)] * 2,
            "description": ["red", "dog", "striped", "sea"] * 4,
            "similarity": np.linspace(0.1, 0.4, 16),
            "images": "[1 2]",
        }
    )
    contents = {
        "words.txt": words[0],
        "vit.csv": labels.to_csv(index=False),
        "categories.json": json.dumps({"colors": ["red"], "animals": ["dog"]}),
    }
    (folder / "served").mkdir()
    for name, text in contents.items():
        (folder / "served" / name).write_text(text)
    handler = functools.partial(Quiet, directory=folder / "served")
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}"
    files = {
        name: {"url": f"{address}/{name}", "sha256": hashlib.sha256(text.encode()).hexdigest()}
        for name, text in contents.items()
    }
    tables = [files[name] | {"name": name} for name in ("vit.csv", "categories.json")]
    downloads = {
        "datasets": {"labels": {"files": tables}},
        "concept_sets": {"words": {"kind": "download"} | files["words.txt"]},
    }
    (folder / "downloads.yaml").write_text(yaml.safe_dump(downloads))
    return server


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *arguments):
        pass


@pytest.fixture(scope="module")
def copy(tmp_path_factory) -> Workflow:
    """A copy in which every rule that runs a script has run, in the stand-in's environments."""
    made = with_conda(tmp_path_factory.mktemp("conda"))
    give(made.path("given"))
    server = serve(made.path("given"))
    with Hub() as hub:
        hub.publish("lab/micro-wav2vec2", ROOT / "resources/zoo/micro-wav2vec2")
        made.variables["HF_ENDPOINT"] = hub.url
        made(*WANTED, *CONDA)
    server.shutdown()
    # The zoo from short recipes, and the paper of the study that has the fewest figures.
    last = [f"results/models/trained-{name}/card.json" for name in TRAINED]
    last += ["results/paper/strata.pdf"]
    made(*last, *CONDA, "--config", "zoo=train", "zoo_directory=given/zoo", "run=['released']")
    return made


def jobs(copy: Workflow) -> pd.DataFrame:
    """What the jobs and their helpers noted themselves: rule, environment, packages loaded."""
    noted = []
    for path in copy.path(".snakemake/conda").glob("*/jobs.jsonl"):
        definition = yaml.safe_load(path.parent.with_suffix(".yaml").read_text())
        name = definition["name"].removeprefix("strata-")
        lines = path.read_text().splitlines()
        noted += [{"environment": name} | json.loads(line) for line in lines]
    return pd.DataFrame(noted)


def test_every_rule_runs_in_the_environment_that_it_names(copy):
    ran = jobs(copy).groupby("rule")["environment"].unique().map(list)
    wanted = {rule: [environment] for rule, environment in rules_with_environment().items()}
    assert ran.to_dict() == wanted


def test_no_job_loads_a_package_from_outside_of_its_environment(copy):
    assert {name for names in jobs(copy)["foreign"] for name in names} <= SNAKEMAKE


def test_every_package_of_an_environment_is_loaded_by_a_job_in_it(copy):
    packages = packages_distributions()
    for environment, modules in jobs(copy).explode("loaded").groupby("environment")["loaded"]:
        used = {name for module in modules.unique() for name in packages.get(module, [])}
        used = {name.lower().replace("_", "-") for name in used}
        pins = yaml.safe_load((ROOT / f"envs/{environment}.yaml").read_text())["dependencies"][-1]
        assert {pin.partition("==")[0] for pin in pins["pip"]} <= used, environment


def test_a_package_that_an_environment_lacks_is_not_found_in_snakemakes_own(tmp_path):
    copy = with_conda(tmp_path)
    environment = copy.path("envs/data.yaml")
    lines = environment.read_text().splitlines(keepends=True)
    environment.write_text("".join(line for line in lines if "pillow" not in line))
    tiny = ("--configfile", "tests/workflow/tiny.yaml")
    output = copy("results/data/tiny/manifest.parquet", "--sdm", "conda", *tiny, expect=1)
    assert "No module named 'PIL'" in output


def test_an_image_of_all_environments_can_be_described(tmp_path):
    copy = with_conda(tmp_path)
    text = copy("--containerize", "--quiet", "all")
    assert len(re.findall(r"^FROM \S+$", text, flags=re.MULTILINE)) == 1
    for path in sorted((ROOT / "envs").glob("*.yaml")):
        assert re.search(rf"^COPY envs/{path.name} /conda-envs/\w+/", text, flags=re.MULTILINE)
        prefix = re.search(rf"^COPY envs/{path.name} (\S+)/environment.yaml", text, re.M)[1]
        assert f"conda env create --prefix {prefix} " in text
