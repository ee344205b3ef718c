"""Fine-tune a model on one label column of a data set (train split; scored on the test split)."""

from job import job

with job(snakemake):
    from pathlib import Path

    import torch

    from strata.data import open_dataset
    from strata.zoo import finetune

    torch.set_num_threads(snakemake.threads)
    task = dict(snakemake.params.task)
    finetune(
        Path(snakemake.input.base[0]).parent,
        open_dataset(Path(snakemake.input.manifest).parent),
        task.pop("target"),
        Path(snakemake.output.card).parent,
        seed=task.pop("seed", snakemake.params.seed),
        **{key: value for key, value in task.items() if key != "dataset"},
    )
