"""Study 2: how convex concepts are in every layer."""

CONVEXITIES = names_of_kind("studies", kind="convexity")


rule score_convexity:
    input:
        activations=studied("results/activations/{dataset}/{model}"),
        manifest=studied("results/data/{dataset}/manifest.parquet"),
    output:
        measures="results/measures/{study}/convexity/{model}.parquet",
        deviates="results/measures/{study}/deviates/convexity/{model}.parquet",
    log:
        "results/logs/measures/{study}/convexity/{model}.log",
    wildcard_constraints:
        study=one_of(CONVEXITIES),
    priority: 1  # the longest jobs: others go on beside them
    conda:
        "../envs/measures.yaml"
    threads: config["threads"]["dissect"]
    resources:
        **needs("score_convexity"),
    params:
        code=code("convexity/score_convexity.py", "measures"),
        options=lambda wildcards: {
            key: study_of(wildcards)[key]
            for key in ("n_neighbors", "pairs", "permutations", "halves")
        },
        families=lambda wildcards: study_of(wildcards)["families"],
        split=lambda wildcards: study_of(wildcards)["split"],
        seed=config["seed"],
    script:
        "../workflow_scripts/convexity/score_convexity.py"


rule score_euclidean:
    input:
        manifest=studied("results/data/{dataset}/manifest.parquet"),
        model=model_files(lambda wildcards: wildcards.model),
    output:
        "results/measures/{study}/euclidean/{model}.parquet",
    log:
        "results/logs/measures/{study}/euclidean/{model}.log",
    wildcard_constraints:
        study=one_of(CONVEXITIES),
    conda:
        "../envs/torch.yaml"
    threads: config["threads"]["extract"]
    resources:
        **needs("score_euclidean", gpu=True),
    params:
        code=code("convexity/score_euclidean.py", "torch"),
        options=lambda wildcards: {
            key: study_of(wildcards)["euclidean"][key]
            for key in ("pairs", "points", "pictures")
        },
        family=lambda wildcards: study_of(wildcards)["euclidean"]["heads"][
            wildcards.model
        ],
        split=lambda wildcards: study_of(wildcards)["split"],
        embedding=embedding_of,
        device=config["device"],
        seed=config["seed"],
    script:
        "../workflow_scripts/convexity/score_euclidean.py"


rule list_neighbors:
    input:
        activations=studied("results/activations/{dataset}/{model}"),
        manifest=studied("results/data/{dataset}/manifest.parquet"),
    output:
        "results/measures/{study}/neighbors/{model}.parquet",
    log:
        "results/logs/measures/{study}/neighbors/{model}.log",
    wildcard_constraints:
        study=one_of([*CONVEXITIES, *names_of_kind("studies", kind="pruning")]),
    conda:
        "../envs/measures.yaml"
    resources:
        **needs("list_neighbors"),
    params:
        code=code("convexity/list_neighbors.py", "measures"),
        split=lambda wildcards: study_of(wildcards).get("split", "all"),
        seed=config["seed"],
    script:
        "../workflow_scripts/convexity/list_neighbors.py"


rule compare_convexity:
    input:
        measures=lambda wildcards: tables_of(wildcards.study, "convexity"),
        deviates=lambda wildcards: beside(
            "deviates/convexity", wildcards.study, "convexity"
        ),
    output:
        "results/measures/{study}/differences/convexity.parquet",
    log:
        "results/logs/measures/{study}/differences/convexity.log",
    wildcard_constraints:
        study=one_of([*CONVEXITIES, *names_of_kind("studies", kind="pruning")]),
    conda:
        "../envs/measures.yaml"
    resources:
        **needs("compare_convexity"),
    params:
        code=code("convexity/compare_convexity.py", "measures"),
        pairs=lambda wildcards: catalogue.paired_models(study_of(wildcards)),
    script:
        "../workflow_scripts/convexity/compare_convexity.py"
