"""What the input functions of several stages share; those of one stage are in `rules/inputs/`."""


def model_files(name):
    """Input function: the files of a model that every user of it depends on."""

    def files(wildcards):
        model = name(wildcards)
        return [
            f"results/models/{model}/{file}"
            for file in ("card.json", "model.safetensors")
        ]

    return files


def studied(pattern):
    """Input function: a file of the one data set that a study is about."""
    return lambda wildcards: pattern.format(
        dataset=study_of(wildcards)["dataset"], model=wildcards.model
    )


def probing(pattern):
    """Input function: a file for each data set of the study's probing set."""
    return lambda wildcards: [
        pattern.format(
            dataset=dataset, model=getattr(wildcards, "model", ""), clip=clip
        )
        for clip in [study_of(wildcards).get("clip", "")]
        for dataset in study_of(wildcards)["probing"]
    ]


def tables_of(study, measure, models=None):
    """Files of a measure of a study, for these models (all that the measure is taken of)."""
    entry = config["studies"][study]
    stems = catalogue.stems(entry, measure, models, config["seed"])
    return [f"results/measures/{study}/{measure}/{stem}.parquet" for stem in stems]


def beside(folder, study, measure):
    """Files in another folder of a study that go with the tables of a measure, by their names."""
    return [
        f"results/measures/{study}/{folder}/{os.path.basename(file)}"
        for file in tables_of(study, measure)
    ]


include: "inputs/data.smk"
include: "inputs/models.smk"
include: "inputs/activations.smk"
include: "inputs/dissect.smk"
include: "inputs/concepts.smk"
include: "inputs/alignment.smk"
include: "inputs/pruning.smk"
include: "inputs/figures.smk"
include: "inputs/claims.smk"
include: "inputs/atlas.smk"
include: "inputs/notebooks.smk"
include: "inputs/paper.smk"
