"""Input functions and parameters of the rules in `rules/alignment.smk`."""

import json


def triplets_files(wildcards):
    return [
        f"results/data/{name}/triplets.parquet"
        for name in study_of(wildcards)["triplets"]
    ]


def triplets_infos(wildcards):
    """What is told of each set of triplets: its task, and which pictures were shown."""
    return [
        f"results/data/{name}/dataset.json" for name in study_of(wildcards)["triplets"]
    ]


def item_columns(wildcards):
    """For each set of triplets, the column of the pictures that holds its items' names."""
    return {
        name: config["datasets"][name]["column"]
        for name in study_of(wildcards)["triplets"]
    }


def known_convexity(pattern):
    """Input function: a table of a model's convexity before, where the study has families."""
    return lambda wildcards: (
        pattern.format(**wildcards) if study_of(wildcards)["families"] else []
    )


def local_images(pattern):
    """Input function: a file of the pictures whose neighborhoods gLocal keeps, where named."""

    def files(wildcards):
        local = study_of(wildcards)["transforms"].get("local_images")
        found = {"dataset": local["dataset"]} if local else {}
        return pattern.format(model=wildcards.model, **found) if found else []

    return files
