"""Write the card of activations that were made elsewhere."""

from job import job

with job(snakemake):
    from pathlib import Path

    from strata.activations.importing import arrays_card
    from strata.models.cards import write_card

    card = arrays_card(snakemake.wildcards.model, snakemake.params.spec, list(snakemake.input))
    write_card(Path(snakemake.output[0]).parent, card)
