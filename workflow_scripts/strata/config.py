"""The configuration, checked before any job: first its form, then what its entries say together."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterable, Mapping
from copy import deepcopy
from difflib import get_close_matches
from pathlib import Path

from strata.concepts import read_categories, read_concepts
from strata.errors import StrataError

SCHEMA = Path("rules/schemas/config.schema.json")


def check_config(config: dict, base: str | Path = ".") -> None:
    """Check a configuration against the schema below `base` and across its entries.

    Only what the studies in `run` use has to exist on disk; names are checked everywhere. What
    studies leave out is filled in: the schema's defaults, and `comparisons` by the models' bases.

    Raises
    ------
    StrataError
        One line that names the key or value and what would be right.
    """
    base = Path(base)
    schema = json.loads((base / SCHEMA).read_text())
    _check_form(config, schema)
    _fill_studies(config, schema)
    for name in config["run"]:
        _known(name, config["studies"], "run", "study")
    for name, entry in config["datasets"].items():
        _check_dataset(name, entry)
        if entry["kind"] == "triplets":
            _check_triplets(f"datasets: {name}", entry, config)
    for name, entry in config["models"].items():
        _check_model(name, entry, config)
    for name, study in config["studies"].items():
        check = {
            "concepts": _check_concepts_study,
            "convexity": _check_convexity_study,
            "pruning": _check_pruning_study,
            "published_labels": _check_published_study,
        }
        check[study["kind"]](f"studies: {name}", study, config)
    for name in config["run"]:
        _check_files(f"studies: {name}", config["studies"][name], config, base)


def _known(name: str, names: Iterable[str], where: str, kind: str) -> None:
    if name not in names:
        raise StrataError(f"config, {where}: unknown {kind} {name!r}{_suggest(name, names)}")


def _suggest(name: str, names: Iterable[str]) -> str:
    names = list(names)
    close = get_close_matches(str(name), names, n=1)
    return f"; did you mean {close[0]!r}?" if close else f"; known are {', '.join(names)}"


# --- form ---------------------------------------------------------------------------------------


def _check_form(config: Mapping, schema: Mapping) -> None:
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import best_match

    error = best_match(Draft202012Validator(schema).iter_errors(config))
    if error is None:
        return
    where = ": ".join(map(str, error.absolute_path)) or "top level"
    raise StrataError(f"config, {where}: {_told(error)}")


def _told(error) -> str:
    """A validation error in words."""
    if error.validator == "additionalProperties":
        known = list(error.schema.get("properties", {}))
        extra = next(key for key in error.instance if key not in known)
        return f"unknown key {extra!r}{_suggest(extra, known)}"
    if error.validator == "required":
        missing = next(key for key in error.validator_value if key not in error.instance)
        return f"key {missing!r} is missing"
    if error.validator == "enum":
        return f"{error.instance!r} should be one of {', '.join(map(str, error.validator_value))}"
    if error.validator == "oneOf":
        choices = [" and ".join(choice["required"]) for choice in error.validator_value]
        return f"needs either {', or '.join(choices)}"
    if error.validator == "const":
        return f"{error.instance!r} should be {error.validator_value!r}"
    return " ".join(error.message.split())[:200]


# --- what is left out -----------------------------------------------------------------------------


def _fill_studies(config: dict, schema: Mapping) -> None:
    kinds = {
        part["if"]["properties"]["kind"]["const"]: part["then"]
        for part in schema["properties"]["studies"]["additionalProperties"]["allOf"]
    }
    for study in config["studies"].values():
        _fill(study, kinds[study["kind"]])
        if study["kind"] != "published_labels":  # whose models are files
            study.setdefault("comparisons", _compared(study["models"], config["models"]))


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


# --- entries ------------------------------------------------------------------------------------


def _check_dataset(name: str, entry: Mapping) -> None:
    _check_shares(f"datasets: {name}", entry.get("splits"))
    if entry["kind"] == "microspeech" and entry["speakers"] < len(entry["splits"]):
        raise StrataError(
            f"config, datasets: {name}: {entry['speakers']} speakers do not make "
            f"{len(entry['splits'])} splits"
        )
    layout = entry.get("layout", entry)
    if "pattern" in layout:
        try:
            re.compile(layout["pattern"])
        except re.error as error:
            raise StrataError(f"config, datasets: {name}: pattern: {error}") from None


def _check_shares(where: str, splits: Mapping[str, float] | str | None) -> None:
    if isinstance(splits, Mapping) and abs(sum(splits.values()) - 1) > 1e-6:
        raise StrataError(f"config, {where}: splits {dict(splits)} must add up to 1")


def modality_of(entry: Mapping) -> str:
    """What a data set holds: image, audio, table or triplets."""
    kinds = {"microworld": "image", "microspeech": "audio", "triplets": "triplets"}
    return kinds.get(entry["kind"]) or entry["modality"]


def _check_triplets(where: str, entry: Mapping, config: Mapping) -> None:
    _known(entry["images"], config["datasets"], f"{where}: images", "data set")
    pictures = config["datasets"][entry["images"]]
    if modality_of(pictures) != "image":
        raise StrataError(f"config, {where}: images: {entry['images']!r} holds no images")
    if ("simulated" in entry) == ("triplets" in entry):
        raise StrataError(f"config, {where}: needs either simulated, or triplets (a file) and form")
    if "triplets" in entry and "form" not in entry:
        raise StrataError(f"config, {where}: form is missing: table, numbers, choices or votes")
    if "from" in entry:
        _known(
            entry["from"], names_of(config["datasets"], "download"), f"{where}: from", "download"
        )
    if entry["column"] != "sample":
        _check_label_column(f"{where}: column", entry["column"], pictures)
    if "simulated" in entry:
        if entry["column"] != "sample":
            raise StrataError(f"config, {where}: simulated observers judge samples: column: sample")
        for family in entry["simulated"]["weights"]:
            _check_label_column(f"{where}: simulated: weights", family, pictures)


def _check_model(name: str, entry: Mapping, config: Mapping) -> None:
    where = f"models: {name}"
    derived = "finetune" in entry or entry.get("weights") == "random"
    if derived != ("base" in entry):
        raise StrataError(
            f"config, {where}: base goes with weights: random or finetune; give both or neither"
        )
    if derived:
        _known(entry["base"], config["models"], f"{where}: base", "model")
        if "base" in config["models"][entry["base"]]:
            raise StrataError(f"config, {where}: base {entry['base']!r} has a base itself")
    elif "id" not in entry and "path" not in entry:
        raise StrataError(f"config, {where}: needs an id (or a path to a local folder)")
    elif entry["source"] != "zoo" and "path" not in entry and "revision" not in entry:
        raise StrataError(f"config, {where}: needs a revision, the commit to pin")
    if "finetune" in entry:
        task = entry["finetune"]
        _known(task["dataset"], config["datasets"], f"{where}: finetune: dataset", "data set")
        dataset = config["datasets"][task["dataset"]]
        _check_label_column(f"{where}: finetune: target", task["target"], dataset)
        if modality_of(dataset) != entry["modality"]:
            raise StrataError(
                f"config, {where}: finetune: dataset {task['dataset']!r} is of modality "
                f"{modality_of(dataset)}, the model of {entry['modality']}"
            )
        needed = ["train", *(["validation"] if "patience" in task else []), "test"]
        _check_task(f"{where}: finetune", task, task["dataset"], dataset, needed)


def _check_task(
    where: str, task: Mapping, name: str, dataset: Mapping, needed: Iterable[str]
) -> None:
    """The splits and groups of something to be learned on data set `name`."""
    splits = task.get("splits", "own")
    _check_shares(where, splits)
    if "apart" in task:
        _check_label_column(f"{where}: apart", task["apart"], dataset)
    there = dataset.get("splits") if splits == "own" else splits
    if there is None and (dataset["kind"] == "folder" or "lists" in dataset.get("layout", {})):
        return  # its files say
    for split in needed:
        if split not in (there or {}):
            told = f"data set {name!r} has none" if splits == "own" else "splits names none"
            raise StrataError(f"config, {where}: learning needs a split {split!r}, {told}")


def _check_label_column(where: str, column: str, dataset: Mapping) -> None:
    """A column that the data set cannot have, as far as its entry tells."""
    if dataset["kind"] == "microworld":
        from strata.data.microworld import FAMILIES

        _known(column, FAMILIES, where, "label column")
    if dataset["kind"] == "microspeech":
        from strata.data.microspeech import FAMILIES as SPOKEN

        _known(column, SPOKEN, where, "label column")
    layout = dataset.get("layout", dataset)
    if "labels" in layout:
        if "families" in layout:
            _known(column, layout["families"], where, "label column")
    elif "pattern" in layout:
        _known(column, re.compile(layout["pattern"]).groupindex, where, "label column")
    elif "classes" in layout or dataset["kind"] == "folder":
        _known(column, [layout.get("family", "class")], where, "label column")


# --- studies ------------------------------------------------------------------------------------


def _check_concepts_study(where: str, study: Mapping, config: Mapping) -> None:
    for dataset in study["probing"]:
        _known(dataset, config["datasets"], f"{where}: probing", "data set")
        entry = config["datasets"][dataset]
        if modality_of(entry) != "image":
            raise StrataError(f"config, {where}: probing data set {dataset!r} holds no images")
        splits = entry.get("splits", {})
        if study["split"] != "all" and entry["kind"] == "microworld":
            _known(study["split"], splits, f"{where}: split", "split")
    for model in [*study["models"], study["clip"]]:
        key = "clip" if model == study["clip"] and model not in study["models"] else "models"
        _known(model, config["models"], f"{where}: {key}", "model")
        if config["models"][model]["modality"] != "image":
            raise StrataError(f"config, {where}: {model!r} is a speech model, the data are images")
    _known(study["concept_set"], config["concept_sets"], f"{where}: concept_set", "concept set")
    if not isinstance(study["categories"], str):
        downloads = names_of(config["datasets"], "download")
        _known(study["categories"]["from"], downloads, f"{where}: categories: from", "download")
    _check_comparisons(where, study)
    _check_sizes(where, study, config)


def _check_sizes(where: str, study: Mapping, config: Mapping) -> None:
    """Fewer images than top_k, where their number is known beforehand."""
    entries = [config["datasets"][name] for name in study["probing"]]
    if all(entry["kind"] == "microworld" for entry in entries):
        shares = [1 if study["split"] == "all" else e["splits"][study["split"]] for e in entries]
        images = sum(round(e["n"] * share) for e, share in zip(entries, shares, strict=True))
        if images < study["top_k"]:
            raise StrataError(
                f"config, {where}: top_k is {study['top_k']}, but there are only {images} images"
            )


def _check_convexity_study(where: str, study: Mapping, config: Mapping) -> None:
    _known(study["dataset"], config["datasets"], f"{where}: dataset", "data set")
    dataset = config["datasets"][study["dataset"]]
    if modality_of(dataset) != "image":
        raise StrataError(f"config, {where}: dataset {study['dataset']!r} holds no images")
    if study["split"] != "all" and dataset["kind"] == "microworld":
        _known(study["split"], dataset["splits"], f"{where}: split", "split")
    for family in study["families"]:
        _check_label_column(f"{where}: families", family, dataset)
    for name in study["triplets"]:
        triplets = names_of(config["datasets"], "triplets")
        _known(name, triplets, f"{where}: triplets", "set of triplets")
        if config["datasets"][name]["images"] != study["dataset"]:
            raise StrataError(
                f"config, {where}: triplets: {name!r} are about "
                f"{config['datasets'][name]['images']!r}, the study about {study['dataset']!r}"
            )
    for model in study["models"]:
        _known(model, config["models"], f"{where}: models", "model")
        if config["models"][model]["modality"] != "image":
            raise StrataError(f"config, {where}: {model!r} is a speech model, the data are images")
    if not study["families"] and not study["triplets"]:
        raise StrataError(f"config, {where}: needs families, triplets or both")
    if study.get("compare_concepts") and not study["families"]:
        raise StrataError(f"config, {where}: compare_concepts needs families to compare")
    for key in ("compare_concepts", "transforms"):
        if study.get(key) and not study["triplets"]:
            raise StrataError(f"config, {where}: {key} needs triplets")
    for model, family in study.get("euclidean", {}).get("heads", {}).items():
        _known(model, study["models"], f"{where}: euclidean: heads", "model of the study")
        _known(family, study["families"], f"{where}: euclidean: heads", "family of the study")
    if dataset["kind"] == "microworld":
        share = 1 if study["split"] == "all" else dataset["splits"][study["split"]]
        images = round(dataset["n"] * share)
        if study["families"] and study["n_neighbors"] >= images:
            raise StrataError(
                f"config, {where}: n_neighbors is {study['n_neighbors']}, but there are only "
                f"{images} images"
            )
    _check_comparisons(where, study)


def _check_pruning_study(where: str, study: Mapping, config: Mapping) -> None:
    _known(study["dataset"], config["datasets"], f"{where}: dataset", "data set")
    dataset = config["datasets"][study["dataset"]]
    if modality_of(dataset) not in ("image", "audio"):
        raise StrataError(f"config, {where}: dataset {study['dataset']!r} holds no samples to show")
    for family in study["families"]:
        if "segments" not in dataset.get("layout", dataset):  # whose table has columns of its own
            _check_label_column(f"{where}: families", family, dataset)
    for target, task in study["tasks"].items():
        _known(target, study["families"], f"{where}: tasks", "family of the study")
        _check_label_column(f"{where}: tasks", target, dataset)
        needed = ("train", "validation", "test")
        _check_task(f"{where}: tasks: {target}", task, study["dataset"], dataset, needed)
    for model in study["models"]:
        _known(model, config["models"], f"{where}: models", "model")
        if config["models"][model]["modality"] != modality_of(dataset):
            raise StrataError(
                f"config, {where}: {model!r} is of modality {config['models'][model]['modality']}, "
                f"data set {study['dataset']!r} of {modality_of(dataset)}"
            )
    _check_comparisons(where, study)
    if not study["comparisons"]["pretraining"]:
        raise StrataError(f"config, {where}: models: none is without a base, so none can be cut")
    for model in study["comparisons"]["pretraining"]:
        if config["models"][model]["source"] == "timm":
            raise StrataError(f"config, {where}: {model!r} is a timm model; transformers are cut")
    for task, pairs in study["comparisons"].get("finetuned", {}).items():
        _known(task, study["tasks"], f"{where}: comparisons: finetuned", "task of the study")
        for model in pairs.values():
            _check_same_task(f"{where}: comparisons: {model}", study, task, config["models"][model])


def _check_same_task(where: str, study: Mapping, target: str, model: Mapping) -> None:
    """A fine-tuned model is compared on samples that it was not trained on."""
    tuned = model.get("finetune", {})
    wanted = {"dataset": study["dataset"], "target": target, **study["tasks"][target]}
    for key in ("dataset", "target", "splits", "apart", "at_least"):
        default = {"splits": "own", "at_least": 1}.get(key)
        if tuned.get(key, default) != wanted.get(key, default):
            raise StrataError(
                f"config, {where}: finetune: {key} is {tuned.get(key, default)!r}, the task's is "
                f"{wanted.get(key, default)!r}"
            )


def names_of(datasets: Mapping, kind: str) -> list[str]:
    """Names of the data sets of a kind."""
    return [name for name, entry in datasets.items() if entry["kind"] == kind]


def _check_published_study(where: str, study: Mapping, config: Mapping) -> None:
    _known(study["dataset"], config["datasets"], f"{where}: dataset", "data set")
    if config["datasets"][study["dataset"]].get("modality") != "table":
        raise StrataError(f"config, {where}: data set {study['dataset']!r} holds no tables")
    _check_comparisons(where, study)


def _check_comparisons(where: str, study: Mapping) -> None:
    compared = study.get("comparisons", {})
    pairs = [compared.get("controls", {}), *compared.get("finetuned", {}).values()]
    named = [*compared.get("pretraining", []), *compared.get("convnets", [])]
    named += [model for pair in pairs for both in pair.items() for model in both]
    for model in named:
        _known(model, study["models"], f"{where}: comparisons", "model of the study")


def _check_files(where: str, study: Mapping, config: Mapping, base: Path) -> None:
    """Small files that a study needs: read now rather than after hours."""
    if study["kind"] == "published_labels":
        return
    if study["kind"] == "concepts":
        _check_words(where, study, config, base)
    for name in study.get("probing") or [study["dataset"], *study.get("triplets", [])]:
        _check_folder(name, config, base)
    _check_labels(where, study, config, base)
    _check_models(study, config, base)


def _check_words(where: str, study: Mapping, config: Mapping, base: Path) -> None:
    """Concepts, their categories, and the factors that they name."""
    if isinstance(study["categories"], str):
        read_categories(base / study["categories"])
    concepts = config["concept_sets"][study["concept_set"]]
    words = read_concepts(base / concepts["path"]) if concepts["kind"] == "file" else None
    if "vocabulary" in study:
        from strata.truth import factor_families, read_vocabulary

        vocabulary = read_vocabulary(base / study["vocabulary"])
        for dataset in study["probing"]:
            for family in factor_families(vocabulary):
                _check_label_column(f"{where}: vocabulary", family, config["datasets"][dataset])
    if words is not None and len(words) < 2:
        raise StrataError(f"{base / concepts['path']}: a dissection needs at least two concepts")


def _check_folder(name: str, config: Mapping, base: Path) -> None:
    """A folder that a data set names, and the files that it should hold."""
    entry = config["datasets"][name]
    place = entry if "path" in entry else config["datasets"].get(entry.get("images"), {})
    if "path" not in place:
        return
    folder = base / place["path"]
    if not folder.is_dir():
        raise StrataError(f"config, datasets: {name}: no folder {folder}")
    listed = config["datasets"].get(entry.get("from"), {}).get("files", [])
    fetched = {file.get("name") or file["url"].rpartition("/")[2] for file in listed}
    for key in ("labels", "segments", "triplets", "items", "categories"):
        if entry.get(key) not in {None, *fetched} and not (folder / entry[key]).is_file():
            raise StrataError(f"config, datasets: {name}: {key}: no file {folder / entry[key]}")


def _check_labels(where: str, study: Mapping, config: Mapping, base: Path) -> None:
    """Label columns that a study reads, in the user's own tables."""
    name = study.get("dataset")
    entry = config["datasets"].get(name, {})
    if entry.get("kind") != "folder" or "labels" not in entry:
        return
    tables = [base / entry["path"] / entry[key] for key in ("labels", "segments") if key in entry]
    there = [column for table in tables for column in _header(table)]
    wanted = {"families": study["families"], "tasks": study.get("tasks", {})}
    wanted["tasks: apart"] = [t["apart"] for t in wanted["tasks"].values() if "apart" in t]
    named = [config["datasets"][each]["column"] for each in study.get("triplets", [])]
    wanted["triplets: column"] = [column for column in named if column != "sample"]
    for key, columns in wanted.items():
        for column in columns:
            if column not in there:
                raise StrataError(
                    f"config, {where}: {key}: {tables[0]} has no column {column!r}"
                    f"{_suggest(column, there)}"
                )


def _header(table: Path) -> list[str]:
    with table.open(encoding="utf-8-sig", errors="replace", newline="") as file:
        return next(csv.reader(file), [])


def _check_models(study: Mapping, config: Mapping, base: Path) -> None:
    needed = "card.json" if config["zoo"] == "bundled" else "recipe.yaml"
    for model in dict.fromkeys([*study["models"], *([study["clip"]] if "clip" in study else [])]):
        entry = config["models"][model]
        entry = config["models"][entry["base"]] if "base" in entry else entry
        if "path" in entry and not (base / entry["path"]).is_dir():
            raise StrataError(f"config, models: {model}: no folder {base / entry['path']}")
        if entry["source"] != "zoo":
            continue
        folder = base / config["zoo_directory"] / entry["id"]
        if not (folder / needed).is_file():
            shipped = [path.parent.name for path in sorted(folder.parent.glob(f"*/{needed}"))]
            hint = _suggest(entry["id"], shipped)
            raise StrataError(f"config, models: {model}: no {needed} in {folder}{hint}")
