"""Compare a model's labels with the factors planted in Microworld."""

from job import job

with job(snakemake):
    import pandas as pd

    from strata.activations.probing import ProbingSet
    from strata.concepts.truth import score_truth
    from strata.data.vocabulary import read_vocabulary
    from strata.dissect import picture_halves
    from strata.tables import read_measures, write_measures

    probing = ProbingSet.open(
        snakemake.input.manifests, snakemake.input.activations, split=snakemake.params.split
    )
    measure, neurons = score_truth(
        read_measures(snakemake.input.labels),
        probing.layers(),
        probing.manifest,
        read_vocabulary(snakemake.input.vocabulary),
        pd.read_parquet(snakemake.input.halves),
        picture_halves(probing.manifest, snakemake.params.halves, snakemake.params.seed),
        bootstrap=snakemake.params.bootstrap,
        seed=snakemake.params.seed,
    )
    write_measures(measure, snakemake.output.truth, snakemake.output.deviates)
    write_measures(neurons, snakemake.output.neurons)
