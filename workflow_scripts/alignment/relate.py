"""Correlate convexity with alignment over the layers of a study's models."""

from job import job

with job(snakemake):
    from strata.alignment.relation import relation_measures
    from strata.tables import read_measures, write_measures

    params = snakemake.params
    measures = relation_measures(
        read_measures(snakemake.input.convexity),
        read_measures(snakemake.input.alignment),
        {name: models for name, models in params.groups.items() if models},
        seed=params.seed,
    )
    write_measures(measures, snakemake.output[0])
