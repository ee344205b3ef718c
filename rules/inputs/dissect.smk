"""Input functions and parameters of the rules in `rules/dissect.smk`."""


def concept_file(name):
    """Where the word list of a concept set lies: the user's file, or the downloaded one."""
    entry = config["concept_sets"][name]
    return entry["path"] if entry["kind"] == "file" else f"results/concepts/{name}.txt"


def clip_of(wildcards):
    return study_of(wildcards)["clip"]
