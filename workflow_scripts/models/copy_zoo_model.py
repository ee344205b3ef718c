"""Put a bundled zoo model where every model lies."""

from job import job

with job(snakemake):
    import shutil
    from pathlib import Path

    parts = Path(snakemake.input.card).parent
    directory = Path(snakemake.output.card).parent
    if snakemake.params.tower is None:
        shutil.copytree(parts, directory, dirs_exist_ok=True)
    else:
        from strata.models.locked import complete

        complete(parts, snakemake.params.tower, directory)
