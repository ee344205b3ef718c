"""Notebooks: a question of one's own to each study's tables, answered and shown as a page."""


# The executed notebook is the job's log, and an output as well: so Snakemake knows who needs it.
rule explore:
    input:
        unpack(explored_tables),
    output:
        table="results/notebooks/{study}.csv",
        executed="results/logs/notebooks/{study}.ipynb",
    log:
        notebook="results/logs/notebooks/{study}.ipynb",
    conda:
        "../envs/notebooks.yaml"
    resources:
        **needs("explore"),
    params:
        code=code("notebooks/{kind}.py.ipynb", "notebooks"),
        kind=lambda wildcards: study_of(wildcards)["kind"],
        study=study_of,
        models=model_entries,
    notebook:
        "../workflow_scripts/notebooks/{params.kind}.py.ipynb"


rule export_notebook:
    input:
        executed=rules.explore.output.executed,
    output:
        notebook="results/notebooks/{study}.ipynb",
        html=report(
            "results/notebooks/{study}.html",
            caption="captions/notebook.rst",
            category="notebooks",
        ),
    log:
        "results/logs/notebooks/{study}.export.log",
    conda:
        "../envs/notebooks.yaml"
    resources:
        **needs("export_notebook"),
    params:
        code=code("notebooks/export_notebook.py", "notebooks"),
        title=lambda wildcards: study_of(wildcards)["title"],
    script:
        "../workflow_scripts/notebooks/export_notebook.py"
