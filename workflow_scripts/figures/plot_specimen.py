"""Show pictures or sounds of a study's data set."""

from job import job

with job(snakemake):
    from pathlib import Path

    from strata.data import open_dataset
    from strata.figures.style import save

    dataset, seed = open_dataset(Path(snakemake.input.manifests[0]).parent), snakemake.params.seed
    if dataset.modality == "audio":
        from strata.figures.sounds import sound_specimen

        figure, data = sound_specimen(dataset, n=8, seed=seed)
    else:
        from strata.figures.pictures import picture_specimen, specimens

        figure, data = picture_specimen(specimens(dataset, n=16, seed=seed))
    save(figure, data, snakemake.output.pdf.removesuffix(".pdf"))
