"""How clear, manifold and redundant a model's neurons are, and which lie nearest each word."""

from job import job

with job(snakemake):
    import numpy as np

    from strata.activations.probing import ProbingSet
    from strata.data.words import read_concepts
    from strata.dissect.portraits import describe_model
    from strata.tables import write_measures, write_table

    probing = ProbingSet.open(
        snakemake.input.manifests, snakemake.input.activations, split=snakemake.params.split
    )
    portraits, nearest, histograms = describe_model(
        probing.layers(),
        probing.rows([np.load(path) for path in snakemake.input.images]),
        np.load(snakemake.input.text),
        read_concepts(snakemake.input.concepts),
        model=snakemake.wildcards.model,
        dataset=probing.name,
        seed=snakemake.params.seed,
    )
    write_measures(portraits, snakemake.output.portraits)
    write_measures(nearest, snakemake.output.nearest)
    write_table(histograms, snakemake.output.histograms)
