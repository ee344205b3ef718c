"""Claims of the papers, and of a user's own: decided by the tables of the studies that were run."""


rule decide_claims:
    input:
        claims=config["claims"],
        tables=claimed_tables,
    output:
        cases="results/claims/cases.csv",
        verdicts=report(
            "results/claims/verdicts.csv",
            caption="captions/claims.rst",
            category="Claims",
            labels={"figure": "verdicts"},
        ),
    log:
        "results/logs/claims/claims.log",
    conda:
        "../envs/measures.yaml"
    resources:
        **needs("decide_claims"),
    params:
        code=code("claims/decide_claims.py", "measures"),
        studies={name: config["studies"][name] for name in config["run"]},
        tables=tables_by_claim,
    script:
        "../workflow_scripts/claims/decide_claims.py"
