"""What several stages share: the checked configuration and names of files."""

import os
import re
import sys
from pathlib import Path

from snakemake.exceptions import WorkflowError

# The library is installed in the environments; the path serves a bare `snakemake` as well.
sys.path.insert(0, str(Path(workflow.basedir) / "workflow_scripts"))

from strata import StrataError
from strata.config import check_config

try:
    check_config(config, workflow.basedir)
except StrataError as error:
    raise WorkflowError(str(error))


scattergather:
    shards=config["shards"],


MIRROR = config["data_mirror"] or os.environ.get("STRATA_MIRROR")
DOWNLOADS = "results/downloads"


def one_of(names):
    """A wildcard constraint that matches these names and nothing else."""
    return "|".join(re.escape(name) for name in names) or "no^name"


def names_of_kind(registry, **properties):
    """Entries of a registry ("datasets", "models", "studies") with these properties."""
    return [
        name
        for name, entry in config[registry].items()
        if all(entry.get(key) == value for key, value in properties.items())
    ]


def study_of(wildcards):
    return config["studies"][wildcards.study]


def measures(measure, models=None):
    """Input function: a measure's tables for a study's models."""

    def paths(wildcards):
        study = study_of(wildcards)
        return [
            f"results/measures/{wildcards.study}/{measure}/{model}.parquet"
            for model in (models(study) if models else study["models"])
        ]

    return paths


wildcard_constraints:
    dataset=one_of(config["datasets"]),
    model=r"[\w.-]+",
    study=one_of(config["studies"]),
