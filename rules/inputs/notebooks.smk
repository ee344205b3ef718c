"""Input functions and parameters of the rules in `rules/notebooks.smk`."""

# The measures that the notebook of each kind of study reads.
EXPLORED = {
    "concepts": ("labels",),
    "published_labels": ("labels",),
    "convexity": ("convexity",),
    "pruning": ("trained", "cost"),
}


def explored(study):
    """Tables that a study's notebook reads, by measure; none where a measure is not taken."""
    measures = EXPLORED[config["studies"][study]["kind"]]
    found = {measure: tables_of(study, measure) for measure in measures}
    return found if all(found.values()) else {}


def explored_tables(wildcards):
    # Snakemake writes the folder's name between apostrophes into the notebook that it runs.
    if "'" in os.getcwd():
        raise WorkflowError(
            f"{os.getcwd()}: notebooks do not run in a folder with an apostrophe in its path"
        )
    return explored(wildcards.study)
