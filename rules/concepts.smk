"""Study 1: label every neuron of every layer, then count and sort the labels."""

DISSECTIONS = names_of_kind("studies", kind="concepts")
RELEASES = names_of_kind("studies", kind="published_labels")


rule sum_softmax:
    input:
        images=probing("results/embeddings/images/{dataset}/{clip}.npy"),
        manifests=probing("results/data/{dataset}/manifest.parquet"),
        text="results/embeddings/concepts/{study}.npy",
    output:
        "results/embeddings/sums/{study}.npz",
    log:
        "results/logs/embeddings/{study}-sums.log",
    wildcard_constraints:
        study=one_of(DISSECTIONS),
    conda:
        "../envs/measures.yaml"
    threads: config["threads"]["dissect"]
    resources:
        **needs("sum_softmax"),
    params:
        similarities=lambda wildcards: study_of(wildcards)["similarities"],
        split=lambda wildcards: study_of(wildcards)["split"],
    script:
        "../workflow_scripts/sum_softmax.py"


rule label_neurons:
    input:
        activations=probing("results/activations/{dataset}/{model}"),
        images=probing("results/embeddings/images/{dataset}/{clip}.npy"),
        manifests=probing("results/data/{dataset}/manifest.parquet"),
        text="results/embeddings/concepts/{study}.npy",
        sums="results/embeddings/sums/{study}.npz",
        concepts=lambda wildcards: concept_file(study_of(wildcards)["concept_set"]),
    output:
        "results/measures/{study}/labels/{model}.parquet",
    log:
        "results/logs/measures/{study}/labels/{model}.log",
    wildcard_constraints:
        study=one_of(DISSECTIONS),
    conda:
        "../envs/torch.yaml"
    threads: config["threads"]["dissect"]
    resources:
        **needs("label_neurons", gpu=True),
    params:
        options=lambda wildcards: {
            key: study_of(wildcards)[key]
            for key in ("similarities", "top_k", "permutations", "split")
        },
        device=config["device"],
        seed=config["seed"],
    script:
        "../workflow_scripts/label_neurons.py"


rule released_labels:
    input:
        manifest=lambda wildcards: f"results/data/{study_of(wildcards)['dataset']}/manifest.parquet",
    output:
        "results/measures/{study}/labels/{model}.parquet",
    log:
        "results/logs/measures/{study}/labels/{model}.log",
    wildcard_constraints:
        study=one_of(RELEASES),
    conda:
        "../envs/measures.yaml"
    resources:
        **needs("released_labels"),
    params:
        file=lambda wildcards: study_of(wildcards)["models"][wildcards.model],
        seed=config["seed"],
    script:
        "../workflow_scripts/read_released_labels.py"


rule count_concepts:
    input:
        labels="results/measures/{study}/labels/{model}.parquet",
        categories=categories_file,
    output:
        counts="results/measures/{study}/counts/{model}.parquet",
        shares="results/measures/{study}/shares/{model}.parquet",
    log:
        "results/logs/measures/{study}/counts/{model}.log",
    conda:
        "../envs/measures.yaml"
    resources:
        **needs("count_concepts"),
    params:
        categories=categories_path,
        options=lambda wildcards: {
            "bootstrap": study_of(wildcards)["bootstrap"],
            "alpha": study_of(wildcards).get("alpha", 0.05),
            "seed": config["seed"],
        },
    script:
        "../workflow_scripts/count_concepts.py"


rule score_truth:
    input:
        labels="results/measures/{study}/labels/{model}.parquet",
        activations=probing("results/activations/{dataset}/{model}"),
        manifests=probing("results/data/{dataset}/manifest.parquet"),
        vocabulary=lambda wildcards: study_of(wildcards)["vocabulary"],
    output:
        truth="results/measures/{study}/truth/{model}.parquet",
        neurons="results/measures/{study}/truth_neurons/{model}.parquet",
    log:
        "results/logs/measures/{study}/truth/{model}.log",
    wildcard_constraints:
        study=one_of(DISSECTIONS),
    conda:
        "../envs/measures.yaml"
    resources:
        **needs("score_truth"),
    params:
        split=lambda wildcards: study_of(wildcards)["split"],
        bootstrap=lambda wildcards: study_of(wildcards)["bootstrap"],
        seed=config["seed"],
    script:
        "../workflow_scripts/score_truth.py"
