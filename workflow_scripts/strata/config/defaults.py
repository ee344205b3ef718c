"""What a configuration leaves out is filled in."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from copy import deepcopy


def fill_defaults(config: dict, schema: Mapping) -> None:
    """Fill in what is left out: the schema's defaults of data sets and studies, whom a study
    compares, and the context of a twin or a fine-tuned model, which is its base's."""
    for entry in config["models"].values():
        context = config["models"].get(entry.get("base"), {}).get("context")
        if context is not None:
            entry.setdefault("context", context)
    kinds = _kinds(schema["properties"]["datasets"])
    for entry in config["datasets"].values():
        _fill(entry, kinds[entry["kind"]])
    kinds = _kinds(schema["properties"]["studies"])
    for study in config["studies"].values():
        local = study.get("transforms", {}).get("local_images")
        if isinstance(local, str):
            study["transforms"]["local_images"] = {"dataset": local}
        _fill(study, kinds[study["kind"]])
        if study["kind"] != "published_labels":  # whose models are files
            study.setdefault("comparisons", _compared(study["models"], config["models"]))


def _kinds(registry: Mapping) -> dict[str, Mapping]:
    """The schema of each kind of entry."""
    parts = registry["additionalProperties"]["allOf"]
    return {part["if"]["properties"]["kind"]["const"]: part["then"] for part in parts}


def _fill(entry: dict, schema: Mapping) -> None:
    for key, part in schema.get("properties", {}).items():
        if "default" in part:
            entry.setdefault(key, deepcopy(part["default"]))
        if isinstance(entry.get(key), dict):
            _fill(entry[key], part)


def _compared(names: Iterable[str], models: Mapping) -> dict:
    """Comparisons of a study that names none: models without a base are the pretrained ones; a
    twin or a fine-tuned model is compared with its base where the study has that too."""
    found: dict = {"pretraining": [], "controls": {}, "finetuned": {}}
    for name in names:
        entry = models.get(name, {})
        base, task = entry.get("base"), entry.get("finetune", {}).get("target")
        if base is None:
            found["pretraining"].append(name)
        elif base in names:
            pairs = found["finetuned"].setdefault(task, {}) if task else found["controls"]
            pairs[base] = name
    return found
