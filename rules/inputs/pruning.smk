"""Input functions and parameters of the rules in `rules/pruning.smk`."""


def training_seeds(study):
    """Seeds of the trainings of a study of pruning."""
    return [config["seed"] + number for number in range(study["seeds"])]
