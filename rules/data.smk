"""Data sets: rendered, a user's own folder, or downloaded. All end in a manifest."""


localrules:
    download_concepts,
    download_dataset,


rule microworld:
    output:
        manifest="results/data/{dataset}/manifest.parquet",
        info="results/data/{dataset}/dataset.json",
        images="results/data/{dataset}/images.npy",
    log:
        "results/logs/data/{dataset}.log",
    wildcard_constraints:
        dataset=one_of(names_of_kind("datasets", kind="microworld")),
    params:
        spec=lambda wildcards: config["datasets"][wildcards.dataset],
    conda:
        "../envs/data.yaml"
    script:
        "../workflow_scripts/make_microworld.py"


rule folder_dataset:
    output:
        manifest="results/data/{dataset}/manifest.parquet",
        info="results/data/{dataset}/dataset.json",
    log:
        "results/logs/data/{dataset}.log",
    wildcard_constraints:
        dataset=one_of(names_of_kind("datasets", kind="folder")),
    params:
        spec=lambda wildcards: config["datasets"][wildcards.dataset],
        seed=config["seed"],
        base=workflow.basedir,
    conda:
        "../envs/data.yaml"
    script:
        "../workflow_scripts/index_folder.py"


# Downloads lie outside of the declared output, so that a failed job keeps what it has fetched.
rule download_dataset:
    output:
        manifest="results/data/{dataset}/manifest.parquet",
        info="results/data/{dataset}/dataset.json",
    log:
        "results/logs/data/{dataset}.log",
    wildcard_constraints:
        dataset=one_of(names_of_kind("datasets", kind="download")),
    params:
        spec=lambda wildcards: config["datasets"][wildcards.dataset],
        downloads=DOWNLOADS + "/{dataset}",
        mirror=MIRROR,
        base=workflow.basedir,
        seed=config["seed"],
    retries: 2
    conda:
        "../envs/data.yaml"
    script:
        "../workflow_scripts/download_dataset.py"


def concept_file(name):
    """Where the word list of a concept set lies: the user's file, or the downloaded one."""
    entry = config["concept_sets"][name]
    return entry["path"] if entry["kind"] == "file" else f"results/concepts/{name}.txt"


rule download_concepts:
    output:
        "results/concepts/{concept_set}.txt",
    log:
        "results/logs/data/concepts-{concept_set}.log",
    wildcard_constraints:
        concept_set=one_of(names_of_kind("concept_sets", kind="download")),
    params:
        spec=lambda wildcards: config["concept_sets"][wildcards.concept_set],
        mirror=MIRROR,
    retries: 2
    conda:
        "../envs/data.yaml"
    script:
        "../workflow_scripts/download_concepts.py"
