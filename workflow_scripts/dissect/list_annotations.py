"""What neurons of a study may be labelled with, and what is left out and why."""

from job import job

with job(snakemake):
    import json

    from strata.dissect.annotated import annotations_of, listed_annotations
    from strata.whole import whole

    options = dict(snakemake.params.options)
    found = annotations_of(
        snakemake.input.manifests, snakemake.input.numbers, snakemake.params.split, options
    )
    table = listed_annotations(found, options["min_positives"])
    with whole(snakemake.output.table) as path:
        table.to_csv(path, index=False)
    categories = table[table["used"]].groupby("category", sort=False)["concept"].apply(list)
    text = json.dumps(categories.to_dict(), indent=1, ensure_ascii=False) + "\n"
    with whole(snakemake.output.categories) as path:
        path.write_text(text, encoding="utf-8")
