"""How convex the categories of judged items are in every layer of a model."""

from job import job

with job(snakemake):
    from strata.activations.probing import ProbingSet
    from strata.alignment.categories import category_measures
    from strata.alignment.judgements import open_judgements
    from strata.data.splits import sample_order
    from strata.tables import write_measures

    params = snakemake.params
    pictures = ProbingSet.open(
        [snakemake.input.manifest], [snakemake.input.activations], split=params.split
    )
    measures = category_measures(
        pictures.layers(),
        open_judgements(
            snakemake.input.triplets, params.columns, pictures.manifest, every_picture=True
        ),
        model=snakemake.wildcards.model,
        dataset=pictures.name,
        order=sample_order(pictures.manifest),
        seed=params.seed,
        **params.options,
    )
    write_measures(measures, snakemake.output.measures, snakemake.output.deviates)
