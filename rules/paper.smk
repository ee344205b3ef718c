"""The paper: numbers and tables written by the workflow, and LaTeX."""


# LaTeX is where the user is; compute nodes seldom have it.
localrules:
    paper,


PAPER_SOURCES = sorted(
    os.path.relpath(path, workflow.basedir)
    for suffix in ("tex", "bib")
    for path in (Path(workflow.basedir) / "paper").rglob(f"*.{suffix}")
)


rule write_numbers:
    input:
        measures=measures_in_paper,
        cards=cards_in_paper,
        datasets=datasets_in_paper,
        verdicts=rules.decide_claims.output.verdicts,
    output:
        numbers="results/paper/generated/numbers.tex",
        studies="results/paper/generated/studies.tex",
        tables="results/paper/generated/tables.tex",
        appendix="results/paper/generated/appendix.tex",
    log:
        "results/logs/paper/numbers.log",
    conda:
        "../envs/paper.yaml"
    resources:
        **needs("write_numbers"),
    params:
        code=code("paper/write_numbers.py", "paper"),
        studies={name: config["studies"][name] for name in config["run"]},
        models=config["models"],
        concept_sets=config["concept_sets"],
        papers_claims=papers_claims(),
        seed=config["seed"],
        versions=locked(Path(workflow.basedir) / "requirements.txt"),
        written=[Path(path).stem for path in PAPER_SOURCES],
    script:
        "../workflow_scripts/paper/write_numbers.py"


rule paper:
    input:
        sources=PAPER_SOURCES,
        generated=rules.write_numbers.output,
        figures=expand("results/figures/{name}.pdf", name=counted_figures()),
        tables=expand("results/figures/{name}.csv", name=counted_figures()),
    output:
        pdf="results/paper/strata.pdf",
    log:
        "results/logs/paper/latex.log",
    conda:
        "../envs/paper.yaml"
    params:
        code=code("paper/build_paper.py", "paper"),
        build="results/paper/build",
        counted=counted_figures(),
        commit=commit(workflow.basedir),
    script:
        "../workflow_scripts/paper/build_paper.py"
