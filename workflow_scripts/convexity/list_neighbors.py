"""The nearest neighbors of some samples in every layer of a model, for the atlas."""

from job import job

with job(snakemake):
    from pathlib import Path

    from strata.convexity.examples import example_neighbors
    from strata.data import open_dataset
    from strata.tables import write_measures

    measures = example_neighbors(
        snakemake.input.activations,
        open_dataset(Path(snakemake.input.manifest).parent),
        snakemake.params.split,
        model=snakemake.wildcards.model,
        seed=snakemake.params.seed,
    )
    write_measures(measures, snakemake.output[0])
