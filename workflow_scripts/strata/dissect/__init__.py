"""Naming neurons with CLIP-Dissect (Oikarinen & Weng, ICLR 2023), in bounded memory.

A neuron is one column of an activation array, a concept one row of a text embedding array, and
P = images x concepts the cosine similarities of their embeddings. Five functions score how well a
concept describes a neuron, each in a file beside its formula: soft_wpmi.py, wpmi.py,
rank_reorder.py and cosine.py (plain and cubed).

P is never held. All layers of a model are read one after the other (images.py); then the images
that some neuron needs are compared with a tile of concepts at a time, once for all layers and
functions, and of each tile only every neuron's best concepts are kept (stream.py, best.py). The
softmax's row sums, which need all concepts, are the same for all models of a study (softmax.py).
"""

from strata.dissect.annotation import ANNOTATION_COLUMNS, Annotations, label_by_annotation
from strata.dissect.cosine import Cosine
from strata.dissect.halves import label_halves, picture_halves, stability, with_stability
from strata.dissect.images import top_images
from strata.dissect.labels import LABEL_COLUMNS
from strata.dissect.measures import label_measures
from strata.dissect.model import dissect_model, label_with_all
from strata.dissect.neurons import label_neurons, similarity_scores
from strata.dissect.parameters import (
    DEFAULTS,
    SIMILARITIES,
    Parameters,
    similarity_parameters,
    softmax_temperatures,
)
from strata.dissect.rank_reorder import RankReorder
from strata.dissect.soft_wpmi import SoftWpmi
from strata.dissect.softmax import SoftmaxSums, softmax_sums
from strata.dissect.wpmi import Wpmi

__all__ = [
    "ANNOTATION_COLUMNS",
    "DEFAULTS",
    "LABEL_COLUMNS",
    "SIMILARITIES",
    "Annotations",
    "Cosine",
    "Parameters",
    "RankReorder",
    "SoftWpmi",
    "SoftmaxSums",
    "Wpmi",
    "dissect_model",
    "label_by_annotation",
    "label_halves",
    "label_measures",
    "label_neurons",
    "label_with_all",
    "picture_halves",
    "similarity_parameters",
    "similarity_scores",
    "softmax_sums",
    "softmax_temperatures",
    "stability",
    "top_images",
    "with_stability",
]
