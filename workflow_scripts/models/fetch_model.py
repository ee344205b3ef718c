"""Fetch a model from its hub, mirror or folder, to be loaded offline ever after."""

from job import job

with job(snakemake):
    from pathlib import Path

    from strata.activations.checks import check_fetched
    from strata.models.fetching import fetch

    fetch(
        snakemake.params.spec,
        Path(snakemake.output.card).parent,
        mirror=snakemake.config["data_mirror"],
        name=snakemake.wildcards.model,
        check=check_fetched,
    )
