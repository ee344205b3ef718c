"""Label every neuron of every layer of a model, with each similarity function of the study."""

from job import job

with job(snakemake):
    from strata.activations.probing import ProbingSet
    from strata.data.words import read_concepts
    from strata.dissect import (
        SoftmaxSums,
        dissect_model,
        label_halves,
        picture_halves,
        with_stability,
    )
    from strata.dissect.problem import read_embeddings
    from strata.tables import write_measures, write_table

    options = dict(snakemake.params.options)
    probing = ProbingSet.open(
        snakemake.input.manifests, snakemake.input.activations, split=options.pop("split")
    )
    splits = options.pop("halves")
    concepts = read_concepts(snakemake.input.concepts)
    given = (
        probing.arrays(snakemake.input.images, read_embeddings),
        read_embeddings(snakemake.input.text, len(concepts), snakemake.input.concepts),
        concepts,
    )
    common = {
        "sums": SoftmaxSums.load(snakemake.input.sums),
        "seed": snakemake.params.seed,
        "device": snakemake.params.device,
    }
    model = snakemake.wildcards.model
    labels = dissect_model(
        probing.layers(), *given, model=model, dataset=probing.name, **common, **options
    )
    half_labels = label_halves(
        probing.layers,
        *given,
        picture_halves(probing.manifest, splits, snakemake.params.seed),
        similarity=options["similarities"][0],
        top_k=options["top_k"],
        **common,
    )
    half_labels.insert(0, "model", model)
    write_table(half_labels, snakemake.output.halves)
    write_measures(with_stability(labels, half_labels), snakemake.output.labels)
