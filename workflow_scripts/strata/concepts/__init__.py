"""What the labels of neurons add up to: counts and categories by layer, and how true they are."""

from strata.concepts.counts import THRESHOLDS, category_shares, concept_counts
from strata.concepts.measures import count_measures, share_measures
from strata.concepts.released import read_released_labels, released_measures
from strata.data.words import read_categories, read_concepts

__all__ = [
    "THRESHOLDS",
    "category_shares",
    "concept_counts",
    "count_measures",
    "read_categories",
    "read_concepts",
    "read_released_labels",
    "released_measures",
    "share_measures",
]
