"""Cross-checks of the studies: what their entries say together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from strata.config.entries import NO_NETWORK, check_label_column, check_task
from strata.config.names import check_known, modality_of, names_of
from strata.data.annotating import COMPUTED
from strata.errors import StrataError

_SAMPLES = {"image": "images", "audio": "sounds"}


def check_concepts_study(where: str, study: Mapping, config: Mapping) -> None:
    for dataset in study["probing"]:
        check_known(dataset, config["datasets"], f"{where}: probing", "data set")
        entry = config["datasets"][dataset]
        if modality_of(entry) not in ("image", "audio"):
            raise StrataError(
                f"config, {where}: probing data set {dataset!r} holds neither pictures nor sounds"
            )
        if modality_of(entry) != modality_of(config["datasets"][study["probing"][0]]):
            raise StrataError(f"config, {where}: probing: pictures and sounds are two studies")
        splits = entry.get("splits", {})
        if study["split"] != "all" and entry["kind"] in ("microworld", "microspeech"):
            check_known(study["split"], splits, f"{where}: split", "split")
    _check_models(where, study, study["probing"][0], config)
    if study["concepts"] == "annotations":
        _check_annotations(where, study, config)
    else:
        _check_words(where, study, config)
    _check_comparisons(where, study)


_OF_WORDS = ("clip", "concept_set", "categories")


def _check_annotations(where: str, study: Mapping, config: Mapping) -> None:
    """A study by annotation needs no CLIP, and annotations that the samples can have."""
    for key in (*_OF_WORDS, "vocabulary"):
        if key in study:
            raise StrataError(f"config, {where}: {key} is for concepts: words, not annotations")
    modality = modality_of(config["datasets"][study["probing"][0]])
    computed, columns = (study["annotations"][key] for key in ("computed", "columns"))
    for name in () if computed == "all" else computed:
        check_known(name, COMPUTED[modality], f"{where}: annotations: computed", "number")
    if len(study["probing"]) == 1 and columns != "all":  # of several, one may have the column
        for column in columns:
            entry = config["datasets"][study["probing"][0]]
            check_label_column(f"{where}: annotations: columns", column, entry)
    if not computed and not columns:
        raise StrataError(f"config, {where}: annotations: needs columns, computed or both")


def _check_words(where: str, study: Mapping, config: Mapping) -> None:
    """Words need a CLIP for the samples, a list of concepts and their categories."""
    for key in _OF_WORDS:
        if key not in study:
            raise StrataError(
                f"config, {where}: {key} is missing; or label neurons by concepts: annotations"
            )
    if "annotations" in study:
        raise StrataError(f"config, {where}: annotations are for concepts: annotations")
    check_known(study["clip"], config["models"], f"{where}: clip", "model")
    heard = modality_of(config["datasets"][study["probing"][0]]) == "audio"
    if (config["models"][study["clip"]]["modality"] == "audio") != heard:
        needed = "a CLAP, of modality audio, for sounds" if heard else "a CLIP for pictures"
        raise StrataError(f"config, {where}: clip: {study['clip']!r} cannot label; take {needed}")
    _check_network(f"{where}: clip", study["clip"], config)
    check_known(
        study["concept_set"], config["concept_sets"], f"{where}: concept_set", "concept set"
    )
    if not isinstance(study["categories"], str):
        downloads = names_of(config["datasets"], "download")
        check_known(
            study["categories"]["from"], downloads, f"{where}: categories: from", "download"
        )
    _check_sizes(where, study, config)


def _check_models(where: str, study: Mapping, dataset: str, config: Mapping) -> None:
    """Models that are known, and of the modality of what they are to see."""
    there = modality_of(config["datasets"][dataset])
    for model in study["models"]:
        check_known(model, config["models"], f"{where}: models", "model")
        own = config["models"][model]["modality"]
        if own != there:
            kinds = {"image": "a vision model", "audio": "a speech model"}
            held = {"image": "pictures", "audio": "sounds"}
            raise StrataError(
                f"config, {where}: {model!r} is {kinds[own]} (modality: {own}), data set "
                f"{dataset!r} holds {held[there]}"
            )


def _check_network(where: str, model: str, config: Mapping) -> None:
    """A model that is to be run has to be one."""
    if config["models"][model]["source"] == "arrays":
        raise StrataError(f"config, {where}: {model!r} is arrays: {NO_NETWORK}")


def _check_sizes(where: str, study: Mapping, config: Mapping) -> None:
    """Fewer samples than top_k, where their number is known beforehand."""
    entries = [config["datasets"][name] for name in study["probing"]]
    sizes = [_known_size(entry, study["split"]) for entry in entries]
    if None not in sizes and sum(sizes) < study["top_k"]:
        raise StrataError(
            f"config, {where}: top_k is {study['top_k']}, but there are only {sum(sizes)} "
            f"{_SAMPLES[modality_of(entries[0])]}"
        )


def _known_size(entry: Mapping, split: str) -> int | None:
    """How many samples a split has, where that is known before the data are made."""
    if entry["kind"] == "microworld":
        return round(entry["n"] * (1 if split == "all" else entry["splits"][split]))
    if entry["kind"] == "microspeech" and split == "all":
        from strata.data.microspeech import COMMANDS, DIGITS

        return entry["speakers"] * entry["takes"] * len(entry.get("words", DIGITS + COMMANDS))
    return None


def check_convexity_study(where: str, study: Mapping, config: Mapping) -> None:
    check_known(study["dataset"], config["datasets"], f"{where}: dataset", "data set")
    dataset = config["datasets"][study["dataset"]]
    if modality_of(dataset) not in ("image", "audio"):
        raise StrataError(
            f"config, {where}: dataset {study['dataset']!r} holds neither pictures nor sounds"
        )
    if study["split"] != "all" and dataset["kind"] in ("microworld", "microspeech"):
        check_known(study["split"], dataset["splits"], f"{where}: split", "split")
    _check_families(where, study, dataset, config)
    for name in study["triplets"]:
        triplets = names_of(config["datasets"], "triplets")
        check_known(name, triplets, f"{where}: triplets", "set of triplets")
        if config["datasets"][name]["images"] != study["dataset"]:
            raise StrataError(
                f"config, {where}: triplets: {name!r} are about "
                f"{config['datasets'][name]['images']!r}, the study about {study['dataset']!r}"
            )
    _check_models(where, study, study["dataset"], config)
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
        _check_network(f"{where}: euclidean: heads", model, config)
        if config["models"][model]["modality"] != "image":
            raise StrataError(
                f"config, {where}: euclidean: {model!r} is a speech model: sounds have as many "
                "states as frames, and between different numbers of them there is no straight line"
            )
        check_known(family, study["families"], f"{where}: euclidean: heads", "family of the study")
        _check_own_preprocessing(f"{where}: euclidean: heads", model, config)
    size = _known_size(dataset, study["split"])
    if size is not None and study["families"] and study["n_neighbors"] >= size:
        raise StrataError(
            f"config, {where}: n_neighbors is {study['n_neighbors']}, but there are only "
            f"{size} {_SAMPLES[modality_of(dataset)]}"
        )
    _check_comparisons(where, study)


def _check_families(where: str, study: Mapping, dataset: Mapping, config: Mapping) -> None:
    """Label columns; those of labelled pieces of sounds where a table of its own has them."""
    from strata.data.microspeech import PIECES

    if "segments" not in dataset.get("layout", dataset):  # whose table has columns of its own
        for family in study["families"]:
            check_label_column(f"{where}: families", family, dataset)
    if dataset["kind"] == "microspeech":
        check_pieces(where, study, PIECES, config)


def check_pieces(where: str, study: Mapping, pieces: Iterable[str], config: Mapping) -> None:
    """Families that label pieces of sounds, where something knows whole sounds only."""
    for family in study["families"]:
        if family not in pieces:
            continue
        told = f"config, {where}: families: {family!r} labels pieces of sounds"
        for model in study["models"]:
            if config["models"].get(model, {}).get("source") == "arrays":
                raise StrataError(f"{told}, and the arrays of {model!r} are of whole sounds only")
        if study.get("transforms"):
            raise StrataError(f"{told}, which transforms are not fitted to; leave one of them out")


def check_pruning_study(where: str, study: Mapping, config: Mapping) -> None:
    check_known(study["dataset"], config["datasets"], f"{where}: dataset", "data set")
    dataset = config["datasets"][study["dataset"]]
    if modality_of(dataset) not in ("image", "audio"):
        raise StrataError(f"config, {where}: dataset {study['dataset']!r} holds no samples to show")
    _check_families(where, study, dataset, config)
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
    _check_models(where, study, study["dataset"], config)
    for model in study["models"]:
        _check_network(f"{where}: models", model, config)
    _check_comparisons(where, study)
    if not study["comparisons"]["pretraining"]:
        raise StrataError(f"config, {where}: models: none is without a base, so none can be cut")
    for model in study["comparisons"]["pretraining"]:
        _check_own_preprocessing(f"{where}: models", model, config)
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


def _check_own_preprocessing(where: str, model: str, config: Mapping) -> None:
    """What is computed from the network itself sees pictures as its own preprocessor makes them."""
    if config["models"][model].get("preprocess", "own") != "own":
        raise StrataError(
            f"config, {where}: {model!r} is read with preprocess: "
            f"{config['models'][model]['preprocess']}, but here pictures are made by its own "
            "preprocessor; name an entry without preprocess and size"
        )


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
    lists = ("pretraining", "convnets", "objectives")
    named = [model for key in lists for model in compared.get(key, [])]
    named += [model for pair in pairs for both in pair.items() for model in both]
    for model in named:
        check_known(model, study["models"], f"{where}: comparisons", "model of the study")
