"""What neurons of a study may be labelled with, and what is left out and why."""

from job import job

with job(snakemake):
    import json
    from pathlib import Path

    from strata.dissect.annotated import annotations_of, listed_annotations

    options = dict(snakemake.params.options)
    found = annotations_of(
        snakemake.input.manifests, snakemake.input.numbers, snakemake.params.split, options
    )
    table = listed_annotations(found, options["min_positives"])
    table.to_csv(snakemake.output.table, index=False)
    categories = table[table["used"]].groupby("category", sort=False)["concept"].apply(list)
    text = json.dumps(categories.to_dict(), indent=1, ensure_ascii=False) + "\n"
    Path(snakemake.output.categories).write_text(text, encoding="utf-8")
