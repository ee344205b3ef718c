"""Compare a model's labels with the factors planted in Microworld."""

from job import job

with job(snakemake):
    import pandas as pd

    from strata.activations.probing import ProbingSet
    from strata.concepts.scoreboard import annotated_halves, scoreboard
    from strata.concepts.truth import score_truth
    from strata.data.vocabulary import read_vocabulary
    from strata.data.words import read_categories
    from strata.dissect import picture_halves
    from strata.tables import read_measures, write_measures

    probing = ProbingSet.open(
        snakemake.input.manifests, snakemake.input.activations, split=snakemake.params.split
    )
    labels = read_measures(snakemake.input.labels)
    vocabulary = read_vocabulary(snakemake.input.vocabulary)
    halves = picture_halves(probing.manifest, snakemake.params.halves, snakemake.params.seed)
    drawn = {"bootstrap": snakemake.params.bootstrap, "seed": snakemake.params.seed}
    planted = probing.manifest, vocabulary
    half_labels = pd.read_parquet(snakemake.input.halves)
    measure, neurons = score_truth(labels, probing.layers(), *planted, half_labels, halves, **drawn)
    write_measures(measure, snakemake.output.truth, snakemake.output.deviates)
    write_measures(neurons, snakemake.output.neurons)
    if len(halves):
        twice = annotated_halves(probing.layers(), labels, *planted, halves[0])
        neurons = pd.concat([neurons, twice], ignore_index=True)
    categories = read_categories(snakemake.params.categories)
    board = scoreboard(neurons, vocabulary, categories, **drawn)
    write_measures(board, snakemake.output.scoreboard)
