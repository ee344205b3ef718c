"""Euclidean convexity of a classifier's own classes, from every layer to its answer."""

from job import job

with job(snakemake):
    from pathlib import Path

    import torch

    from strata.convexity.euclidean_measures import euclidean_measures
    from strata.convexity.remainder import CutClassifier
    from strata.data import open_dataset
    from strata.tables import write_measures

    torch.set_num_threads(snakemake.threads)
    params, options = snakemake.params, dict(snakemake.params.options)
    dataset = open_dataset(Path(snakemake.input.manifest).parent)
    rows = dataset.manifest
    rows = rows if params.split == "all" else rows[rows["split"] == params.split]
    rows = rows.iloc[: options.pop("pictures")]
    measures = euclidean_measures(
        CutClassifier(Path(snakemake.input.model[0]).parent, params.device, params.embedding),
        [dataset.image(int(sample)) for sample in rows["sample"]],
        rows[params.family],
        model=snakemake.wildcards.model,
        dataset=dataset.info["name"],
        family=params.family,
        seed=params.seed,
        **options,
    )
    write_measures(measures, snakemake.output[0])
