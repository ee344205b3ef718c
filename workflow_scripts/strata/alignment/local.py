"""Pictures whose neighborhoods a gLocal transform keeps (ImageNet's in the original)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from strata.activations.probing import ProbingSet
from strata.errors import StrataError


def local_batches(
    names: Sequence, samples: int | str = "all", batch_size: int = 1024, seed: int = 0
) -> list[np.ndarray]:
    """Row numbers of each batch of local pictures: `samples` of them (or all), drawn by `seed`.

    Batches are of equal size, to one, and of at most `batch_size` pictures: each picture's
    neighbors are those of its batch. The draw is from the pictures in the order of their `names`,
    so that it does not depend on the order of rows.

    Raises StrataError for fewer than three pictures, or a batch size below three.
    """
    if batch_size < 3:
        raise StrataError(f"local images: a batch needs three pictures or more, not {batch_size}")
    order = np.argsort(np.asarray(names), kind="stable")
    drawn = order[np.random.default_rng([seed, 2]).permutation(len(order))]
    drawn = drawn if samples == "all" else drawn[:samples]
    if len(drawn) < 3:
        raise StrataError(f"local images: {len(drawn)} pictures have no neighborhoods to keep")
    # Never so many batches that one has fewer than three pictures.
    batches = min(-(-len(drawn) // batch_size), len(drawn) // 3)
    return np.array_split(drawn, batches)


def local_layers(
    pictures: ProbingSet, samples: int | str = "all", batch_size: int = 1024, seed: int = 0
) -> Iterator[tuple[str, list[np.ndarray]]]:
    """Name and batches (pictures, dimensions) of local pictures, one layer after the other.

    The same pictures in every layer. Errors as `local_batches`.
    """
    manifest = pictures.manifest
    names = manifest["path" if "path" in manifest else "index"].to_numpy()
    batches = local_batches(names, samples, batch_size, seed)
    for name, features in pictures.layers():
        yield name, [features[rows] for rows in batches]
