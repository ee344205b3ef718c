"""What a configuration leaves out is filled in."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from copy import deepcopy

from strata.errors import StrataError

_READING = ("pool", "layers", "preprocess", "size", "context", "embedding")


def fill_defaults(config: dict, schema: Mapping) -> None:
    """Fill in what is left out: how a model with a base is read, the schema's defaults of data sets
    and studies, and whom a study compares."""
    _read_alike(config["models"])
    kinds = _kinds(schema["properties"]["datasets"])
    for entry in config["datasets"].values():
        _fill(entry, kinds[entry["kind"]])
    kinds = _kinds(schema["properties"]["studies"])
    for name, study in config["studies"].items():
        local = study.get("transforms", {}).get("local_images")
        if isinstance(local, str):
            study["transforms"]["local_images"] = {"dataset": local}
        if study.get("concepts") == "annotations":
            study.setdefault("annotations", {})
        _fill(study, kinds[study["kind"]])
        of_files = study["kind"] == "published_labels"  # its models are files
        if not of_files and "comparisons" not in study:
            study["comparisons"] = _compared(study["models"], config["models"], name)


def _kinds(registry: Mapping) -> dict[str, Mapping]:
    """The schema of each kind of entry."""
    parts = registry["additionalProperties"]["allOf"]
    return {part["if"]["properties"]["kind"]["const"]: part["then"] for part in parts}


def _read_alike(models: Mapping) -> None:
    """A twin or a fine-tuned model is read as its base is, where it says nothing else: only the
    same layers, read in the same way, can be compared."""
    for entry in models.values():
        base = models.get(entry.get("base"), {})
        for key in _READING:
            alike = key != "size" or entry.get("preprocess") == base.get("preprocess")
            if key in base and alike:
                entry.setdefault(key, deepcopy(base[key]))


def _fill(entry: dict, schema: Mapping) -> None:
    for key, part in schema.get("properties", {}).items():
        if "default" in part:
            entry.setdefault(key, deepcopy(part["default"]))
        if isinstance(entry.get(key), dict):
            _fill(entry[key], part)


def _compared(names: Iterable[str], models: Mapping, study: str) -> dict:
    """Comparisons of a study that names none: models without a base are the pretrained ones; a
    twin or a fine-tuned model is compared with its base where the study has that too. Raises
    StrataError where two could be a base's twin, or fine-tuned on a task."""
    found: dict = {"pretraining": [], "controls": {}, "finetuned": {}}
    for name in names:
        entry = models.get(name, {})
        base, task = entry.get("base"), entry.get("finetune", {}).get("target")
        if base is None:
            found["pretraining"].append(name)
        elif base in names:
            pairs = found["finetuned"].setdefault(task, {}) if task else found["controls"]
            if base in pairs:
                raise StrataError(
                    f"config, studies: {study}: {base!r} can be compared with {pairs[base]!r} or "
                    f"{name!r}; say which in comparisons"
                )
            pairs[base] = name
    return found
