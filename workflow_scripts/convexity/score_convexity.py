"""Graph convexity of a data set's concept families in every layer of a model."""

from job import job

with job(snakemake):
    from pathlib import Path

    from strata.convexity.families import study_convexity
    from strata.data import open_dataset
    from strata.tables import write_measures

    params = snakemake.params
    measures = study_convexity(
        snakemake.input.activations,
        open_dataset(Path(snakemake.input.manifest).parent),
        params.families,
        params.split,
        model=snakemake.wildcards.model,
        seed=params.seed,
        **params.options,
    )
    write_measures(measures, snakemake.output.measures, snakemake.output.deviates)
