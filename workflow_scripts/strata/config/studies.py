"""Cross-checks of the studies: what their entries say together."""

from __future__ import annotations

from collections.abc import Mapping

from strata.config.entries import check_label_column, check_task
from strata.config.names import check_known, modality_of, names_of
from strata.errors import StrataError


def check_concepts_study(where: str, study: Mapping, config: Mapping) -> None:
    for dataset in study["probing"]:
        check_known(dataset, config["datasets"], f"{where}: probing", "data set")
        entry = config["datasets"][dataset]
        if modality_of(entry) != "image":
            raise StrataError(f"config, {where}: probing data set {dataset!r} holds no images")
        splits = entry.get("splits", {})
        if study["split"] != "all" and entry["kind"] == "microworld":
            check_known(study["split"], splits, f"{where}: split", "split")
    for model in [*study["models"], study["clip"]]:
        key = "clip" if model == study["clip"] and model not in study["models"] else "models"
        check_known(model, config["models"], f"{where}: {key}", "model")
        if config["models"][model]["modality"] != "image":
            raise StrataError(f"config, {where}: {model!r} is a speech model, the data are images")
    check_known(
        study["concept_set"], config["concept_sets"], f"{where}: concept_set", "concept set"
    )
    if not isinstance(study["categories"], str):
        downloads = names_of(config["datasets"], "download")
        check_known(
            study["categories"]["from"], downloads, f"{where}: categories: from", "download"
        )
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


def check_convexity_study(where: str, study: Mapping, config: Mapping) -> None:
    check_known(study["dataset"], config["datasets"], f"{where}: dataset", "data set")
    dataset = config["datasets"][study["dataset"]]
    if modality_of(dataset) != "image":
        raise StrataError(f"config, {where}: dataset {study['dataset']!r} holds no images")
    if study["split"] != "all" and dataset["kind"] == "microworld":
        check_known(study["split"], dataset["splits"], f"{where}: split", "split")
    for family in study["families"]:
        check_label_column(f"{where}: families", family, dataset)
    for name in study["triplets"]:
        triplets = names_of(config["datasets"], "triplets")
        check_known(name, triplets, f"{where}: triplets", "set of triplets")
        if config["datasets"][name]["images"] != study["dataset"]:
            raise StrataError(
                f"config, {where}: triplets: {name!r} are about "
                f"{config['datasets'][name]['images']!r}, the study about {study['dataset']!r}"
            )
    for model in study["models"]:
        check_known(model, config["models"], f"{where}: models", "model")
        if config["models"][model]["modality"] != "image":
            raise StrataError(f"config, {where}: {model!r} is a speech model, the data are images")
    if not study["families"] and not study["triplets"]:
        raise StrataError(f"config, {where}: needs families, triplets or both")
    if study.get("compare_concepts") and not study["families"]:
        raise StrataError(f"config, {where}: compare_concepts needs families to compare")
    for key in ("compare_concepts", "score_categories", "transforms"):
        if study.get(key) and not study["triplets"]:
            raise StrataError(f"config, {where}: {key} needs triplets")
    _check_local_images(f"{where}: transforms: local_images", study, config)
    for model, family in study.get("euclidean", {}).get("heads", {}).items():
        check_known(model, study["models"], f"{where}: euclidean: heads", "model of the study")
        check_known(family, study["families"], f"{where}: euclidean: heads", "family of the study")
    if dataset["kind"] == "microworld":
        share = 1 if study["split"] == "all" else dataset["splits"][study["split"]]
        images = round(dataset["n"] * share)
        if study["families"] and study["n_neighbors"] >= images:
            raise StrataError(
                f"config, {where}: n_neighbors is {study['n_neighbors']}, but there are only "
                f"{images} images"
            )
    _check_comparisons(where, study)


def check_pruning_study(where: str, study: Mapping, config: Mapping) -> None:
    check_known(study["dataset"], config["datasets"], f"{where}: dataset", "data set")
    dataset = config["datasets"][study["dataset"]]
    if modality_of(dataset) not in ("image", "audio"):
        raise StrataError(f"config, {where}: dataset {study['dataset']!r} holds no samples to show")
    for family in study["families"]:
        if "segments" not in dataset.get("layout", dataset):  # whose table has columns of its own
            check_label_column(f"{where}: families", family, dataset)
    for target, task in study["tasks"].items():
        if "/" in target:
            raise StrataError(
                f"config, {where}: tasks: {target!r} is part of files' names, where / cannot be; "
                "rename the label column"
            )
        check_known(target, study["families"], f"{where}: tasks", "family of the study")
        check_label_column(f"{where}: tasks", target, dataset)
        needed = ("train", "validation", "test")
        check_task(f"{where}: tasks: {target}", task, study["dataset"], dataset, needed)
    for model in study["models"]:
        check_known(model, config["models"], f"{where}: models", "model")
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
        if "layers" in config["models"][model]:
            raise StrataError(
                f"config, {where}: {model!r} names layers, but a cut counts all; leave layers out"
            )
    for task, pairs in study["comparisons"].get("finetuned", {}).items():
        check_known(task, study["tasks"], f"{where}: comparisons: finetuned", "task of the study")
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


def _check_local_images(where: str, study: Mapping, config: Mapping) -> None:
    """The pictures whose neighborhoods gLocal keeps: of the study's kind, and none of the judged
    ones, which would show a fold's items to the transform that is tested on them."""
    local = study.get("transforms", {}).get("local_images")
    if local is None:
        return
    check_known(local["dataset"], config["datasets"], where, "data set")
    entry, judged = config["datasets"][local["dataset"]], config["datasets"][study["dataset"]]
    if "glocal" not in study["transforms"]["methods"]:
        raise StrataError(f"config, {where}: only glocal keeps them, which methods does not name")
    if modality_of(entry) != modality_of(judged):
        raise StrataError(
            f"config, {where}: {local['dataset']!r} holds {modality_of(entry)}, data set "
            f"{study['dataset']!r} {modality_of(judged)}"
        )
    if local["dataset"] == study["dataset"]:
        raise StrataError(
            f"config, {where}: {local['dataset']!r} holds the judged samples; name others, or "
            "leave local_images out to keep the neighborhoods of those that are fitted"
        )
    if local["split"] != "all" and "splits" in entry:
        check_known(local["split"], entry["splits"], f"{where}: split", "split")


def check_published_study(where: str, study: Mapping, config: Mapping) -> None:
    check_known(study["dataset"], config["datasets"], f"{where}: dataset", "data set")
    if config["datasets"][study["dataset"]].get("modality") != "table":
        raise StrataError(f"config, {where}: data set {study['dataset']!r} holds no tables")
    _check_comparisons(where, study)


def _check_comparisons(where: str, study: Mapping) -> None:
    compared = study.get("comparisons", {})
    pairs = [compared.get("controls", {}), *compared.get("finetuned", {}).values()]
    named = [*compared.get("pretraining", []), *compared.get("convnets", [])]
    named += [model for pair in pairs for both in pair.items() for model in both]
    for model in named:
        check_known(model, study["models"], f"{where}: comparisons", "model of the study")
