"""The labels that authors released, as a measure like our own."""

from job import job

with job(snakemake):
    from pathlib import Path

    from strata.concepts.released import read_released_labels, released_measures
    from strata.tables import write_measures

    manifest = Path(snakemake.input.manifest)
    from strata.data import open_dataset

    dataset = open_dataset(manifest.parent)
    labels = read_released_labels(dataset.root / snakemake.params.file)
    write_measures(
        released_measures(labels, snakemake.wildcards.model, dataset.info["name"]),
        snakemake.output[0],
    )
