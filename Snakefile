# Strata: what does each layer of a transformer know?
#
# results/data/{dataset}/                 samples and their labels (manifest.parquet, dataset.json)
# results/models/{model}/                 weights that load offline, and card.json
# results/activations/{dataset}/{model}/  every layer of one forward pass, memory-mapped
# results/embeddings/                     CLIP's view of the pictures and of the concepts
# results/measures/{study}/{measure}/     tidy tables, one schema
# results/claims/                         what the papers claim: cases.csv, verdicts.csv
# results/atlas/index.html                a page to browse every neuron and layer
# results/notebooks/                      a question to each study: {study}.html, .ipynb, .csv
# results/figures/                        {name}.pdf, .svg and the .csv that is drawn
# results/paper/strata.pdf                the paper
# results/logs/                           one log per job

from snakemake.utils import min_version

min_version("9.0")


configfile: "config.yaml"


report: "rules/captions/workflow.rst"


include: "rules/common.smk"
include: "rules/inputs.smk"
include: "rules/data.smk"
include: "rules/models.smk"
include: "rules/activations.smk"
include: "rules/dissect.smk"
include: "rules/concepts.smk"
include: "rules/convexity.smk"
include: "rules/alignment.smk"
include: "rules/pruning.smk"
include: "rules/figures.smk"
include: "rules/claims.smk"
include: "rules/atlas.smk"
include: "rules/notebooks.smk"
include: "rules/paper.smk"


localrules:
    all,
    figures,
    notebooks,


rule figures:
    input:
        [figure_files(name) for study in config["run"] for name in figure_names(study)],


rule notebooks:
    input:
        [
            f"results/notebooks/{study}.html"
            for study in config["run"]
            if explored(study)
        ],


rule all:
    default_target: True
    input:
        rules.paper.output.pdf,
        rules.figures.input,
        rules.atlas.output,
