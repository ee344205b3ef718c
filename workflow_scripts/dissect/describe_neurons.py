"""How clear, manifold and redundant a model's neurons are, and which lie nearest each word."""

from job import job

with job(snakemake):
    from strata.activations.probing import ProbingSet
    from strata.data.words import read_concepts
    from strata.dissect.portraits import describe_model
    from strata.dissect.problem import read_embeddings
    from strata.tables import write_measures, write_table

    probing = ProbingSet.open(
        snakemake.input.manifests, snakemake.input.activations, split=snakemake.params.split
    )
    concepts = read_concepts(snakemake.input.concepts)
    portraits, nearest, histograms = describe_model(
        probing.layers(),
        probing.arrays(snakemake.input.images, read_embeddings),
        read_embeddings(snakemake.input.text, len(concepts), snakemake.input.concepts),
        concepts,
        model=snakemake.wildcards.model,
        dataset=probing.name,
        seed=snakemake.params.seed,
    )
    write_measures(portraits, snakemake.output.portraits)
    write_measures(nearest, snakemake.output.nearest)
    write_table(histograms, snakemake.output.histograms)
