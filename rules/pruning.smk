"""Study 3: cut pretrained transformers where they are most convex, and fine-tune what is left."""

PRUNINGS = names_of_kind("studies", kind="pruning")
# All cores that a job may have; on a cluster it has the node for itself (profiles/slurm).
ALL_CORES = workflow.resource_settings.cores or 1


rule score_task_convexity:
    input:
        activations=studied("results/activations/{dataset}/{model}"),
        manifest=studied("results/data/{dataset}/manifest.parquet"),
    output:
        measures="results/measures/{study}/{measure}/{model}.parquet",
        deviates="results/measures/{study}/deviates/{measure}/{model}.parquet",
    log:
        "results/logs/measures/{study}/{measure}/{model}.log",
    wildcard_constraints:
        study=one_of(PRUNINGS),
        measure="selection|convexity",
    priority: 1  # what the longest jobs wait for
    conda:
        "../envs/measures.yaml"
    threads: config["threads"]["dissect"]
    resources:
        **needs("score_task_convexity"),
    params:
        code=code("pruning/score_task_convexity.py", "measures"),
        # What a cut is chosen by must not see what it is tested on.
        part=lambda wildcards: "train" if wildcards.measure == "selection" else "test",
        tasks=lambda wildcards: study_of(wildcards)["tasks"],
        families=lambda wildcards: study_of(wildcards)["families"],
        options=lambda wildcards: {
            key: study_of(wildcards)[key]
            for key in ("n_neighbors", "pairs", "permutations", "halves")
        },
        seed=config["seed"],
    script:
        "../workflow_scripts/pruning/score_task_convexity.py"


rule compare_layers:
    input:
        manifest=studied("results/data/{dataset}/manifest.parquet"),
        model=model_files(lambda wildcards: wildcards.model),
    output:
        "results/measures/{study}/similarity/{model}.parquet",
    log:
        "results/logs/measures/{study}/similarity/{model}.log",
    wildcard_constraints:
        study=one_of(PRUNINGS),
    conda:
        "../envs/torch.yaml"
    threads: config["threads"]["extract"]
    resources:
        **needs("compare_layers", gpu=True),
    params:
        code=code("pruning/compare_layers.py", "torch"),
        context=lambda wildcards: context_of(wildcards.model),
        samples=lambda wildcards: study_of(wildcards)["similarity_samples"],
        tasks=lambda wildcards: study_of(wildcards)["tasks"],
        device=config["device"],
        batch_size=config["batch_size"],
        seed=config["seed"],
    script:
        "../workflow_scripts/pruning/compare_layers.py"


rule choose_cuts:
    input:
        convexity="results/measures/{study}/selection/{model}.parquet",
        deviates="results/measures/{study}/deviates/selection/{model}.parquet",
        similarity="results/measures/{study}/similarity/{model}.parquet",
    output:
        "results/measures/{study}/cuts/{model}.parquet",
    log:
        "results/logs/measures/{study}/cuts/{model}.log",
    wildcard_constraints:
        study=one_of(PRUNINGS),
    priority: 1  # what the longest jobs wait for
    conda:
        "../envs/measures.yaml"
    resources:
        **needs("choose_cuts"),
    params:
        code=code("pruning/choose_cuts.py", "measures"),
        tasks=lambda wildcards: list(study_of(wildcards)["tasks"]),
        seeds=lambda wildcards: training_seeds(study_of(wildcards)),
        penalty=lambda wildcards: study_of(wildcards)["depth_penalty"],
        every_depth=lambda wildcards: study_of(wildcards)["every_depth"],
    script:
        "../workflow_scripts/pruning/choose_cuts.py"


rule finetune_cuts:
    input:
        cuts="results/measures/{study}/cuts/{model}.parquet",
        manifest=studied("results/data/{dataset}/manifest.parquet"),
        model=model_files(lambda wildcards: wildcards.model),
    output:
        "results/measures/{study}/trained/{model}.{task}.{seeds}.parquet",
        answers="results/measures/{study}/answers/{model}.{task}.{seeds}.parquet",
    log:
        "results/logs/measures/{study}/trained/{model}.{task}.{seeds}.log",
    wildcard_constraints:
        study=one_of(PRUNINGS),
        task=one_of(
            dict.fromkeys(
                task for name in PRUNINGS for task in config["studies"][name]["tasks"]
            )
        ),
        seeds=r"\d+(-\d+)?",
    priority: 1  # the longest jobs: others go on beside them
    conda:
        "../envs/torch.yaml"
    threads: config["threads"]["train"]
    resources:
        **needs("finetune_cuts", gpu=True),
    params:
        code=code("pruning/finetune_cuts.py", "torch"),
        context=lambda wildcards: context_of(wildcards.model),
        spec=lambda wildcards: study_of(wildcards)["tasks"][wildcards.task],
        training=lambda wildcards: study_of(wildcards)["training"],
        checkpoints=f"{CHECKPOINTS}/{{study}}",
        device=config["device"],
        precision=config["precision"],
        split_seed=config["seed"],
        embedding=embedding_of,
    script:
        "../workflow_scripts/pruning/finetune_cuts.py"


rule compare_cuts:
    input:
        cuts=lambda wildcards: tables_of(wildcards.study, "cuts"),
        trained=lambda wildcards: tables_of(wildcards.study, "trained"),
        answers=lambda wildcards: beside("answers", wildcards.study, "trained"),
    output:
        "results/measures/{study}/comparison/all.parquet",
    log:
        "results/logs/measures/{study}/comparison/all.log",
    wildcard_constraints:
        study=one_of(PRUNINGS),
    conda:
        "../envs/measures.yaml"
    resources:
        **needs("compare_cuts"),
    params:
        code=code("pruning/compare_cuts.py", "measures"),
        seed=config["seed"],
    script:
        "../workflow_scripts/pruning/compare_cuts.py"


rule count_cost:
    input:
        manifest=studied("results/data/{dataset}/manifest.parquet"),
        model=model_files(lambda wildcards: wildcards.model),
    output:
        "results/measures/{study}/cost/{model}.parquet",
    log:
        "results/logs/measures/{study}/cost/{model}.log",
    wildcard_constraints:
        study=one_of(PRUNINGS),
    conda:
        "../envs/torch.yaml"
    resources:
        **needs("count_cost"),
    params:
        code=code("pruning/count_cost.py", "torch"),
        context=lambda wildcards: context_of(wildcards.model),
        tasks=lambda wildcards: study_of(wildcards)["tasks"],
        training=lambda wildcards: study_of(wildcards)["training"],
        embedding=embedding_of,
        seed=config["seed"],
    script:
        "../workflow_scripts/pruning/count_cost.py"


# Seconds are the one thing here that differs from run to run; nothing else runs meanwhile.
rule time_cuts:
    input:
        manifest=studied("results/data/{dataset}/manifest.parquet"),
        model=model_files(lambda wildcards: wildcards.model),
    output:
        "results/measures/{study}/timing/{model}.parquet",
    log:
        "results/logs/measures/{study}/timing/{model}.log",
    wildcard_constraints:
        study=one_of(PRUNINGS),
    conda:
        "../envs/torch.yaml"
    threads: ALL_CORES
    resources:
        **needs("time_cuts", gpu=True),
    params:
        code=code("pruning/time_cuts.py", "torch"),
        context=lambda wildcards: context_of(wildcards.model),
        options=lambda wildcards: study_of(wildcards)["timing"],
        tasks=lambda wildcards: study_of(wildcards)["tasks"],
        training=lambda wildcards: study_of(wildcards)["training"],
        embedding=embedding_of,
        device=config["device"],
        seed=config["seed"],
    script:
        "../workflow_scripts/pruning/time_cuts.py"
