"""Input functions and parameters of the rules in `rules/concepts.smk`."""

import json


def categories_source(wildcards):
    """The downloaded data set that a study's category word lists come with (None: shipped, or the
    user's own), and their file."""
    study = study_of(wildcards)
    if study.get("concepts") == "annotations":
        return None, f"results/annotations/{wildcards.study}.json"
    categories = study["categories"]
    if study["kind"] == "published_labels":
        return study["dataset"], categories
    if isinstance(categories, str):
        return None, categories
    return categories["from"], categories["file"]


def categories_path(wildcards):
    dataset, file = categories_source(wildcards)
    return f"{DOWNLOADS}/{dataset}/{file}" if dataset else file


def categories_file(wildcards):
    """What the word lists depend on: their file, or the data set that they come with."""
    dataset, file = categories_source(wildcards)
    return f"results/data/{dataset}/manifest.parquet" if dataset else file


def measures_of_labels(study):
    """What is compared of a study's labels; truth where it was scored."""
    found = catalogue.measures(config["studies"][study])
    return [name for name in ("counts", "shares", "truth") if name in found]


def label_measures(wildcards):
    """Tables of each measure of a study's labels, and of their deviates."""
    files = {}
    for measure in measures_of_labels(wildcards.study):
        files[measure] = tables_of(wildcards.study, measure)
        files[f"{measure}_deviates"] = beside(
            f"deviates/{measure}", wildcards.study, measure
        )
    return files


def half_labels_file(wildcards):
    """Labels on halves of the pictures; released ones have none."""
    if study_of(wildcards)["kind"] == "published_labels":
        return []
    return f"results/measures/{wildcards.study}/half_labels/{wildcards.model}.parquet"
