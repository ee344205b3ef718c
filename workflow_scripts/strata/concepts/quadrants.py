"""Pictures and neurons halved together: what intervals about new ones of both are made of.

In each split (`strata.dissect.halves`) half of a layer's neurons, labelled on one half of the
pictures, stands against the other neurons on the other pictures. The two have nothing in common, so
that (first - second)^2 / 4 estimates the variance of the whole over both (`strata.intervals`); what
is due to a neuron and a picture together counts twice, which errs on the wide side.

This holds where a neuron's label is its own. Soft WPMI and WPMI divide by a mean over the layer's
neurons, so that neurons share the concepts out among themselves: shares then vary less or more than
those of independent neurons would, and neither halves of pictures, nor of both, nor neurons
labelled anew in halves held their level. There is none for them. Nor is there for a number of
distinct concepts, which does not grow with the neurons as a mean's sum does.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from strata.intervals import random_halves

BOTH, NEURONS = "pictures and neurons", "neurons"  # what an interval speaks about
_COMPETE = ("soft_wpmi", "wpmi")  # functions by which a label depends on the other neurons


def have_own_labels(similarity: str) -> bool:
    """Whether a neuron's label by this function is the same whatever the other neurons are."""
    return similarity not in _COMPETE


def neuron_halves(n: int, splits: int, seed: int) -> np.ndarray:
    """Which of n neurons, in the order of their units, are in each first half: (splits, n).

    Layers of equal width have the same halves. With fewer than two neurons there are none, (0, n).
    """
    if n < 2:
        return np.zeros((0, n), dtype=bool)
    return random_halves(np.zeros(n, dtype=int), splits, seed)


def quadrants(half_labels: pd.DataFrame, seed: int) -> Iterator[tuple[pd.DataFrame, pd.DataFrame]]:
    """The two tables of each split of a layer's labels on halves, of half the neurons each.

    Columns as `label_halves` gives them; rows by unit.
    """
    units = np.sort(half_labels["unit"].unique())
    splits = np.sort(half_labels["split"].unique())
    table = half_labels.sort_values("unit")
    for split, first in zip(splits, neuron_halves(len(units), len(splits), seed), strict=False):
        own = table[table["split"] == split]
        sides = [
            own["half"].eq(half) & own["unit"].isin(units[first ^ bool(half)]) for half in (0, 1)
        ]
        yield own[sides[0]], own[sides[1]]
