"""Accuracy of every criterion over seeds, and how the convexity cut compares with each."""

from job import job

with job(snakemake):
    import pandas as pd

    from strata.pruning.comparison import compare_cuts
    from strata.tables import read_measures, write_measures

    measures = compare_cuts(
        read_measures(snakemake.input.cuts),
        read_measures(snakemake.input.trained),
        pd.concat(map(pd.read_parquet, snakemake.input.answers), ignore_index=True),
        seed=snakemake.params.seed,
    )
    write_measures(measures, snakemake.output[0])
