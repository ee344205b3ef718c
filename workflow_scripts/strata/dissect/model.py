"""Several functions and all layers of a model in one pass."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np
import pandas as pd

from strata.dissect.dissection import Dissection
from strata.dissect.measures import label_measures
from strata.dissect.parameters import similarity_parameters
from strata.dissect.softmax import SoftmaxSums
from strata.errors import StrataError
from strata.tables import blocks_passed


def label_with_all(
    activations: np.ndarray,
    image_embeddings: np.ndarray,
    text_embeddings: np.ndarray,
    concepts: Sequence[str],
    similarities: Sequence[str],
    *,
    top_k: int | None = None,
    n_permutations: int = 0,
    seed: int = 0,
    memory_mb: float = 64,
    n_images_shown: int = 5,
    n_runners_up: int = 4,
    sums: SoftmaxSums | None = None,
    device: str = "cpu",
    backend: str | None = None,
) -> pd.DataFrame:
    """`label_neurons` with several functions: rows stacked, the function in column `similarity`.

    `top_k` and `n_permutations` apply to the first function, the main one; the others take their
    own default and no null.
    """
    dissection = Dissection(
        image_embeddings,
        text_embeddings,
        concepts,
        _parameters(similarities, len(image_embeddings), top_k),
        permutations=n_permutations,
        seed=seed,
        memory_mb=memory_mb,
        sums=sums,
        device=device,
        backend=backend,
    )
    dissection.add(activations, n_images_shown)
    return _stacked(similarities, dissection.tables(n_runners_up), 0)


def dissect_model(
    layers: Iterable[tuple[str, np.ndarray]],
    image_embeddings: np.ndarray,
    text_embeddings: np.ndarray,
    concepts: Sequence[str],
    *,
    model: str,
    dataset: str,
    similarities: Sequence[str],
    top_k: int | None = None,
    permutations: int = 0,
    seed: int = 0,
    log: Callable[[str], None] = print,
    sums: SoftmaxSums | None = None,
    memory_mb: float = 64,
    device: str = "cpu",
    backend: str | None = None,
) -> pd.DataFrame:
    """Measure rows of the labels of all layers, by each similarity function; the first is the main.

    `layers` gives names and activations (images, neurons). Each layer is read as it comes, and not
    kept unless a function reads all activations again (cosine cubed: let those be memory-mapped).
    Then images and concepts are compared once for all layers and functions. Other arguments and
    errors as for `label_with_all`, with the model, and the layer where it is the reason, named.
    """
    options = {"memory_mb": memory_mb, "sums": sums, "device": device, "backend": backend}
    options |= {"permutations": permutations, "seed": seed}
    where, sizes = f"{model} on {dataset}", []
    try:
        dissection = Dissection(
            image_embeddings,
            text_embeddings,
            concepts,
            _parameters(similarities, len(image_embeddings), top_k),
            **options,
        )
        for layer, activations in layers:
            where = f"{model} on {dataset}, layer {layer}"
            dissection.add(activations)
            sizes.append((layer, activations.shape[1]))
        where = f"{model} on {dataset}"
        if not sizes:
            raise StrataError("no layers to label")
        found = dissection.tables()
    except StrataError as error:
        raise StrataError(f"{where}: {error}") from None
    tables = []
    for index, (layer, n_neurons) in enumerate(sizes):
        table = _stacked(similarities, found, index)
        place = {"layer": layer, "layer_index": index, "n_images": len(image_embeddings)}
        tables.append(label_measures(table, model=model, dataset=dataset, seed=seed, **place))
        tied = (found[0][index]["tied"] > 0).mean()
        more = f", {tied:.0%} of them with tied top pictures" if tied else ""
        log(f"{layer}: {n_neurons} neurons labelled{more}")
    table = pd.concat(tables, ignore_index=True)
    return table.assign(block=blocks_passed(table))


def _parameters(similarities: Sequence[str], n_images: int, top_k: int | None) -> list:
    """Parameters by function; `top_k` is the first one's."""
    return [
        similarity_parameters(similarity, n_images, None if number else top_k)
        for number, similarity in enumerate(similarities)
    ]


def _stacked(
    similarities: Sequence[str], tables: list[list[pd.DataFrame]], layer: int
) -> pd.DataFrame:
    parts = [
        table[layer].assign(similarity=name)
        for name, table in zip(similarities, tables, strict=True)
    ]
    return pd.concat(parts, ignore_index=True)
