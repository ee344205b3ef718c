"""Fine-tune a model on one label column of a data set (train split; scored on the test split)."""

from job import job

with job(snakemake):
    from pathlib import Path

    import torch

    from strata.data import open_dataset
    from strata.models.training import finetune
    from strata.models.training.tuning import Training

    torch.set_num_threads(snakemake.threads)
    params = snakemake.params
    finetune(
        Path(snakemake.input.base[0]).parent,
        open_dataset(Path(snakemake.input.manifest).parent),
        params.target,
        Path(snakemake.output.card).parent,
        Training(**params.training, precision=params.precision),
        device=params.device,
        **params.options,
    )
