"""Fit linear transforms of every layer to triplets; alignment and convexity before and after."""

from job import job

with job(snakemake):
    import pandas as pd
    import torch

    from strata.activations.probing import ProbingSet
    from strata.alignment.judgements import open_judgements
    from strata.alignment.local import local_layers
    from strata.alignment.optimised import transform_measures
    from strata.data.splits import sample_order
    from strata.differences import with_deviates
    from strata.tables import read_measures, write_measures

    torch.set_num_threads(snakemake.threads)
    params = snakemake.params
    pictures = ProbingSet.open([snakemake.input.manifest], [snakemake.input.activations])
    local, given = None, params.local
    if given:
        files = snakemake.input.local_manifest, snakemake.input.local_activations
        shown = ProbingSet.open(*([str(file)] for file in files), given["split"])
        local = local_layers(shown, given["samples"], given["batch_size"], params.seed)
    known = None
    if snakemake.input.convexity:
        deviates = pd.read_parquet(snakemake.input.deviates)
        known = with_deviates(read_measures(snakemake.input.convexity), deviates)
    measures = transform_measures(
        pictures.layers(),
        pictures.families(params.families),
        open_judgements(snakemake.input.triplets, params.columns, pictures.manifest),
        model=snakemake.wildcards.model,
        dataset=pictures.name,
        scored=pictures.manifest["split"].eq(params.split).to_numpy()
        if params.split != "all"
        else None,
        local=local,
        order=sample_order(pictures.manifest),
        before=known,
        seed=params.seed,
        **params.options,
    )
    write_measures(measures, snakemake.output[0])
