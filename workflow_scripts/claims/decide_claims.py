"""Decide the claims by the tables of the studies that were run."""

from job import job

with job(snakemake):
    import pandas as pd

    from strata.claims.deciding import CASE_COLUMNS, cases_of, verdicts
    from strata.claims.reading import read_claims
    from strata.tables import read_measures
    from strata.whole import whole

    claims, parts = read_claims(snakemake.input.claims), []
    for claim in claims:
        for name, study in snakemake.params.studies.items():
            wanted = snakemake.params.tables.get(f"{claim.name}/{name}", [])
            if wanted:
                parts.append(cases_of(claim, name, study, read_measures(wanted)))
    none = pd.DataFrame(columns=CASE_COLUMNS)
    cases = pd.concat(parts, ignore_index=True) if parts else none
    options = {"index": False, "float_format": "%.10g", "lineterminator": "\n"}
    with whole(snakemake.output.cases) as path:
        cases.to_csv(path, **options)
    with whole(snakemake.output.verdicts) as path:
        verdicts(claims, cases).to_csv(path, **options)
