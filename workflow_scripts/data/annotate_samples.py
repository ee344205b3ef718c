"""Compute of every sample of a data set what needs no labels: colours, pitch and the like."""

from job import job

with job(snakemake):
    from pathlib import Path

    from strata.data import open_dataset
    from strata.data.annotating import computed_numbers
    from strata.tables import write_table

    dataset = open_dataset(Path(snakemake.input.manifest).parent)
    write_table(computed_numbers(dataset), snakemake.output[0])
