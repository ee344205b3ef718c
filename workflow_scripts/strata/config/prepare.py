"""The configuration, completed and checked before any job."""

from __future__ import annotations

import json
from pathlib import Path

from strata.config.defaults import fill_defaults
from strata.config.entries import check_dataset, check_model, check_triplets
from strata.config.files import check_files
from strata.config.form import SCHEMA, check_form
from strata.config.names import check_known
from strata.config.studies import (
    check_concepts_study,
    check_convexity_study,
    check_pruning_study,
    check_published_study,
)
from strata.errors import StrataError


def prepare_config(config: dict, base: str | Path = ".") -> None:
    """Complete a configuration in place, and check it: its form, and its entries together.

    The schema lies below `base`. Only what the studies in `run` use has to exist on disk; names are
    checked everywhere. What studies leave out is filled in (`strata.config.defaults`).

    Raises
    ------
    StrataError
        One line that names the key or value and what would be right.
    """
    base = Path(base)
    schema = json.loads((base / SCHEMA).read_text())
    check_form(config, schema)
    fill_defaults(config, schema)
    for name in config["run"]:
        check_known(name, config["studies"], "run", "study")
    for name, entry in config["datasets"].items():
        check_dataset(name, entry)
    for name, entry in config["datasets"].items():  # which name others
        if entry["kind"] == "triplets":
            check_triplets(f"datasets: {name}", entry, config)
    for name, entry in config["models"].items():
        check_model(name, entry, config)
    for name, study in config["studies"].items():
        check = {
            "concepts": check_concepts_study,
            "convexity": check_convexity_study,
            "pruning": check_pruning_study,
            "published_labels": check_published_study,
        }
        check[study["kind"]](f"studies: {name}", study, config)
    for name in config["run"]:
        try:
            check_files(f"studies: {name}", config["studies"][name], config, base)
        except OSError as error:  # of a path that cannot be one, or may not be read
            raise StrataError(
                f"config, studies: {name}: {error.filename}: {error.strerror}"
            ) from None
