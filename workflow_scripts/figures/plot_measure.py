"""Draw one figure of a study from the tables of its measures."""

from job import job

with job(snakemake):
    from strata.figures.drawing import draw
    from strata.figures.models import describe_models
    from strata.figures.style import save
    from strata.tables import read_measures

    study, drawn = snakemake.params.study, snakemake.params.figure
    styles = describe_models(study["models"], snakemake.params.models, study.get("comparisons"))
    figure, data = draw(
        drawn["function"],
        drawn["measure"],
        read_measures(snakemake.input),
        {model: styles[model] for model in drawn["models"]},
        drawn["options"],
    )
    save(figure, data, snakemake.output.pdf.removesuffix(".pdf"))
