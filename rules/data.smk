"""Data sets: rendered, spoken, a user's own folder, or downloaded. All end in a manifest."""


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
    conda:
        "../envs/data.yaml"
    resources:
        **needs("microworld"),
    params:
        code=code("data/make_microworld.py", "data"),
        spec=lambda wildcards: config["datasets"][wildcards.dataset],
    script:
        "../workflow_scripts/data/make_microworld.py"


rule microspeech:
    output:
        manifest="results/data/{dataset}/manifest.parquet",
        info="results/data/{dataset}/dataset.json",
        sounds="results/data/{dataset}/sounds.npy",
        segments="results/data/{dataset}/segments.parquet",
    log:
        "results/logs/data/{dataset}.log",
    wildcard_constraints:
        dataset=one_of(names_of_kind("datasets", kind="microspeech")),
    conda:
        "../envs/data.yaml"
    resources:
        **needs("microspeech"),
    params:
        code=code("data/make_microspeech.py", "data"),
        spec=lambda wildcards: config["datasets"][wildcards.dataset],
    script:
        "../workflow_scripts/data/make_microspeech.py"


rule folder_dataset:
    input:
        user_tables,
    output:
        manifest="results/data/{dataset}/manifest.parquet",
        info="results/data/{dataset}/dataset.json",
    log:
        "results/logs/data/{dataset}.log",
    wildcard_constraints:
        dataset=one_of(names_of_kind("datasets", kind="folder")),
    conda:
        "../envs/data.yaml"
    resources:
        **needs("folder_dataset"),
    params:
        state=user_folder,
        code=code("data/index_folder.py", "data"),
        spec=lambda wildcards: config["datasets"][wildcards.dataset],
        seed=config["seed"],
        base=workflow.basedir,
    script:
        "../workflow_scripts/data/index_folder.py"


# Downloads lie outside of the declared output, so that a failed job keeps what it has fetched.
rule download_dataset:
    output:
        manifest="results/data/{dataset}/manifest.parquet",
        info="results/data/{dataset}/dataset.json",
    log:
        "results/logs/data/{dataset}.log",
    wildcard_constraints:
        dataset=one_of(names_of_kind("datasets", kind="download")),
    retries: 2
    conda:
        "../envs/data.yaml"
    params:
        code=code("data/download_dataset.py", "data"),
        spec=lambda wildcards: config["datasets"][wildcards.dataset],
        downloads=f"{DOWNLOADS}/{{dataset}}",
        base=workflow.basedir,
        seed=config["seed"],
    script:
        "../workflow_scripts/data/download_dataset.py"


rule download_concepts:
    output:
        "results/concepts/{concept_set}.txt",
    log:
        "results/logs/data/concepts-{concept_set}.log",
    wildcard_constraints:
        concept_set=one_of(names_of_kind("concept_sets", kind="download")),
    retries: 2
    conda:
        "../envs/data.yaml"
    params:
        code=code("data/download_concepts.py", "data"),
        spec=lambda wildcards: config["concept_sets"][wildcards.concept_set],
    script:
        "../workflow_scripts/data/download_concepts.py"


rule triplets_dataset:
    input:
        pictures=lambda wildcards: f"results/data/{config['datasets'][wildcards.dataset]['images']}/manifest.parquet",
        files=lambda wildcards: [
            f"results/data/{name}/manifest.parquet"
            for key, name in config["datasets"][wildcards.dataset].items()
            if key == "from"
        ],
        tables=user_tables,
    output:
        manifest="results/data/{dataset}/manifest.parquet",
        info="results/data/{dataset}/dataset.json",
        triplets="results/data/{dataset}/triplets.parquet",
    log:
        "results/logs/data/{dataset}.log",
    wildcard_constraints:
        dataset=one_of(names_of_kind("datasets", kind="triplets")),
    conda:
        "../envs/measures.yaml"
    resources:
        **needs("triplets_dataset"),
    params:
        code=code("data/make_triplets.py", "measures"),
        spec=lambda wildcards: config["datasets"][wildcards.dataset],
        seed=config["seed"],
        base=workflow.basedir,
    script:
        "../workflow_scripts/data/make_triplets.py"


rule annotate_samples:
    input:
        manifest="results/data/{dataset}/manifest.parquet",
    output:
        "results/data/{dataset}/annotations.parquet",
    log:
        "results/logs/data/{dataset}-annotations.log",
    conda:
        "../envs/data.yaml"
    resources:
        **needs("annotate_samples"),
    params:
        code=code("data/annotate_samples.py", "data"),
    script:
        "../workflow_scripts/data/annotate_samples.py"
