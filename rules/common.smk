"""What several stages share: the checked configuration and names of files."""

import os
import re
import sys
from pathlib import Path

from snakemake.exceptions import WorkflowError

# Scripts find their frame (job.py) and the library here, in every environment and on every node.
SCRIPTS = Path(workflow.basedir) / "workflow_scripts"
sys.path.insert(0, str(SCRIPTS))

from strata import StrataError
from strata.claims.reading import read_claims
from strata.config import prepare_config
from strata.figures import catalogue
from strata.models.inference import has_gpu
from strata.sources import Sources, commit, locked, pinned, share_path

share_path(SCRIPTS)
try:
    prepare_config(config, workflow.basedir)
    read_claims(config["claims"])
except StrataError as error:
    raise WorkflowError(str(error))


scattergather:
    shards=config["shards"],


# "auto" finds the GPU of this machine; a cluster's are asked for by "cuda".
USES_GPU = config["device"] == "cuda" or (config["device"] == "auto" and has_gpu())
# No rule's parameter: what comes from another place is the same, and nothing runs again for it.
config["data_mirror"] = config["data_mirror"] or os.environ.get("STRATA_MIRROR")
DOWNLOADS = "results/downloads"
# Unfinished trainings lie outside of any declared output, so that a killed job goes on from them.
CHECKPOINTS = "results/checkpoints"
SOURCES = Sources(SCRIPTS)


def one_of(names):
    """A wildcard constraint that matches these names and nothing else."""
    return "|".join(re.escape(name) for name in names) or "no^name"


def needs(rule, gpu=False):
    """Resources of a rule's jobs. A job that was killed for too little gets more the next time."""
    entry = config["resources"]["default"] | config["resources"].get(rule, {})

    def growing(amount):
        return lambda wildcards, attempt: amount * attempt

    named = {key: growing(amount) for key, amount in entry.items()}
    return named | ({"gpu": 1} if gpu and USES_GPU else {})


def code(script, environment, module=None):
    """A parameter for the code and the packages that a rule's results rest on.

    With them it changes, and Snakemake runs again what is affected. `module` gives a module that
    the script only knows by a wildcard. In a script's name {kind} is the study's kind.
    """
    software = pinned(Path(workflow.basedir) / "envs" / f"{environment}.yaml")

    def digest(wildcards):
        modules = [module(wildcards)] if module else []
        kind = study_of(wildcards)["kind"] if "{kind}" in script else ""
        return f"{SOURCES.digest(script.format(kind=kind), *modules)} {software}"

    return digest


def names_of_kind(registry, **properties):
    """Entries of a registry ("datasets", "models", "studies") with these properties."""
    return [
        name
        for name, entry in config[registry].items()
        if all(entry.get(key) == value for key, value in properties.items())
    ]


def study_of(wildcards):
    return config["studies"][wildcards.study]


def counted_figures():
    """What n counts in each figure of the paper, by the name of the figure's file."""
    return {
        f"{study}_{name}": catalogue.counted(name)
        for study in config["run"]
        for name in catalogue.printed_figures(config["studies"][study])
    }


wildcard_constraints:
    dataset=one_of(config["datasets"]),
    model=r"[\w.-]+",
    study=one_of(config["studies"]),
