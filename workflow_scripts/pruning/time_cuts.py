"""Seconds of a forward pass and of an epoch of training, at every depth of a model."""

from job import job

with job(snakemake):
    from pathlib import Path

    from strata.data import open_dataset
    from strata.data.splits import tasks_of
    from strata.models.training.tuning import Training
    from strata.pruning.costs import timing_measures
    from strata.tables import write_measures

    params = snakemake.params
    dataset = open_dataset(Path(snakemake.input.manifest).parent)
    tasks = tasks_of(dataset.manifest, params.tasks, params.seed, dataset.info["name"])
    measures = timing_measures(
        Path(snakemake.input.model[0]).parent,
        dataset,
        next(iter(tasks.values())),
        Training(**params.training),
        device=params.device,
        seed=params.seed,
        context=params.context,
        embedding=params.embedding,
        **params.options,
    )
    write_measures(measures, snakemake.output[0])
