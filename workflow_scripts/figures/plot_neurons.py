"""Draw the top-activating pictures (or sounds) of a model's best-labelled neurons."""

from job import job

with job(snakemake):
    from pathlib import Path

    from strata.activations.probing import picture_finder
    from strata.data import open_dataset
    from strata.figures.pictures import choose_examples, picture_grid, with_truth
    from strata.figures.sounds import sound_picture
    from strata.figures.style import save
    from strata.tables import read_measures

    labels = read_measures(snakemake.input.labels)
    main = labels["metric"].iloc[0]
    examples = choose_examples(labels, metric=main, alpha=snakemake.params.alpha)
    if snakemake.input.truth:
        examples = with_truth(examples, read_measures(snakemake.input.truth))
    datasets = [open_dataset(Path(path).parent) for path in snakemake.input.manifests]
    draw = sound_picture if datasets[0].modality == "audio" else None
    finder = picture_finder(datasets, snakemake.params.split, draw)
    figure, data = picture_grid(examples, finder)
    save(figure, data, snakemake.output.pdf.removesuffix(".pdf"))
