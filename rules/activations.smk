"""Activations of every layer: in one forward pass, or made elsewhere and brought along."""


rule extract_shard:
    input:
        manifest="results/data/{dataset}/manifest.parquet",
        model=model_files(lambda wildcards: wildcards.model),
    output:
        temp(directory("results/activations/{dataset}/.{model}/{scatteritem}")),
    log:
        "results/logs/activations/{dataset}/{model}/{scatteritem}.log",
    wildcard_constraints:
        model=one_of(NETWORKS),
    priority: 1  # the longest jobs: others go on beside them
    conda:
        "../envs/torch.yaml"
    threads: config["threads"]["extract"]
    resources:
        **needs("extract_shard", gpu=True),
    params:
        code=code("activations/extract_activations.py", "torch"),
        options=layer_options,
        readings=readings,
        device=config["device"],
        precision=config["precision"],
        batch_size=config["batch_size"],
    script:
        "../workflow_scripts/activations/extract_activations.py"


rule merge_shards:
    input:
        shards=shards_of,
        manifest="results/data/{dataset}/manifest.parquet",
        model=model_files(lambda wildcards: wildcards.model),
    output:
        directory("results/activations/{dataset}/{model}"),
    log:
        "results/logs/activations/{dataset}/{model}/merge.log",
    wildcard_constraints:
        model=one_of(NETWORKS),
    conda:
        "../envs/measures.yaml"
    resources:
        **needs("merge_shards"),
    params:
        code=code("activations/merge_activations.py", "measures"),
        # Shards do not stay: what they depend on is asked for here, for each model.
        recorded=code("activations/extract_activations.py", "torch"),
        reading=reading,
    script:
        "../workflow_scripts/activations/merge_activations.py"


rule import_arrays:
    input:
        manifest="results/data/{dataset}/manifest.parquet",
        arrays=users_arrays,
    output:
        directory("results/activations/{dataset}/{model}"),
    log:
        "results/logs/activations/{dataset}/{model}/import.log",
    wildcard_constraints:
        model=one_of(ARRAYS),
    conda:
        "../envs/torch.yaml"
    resources:
        **needs("import_arrays"),
    params:
        code=code("activations/import_arrays.py", "torch"),
        state=arrays_state,
        spec=lambda wildcards: config["models"][wildcards.model],
    script:
        "../workflow_scripts/activations/import_arrays.py"


rule describe_arrays:
    input:
        activations_in_studies,
    output:
        "results/models/{model}/card.json",
    log:
        "results/logs/models/{model}.log",
    wildcard_constraints:
        model=one_of(ARRAYS),
    conda:
        "../envs/measures.yaml"
    resources:
        **needs("describe_arrays"),
    params:
        code=code("activations/describe_arrays.py", "measures"),
        spec=lambda wildcards: config["models"][wildcards.model],
    script:
        "../workflow_scripts/activations/describe_arrays.py"
