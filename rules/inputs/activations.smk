"""Input functions and parameters of the rules in `rules/activations.smk`."""

from strata.activations.importing import array_folder
from strata.data.arrays import array_files
from strata.data.folder import folder_state


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
    names = []
    for study in (config["studies"][name] for name in config["run"]):
        if (
            study["kind"] == "published_labels"
            or wildcards.model not in study["models"]
        ):
            continue
        names += study.get("probing") or [study["dataset"]]
        local = study.get("transforms", {}).get("local_images")
        if local and wildcards.model in catalogue.models_of(study, "pretrained"):
            names.append(local["dataset"])
    return [
        f"results/activations/{name}/{wildcards.model}" for name in dict.fromkeys(names)
    ]
