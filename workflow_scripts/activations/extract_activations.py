"""Record every layer of a network for one shard of a data set, for all models that read it."""

from job import job

with job(snakemake):
    from pathlib import Path

    import torch

    from strata.activations.extraction import extract_readings
    from strata.data import open_dataset
    from strata.models.encoder import load_encoder

    torch.set_num_threads(snakemake.threads)
    shard, shards = map(int, snakemake.wildcards.scatteritem.split("-of-"))
    encoder = load_encoder(
        Path(snakemake.input.model[0]).parent,
        device=snakemake.params.device,
        **snakemake.params.options,
    )
    folder = Path(snakemake.output[0])
    extract_readings(
        encoder,
        open_dataset(Path(snakemake.input.manifest).parent),
        {folder / model: pool for model, pool in snakemake.params.readings.items()},
        batch_size=snakemake.params.batch_size,
        precision=snakemake.params.precision,
        shard=(shard - 1, shards),
    )
