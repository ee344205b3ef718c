"""Numbers of concepts and shares of categories by layer, from a model's labels."""

from job import job

with job(snakemake):
    import pandas as pd

    from strata.concepts.measures import count_measures, share_measures
    from strata.data.words import read_categories
    from strata.tables import read_measures, write_measures

    labels = read_measures(snakemake.input.labels)
    options = dict(snakemake.params.options)
    # Released labels come without the pictures that they rest on.
    halves = snakemake.input.get("halves")
    half_labels = pd.read_parquet(halves) if halves else None
    categories = read_categories(snakemake.params.categories)
    counts = count_measures(labels, **options)
    write_measures(counts, snakemake.output.counts, snakemake.output.count_deviates)
    shares = share_measures(labels, categories, half_labels, **options)
    write_measures(shares, snakemake.output.shares, snakemake.output.share_deviates)
