"""Study 2: how convex concepts are in every layer, and whether it agrees with people."""

CONVEXITIES = names_of_kind("studies", kind="convexity")


rule score_convexity:
    input:
        activations=studied("results/activations/{dataset}/{model}"),
        manifest=studied("results/data/{dataset}/manifest.parquet"),
    output:
        "results/measures/{study}/convexity/{model}.parquet",
    log:
        "results/logs/measures/{study}/convexity/{model}.log",
    wildcard_constraints:
        study=one_of(CONVEXITIES),
    conda:
        "../envs/measures.yaml"
    threads: config["threads"]["dissect"]
    resources:
        **needs("score_convexity"),
    params:
        options=lambda wildcards: {
            key: study_of(wildcards)[key]
            for key in ("n_neighbors", "pairs", "permutations", "bootstrap")
        },
        families=lambda wildcards: study_of(wildcards)["families"],
        split=lambda wildcards: study_of(wildcards)["split"],
        seed=config["seed"],
    script:
        "../workflow_scripts/convexity/score_convexity.py"


rule score_alignment:
    input:
        activations=studied("results/activations/{dataset}/{model}"),
        manifest=studied("results/data/{dataset}/manifest.parquet"),
        triplets=triplets_files,
    output:
        "results/measures/{study}/alignment/{model}.parquet",
    log:
        "results/logs/measures/{study}/alignment/{model}.log",
    wildcard_constraints:
        study=one_of(CONVEXITIES),
    conda:
        "../envs/measures.yaml"
    resources:
        **needs("score_alignment"),
    params:
        options=lambda wildcards: {
            key: study_of(wildcards)[key] for key in ("similarity", "bootstrap")
        },
        columns=item_columns,
        seed=config["seed"],
    script:
        "../workflow_scripts/alignment/score_alignment.py"


rule transform_layers:
    input:
        activations=studied("results/activations/{dataset}/{model}"),
        manifest=studied("results/data/{dataset}/manifest.parquet"),
        triplets=triplets_files,
    output:
        "results/measures/{study}/transforms/{model}.parquet",
    log:
        "results/logs/measures/{study}/transforms/{model}.log",
    wildcard_constraints:
        study=one_of(CONVEXITIES),
    conda:
        "../envs/torch.yaml"
    threads: config["threads"]["dissect"]
    resources:
        **needs("transform_layers"),
    params:
        options=lambda wildcards: {
            key: study_of(wildcards)[key]
            for key in ("similarity", "n_neighbors", "pairs", "bootstrap")
        }
        | study_of(wildcards)["transforms"],
        families=lambda wildcards: study_of(wildcards)["families"],
        split=lambda wildcards: study_of(wildcards)["split"],
        columns=item_columns,
        seed=config["seed"],
    script:
        "../workflow_scripts/alignment/transform_layers.py"


rule relate:
    input:
        convexity=lambda wildcards: [
            f"results/measures/{wildcards.study}/convexity/{model}.parquet"
            for model in study_of(wildcards)["models"]
        ],
        alignment=lambda wildcards: [
            f"results/measures/{wildcards.study}/alignment/{model}.parquet"
            for model in study_of(wildcards)["models"]
        ],
    output:
        "results/measures/{study}/relation/all.parquet",
    log:
        "results/logs/measures/{study}/relation/all.log",
    wildcard_constraints:
        study=one_of(CONVEXITIES),
    conda:
        "../envs/measures.yaml"
    resources:
        **needs("relate"),
    params:
        groups=lambda wildcards: {
            name: catalogue.models_of(study_of(wildcards), name)
            for name in ("pretrained", "random", "tuned")
        }
        | {"all": list(study_of(wildcards)["models"])},
        bootstrap=lambda wildcards: study_of(wildcards)["bootstrap"],
        seed=config["seed"],
    script:
        "../workflow_scripts/alignment/relate.py"


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
        options=lambda wildcards: {
            key: study_of(wildcards)["euclidean"][key]
            for key in ("pairs", "points", "pictures")
        }
        | {"bootstrap": study_of(wildcards)["bootstrap"]},
        family=lambda wildcards: study_of(wildcards)["euclidean"]["heads"][
            wildcards.model
        ],
        split=lambda wildcards: study_of(wildcards)["split"],
        device=config["device"],
        seed=config["seed"],
    script:
        "../workflow_scripts/convexity/score_euclidean.py"
