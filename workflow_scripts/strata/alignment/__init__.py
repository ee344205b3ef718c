"""Does a representation agree with what people see as similar, and what if it is made to?"""

from strata.alignment.accuracy import (
    category_credits,
    item_means,
    mean_credit,
    odd_one_out_accuracy,
    similarity_matrix,
    triplet_credits,
)
from strata.alignment.transforms import Transform, cross_validate, fit_transform
from strata.data.answers import NoiseCeiling, check_triplets, noise_ceiling, triplet_groups

__all__ = [
    "NoiseCeiling",
    "Transform",
    "category_credits",
    "check_triplets",
    "cross_validate",
    "fit_transform",
    "item_means",
    "mean_credit",
    "noise_ceiling",
    "odd_one_out_accuracy",
    "similarity_matrix",
    "triplet_credits",
    "triplet_groups",
]
