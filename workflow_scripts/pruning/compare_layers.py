"""How alike the layers of a model are, on samples that every task of the study trains on."""

from job import job

with job(snakemake):
    from pathlib import Path

    import torch

    from strata.data import open_dataset
    from strata.data.splits import shared_rows, some_rows, tasks_of
    from strata.models.encoder import load_encoder
    from strata.pruning import layer_similarities
    from strata.pruning.similarity import similarity_measures
    from strata.tables import write_measures

    torch.set_num_threads(snakemake.threads)
    params = snakemake.params
    dataset = open_dataset(Path(snakemake.input.manifest).parent)
    tasks = tasks_of(dataset.manifest, params.tasks, params.seed, dataset.info["name"])
    folder = Path(snakemake.input.model[0]).parent
    encoder = load_encoder(folder, device=params.device, context=params.context)
    found = layer_similarities(
        encoder,
        dataset,
        some_rows(shared_rows(tasks, "train"), params.samples, params.seed, dataset.manifest),
        batch_size=params.batch_size,
    )
    measures = similarity_measures(
        found,
        list(encoder.layers),
        model=snakemake.wildcards.model,
        dataset=dataset.info["name"],
        seed=params.seed,
    )
    write_measures(measures, snakemake.output[0])
