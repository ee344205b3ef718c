"""Graph convexity of a data set's concept families in every layer of a model."""

from job import job

with job(snakemake):
    from strata.activations.probing import ProbingSet
    from strata.convexity.measures import convexity_measures
    from strata.tables import write_measures

    params = snakemake.params
    pictures = ProbingSet.open(
        [snakemake.input.manifest], [snakemake.input.activations], split=params.split
    )
    measures = convexity_measures(
        pictures.layers(),
        pictures.families(params.families),
        model=snakemake.wildcards.model,
        dataset=pictures.name,
        seed=params.seed,
        **params.options,
    )
    write_measures(measures, snakemake.output[0])
