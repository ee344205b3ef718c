"""Study 2: does a layer agree with people, what optimising it does, and what convexity has to do with it."""


rule score_alignment:
    input:
        activations=studied("results/activations/{dataset}/{model}"),
        manifest=studied("results/data/{dataset}/manifest.parquet"),
        triplets=triplets_files,
        infos=triplets_infos,
    output:
        measures="results/measures/{study}/alignment/{model}.parquet",
        credits="results/measures/{study}/credits/{model}.parquet",
    log:
        "results/logs/measures/{study}/alignment/{model}.log",
    wildcard_constraints:
        study=one_of(CONVEXITIES),
    conda:
        "../envs/measures.yaml"
    resources:
        **needs("score_alignment"),
    params:
        code=code("alignment/score_alignment.py", "measures"),
        similarity=lambda wildcards: study_of(wildcards)["similarity"],
        columns=item_columns,
        seed=config["seed"],
    script:
        "../workflow_scripts/alignment/score_alignment.py"


rule compare_alignment:
    input:
        measures=lambda wildcards: tables_of(wildcards.study, "alignment"),
        credits=lambda wildcards: beside("credits", wildcards.study, "alignment"),
        triplets=triplets_files,
    output:
        "results/measures/{study}/differences/alignment.parquet",
    log:
        "results/logs/measures/{study}/differences/alignment.log",
    wildcard_constraints:
        study=one_of(CONVEXITIES),
    conda:
        "../envs/measures.yaml"
    resources:
        **needs("compare_alignment"),
    params:
        code=code("alignment/compare_alignment.py", "measures"),
        triplets=lambda wildcards: study_of(wildcards)["triplets"],
        pairs=lambda wildcards: catalogue.paired_models(study_of(wildcards)),
    script:
        "../workflow_scripts/alignment/compare_alignment.py"


rule score_categories:
    input:
        activations=studied("results/activations/{dataset}/{model}"),
        manifest=studied("results/data/{dataset}/manifest.parquet"),
        triplets=triplets_files,
        infos=triplets_infos,
    output:
        measures="results/measures/{study}/categories/{model}.parquet",
        deviates="results/measures/{study}/deviates/categories/{model}.parquet",
    log:
        "results/logs/measures/{study}/categories/{model}.log",
    wildcard_constraints:
        study=one_of(CONVEXITIES),
    conda:
        "../envs/measures.yaml"
    threads: config["threads"]["dissect"]
    resources:
        **needs("score_categories"),
    params:
        code=code("alignment/score_categories.py", "measures"),
        options=lambda wildcards: {
            key: study_of(wildcards)[key] for key in ("n_neighbors", "pairs", "halves")
        },
        split=lambda wildcards: study_of(wildcards)["split"],
        columns=item_columns,
        seed=config["seed"],
    script:
        "../workflow_scripts/alignment/score_categories.py"


rule transform_layers:
    input:
        activations=studied("results/activations/{dataset}/{model}"),
        manifest=studied("results/data/{dataset}/manifest.parquet"),
        triplets=triplets_files,
        infos=triplets_infos,
        convexity=known_convexity("results/measures/{study}/convexity/{model}.parquet"),
        deviates=known_convexity(
            "results/measures/{study}/deviates/convexity/{model}.parquet"
        ),
        local_activations=local_images("results/activations/{dataset}/{model}"),
        local_manifest=local_images("results/data/{dataset}/manifest.parquet"),
    output:
        "results/measures/{study}/transforms/{model}.parquet",
    log:
        "results/logs/measures/{study}/transforms/{model}.log",
    wildcard_constraints:
        study=one_of(CONVEXITIES),
    priority: 1  # the longest jobs: others go on beside them
    conda:
        "../envs/torch.yaml"
    threads: config["threads"]["dissect"]
    resources:
        **needs("transform_layers"),
    params:
        code=code("alignment/transform_layers.py", "torch"),
        options=lambda wildcards: {
            key: study_of(wildcards)[key]
            for key in ("similarity", "n_neighbors", "pairs", "halves")
        }
        | {
            key: value
            for key, value in study_of(wildcards)["transforms"].items()
            if key != "local_images"
        },
        local=lambda wildcards: study_of(wildcards)["transforms"].get("local_images"),
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
        code=code("alignment/relate.py", "measures"),
        groups=lambda wildcards: {
            name: catalogue.models_of(study_of(wildcards), name)
            for name in ("pretrained", "random", "tuned")
        }
        | {"all": list(study_of(wildcards)["models"])},
        seed=config["seed"],
    script:
        "../workflow_scripts/alignment/relate.py"
