"""The control: a model of the same architecture with random weights."""

from job import job

with job(snakemake):
    from pathlib import Path

    from strata.models.twins import random_twin

    random_twin(
        Path(snakemake.input.base[0]).parent,
        Path(snakemake.output.card).parent,
        seed=snakemake.params.seed,
    )
