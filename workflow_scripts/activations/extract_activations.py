"""Record every layer of a model for one shard of a data set."""

from job import job

with job(snakemake):
    from pathlib import Path

    import torch

    from strata.activations.extraction import extract
    from strata.data import open_dataset
    from strata.models.encoder import load_encoder

    torch.set_num_threads(snakemake.threads)
    options = dict(snakemake.params.options)
    pool = options.pop("pool", "auto")
    shard, shards = map(int, snakemake.wildcards.scatteritem.split("-of-"))
    encoder = load_encoder(
        Path(snakemake.input.model[0]).parent, device=snakemake.params.device, **options
    )
    extract(
        encoder,
        open_dataset(Path(snakemake.input.manifest).parent),
        snakemake.output[0],
        pool=pool,
        batch_size=snakemake.params.batch_size,
        precision=snakemake.params.precision,
        shard=(shard - 1, shards),
    )
