"""Figures: vector graphics, each with the table that it draws."""

from strata.figures import catalogue


def figure_names(study):
    return [f"{study}_{name}" for name in catalogue.figure_names(config["studies"][study])]


def figure_files(name):
    return [f"results/figures/{name}.{suffix}" for suffix in ("pdf", "svg", "csv")]


def model_entries(wildcards):
    """Display names and origins of a study's models, as the registry has them."""
    models = config["models"]
    return {name: models[name] for name in study_of(wildcards)["models"] if name in models}


def drawn_measures(wildcards):
    """Tables of the measure that a figure draws, for the models in it."""
    entry = catalogue.FIGURES[wildcards.figure]
    models = catalogue.models_of(study_of(wildcards), entry.models)
    return [
        f"results/measures/{wildcards.study}/{entry.measure}/{model}.parquet" for model in models
    ]


def neuron_truth(wildcards):
    if wildcards.model not in planted_models(study_of(wildcards)):
        return []
    return f"results/measures/{wildcards.study}/truth_neurons/{wildcards.model}.parquet"


rule plot_measure:
    input:
        drawn_measures,
    output:
        pdf="results/figures/{study}_{figure}.pdf",
        svg=report(
            "results/figures/{study}_{figure}.svg",
            caption="captions/measure.rst",
            category="{study}",
        ),
        csv="results/figures/{study}_{figure}.csv",
    log:
        "results/logs/figures/{study}_{figure}.log",
    wildcard_constraints:
        figure=one_of(catalogue.FIGURES),
    params:
        study=study_of,
        models=model_entries,
        caption=lambda wildcards: catalogue.caption(wildcards.figure).replace("\\,\\%", " %"),
    conda:
        "../envs/figures.yaml"
    script:
        "../workflow_scripts/plot_measure.py"


rule plot_scores:
    input:
        "results/measures/{study}/labels/{model}.parquet",
    output:
        pdf="results/figures/{study}_scores_{model}.pdf",
        svg=report(
            "results/figures/{study}_scores_{model}.svg",
            caption="captions/scores.rst",
            category="{study}",
        ),
        csv="results/figures/{study}_scores_{model}.csv",
    log:
        "results/logs/figures/{study}_scores_{model}.log",
    params:
        study=study_of,
        models=model_entries,
    conda:
        "../envs/figures.yaml"
    script:
        "../workflow_scripts/plot_scores.py"


rule plot_neurons:
    input:
        labels="results/measures/{study}/labels/{model}.parquet",
        truth=neuron_truth,
        manifests=probing("results/data/{dataset}/manifest.parquet"),
    output:
        pdf="results/figures/{study}_neurons_{model}.pdf",
        svg=report(
            "results/figures/{study}_neurons_{model}.svg",
            caption="captions/neurons.rst",
            category="{study}",
        ),
        csv="results/figures/{study}_neurons_{model}.csv",
    log:
        "results/logs/figures/{study}_neurons_{model}.log",
    params:
        split=lambda wildcards: study_of(wildcards)["split"],
        alpha=lambda wildcards: study_of(wildcards)["alpha"],
    conda:
        "../envs/figures.yaml"
    script:
        "../workflow_scripts/plot_neurons.py"


rule plot_specimen:
    input:
        manifests=probing("results/data/{dataset}/manifest.parquet"),
    output:
        pdf="results/figures/{study}_specimen.pdf",
        svg=report(
            "results/figures/{study}_specimen.svg",
            caption="captions/specimen.rst",
            category="{study}",
        ),
        csv="results/figures/{study}_specimen.csv",
    log:
        "results/logs/figures/{study}_specimen.log",
    params:
        seed=config["seed"],
    conda:
        "../envs/figures.yaml"
    script:
        "../workflow_scripts/plot_specimen.py"
