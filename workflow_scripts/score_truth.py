"""Compare a model's labels with the factors planted in Microworld."""

from job import job

with job(snakemake):
    from strata.probing import ProbingSet
    from strata.tables import read_measures, write_measures
    from strata.truth import read_vocabulary, score_truth

    probing = ProbingSet.open(
        snakemake.input.manifests, snakemake.input.activations, split=snakemake.params.split
    )
    measure, neurons = score_truth(
        read_measures(snakemake.input.labels),
        probing.layers(),
        probing.manifest,
        read_vocabulary(snakemake.input.vocabulary),
        bootstrap=snakemake.params.bootstrap,
        seed=snakemake.params.seed,
    )
    write_measures(measure, snakemake.output.truth)
    write_measures(neurons, snakemake.output.neurons)
