"""Index a user's own folder of images or sounds as a data set."""

from job import job

with job(snakemake):
    from pathlib import Path

    from strata.data.folder import index_folder

    index_folder(
        snakemake.params.spec,
        Path(snakemake.output.manifest).parent,
        base=snakemake.params.base,
        seed=snakemake.params.seed,
    )
