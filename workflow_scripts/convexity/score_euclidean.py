"""Euclidean convexity of a classifier's own classes, from every layer to its answer."""

from job import job

with job(snakemake):
    from pathlib import Path

    import numpy as np
    import torch

    from strata.convexity.euclidean_measures import euclidean_measures
    from strata.convexity.remainder import CutClassifier
    from strata.data import open_dataset
    from strata.data.splits import sample_order, some_rows
    from strata.tables import write_measures

    torch.set_num_threads(snakemake.threads)
    params, options = snakemake.params, dict(snakemake.params.options)
    dataset = open_dataset(Path(snakemake.input.manifest).parent)
    rows = dataset.manifest
    own = rows[params.family].notna()
    own &= params.split == "all" or rows["split"] == params.split
    chosen = some_rows(np.flatnonzero(own), options.pop("pictures"), params.seed, rows)
    rows = rows.iloc[chosen]
    measures = euclidean_measures(
        CutClassifier(Path(snakemake.input.model[0]).parent, params.device, params.embedding),
        [dataset.image(int(sample)) for sample in rows["sample"]],
        rows[params.family],
        model=snakemake.wildcards.model,
        dataset=dataset.info["name"],
        family=params.family,
        order=sample_order(rows),
        seed=params.seed,
        **options,
    )
    write_measures(measures, snakemake.output[0])
