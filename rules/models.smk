"""Models: fetched once, trained from a recipe, random twins, fine-tuned. All load offline."""


localrules:
    fetch_model,
    bundled_model,


ZOO = [
    name
    for name in names_of_kind("models", source="zoo")
    if "base" not in config["models"][name]
]
TWINS = [
    n
    for n in names_of_kind("models", weights="random")
    if "base" in config["models"][n]
]
TUNED = [name for name, entry in config["models"].items() if "finetune" in entry]
SHIPPED = [name for name in TUNED if ships_as_configured(name)]
FINETUNED = [name for name in TUNED if name not in SHIPPED]
TRAINING_KEYS = (
    "epochs",
    "batch_size",
    "learning_rate",
    "weight_decay",
    "warmup",
    "patience",
    "head_factor",
    "overrides",
)
TUNING_OPTIONS = (
    "splits",
    "apart",
    "at_least",
    "interpolate",
    "frozen",
    "adapter_rank",
    "seed",
)
ARRAYS = names_of_kind("models", source="arrays")  # activations without a network
NETWORKS = [n for n in config["models"] if n not in ARRAYS]
FETCHED = [n for n in NETWORKS if n not in {*ZOO, *TWINS, *TUNED}]


rule fetch_model:
    input:
        local_files,
    output:
        card="results/models/{model}/card.json",
        weights="results/models/{model}/model.safetensors",
    log:
        "results/logs/models/{model}.log",
    wildcard_constraints:
        model=one_of(FETCHED),
    retries: 2
    conda:
        "../envs/torch.yaml"
    params:
        code=code("models/fetch_model.py", "torch"),
        spec=lambda wildcards: config["models"][wildcards.model],
    script:
        "../workflow_scripts/models/fetch_model.py"


rule bundled_adapter:
    input:
        base=model_files(base_of),
        parts=adapter_files,
    output:
        card="results/models/{model}/card.json",
        weights="results/models/{model}/model.safetensors",
    log:
        "results/logs/models/{model}.log",
    wildcard_constraints:
        model=one_of(SHIPPED),
    conda:
        "../envs/torch.yaml"
    resources:
        **needs("bundled_adapter"),
    params:
        code=code("models/merge_adapter.py", "torch"),
    script:
        "../workflow_scripts/models/merge_adapter.py"


if config["zoo"] == "bundled":

    rule bundled_model:
        input:
            card=lambda wildcards: zoo_file(wildcards, "card.json"),
            weights=lambda wildcards: zoo_file(wildcards, "model.safetensors"),
            others=zoo_folder,
        output:
            card="results/models/{model}/card.json",
            weights="results/models/{model}/model.safetensors",
        log:
            "results/logs/models/{model}.log",
        wildcard_constraints:
            model=one_of(ZOO),
        conda:
            "../envs/torch.yaml"
        params:
            code=code("models/copy_zoo_model.py", "torch"),
            tower=image_tower,
        script:
            "../workflow_scripts/models/copy_zoo_model.py"

else:

    rule train_zoo_model:
        input:
            recipe_files,
        output:
            card="results/models/{model}/card.json",
            weights="results/models/{model}/model.safetensors",
        log:
            "results/logs/models/{model}.log",
        wildcard_constraints:
            model=one_of(ZOO),
        conda:
            "../envs/torch.yaml"
        threads: config["threads"]["train"]
        resources:
            **needs("train_zoo_model"),
        params:
            code=code("models/train_zoo_model.py", "torch"),
            checkpoints=CHECKPOINTS,
        script:
            "../workflow_scripts/models/train_zoo_model.py"


rule random_twin:
    input:
        base=model_files(base_of),
    output:
        card="results/models/{model}/card.json",
        weights="results/models/{model}/model.safetensors",
    log:
        "results/logs/models/{model}.log",
    wildcard_constraints:
        model=one_of(TWINS),
    conda:
        "../envs/torch.yaml"
    resources:
        **needs("random_twin"),
    params:
        code=code("models/make_random_twin.py", "torch"),
        seed=lambda wildcards: config["models"][wildcards.model].get(
            "seed", config["seed"]
        ),
    script:
        "../workflow_scripts/models/make_random_twin.py"


rule finetune:
    input:
        base=model_files(base_of),
        manifest=lambda wildcards: (
            f"results/data/{finetuning_of(wildcards)['dataset']}/manifest.parquet"
        ),
    output:
        card="results/models/{model}/card.json",
        weights="results/models/{model}/model.safetensors",
    log:
        "results/logs/models/{model}.log",
    wildcard_constraints:
        model=one_of(FINETUNED),
    conda:
        "../envs/torch.yaml"
    threads: config["threads"]["train"]
    resources:
        **needs("finetune", gpu=True),
    params:
        code=code("models/finetune_model.py", "torch"),
        target=lambda wildcards: finetuning_of(wildcards)["target"],
        training=lambda wildcards: {
            key: value
            for key, value in finetuning_of(wildcards).items()
            if key in TRAINING_KEYS
        },
        options=lambda wildcards: {
            "seed": config["seed"],
            "split_seed": config["seed"],
            **{
                key: value
                for key, value in finetuning_of(wildcards).items()
                if key in TUNING_OPTIONS
            },
            "context": context_of(wildcards.model),
            **shown_as(wildcards.model),
            "recipe": tuning_recipe(wildcards.model),
        },
        device=config["device"],
        precision=config["precision"],
    script:
        "../workflow_scripts/models/finetune_model.py"
