"""Differences of alignment between layers and networks, paired on the same answers."""

from job import job

with job(snakemake):
    from pathlib import Path

    import pandas as pd

    from strata.alignment.accuracy import Answers
    from strata.alignment.measures import alignment_differences
    from strata.tables import read_measures, write_measures

    answers = {}
    for name, file in zip(snakemake.params.triplets, snakemake.input.triplets, strict=True):
        given = pd.read_parquet(file)
        answers[name] = Answers(given[["a", "b", "odd"]].to_numpy(), given["count"].to_numpy())
    measures = alignment_differences(
        read_measures(snakemake.input.measures),
        {Path(file).stem: pd.read_parquet(file) for file in snakemake.input.credits},
        answers,
        **snakemake.params.pairs,
    )
    write_measures(measures, snakemake.output[0])
