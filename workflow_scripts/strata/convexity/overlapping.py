"""Graph convexity of concepts that overlap, such as a toy that is an animal and a plaything.

Each concept by itself on the one graph of all samples: its pairs, and which interior vertices of
their paths belong to it, as in `strata.convexity.scores`. Concepts that do not overlap get the
values that `graph_convexity` gives them.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from strata.arrays import as_array, drawn_order
from strata.convexity.graphs import graph_among, surroundings
from strata.convexity.halved import checked_halves, drawn_halves, halved_scores, score_interval
from strata.convexity.scores import expected_scores
from strata.convexity.tallies import Labels, tally_pairs
from strata.errors import StrataError
from strata.tables import DEVIATES
from strata.threads import one_blas_thread


def overlapping_convexity(
    features: np.ndarray,
    members: pd.DataFrame,
    n_neighbors: int = 10,
    pairs: str | int = "all",
    seed: int = 0,
    *,
    halves: int | np.ndarray = 10,
) -> pd.DataFrame:
    """Graph convexity of each concept (boolean column of `members`) in `features`.

    A row per concept with two samples or more: concept, value, low, high, chance, n_samples,
    n_pairs, unreachable, and an array of deviates. Arguments and intervals as for
    `graph_convexity`; halves are drawn within samples of the same concepts.

    Raises StrataError for a column that is not boolean, another number of rows, or no concept with
    two samples, besides the errors of `neighbor_graph`.
    """
    if len(members) != len(features):
        raise StrataError(f"there are {len(features)} samples, but {len(members)} rows of marks")
    features = as_array(features, "features")
    # As in `graph_convexity`, nothing goes by the order in which samples are given.
    halves = checked_halves(halves, len(features))
    given = halves.T if isinstance(halves, np.ndarray) else None
    order = drawn_order(features, list(members.itertuples(index=False, name=None)), seed, given)
    members = members.iloc[order]
    strata = list(members.itertuples(index=False, name=None))
    halves = drawn_halves(halves, order, strata, seed)
    near, rows = surroundings(features[order], n_neighbors, halves=len(halves) > 0), []
    graph = graph_among(near, n_neighbors, seed)
    for name, marks in members.items():
        if marks.dtype != bool:
            raise StrataError(f"concept {name!r}: marks should be true or false, not {marks.dtype}")
        sizes = np.bincount(marks.to_numpy(np.int32), minlength=2)
        if sizes[1] < 2:
            continue
        named = Labels(marks.to_numpy(np.int32), ["", name], sizes)
        with one_blas_thread():
            tally = tally_pairs(graph, named, pairs, seed, only=1)[1]
            halved = halved_scores(near, named, halves, n_neighbors, pairs, seed, only=1)
        value, held = tally.total / tally.n_pairs, halved.concepts[1]
        row = {"concept": name, **score_interval(value, held, int(sizes[1]))._asdict()}
        row |= {"chance": float(expected_scores(graph, sizes[1:])[0]), "n_samples": int(sizes[1])}
        row |= {"n_pairs": tally.n_pairs, "unreachable": tally.lost / tally.n_pairs}
        row |= {DEVIATES: held}
        rows.append(row)
    if not rows:
        raise StrataError("no concept has two samples: convexity is about pairs")
    return pd.DataFrame(rows)
