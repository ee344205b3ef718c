"""Write the page of the atlas, and which studies it is about."""

from job import job

with job(snakemake):
    from pathlib import Path

    from strata.atlas import copy_page, write_data

    copy_page(Path(snakemake.output.page).parent)
    studies = [[name, title] for name, title in snakemake.params.studies.items()]
    write_data(snakemake.output.studies, "", studies)  # a name that no study has
