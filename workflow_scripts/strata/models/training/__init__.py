"""Training: our own small models (the zoo) from their recipes, and fine-tuning.

A recipe (a YAML file beside the weights) says everything that makes a model: architecture,
objective, data and schedule. `train` follows it from nothing; `finetune` continues from weights.
"""

from strata.models.training.finetune import finetune
from strata.models.training.recipe import Recipe, read_recipe
from strata.models.training.train import train

__all__ = ["Recipe", "finetune", "read_recipe", "train"]
