"""Show pictures of the probing set."""

from job import job

with job(snakemake):
    from pathlib import Path

    from strata.data import open_dataset
    from strata.figures.pictures import picture_specimen, specimens
    from strata.figures.style import save

    dataset = open_dataset(Path(snakemake.input.manifests[0]).parent)
    figure, data = picture_specimen(specimens(dataset, n=16, seed=snakemake.params.seed))
    save(figure, data, snakemake.output.pdf.removesuffix(".pdf"))
