"""Input functions and parameters of the rules in `rules/figures.smk`."""


def figure_names(study):
    return [
        f"{study}_{name}" for name in catalogue.figure_names(config["studies"][study])
    ]


def figure_files(name):
    return [f"results/figures/{name}.{suffix}" for suffix in ("pdf", "svg", "csv")]


def model_entries(wildcards):
    """Display names and origins of a study's models, as the registry has them."""
    models = config["models"]
    return {
        name: models[name] for name in study_of(wildcards)["models"] if name in models
    }


def drawn_measures(wildcards):
    """Tables of the measures that a figure draws, for the models in it."""
    entry, study = catalogue.FIGURES[wildcards.figure], study_of(wildcards)
    return [
        file
        for measure in entry.measure.split("+")
        for file in tables_of(
            wildcards.study, measure, catalogue.models_of(study, entry.models)
        )
    ]


def drawn_figure(wildcards):
    """What draws a figure, of which measure, with which models in it."""
    entry = catalogue.FIGURES[wildcards.figure]
    return {
        "function": entry.function,
        "measure": entry.measure,
        "models": catalogue.models_of(study_of(wildcards), entry.models),
        "options": dict(entry.options),
    }


def drawing_module(wildcards):
    """The module of the library that draws a figure."""
    function = catalogue.FIGURES[wildcards.figure].function
    return f"strata.figures.{function.partition('.')[0]}"


def neuron_truth(wildcards):
    if wildcards.model not in catalogue.measured(study_of(wildcards), "truth"):
        return []
    return f"results/measures/{wildcards.study}/truth_neurons/{wildcards.model}.parquet"


def pictures_of(wildcards):
    """Manifests of the pictures that a study's models see."""
    study = study_of(wildcards)
    names = study.get("probing") or [study["dataset"]]
    return [f"results/data/{name}/manifest.parquet" for name in names]
