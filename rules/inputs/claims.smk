"""Input functions and parameters of the rules in `rules/claims.smk`."""

PAPERS_CLAIMS = "resources/claims.yaml"


def papers_claims():
    """Names of the claims that are the papers', not the user's own."""
    papers = Path(PAPERS_CLAIMS).resolve()
    claims = read_claims(config["claims"])
    return [claim.name for claim in claims if Path(claim.file).resolve() == papers]


def tables_by_claim(wildcards):
    """Tables that decide a claim in a study: {"claim/study": files}."""
    found = {}
    for claim in read_claims(config["claims"]):
        for name in config["run"]:
            study = config["studies"][name]
            if study["kind"] in claim.kinds and catalogue.measured(
                study, claim.measure
            ):
                found[f"{claim.name}/{name}"] = tables_of(name, claim.measure)
    return found


def claimed_tables(wildcards):
    """Every table that decides a claim."""
    tables = tables_by_claim(wildcards).values()
    return list(dict.fromkeys(file for files in tables for file in files))
