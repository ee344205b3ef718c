"""Take in activations that were made elsewhere, matched to a data set's samples by name."""

from job import job

with job(snakemake):
    from pathlib import Path

    from strata.activations.importing import import_arrays
    from strata.data import open_dataset

    import_arrays(
        snakemake.params.spec,
        open_dataset(Path(snakemake.input.manifest).parent),
        snakemake.output[0],
        model=snakemake.wildcards.model,
    )
