"""Label every neuron of every layer of a model, with each similarity function of the study."""

from job import job

with job(snakemake):
    import numpy as np

    from strata.concepts import read_concepts
    from strata.dissect import SoftmaxSums, dissect_model
    from strata.inference import has_gpu, pick_device
    from strata.probing import ProbingSet
    from strata.tables import write_measures

    options, device = dict(snakemake.params.options), snakemake.params.device
    if device == "cuda" or (device == "auto" and has_gpu()):
        device = pick_device(device)  # a GPU for this job alone
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
        device=device if device == "cuda" else "cpu",
        **options,
    )
    write_measures(labels, snakemake.output[0])
