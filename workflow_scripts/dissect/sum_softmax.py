"""Row sums of the softmax over a study's concepts, which labelling every model needs."""

from job import job

with job(snakemake):
    import numpy as np

    from strata.activations.probing import ProbingSet
    from strata.dissect import softmax_sums, softmax_temperatures
    from strata.dissect.problem import read_embeddings

    probing = ProbingSet.open(snakemake.input.manifests, [], split=snakemake.params.split)
    sums = softmax_sums(
        probing.arrays(snakemake.input.images, read_embeddings),
        np.load(snakemake.input.text),
        softmax_temperatures(snakemake.params.similarities),
    )
    sums.save(snakemake.output[0])
