"""Fine-tune every cut of a model on a task, with one seed after the other."""

from job import job

with job(snakemake):
    import shutil
    from pathlib import Path

    import pandas as pd
    import torch

    from strata.data import open_dataset
    from strata.data.splits import Task
    from strata.models.training.tuning import Training
    from strata.pruning.cuts import cuts_of
    from strata.pruning.tuning import finetune_cuts
    from strata.tables import read_measures, write_measures, write_table

    torch.set_num_threads(snakemake.threads)
    params, wildcards = snakemake.params, snakemake.wildcards
    dataset = open_dataset(Path(snakemake.input.manifest).parent)
    name, cuts = dataset.info["name"], read_measures(snakemake.input.cuts)
    task = Task.of(dataset.manifest, wildcards.task, params.spec, params.split_seed, name)
    first, _, last = wildcards.seeds.partition("-")
    seeds = range(int(first), int(last or first) + 1)
    # Not by the job's seeds: however these are grouped, what was finished is found again.
    folder = Path(params.checkpoints)
    folders = [folder / f"{wildcards.model}.{wildcards.task}.{seed}" for seed in seeds]
    tuned, shared = [], {}
    for seed, checkpoints in zip(seeds, folders, strict=True):
        tuned.append(
            finetune_cuts(
                Path(snakemake.input.model[0]).parent,
                dataset,
                task,
                cuts_of(cuts, wildcards.task, seed),
                Training(**params.training, precision=params.precision),
                seed=seed,
                checkpoints=checkpoints,
                device=params.device,
                context=params.context,
                embedding=params.embedding,
                apart=params.spec.get("apart"),
                shared=shared,
            )
        )
    answers = pd.concat([part.answers for part in tuned], ignore_index=True)
    write_table(answers, snakemake.output.answers)
    measures = pd.concat([part.measures for part in tuned], ignore_index=True)
    write_measures(measures, snakemake.output[0])
    for checkpoints in folders:
        shutil.rmtree(checkpoints)
