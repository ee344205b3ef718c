"""Numbers of concepts and shares of categories by layer, from a model's labels."""

from job import job

with job(snakemake):
    from strata.concepts.measures import count_measures, share_measures
    from strata.data.words import read_categories
    from strata.tables import read_measures, write_measures

    labels = read_measures(snakemake.input.labels)
    options = dict(snakemake.params.options)
    write_measures(count_measures(labels, **options), snakemake.output.counts)
    categories = read_categories(snakemake.params.categories)
    write_measures(share_measures(labels, categories, **options), snakemake.output.shares)
