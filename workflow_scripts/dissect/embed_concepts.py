"""CLIP embeddings of a concept list."""

from job import job

with job(snakemake):
    from pathlib import Path

    import numpy as np
    import torch

    from strata.data.words import read_concepts
    from strata.dissect.clip import text_embeddings
    from strata.whole import whole

    torch.set_num_threads(snakemake.threads)
    embeddings = text_embeddings(
        Path(snakemake.input.model[0]).parent,
        read_concepts(snakemake.input.concepts),
        template=snakemake.params.template,
        device=snakemake.params.device,
    )
    with whole(snakemake.output[0]) as path:
        np.save(path, embeddings)
