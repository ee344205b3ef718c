"""Input functions and parameters of the rules in `rules/activations.smk`."""

from strata.activations.importing import array_folder
from strata.data.arrays import array_files
from strata.data.folder import folder_state


def readers(dataset, model):
    """The models of the studies that run whose network and layers are a model's own, pooled in
    other ways: one pass on a data set serves them all, and has the first one's name. Not those
    that were fine-tuned: one may ship, and another be trained here."""
    own = ("pool", "label", "origin", "licence")

    def network(name):
        entry = config["models"][name].items()
        return {key: value for key, value in entry if key not in own}

    def is_wanted(name):
        return f"results/activations/{dataset}/{name}" in activations_in_run(name)

    if "finetune" in config["models"][model] or not is_wanted(model):
        return [model]
    alike = [name for name in config["models"] if network(name) == network(model)]
    return [name for name in alike if is_wanted(name)]


def pool_of(model):
    return config["models"][model].get("pool", "auto")


def readings(wildcards):
    """How each of the models that read a network pools its layers."""
    return {name: pool_of(name) for name in readers(wildcards.dataset, wildcards.model)}


def layer_options(wildcards):
    """How a network is read."""
    entry = config["models"][wildcards.model]
    keys = ("layers", "preprocess", "size", "context", "embedding")
    return {key: entry[key] for key in keys if key in entry}


def reading(wildcards):
    """All settings that a model's activations depend on."""
    shared = {key: config[key] for key in ("device", "precision", "batch_size")}
    return {"pool": pool_of(wildcards.model)} | layer_options(wildcards) | shared


def shards_of(wildcards):
    """The shards of the pass that serves a model."""
    first = readers(wildcards.dataset, wildcards.model)[0]
    pattern = "results/activations/{dataset}/.{model}/{{scatteritem}}"
    return gather.shards(pattern.format(dataset=wildcards.dataset, model=first))


def arrays_of(wildcards):
    """The folder of a user's arrays about a data set."""
    path = config["models"][wildcards.model]["path"]
    return array_folder(path, wildcards.dataset)


def users_arrays(wildcards):
    """The files of activations made elsewhere, and the table of their rows' names."""
    folder, samples = (
        arrays_of(wildcards),
        config["models"][wildcards.model]["samples"],
    )
    return [str(path) for path in [*array_files(folder), folder / samples]]


def arrays_state(wildcards):
    """State of the folder: also a file that was replaced by an older one is seen."""
    return folder_state(arrays_of(wildcards))


def activations_in_studies(wildcards):
    """Activations of a model on the data sets of the studies that run."""
    return activations_in_run(wildcards.model)


def activations_in_run(model):
    """The same, by the model's name."""
    names = []
    for study in (config["studies"][name] for name in config["run"]):
        if study["kind"] == "published_labels" or model not in study["models"]:
            continue
        names += study.get("probing") or [study["dataset"]]
        local = study.get("transforms", {}).get("local_images")
        if local and model in catalogue.models_of(study, "pretrained"):
            names.append(local["dataset"])
    return [f"results/activations/{name}/{model}" for name in dict.fromkeys(names)]
