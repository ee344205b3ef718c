"""Input functions and parameters of the rules in `rules/models.smk`."""

import json

import yaml

from strata.models.fetching import model_folder


def local_files(wildcards):
    """The files of a model that lies in a folder of the user's; a change of them is seen."""
    folder = config["models"][wildcards.model].get("path")
    return [str(path) for path in model_folder(folder)] if folder else []


def base_of(wildcards):
    return config["models"][wildcards.model]["base"]


def context_of(model):
    """What a model of sounds sees around a clip; None where its entry does not say."""
    return config["models"][model].get("context")


def embedding_of(wildcards):
    """Whether the state before the first block of a model is one of its layers."""
    return config["models"][wildcards.model].get("embedding", False)


def zoo_file(wildcards, file):
    entry = config["models"][wildcards.model]
    return f"{config['zoo_directory']}/{entry['id']}/{file}"


def image_tower(wildcards):
    """Folder of the image tower that a bundled model is completed with; None for a whole one."""
    card = json.loads(Path(zoo_file(wildcards, "card.json")).read_text())
    return card.get("image_tower", {}).get("folder")


def zoo_folder(wildcards):
    """All files of a bundled model, and of the image tower that it is completed with."""
    folders = [zoo_file(wildcards, ""), image_tower(wildcards)]
    return sorted(str(path) for one in folders if one for path in Path(one).glob("*"))


def recipe_files(wildcards):
    """A recipe, and the networks and the concept list that it names."""
    path = zoo_file(wildcards, "recipe.yaml")
    recipe = yaml.safe_load(Path(path).read_text())
    options = recipe.get("objective_options", {})
    networks = (
        recipe.get("architecture", {}).get("image_tower"),
        options.get("teacher"),
    )
    weights = [f"{network}/model.safetensors" for network in networks if network]
    return [path, *weights, *([options["concepts"]] if "concepts" in options else [])]


def finetuning_of(wildcards):
    return config["models"][wildcards.model]["finetune"]


def shown_as(model):
    """How a model's pictures are made, where its entry says."""
    entry = config["models"][model]
    return {key: entry[key] for key in ("preprocess", "size") if key in entry}


def tuning_recipe(model):
    """All that decides what a fine-tuned model becomes, beside its base and the code."""
    finetune = config["models"][model]["finetune"]
    dataset = config["datasets"][finetune["dataset"]]
    told = {"finetune": finetune, "dataset": dataset, "seed": config["seed"]}
    return told | shown_as(model)


def ships_as_configured(model):
    """Whether an adapter of that name ships, and was learned as the configuration says."""
    card = Path(config["zoo_directory"]) / model / "card.json"
    if config["zoo"] != "bundled" or not card.is_file():
        return False
    return json.loads(card.read_text()).get("recipe") == tuning_recipe(model)


def adapter_files(wildcards):
    folder = Path(config["zoo_directory"]) / wildcards.model
    return [str(path) for path in sorted(folder.rglob("*")) if path.is_file()]
