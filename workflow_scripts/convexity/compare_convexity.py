"""Differences of graph convexity between layers and networks, with paired intervals."""

from job import job

with job(snakemake):
    import pandas as pd

    from strata.differences import paired_differences, with_deviates
    from strata.tables import read_measures, write_measures

    deviates = pd.concat(map(pd.read_parquet, snakemake.input.deviates), ignore_index=True)
    measures = paired_differences(
        with_deviates(read_measures(snakemake.input.measures), deviates),
        ["graph_convexity"],
        **snakemake.params.pairs,
    )
    write_measures(measures, snakemake.output[0])
