"""Which layers of a model to keep for each task, by each criterion."""

from job import job

with job(snakemake):
    import pandas as pd

    from strata.pruning.cuts import choose_cuts
    from strata.tables import read_measures, write_measures

    params = snakemake.params
    cuts = choose_cuts(
        read_measures(snakemake.input.convexity),
        read_measures(snakemake.input.similarity),
        params.tasks,
        deviates=pd.read_parquet(snakemake.input.deviates),
        seeds=params.seeds,
        penalty=params.penalty,
        every_depth=params.every_depth,
    )
    write_measures(cuts, snakemake.output[0])
