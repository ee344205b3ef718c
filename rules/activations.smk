"""Activations of every layer in one forward pass."""


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
        code=code("activations/extract_activations.py", "torch"),
        options=lambda wildcards: {
            key: config["models"][wildcards.model][key]
            for key in ("pool", "layers", "preprocess", "size", "embedding")
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
    params:
        code=code("activations/merge_activations.py", "measures"),
    script:
        "../workflow_scripts/activations/merge_activations.py"
