"""Make a page of an executed notebook, and keep the notebook without what belongs to one run."""

from job import job

with job(snakemake):
    from pathlib import Path

    import nbformat

    from strata.notebooks.export import cleaned, page

    name = snakemake.input.executed
    executed = nbformat.read(name, as_version=4)
    notebook = cleaned(executed, name, drop="snakemake-job-properties")
    nbformat.write(notebook, snakemake.output.notebook)
    html = page(notebook, snakemake.params.title)
    Path(snakemake.output.html).write_text(html, encoding="utf-8")
