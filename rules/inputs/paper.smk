"""Input functions and parameters of the rules in `rules/paper.smk`."""

import json


def measures_in_paper(wildcards):
    """Every table that a number of the paper is taken from."""
    return [
        file
        for name in config["run"]
        for measure in catalogue.measures(config["studies"][name])
        for file in tables_of(name, measure)
    ]


def cards_in_paper(wildcards):
    """Cards of the models of the studies that ran models."""
    studies = [config["studies"][name] for name in config["run"]]
    models = [
        model
        for study in studies
        if study["kind"] != "published_labels"
        for model in [*study["models"], *([study["clip"]] if "clip" in study else [])]
    ]
    return [f"results/models/{model}/card.json" for model in dict.fromkeys(models)]


def datasets_in_paper(wildcards):
    names = []
    for name in config["run"]:
        study = config["studies"][name]
        names += study.get("probing") or [study["dataset"]]
        names += study.get("triplets", [])
        local = study.get("transforms", {}).get("local_images")
        names += [local["dataset"]] if local else []
    return [f"results/data/{name}/dataset.json" for name in dict.fromkeys(names)]
