"""Make a zoo model from nothing, by its recipe."""

from job import job

with job(snakemake):
    from pathlib import Path

    import torch

    from strata.models.training import read_recipe, train

    torch.set_num_threads(snakemake.threads)
    train(
        read_recipe(snakemake.input[0]),
        Path(snakemake.output.card).parent,
        checkpoints=snakemake.params.checkpoints,
    )
