"""Label every neuron of every layer of a model, with each similarity function of the study."""

from job import job

with job(snakemake):
    import numpy as np

    from strata.activations.probing import ProbingSet
    from strata.data.words import read_concepts
    from strata.dissect import SoftmaxSums, dissect_model
    from strata.tables import write_measures

    options = dict(snakemake.params.options)
    probing = ProbingSet.open(
        snakemake.input.manifests, snakemake.input.activations, split=options.pop("split")
    )
    labels = dissect_model(
        probing.layers(),
        probing.rows([np.load(path) for path in snakemake.input.images]),
        np.load(snakemake.input.text),
        read_concepts(snakemake.input.concepts),
        model=snakemake.wildcards.model,
        dataset=probing.name,
        sums=SoftmaxSums.load(snakemake.input.sums),
        seed=snakemake.params.seed,
        device=snakemake.params.device,
        **options,
    )
    write_measures(labels, snakemake.output[0])
