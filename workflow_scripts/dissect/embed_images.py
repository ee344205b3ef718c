"""CLIP embeddings of a data set's pictures."""

from job import job

with job(snakemake):
    from pathlib import Path

    import numpy as np
    import torch

    from strata.data import open_dataset
    from strata.dissect.clip import image_embeddings

    torch.set_num_threads(snakemake.threads)
    embeddings = image_embeddings(
        Path(snakemake.input.model[0]).parent,
        open_dataset(Path(snakemake.input.manifest).parent),
        device=snakemake.params.device,
        batch_size=snakemake.params.batch_size,
        precision=snakemake.params.precision,
    )
    np.save(snakemake.output[0], embeddings)
