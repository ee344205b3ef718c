"""Differences of counts, shares and truth between layers and networks, with intervals."""

from job import job

with job(snakemake):
    import pandas as pd

    from strata.concepts.differences import concept_differences
    from strata.tables import read_measures, write_measures

    tables = []
    for measure in snakemake.params.measures:
        deviates = map(pd.read_parquet, snakemake.input[f"{measure}_deviates"])
        found = pd.concat(deviates, ignore_index=True)
        tables.append((read_measures(snakemake.input[measure]), found))
    measures = concept_differences(tables, **snakemake.params.pairs)
    write_measures(measures, snakemake.output[0])
