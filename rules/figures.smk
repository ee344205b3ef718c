"""Figures: vector graphics, each with the table that it draws."""

from strata.stats import LEVEL


rule plot_measure:
    input:
        drawn_measures,
    output:
        pdf="results/figures/{study}_{figure}.pdf",
        svg=report(
            "results/figures/{study}_{figure}.svg",
            caption="captions/measure.rst",
            category="{study}",
            labels={"figure": "{figure}"},
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
            labels={"figure": "scores", "model": "{model}"},
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
            labels={"figure": "neurons", "model": "{model}"},
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
            labels={"figure": "specimen"},
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
