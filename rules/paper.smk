"""The paper: numbers and tables written by the workflow, and LaTeX."""

PAPER_SOURCES = sorted(
    os.path.relpath(path, workflow.basedir)
    for suffix in ("tex", "bib")
    for path in (Path(workflow.basedir) / "paper").rglob(f"*.{suffix}")
)


def measures_in_paper(wildcards):
    """Every table that a number of the paper is taken from."""
    files = []
    for name in config["run"]:
        study = config["studies"][name]
        for model in study["models"]:
            files += [
                f"results/measures/{name}/{measure}/{model}.parquet"
                for measure in ("labels", "counts", "shares")
            ]
        for model in planted_models(study):
            files.append(f"results/measures/{name}/truth/{model}.parquet")
    return files


def cards_in_paper(wildcards):
    """Cards of the models of the studies that ran models."""
    models = [
        model
        for name in config["run"]
        if config["studies"][name]["kind"] == "concepts"
        for model in [*config["studies"][name]["models"], config["studies"][name]["clip"]]
    ]
    return [f"results/models/{model}/card.json" for model in dict.fromkeys(models)]


def datasets_in_paper(wildcards):
    names = []
    for name in config["run"]:
        study = config["studies"][name]
        names += study["probing"] if study["kind"] == "concepts" else [study["dataset"]]
    return [f"results/data/{name}/dataset.json" for name in dict.fromkeys(names)]


rule write_numbers:
    input:
        measures=measures_in_paper,
        cards=cards_in_paper,
        datasets=datasets_in_paper,
    output:
        numbers="results/paper/generated/numbers.tex",
        studies="results/paper/generated/studies.tex",
        tables="results/paper/generated/tables.tex",
    log:
        "results/logs/paper/numbers.log",
    params:
        studies={name: config["studies"][name] for name in config["run"]},
        models=config["models"],
        concept_sets=config["concept_sets"],
        seed=config["seed"],
        written=[Path(path).stem for path in PAPER_SOURCES],
    conda:
        "../envs/paper.yaml"
    script:
        "../workflow_scripts/write_numbers.py"


rule paper:
    input:
        sources=PAPER_SOURCES,
        generated=rules.write_numbers.output,
        figures=[
            f"results/figures/{name}.pdf"
            for study in config["run"]
            for name in figure_names(study)
        ],
    output:
        pdf="results/paper/strata.pdf",
    log:
        "results/logs/paper/latex.log",
    params:
        build="results/paper/build",
    conda:
        "../envs/paper.yaml"
    script:
        "../workflow_scripts/build_paper.py"
