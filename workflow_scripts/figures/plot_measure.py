"""Draw one figure of a study from the tables of one measure."""

from job import job

with job(snakemake):
    from strata.figures.catalogue import draw
    from strata.figures.models import describe_models
    from strata.figures.style import save
    from strata.tables import read_measures

    study = snakemake.params.study
    styles = describe_models(study["models"], snakemake.params.models, study.get("comparisons"))
    figure, data = draw(snakemake.wildcards.figure, read_measures(snakemake.input), styles, study)
    save(figure, data, snakemake.output.pdf.removesuffix(".pdf"))
