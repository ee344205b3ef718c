"""A page to browse every neuron and layer, which opens from a disk: results/atlas/index.html."""


rule atlas_study:
    input:
        unpack(atlas_tables),
    output:
        directory("results/atlas/{study}"),
    log:
        "results/logs/atlas/{study}.log",
    conda:
        "../envs/figures.yaml"
    resources:
        **needs("atlas_study"),
    params:
        code=code("atlas/write_study.py", "figures"),
        study=study_of,
        models=model_entries,
        categories=categories_in_atlas,
    script:
        "../workflow_scripts/atlas/write_study.py"


rule atlas:
    input:
        studies=expand("results/atlas/{study}", study=config["run"]),
        page=sorted(str(path) for path in (SCRIPTS / "strata/atlas/page").iterdir()),
    output:
        page="results/atlas/index.html",
        style="results/atlas/atlas.css",
        studies="results/atlas/studies.js",
    log:
        "results/logs/atlas/page.log",
    conda:
        "../envs/figures.yaml"
    resources:
        **needs("atlas"),
    params:
        code=code("atlas/write_page.py", "figures"),
        studies={name: config["studies"][name]["title"] for name in config["run"]},
    script:
        "../workflow_scripts/atlas/write_page.py"
