"""Input functions and parameters of the rules in `rules/data.smk`."""

from strata.data.folder import folder_state


def user_folder(wildcards):
    """State of a user's folder: new, removed and changed files are seen."""
    place = config["datasets"][wildcards.dataset]["path"]
    return folder_state(Path(workflow.basedir) / place)


def user_tables(wildcards):
    """The small files that a user wrote for a data set; a change of them is seen."""
    entry = config["datasets"][wildcards.dataset]
    place = entry if "path" in entry else config["datasets"][entry["images"]]
    if "path" not in place:
        return []  # simulated, or downloaded beside the pictures
    keys = ("labels", "segments", "triplets", "items", "categories")
    names = [entry[key] for key in keys if key in entry]
    names += entry.get("lists", {}).values()
    files = [f"{place['path']}/{name}" for name in names]
    # With `from`, what is not in the folder comes with the download.
    return [file for file in files if "from" not in entry or os.path.exists(file)]
