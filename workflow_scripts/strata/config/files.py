"""Small files that a study needs: read before any job, rather than after hours."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from strata.config.entries import check_label_column
from strata.config.names import suggestion
from strata.config.studies import check_pieces
from strata.data.arrays import ARRAY_SUFFIXES, array_files
from strata.data.user_tables import read_header
from strata.data.words import read_categories, read_concepts
from strata.errors import StrataError


def check_files(where: str, study: Mapping, config: Mapping, base: Path) -> None:
    """Small files that a study needs: read now rather than after hours."""
    if study["kind"] == "published_labels":
        return
    if study.get("concepts") == "words":
        _check_words(where, study, config, base)
    local = study.get("transforms", {}).get("local_images")
    named = study.get("probing") or [study["dataset"], *study.get("triplets", [])]
    for name in [*named, *([local["dataset"]] if local else [])]:
        _check_folder(name, config, base)
    _check_labels(where, study, config, base)
    if study.get("concepts") == "annotations":
        _check_annotated(where, study, config, base)
    _check_segments(where, study, config, base)
    _check_models(study, config, base)


def _check_words(where: str, study: Mapping, config: Mapping, base: Path) -> None:
    """Concepts, their categories, and the factors that they name."""
    concepts = config["concept_sets"][study["concept_set"]]
    words = read_concepts(base / concepts["path"]) if concepts["kind"] == "file" else None
    if isinstance(study["categories"], str):
        categories = read_categories(base / study["categories"])
        if words is not None and not {word for part in categories.values() for word in part} & {
            *words
        }:
            raise StrataError(
                f"config, {where}: categories: {base / study['categories']} has none of the words "
                f"of {base / concepts['path']}"
            )
    if "vocabulary" in study:
        from strata.data.vocabulary import factor_families, read_vocabulary

        vocabulary = read_vocabulary(base / study["vocabulary"])
        for dataset in study["probing"]:
            for family in factor_families(vocabulary):
                check_label_column(f"{where}: vocabulary", family, config["datasets"][dataset])
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
    for split, file in entry.get("lists", {}).items():
        if not (folder / file).is_file():
            raise StrataError(f"config, datasets: {name}: lists: {split}: no file {folder / file}")


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
                    f"{suggestion(column, there)}"
                )


def _check_annotated(where: str, study: Mapping, config: Mapping, base: Path) -> None:
    """Label columns that neurons are to be labelled with, where users' own tables have them all."""
    columns = study["annotations"]["columns"]
    entries = [config["datasets"][name] for name in study["probing"]]
    if columns == "all" or not all(e["kind"] == "folder" and "labels" in e for e in entries):
        return
    tables = [
        base / e["path"] / e[key] for e in entries for key in ("labels", "segments") if key in e
    ]
    there = {column for table in tables for column in _header(table)}
    for column in columns:
        if column not in there:
            raise StrataError(
                f"config, {where}: annotations: columns: {tables[0]} has no column {column!r}"
                f"{suggestion(column, sorted(there))}"
            )


def _check_segments(where: str, study: Mapping, config: Mapping, base: Path) -> None:
    """Families that only the user's table of labelled pieces has."""
    entry = config["datasets"].get(study.get("dataset"), {})
    if entry.get("kind") != "folder" or "segments" not in entry:
        return
    of_pieces = set(_header(base / entry["path"] / entry["segments"]))
    if "labels" in entry:
        of_pieces -= set(_header(base / entry["path"] / entry["labels"]))
    check_pieces(where, study, of_pieces, config)


def _header(table: Path) -> list[str]:
    return read_header(table, ["path"])


def _check_models(study: Mapping, config: Mapping, base: Path) -> None:
    needed = "card.json" if config["zoo"] == "bundled" else "recipe.yaml"
    for model in dict.fromkeys([*study["models"], *([study["clip"]] if "clip" in study else [])]):
        entry = config["models"][model]
        entry = config["models"][entry["base"]] if "base" in entry else entry
        if entry["source"] == "arrays":
            _check_arrays(model, entry, _seen_by(model, study), base)
            continue
        if "path" in entry and not (base / entry["path"]).is_dir():
            raise StrataError(f"config, models: {model}: no folder {base / entry['path']}")
        if entry["source"] != "zoo":
            continue
        folder = base / config["zoo_directory"] / entry["id"]
        if not (folder / needed).is_file():
            shipped = [path.parent.name for path in sorted(folder.parent.glob(f"*/{needed}"))]
            hint = suggestion(entry["id"], shipped)
            raise StrataError(f"config, models: {model}: no {needed} in {folder}{hint}")


def _seen_by(model: str, study: Mapping) -> list[str]:
    """The data sets on which a study needs a model's activations."""
    local = study.get("transforms", {}).get("local_images")
    compared = study.get("comparisons", {})
    fitted = [*compared.get("pretraining", []), *compared.get("convnets", [])]
    more = [local["dataset"]] if local and model in fitted else []
    return [*(study.get("probing") or [study["dataset"]]), *more]


def _check_arrays(model: str, entry: Mapping, datasets: Iterable[str], base: Path) -> None:
    """The folders of activations made elsewhere, one for each data set if so they are named."""
    for dataset in datasets:
        folder = base / entry["path"].replace("{dataset}", dataset)
        if not folder.is_dir():
            raise StrataError(f"config, models: {model}: no folder {folder}")
        if not array_files(folder):
            known = ", ".join(ARRAY_SUFFIXES)
            raise StrataError(f"config, models: {model}: {folder} holds no arrays ({known})")
        if not (folder / entry["samples"]).is_file():
            raise StrataError(
                f"config, models: {model}: samples: no file {folder / entry['samples']}"
            )
