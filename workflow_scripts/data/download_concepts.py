"""Fetch a published concept list."""

from job import job

with job(snakemake):
    from strata.data.download import download_concepts

    download_concepts(
        snakemake.params.spec, snakemake.output[0], mirror=snakemake.config["data_mirror"]
    )
