"""CLIP embeddings of a data set's pictures."""

from job import job

with job(snakemake):
    from pathlib import Path

    import numpy as np
    import torch

    from strata.data import open_dataset
    from strata.dissect.clip import image_embeddings
    from strata.whole import whole

    torch.set_num_threads(snakemake.threads)
    embeddings = image_embeddings(
        Path(snakemake.input.model[0]).parent,
        open_dataset(Path(snakemake.input.manifest).parent),
        device=snakemake.params.device,
        batch_size=snakemake.params.batch_size,
        precision=snakemake.params.precision,
    )
    with whole(snakemake.output[0]) as path:
        np.save(path, embeddings)
