"""Parameters, multiply-accumulates and bytes of a model at every depth."""

from job import job

with job(snakemake):
    from pathlib import Path

    import torch

    from strata.data import open_dataset
    from strata.data.splits import tasks_of
    from strata.models.training.tuning import Training
    from strata.pruning.costs import cost_measures
    from strata.tables import write_measures

    torch.set_num_threads(1)
    params = snakemake.params
    dataset = open_dataset(Path(snakemake.input.manifest).parent)
    tasks = tasks_of(dataset.manifest, params.tasks, params.seed, dataset.info["name"])
    measures = cost_measures(
        Path(snakemake.input.model[0]).parent,
        dataset,
        next(iter(tasks.values())),
        Training(**params.training),
        seed=params.seed,
        context=params.context,
        embedding=params.embedding,
    )
    write_measures(measures, snakemake.output[0])
