"""Study 1: label every neuron of every layer with the concept that CLIP sees in what activates it,
or with the annotation that it tells best."""

DISSECTIONS = names_of_kind("studies", kind="concepts", concepts="words")
ANNOTATED = names_of_kind("studies", kind="concepts", concepts="annotations")


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
        code=code("dissect/embed_images.py", "torch"),
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
        code=code("dissect/embed_concepts.py", "torch"),
        template=lambda wildcards: study_of(wildcards).get("template", "{}"),
        device=config["device"],
    script:
        "../workflow_scripts/dissect/embed_concepts.py"


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
        code=code("dissect/sum_softmax.py", "measures"),
        similarities=lambda wildcards: study_of(wildcards)["similarities"],
        split=lambda wildcards: study_of(wildcards)["split"],
    script:
        "../workflow_scripts/dissect/sum_softmax.py"


rule label_neurons:
    input:
        activations=probing("results/activations/{dataset}/{model}"),
        images=probing("results/embeddings/images/{dataset}/{clip}.npy"),
        manifests=probing("results/data/{dataset}/manifest.parquet"),
        text="results/embeddings/concepts/{study}.npy",
        sums="results/embeddings/sums/{study}.npz",
        concepts=lambda wildcards: concept_file(study_of(wildcards)["concept_set"]),
    output:
        labels="results/measures/{study}/labels/{model}.parquet",
        halves="results/measures/{study}/half_labels/{model}.parquet",
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
        code=code("dissect/label_neurons.py", "torch"),
        options=lambda wildcards: {
            key: study_of(wildcards)[key]
            for key in ("similarities", "top_k", "permutations", "split", "halves")
        },
        device=config["device"],
        seed=config["seed"],
    script:
        "../workflow_scripts/dissect/label_neurons.py"


rule describe_neurons:
    input:
        activations=probing("results/activations/{dataset}/{model}"),
        images=probing("results/embeddings/images/{dataset}/{clip}.npy"),
        manifests=probing("results/data/{dataset}/manifest.parquet"),
        text="results/embeddings/concepts/{study}.npy",
        concepts=lambda wildcards: concept_file(study_of(wildcards)["concept_set"]),
    output:
        portraits="results/measures/{study}/portraits/{model}.parquet",
        nearest="results/measures/{study}/nearest/{model}.parquet",
        histograms="results/measures/{study}/histograms/{model}.parquet",
    log:
        "results/logs/measures/{study}/portraits/{model}.log",
    wildcard_constraints:
        study=one_of(DISSECTIONS),
    conda:
        "../envs/measures.yaml"
    threads: config["threads"]["dissect"]
    resources:
        **needs("describe_neurons"),
    params:
        code=code("dissect/describe_neurons.py", "measures"),
        split=lambda wildcards: study_of(wildcards)["split"],
        seed=config["seed"],
    script:
        "../workflow_scripts/dissect/describe_neurons.py"


rule list_annotations:
    input:
        manifests=probing("results/data/{dataset}/manifest.parquet"),
        numbers=probing("results/data/{dataset}/annotations.parquet"),
    output:
        table="results/annotations/{study}.csv",
        categories="results/annotations/{study}.json",
    log:
        "results/logs/annotations/{study}.log",
    wildcard_constraints:
        study=one_of(ANNOTATED),
    conda:
        "../envs/measures.yaml"
    resources:
        **needs("list_annotations"),
    params:
        code=code("dissect/list_annotations.py", "measures"),
        options=lambda wildcards: study_of(wildcards)["annotations"],
        split=lambda wildcards: study_of(wildcards)["split"],
    script:
        "../workflow_scripts/dissect/list_annotations.py"


rule label_by_annotation:
    input:
        activations=probing("results/activations/{dataset}/{model}"),
        manifests=probing("results/data/{dataset}/manifest.parquet"),
        numbers=probing("results/data/{dataset}/annotations.parquet"),
    output:
        labels="results/measures/{study}/labels/{model}.parquet",
        halves="results/measures/{study}/half_labels/{model}.parquet",
    log:
        "results/logs/measures/{study}/labels/{model}.log",
    wildcard_constraints:
        study=one_of(ANNOTATED),
    conda:
        "../envs/measures.yaml"
    threads: config["threads"]["dissect"]
    resources:
        **needs("label_by_annotation"),
    params:
        code=code("dissect/label_by_annotation.py", "measures"),
        options=lambda wildcards: {
            key: study_of(wildcards)[key]
            for key in ("annotations", "permutations", "split", "halves")
        },
        seed=config["seed"],
    script:
        "../workflow_scripts/dissect/label_by_annotation.py"
