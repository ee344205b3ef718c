"""Activations of every layer in one forward pass, and CLIP's embeddings for the dissection."""


rule extract_shard:
    input:
        manifest="results/data/{dataset}/manifest.parquet",
        model=model_files(lambda wildcards: wildcards.model),
    output:
        temp(directory("results/activations/{dataset}/.{model}/{scatteritem}")),
    log:
        "results/logs/activations/{dataset}/{model}/{scatteritem}.log",
    conda:
        "../envs/torch.yaml"
    threads: config["threads"]["extract"]
    resources:
        **needs("extract_shard", gpu=True),
    params:
        options=lambda wildcards: {
            key: config["models"][wildcards.model][key]
            for key in ("pool", "layers", "preprocess")
            if key in config["models"][wildcards.model]
        },
        device=config["device"],
        precision=config["precision"],
        batch_size=config["batch_size"],
    script:
        "../workflow_scripts/activations/extract_activations.py"


rule merge_shards:
    input:
        gather.shards("results/activations/{{dataset}}/.{{model}}/{scatteritem}"),
    output:
        directory("results/activations/{dataset}/{model}"),
    log:
        "results/logs/activations/{dataset}/{model}/merge.log",
    conda:
        "../envs/measures.yaml"
    resources:
        **needs("merge_shards"),
    script:
        "../workflow_scripts/activations/merge_activations.py"


rule embed_images:
    input:
        manifest="results/data/{dataset}/manifest.parquet",
        model=model_files(lambda wildcards: wildcards.model),
    output:
        "results/embeddings/images/{dataset}/{model}.npy",
    log:
        "results/logs/embeddings/{dataset}/{model}.log",
    conda:
        "../envs/torch.yaml"
    threads: config["threads"]["extract"]
    resources:
        **needs("embed_images", gpu=True),
    params:
        device=config["device"],
        precision=config["precision"],
        batch_size=config["batch_size"],
    script:
        "../workflow_scripts/dissect/embed_images.py"


rule embed_concepts:
    input:
        model=model_files(clip_of),
        concepts=lambda wildcards: concept_file(study_of(wildcards)["concept_set"]),
    output:
        "results/embeddings/concepts/{study}.npy",
    log:
        "results/logs/embeddings/{study}-concepts.log",
    conda:
        "../envs/torch.yaml"
    threads: config["threads"]["extract"]
    resources:
        **needs("embed_concepts", gpu=True),
    params:
        template=lambda wildcards: study_of(wildcards).get("template", "{}"),
        device=config["device"],
    script:
        "../workflow_scripts/dissect/embed_concepts.py"
