"""How often every layer of a model agrees with the answers to triplets."""

from job import job

with job(snakemake):
    from strata.activations.probing import ProbingSet
    from strata.alignment.judgements import open_judgements
    from strata.alignment.measures import credit_measures, layer_credits
    from strata.tables import write_measures, write_table

    params, model = snakemake.params, snakemake.wildcards.model
    pictures = ProbingSet.open([snakemake.input.manifest], [snakemake.input.activations])
    judged = open_judgements(snakemake.input.triplets, params.columns, pictures.manifest)
    credits = layer_credits(pictures.layers(), judged, model=model, similarity=params.similarity)
    told = {"model": model, "dataset": pictures.name, "seed": params.seed}
    write_measures(credit_measures(credits, judged, **told), snakemake.output.measures)
    write_table(credits, snakemake.output.credits)
