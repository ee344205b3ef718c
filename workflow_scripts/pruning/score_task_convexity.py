"""Graph convexity of concept families, on the rows that a cut is chosen or tested on."""

from job import job

with job(snakemake):
    from pathlib import Path

    from strata.data import open_dataset
    from strata.data.splits import tasks_of
    from strata.pruning.convexity import task_convexity
    from strata.tables import write_measures

    params = snakemake.params
    dataset = open_dataset(Path(snakemake.input.manifest).parent)
    measures = task_convexity(
        snakemake.input.activations,
        dataset,
        params.families,
        tasks_of(dataset.manifest, params.tasks, params.seed, dataset.info["name"]),
        params.part,
        model=snakemake.wildcards.model,
        apart=[task["apart"] for task in params.tasks.values() if "apart" in task],
        seed=params.seed,
        **params.options,
    )
    write_measures(measures, snakemake.output.measures, snakemake.output.deviates)
