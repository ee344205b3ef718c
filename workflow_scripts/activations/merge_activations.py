"""Join the shards of a (data set, model) pair."""

from job import job

with job(snakemake):
    from pathlib import Path

    from strata.activations.cache import merge_shards

    shards = [Path(shard) / snakemake.wildcards.model for shard in snakemake.input.shards]
    # Another model may have given the pass its name.
    weights = Path(snakemake.input.model[0]).with_name("model.safetensors")
    merge_shards(shards, snakemake.output[0], weights)
