"""Fine-tune every cut of a model on a task, with one seed."""

from job import job

with job(snakemake):
    import shutil
    from pathlib import Path

    import torch

    from strata.data import open_dataset
    from strata.data.splits import Task
    from strata.models.training.tuning import Training
    from strata.pruning.cuts import cuts_of
    from strata.pruning.tuning import finetune_cuts
    from strata.tables import read_measures, write_measures

    torch.set_num_threads(snakemake.threads)
    params, wildcards = snakemake.params, snakemake.wildcards
    dataset = open_dataset(Path(snakemake.input.manifest).parent)
    name, seed = dataset.info["name"], int(wildcards.seed)
    checkpoints = Path(params.checkpoints) / f"{wildcards.model}.{wildcards.task}.{seed}"
    tuned = finetune_cuts(
        Path(snakemake.input.model[0]).parent,
        dataset,
        Task.of(dataset.manifest, wildcards.task, params.spec, params.split_seed, name),
        cuts_of(read_measures(snakemake.input.cuts), wildcards.task, seed),
        Training(**params.training, precision=params.precision),
        seed=seed,
        checkpoints=checkpoints,
        device=params.device,
        context=params.context,
        embedding=params.embedding,
        apart=params.spec.get("apart"),
    )
    tuned.answers.to_parquet(snakemake.output.answers, index=False)
    write_measures(tuned.measures, snakemake.output[0])
    shutil.rmtree(checkpoints)
