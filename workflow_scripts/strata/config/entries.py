"""Cross-checks of the registries: data sets and models."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from strata.config.names import check_known, modality_of, names_of
from strata.errors import StrataError

NO_NETWORK = "they hold activations, and this needs a network that can be run"


def check_dataset(name: str, entry: Mapping) -> None:
    _check_shares(f"datasets: {name}", entry.get("splits"))
    if entry["kind"] == "microspeech" and entry["speakers"] < len(entry["splits"]):
        raise StrataError(
            f"config, datasets: {name}: {entry['speakers']} speakers do not make "
            f"{len(entry['splits'])} splits"
        )
    if entry["kind"] == "microworld":
        _check_world(f"datasets: {name}", entry)
    patterns = {key: entry.get("layout", entry).get(key) for key in ("pattern", "shown")}
    for key, pattern in patterns.items():
        try:
            re.compile(pattern or "")
        except (re.error, OverflowError, RecursionError) as error:
            raise StrataError(f"config, datasets: {name}: {key}: {error}") from None
    if "files" in entry:
        _check_listed(f"datasets: {name}: files", entry)


def _check_listed(where: str, entry: Mapping) -> None:
    """Files of a download have names of their own, inside of their folder."""
    from strata.data.download import remote_files

    try:
        remote_files(entry)
    except StrataError as error:
        raise StrataError(f"config, {where}: {error}") from None


def _check_world(where: str, entry: Mapping) -> None:
    from strata.data.scenes.factors import SMALLEST

    if entry["world"] == "scenes" and entry["size"] < SMALLEST:
        raise StrataError(
            f"config, {where}: size: scenes need {SMALLEST} pixels, not {entry['size']}"
        )
    if entry["world"] != "scenes" and "correlation" in entry:
        raise StrataError(f"config, {where}: correlation is for world: scenes")


def _check_shares(where: str, splits: Mapping[str, float] | str | None) -> None:
    if isinstance(splits, Mapping) and abs(sum(splits.values()) - 1) > 1e-6:
        raise StrataError(f"config, {where}: splits {dict(splits)} must add up to 1")


def check_triplets(where: str, entry: Mapping, config: Mapping) -> None:
    check_known(entry["images"], config["datasets"], f"{where}: images", "data set")
    pictures = config["datasets"][entry["images"]]
    if modality_of(pictures) not in ("image", "audio"):
        raise StrataError(
            f"config, {where}: images: {entry['images']!r} holds neither pictures nor sounds"
        )
    if ("simulated" in entry) == ("triplets" in entry):
        raise StrataError(f"config, {where}: needs either simulated, or triplets (a file) and form")
    if "triplets" in entry and "form" not in entry:
        raise StrataError(f"config, {where}: form is missing: table, numbers, choices or votes")
    if "shown" in entry and pictures["kind"] == "microworld":
        raise StrataError(f"config, {where}: shown: {entry['images']!r} has no paths to match")
    if "from" in entry:
        check_known(
            entry["from"], names_of(config["datasets"], "download"), f"{where}: from", "download"
        )
    if entry["column"] != "sample":
        check_label_column(f"{where}: column", entry["column"], pictures)
    if "simulated" in entry:
        if entry["column"] != "sample":
            raise StrataError(f"config, {where}: simulated observers judge samples: column: sample")
        for family in entry["simulated"]["weights"]:
            check_label_column(f"{where}: simulated: weights", family, pictures)


_OF_ARRAYS = ("samples", "n_prefix_tokens", "unknown")  # keys of no other source
_OF_ALL = ("source", "path", "origin", "modality", "label", "licence", "layers", "pool")


def check_model(name: str, entry: Mapping, config: Mapping) -> None:
    where = f"models: {name}"
    if entry["source"] == "arrays":
        _check_arrays(where, entry)
        return
    for key in _OF_ARRAYS:
        if key in entry:
            raise StrataError(f"config, {where}: {key} means something for source: arrays only")
    if "origin" in entry and "path" not in entry:
        raise StrataError(
            f"config, {where}: origin says where the files of path come from, and there is no path"
        )
    derived = "finetune" in entry or entry.get("weights") == "random"
    if derived != ("base" in entry):
        raise StrataError(
            f"config, {where}: base goes with weights: random or finetune; give both or neither"
        )
    if derived:
        check_known(entry["base"], config["models"], f"{where}: base", "model")
        if config["models"][entry["base"]]["source"] == "arrays":
            raise StrataError(f"config, {where}: base {entry['base']!r} is arrays: {NO_NETWORK}")
        if "base" in config["models"][entry["base"]]:
            raise StrataError(f"config, {where}: base {entry['base']!r} has a base itself")
    elif "id" not in entry and "path" not in entry:
        raise StrataError(f"config, {where}: needs an id (or a path to a local folder)")
    elif entry["source"] != "zoo" and "path" not in entry and "revision" not in entry:
        raise StrataError(f"config, {where}: needs a revision, the commit to pin")
    if "context" in entry and entry["modality"] != "audio":
        raise StrataError(f"config, {where}: context is for models of modality audio")
    if "size" in entry and entry.get("preprocess", "own") == "own":
        raise StrataError(
            f"config, {where}: size goes with preprocess: imagenet or whole; own has the size that "
            "the model's configuration says"
        )
    if "finetune" in entry:
        task = entry["finetune"]
        check_known(task["dataset"], config["datasets"], f"{where}: finetune: dataset", "data set")
        dataset = config["datasets"][task["dataset"]]
        check_label_column(f"{where}: finetune: target", task["target"], dataset)
        if modality_of(dataset) != entry["modality"]:
            raise StrataError(
                f"config, {where}: finetune: dataset {task['dataset']!r} is of modality "
                f"{modality_of(dataset)}, the model of {entry['modality']}"
            )
        needed = ["train", *(["validation"] if "patience" in task else []), "test"]
        check_task(f"{where}: finetune", task, task["dataset"], dataset, needed)


def _check_arrays(where: str, entry: Mapping) -> None:
    for key in ("path", "samples"):
        if key not in entry:
            raise StrataError(f"config, {where}: source: arrays needs the key {key}")
    for key in entry:
        if key not in (*_OF_ARRAYS, *_OF_ALL):
            raise StrataError(f"config, {where}: {key} is of no meaning with source: arrays")
    if re.search(r"[{}]", entry["path"].replace("{dataset}", "")):
        raise StrataError(f"config, {where}: path: of what is in braces {{dataset}} is known only")
    if "n_prefix_tokens" in entry and entry.get("pool") != "mean":
        raise StrataError(f"config, {where}: n_prefix_tokens goes with pool: mean")


def check_task(
    where: str, task: Mapping, name: str, dataset: Mapping, needed: Iterable[str]
) -> None:
    """The splits and groups of something to be learned on data set `name`."""
    splits = task.get("splits", "own")
    _check_shares(where, splits)
    if "apart" in task:
        check_label_column(f"{where}: apart", task["apart"], dataset)
    there = dataset.get("splits") if splits == "own" else splits
    if there is None and (dataset["kind"] == "folder" or "lists" in dataset.get("layout", {})):
        return  # its files say
    for split in needed:
        if split not in (there or {}):
            told = f"data set {name!r} has none" if splits == "own" else "splits names none"
            raise StrataError(f"config, {where}: learning needs a split {split!r}, {told}")


def check_label_column(where: str, column: str, dataset: Mapping) -> None:
    """A column that the data set cannot have, as far as its entry tells."""
    if dataset["kind"] == "microworld":
        from strata.data.worlds import world_named

        check_known(column, world_named(dataset["world"]).families, where, "label column")
    if dataset["kind"] == "microspeech":
        from strata.data.microspeech import FAMILIES as SPOKEN

        check_known(column, SPOKEN, where, "label column")
    layout = dataset.get("layout", dataset)
    if "labels" in layout:
        if "families" in layout:
            check_known(column, layout["families"], where, "label column")
    elif "pattern" in layout:
        check_known(column, re.compile(layout["pattern"]).groupindex, where, "label column")
    elif "classes" in layout or dataset["kind"] == "folder":
        check_known(column, [layout.get("family", "class")], where, "label column")
