"""A page to browse what each neuron and layer knows: data beside it, no server, no network."""

from strata.atlas.samples import Samples
from strata.atlas.study import shown_words, study_data
from strata.atlas.writing import copy_page, write_data

__all__ = ["Samples", "copy_page", "shown_words", "study_data", "write_data"]
