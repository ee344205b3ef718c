"""Join the shards of a (data set, model) pair."""

from job import job

with job(snakemake):
    from strata.activations.cache import merge_shards

    merge_shards(list(snakemake.input), snakemake.output[0])
