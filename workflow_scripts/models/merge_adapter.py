"""Lay out a classifier: a network with the adapter that ships merged into it."""

from job import job

with job(snakemake):
    from pathlib import Path

    from strata.models.training.adapters import merge_adapter

    card = next(path for path in snakemake.input.parts if Path(path).name == "card.json")
    merge_adapter(
        Path(card).parent,
        Path(snakemake.input.base[0]).parent,
        Path(snakemake.output.card).parent,
    )
