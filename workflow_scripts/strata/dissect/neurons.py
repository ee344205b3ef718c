"""One layer: scores and labels of its neurons."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from strata.dissect.dissection import Dissection
from strata.dissect.parameters import similarity_parameters
from strata.dissect.softmax import SoftmaxSums


def similarity_scores(
    activations: np.ndarray,
    image_embeddings: np.ndarray,
    text_embeddings: np.ndarray,
    similarity: str = "soft_wpmi",
    top_k: int | None = None,
    *,
    memory_mb: float = 64,
    parameters: Mapping[str, float] | None = None,
    sums: SoftmaxSums | None = None,
    device: str = "cpu",
    backend: str | None = None,
) -> np.ndarray:
    """All scores, (neurons, concepts), held whole; arguments and errors as for `label_neurons`."""
    names = [str(i) for i in range(len(text_embeddings))]
    chosen = similarity_parameters(similarity, len(image_embeddings), top_k, parameters)
    options = {"memory_mb": memory_mb, "sums": sums, "device": device, "backend": backend}
    dissection = Dissection(image_embeddings, text_embeddings, names, [chosen], **options)
    dissection.add(activations)
    return dissection.scores()


def label_neurons(
    activations: np.ndarray,
    image_embeddings: np.ndarray,
    text_embeddings: np.ndarray,
    concepts: Sequence[str],
    similarity: str = "soft_wpmi",
    top_k: int | None = None,
    *,
    n_permutations: int = 0,
    seed: int = 0,
    memory_mb: float = 64,
    n_images_shown: int = 5,
    n_runners_up: int = 4,
    parameters: Mapping[str, float] | None = None,
    sums: SoftmaxSums | None = None,
    device: str = "cpu",
    backend: str | None = None,
) -> pd.DataFrame:
    """Label each neuron of a layer with the concept that describes it best.

    Parameters
    ----------
    activations : (images, neurons), may be memory-mapped; arrays as `strata.arrays` takes them
    image_embeddings, text_embeddings : (images, d) and (concepts, d); normalised here
    concepts : the words, one per text embedding
    similarity : one of `SIMILARITIES`
    top_k : images per neuron; None takes the function's own (soft WPMI 100, WPMI 28, rank reorder
        5 % of the images; the cosines use all images and ignore it)
    n_permutations : shuffles of the images for the null of the best score; 0 leaves p and q NaN
    memory_mb : size of what is computed at a time, at least 16 concepts a thread; held beside it
        are the embeddings in float32 and what `Dissection` keeps of a layer
    parameters : overrides of the function's other parameters (`SoftWpmi`, `Wpmi`, ...)
    sums : what `softmax_sums` found for these embeddings; None computes it
    device : "cpu", "cuda" or "auto"; `backend` "torch" lets torch compute on the CPU as well

    Returns
    -------
    DataFrame with a row per neuron: unit, label, score, runner_up (the next best, ";"-joined),
    margin (score minus the second best; NaN with a single concept), p_value = (1 + number of null
    maxima >= score) / (permutations + 1), q_value (Benjamini-Hochberg within the layer), images
    (sample numbers of the most activating, ";"-joined), constant, tied (share of the top places
    that equally activating images share; docs/ties.md). A constant neuron has no top
    images and hence no label: label missing, score and margin 0, p = q = 1 and empty strings; it
    takes no part in the prior or the adjustment, and counts leave it out.

    Raises
    ------
    StrataError
        Shapes that do not fit, fewer than two images or than `top_k`, no or repeated concepts,
        NaN or infinite values, an unknown similarity, parameter or device, sums of
        other embeddings.
    """
    chosen = similarity_parameters(similarity, len(image_embeddings), top_k, parameters)
    options = {"memory_mb": memory_mb, "sums": sums, "device": device, "backend": backend}
    options |= {"permutations": n_permutations, "seed": seed}
    dissection = Dissection(image_embeddings, text_embeddings, concepts, [chosen], **options)
    dissection.add(activations, n_images_shown)
    return dissection.tables(n_runners_up)[0][0]
