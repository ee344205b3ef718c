"""Fetch a published data set and index it."""

from job import job

with job(snakemake):
    from pathlib import Path

    from strata.data.download import download_dataset

    download_dataset(
        snakemake.params.spec,
        Path(snakemake.output.manifest).parent,
        snakemake.params.downloads,
        mirror=snakemake.config["data_mirror"],
        base=snakemake.params.base,
        seed=snakemake.params.seed,
    )
