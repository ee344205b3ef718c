"""How often every layer of a model agrees with the answers to triplets."""

from job import job

with job(snakemake):
    from strata.activations.probing import ProbingSet
    from strata.alignment.judgements import open_judgements
    from strata.alignment.measures import alignment_measures
    from strata.tables import write_measures

    params = snakemake.params
    pictures = ProbingSet.open([snakemake.input.manifest], [snakemake.input.activations])
    measures = alignment_measures(
        pictures.layers(),
        open_judgements(snakemake.input.triplets, params.columns, pictures.manifest),
        model=snakemake.wildcards.model,
        dataset=pictures.name,
        seed=params.seed,
        **params.options,
    )
    write_measures(measures, snakemake.output[0])
