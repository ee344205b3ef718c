"""Draw the histograms of a model's label scores, a panel for each layer."""

from job import job

with job(snakemake):
    from strata.figures.labels import score_histograms
    from strata.figures.models import describe_models
    from strata.figures.style import save
    from strata.tables import read_measures

    study = snakemake.params.study
    styles = describe_models(study["models"], snakemake.params.models, study.get("comparisons"))
    labels = read_measures(snakemake.input)
    figure, data = score_histograms(
        labels, styles[snakemake.wildcards.model], metric=labels["metric"].iloc[0]
    )
    save(figure, data, snakemake.output.pdf.removesuffix(".pdf"))
