"""Figures: vector graphics, each with the table that it draws."""

from strata.stats import LEVEL


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
    conda:
        "../envs/figures.yaml"
    resources:
        **needs("plot_measure"),
    params:
        code=code("figures/plot_measure.py", "figures", drawing_module),
        figure=drawn_figure,
        study=study_of,
        models=model_entries,
        caption=lambda wildcards: catalogue.caption(wildcards.figure, f"{LEVEL:.0%}"),
    script:
        "../workflow_scripts/figures/plot_measure.py"


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
    conda:
        "../envs/figures.yaml"
    resources:
        **needs("plot_scores"),
    params:
        code=code("figures/plot_scores.py", "figures"),
        study=study_of,
        models=model_entries,
    script:
        "../workflow_scripts/figures/plot_scores.py"


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
    conda:
        "../envs/figures.yaml"
    resources:
        **needs("plot_neurons"),
    params:
        code=code("figures/plot_neurons.py", "figures"),
        split=lambda wildcards: study_of(wildcards)["split"],
        alpha=lambda wildcards: study_of(wildcards)["alpha"],
    script:
        "../workflow_scripts/figures/plot_neurons.py"


rule plot_specimen:
    input:
        manifests=pictures_of,
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
    conda:
        "../envs/figures.yaml"
    resources:
        **needs("plot_specimen"),
    params:
        code=code("figures/plot_specimen.py", "figures"),
        seed=config["seed"],
    script:
        "../workflow_scripts/figures/plot_specimen.py"
