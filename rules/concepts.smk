"""Study 1: what the labels add up to: counts and categories by depth, and how true they are."""

RELEASES = names_of_kind("studies", kind="published_labels")


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
        code=code("concepts/read_released_labels.py", "measures"),
        file=lambda wildcards: study_of(wildcards)["models"][wildcards.model],
        seed=config["seed"],
    script:
        "../workflow_scripts/concepts/read_released_labels.py"


rule count_concepts:
    input:
        labels="results/measures/{study}/labels/{model}.parquet",
        halves=half_labels_file,
        categories=categories_file,
    output:
        counts="results/measures/{study}/counts/{model}.parquet",
        count_deviates="results/measures/{study}/deviates/counts/{model}.parquet",
        shares="results/measures/{study}/shares/{model}.parquet",
        share_deviates="results/measures/{study}/deviates/shares/{model}.parquet",
    log:
        "results/logs/measures/{study}/counts/{model}.log",
    conda:
        "../envs/measures.yaml"
    resources:
        **needs("count_concepts"),
    params:
        code=code("concepts/count_concepts.py", "measures"),
        categories=categories_path,
        options=lambda wildcards: {
            "bootstrap": study_of(wildcards)["bootstrap"],
            "alpha": study_of(wildcards).get("alpha", 0.05),
            "seed": config["seed"],
        },
    script:
        "../workflow_scripts/concepts/count_concepts.py"


rule score_truth:
    input:
        labels="results/measures/{study}/labels/{model}.parquet",
        halves="results/measures/{study}/half_labels/{model}.parquet",
        activations=probing("results/activations/{dataset}/{model}"),
        manifests=probing("results/data/{dataset}/manifest.parquet"),
        vocabulary=lambda wildcards: study_of(wildcards)["vocabulary"],
        categories=categories_file,
    output:
        truth="results/measures/{study}/truth/{model}.parquet",
        scoreboard="results/measures/{study}/scoreboard/{model}.parquet",
        deviates="results/measures/{study}/deviates/truth/{model}.parquet",
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
        code=code("concepts/score_truth.py", "measures"),
        categories=categories_path,
        split=lambda wildcards: study_of(wildcards)["split"],
        bootstrap=lambda wildcards: study_of(wildcards)["bootstrap"],
        halves=lambda wildcards: study_of(wildcards)["halves"],
        seed=config["seed"],
    script:
        "../workflow_scripts/concepts/score_truth.py"


rule compare_concepts:
    input:
        unpack(label_measures),
    output:
        "results/measures/{study}/differences/concepts.parquet",
    log:
        "results/logs/measures/{study}/differences/concepts.log",
    wildcard_constraints:
        study=one_of([*DISSECTIONS, *ANNOTATED, *RELEASES]),
    conda:
        "../envs/measures.yaml"
    resources:
        **needs("compare_concepts"),
    params:
        code=code("concepts/compare_concepts.py", "measures"),
        measures=lambda wildcards: measures_of_labels(wildcards.study),
        pairs=lambda wildcards: catalogue.paired_models(study_of(wildcards)),
    script:
        "../workflow_scripts/concepts/compare_concepts.py"
