"""Graph convexity of concepts that overlap, such as a toy that is an animal and a plaything.

Each concept by itself on the one graph of all samples: its pairs, and which interior vertices of
their paths belong to it, as in `strata.convexity.scores`. Concepts that do not overlap get the
values that `graph_convexity` gives them.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from strata.arrays import as_array, drawn_order
from strata.convexity.graphs import neighbor_graph
from strata.convexity.scores import expected_scores
from strata.convexity.tallies import Labels, tally_pairs
from strata.errors import StrataError
from strata.stats import percentile_interval
from strata.threads import one_blas_thread


def overlapping_convexity(
    features: np.ndarray,
    members: pd.DataFrame,
    n_neighbors: int = 10,
    pairs: str | int = "all",
    seed: int = 0,
    *,
    bootstrap: int = 1000,
) -> pd.DataFrame:
    """Graph convexity of each concept (boolean column of `members`) in `features`.

    A row per concept with two samples or more: concept, value, low, high (bootstrap over its
    samples), chance, n_samples, n_pairs, unreachable. Arguments as for `graph_convexity`.

    Raises StrataError for a column that is not boolean, another number of rows, or no concept with
    two samples, besides the errors of `neighbor_graph`.
    """
    if len(members) != len(features):
        raise StrataError(f"there are {len(features)} samples, but {len(members)} rows of marks")
    features = as_array(features, "features")
    # As in `graph_convexity`, nothing goes by the order in which samples are given.
    order = drawn_order(features, list(members.itertuples(index=False, name=None)), seed)
    members = members.iloc[order]
    graph, rows = neighbor_graph(features[order], n_neighbors, seed=seed), []
    for name, marks in members.items():
        if marks.dtype != bool:
            raise StrataError(f"concept {name!r}: marks should be true or false, not {marks.dtype}")
        sizes = np.bincount(marks.to_numpy(np.int32), minlength=2)
        if sizes[1] < 2:
            continue
        named = Labels(marks.to_numpy(np.int32), ["", name], sizes)
        with one_blas_thread():
            tally = tally_pairs(graph, named, pairs, bootstrap, seed, only=1)[1]
        with np.errstate(invalid="ignore", divide="ignore"):
            draws = tally.numerators / tally.denominators
        low, high = percentile_interval(draws)
        row = {"concept": name, "value": tally.total / tally.n_pairs, "low": low, "high": high}
        row |= {"chance": float(expected_scores(graph, sizes[1:])[0]), "n_samples": int(sizes[1])}
        row |= {"n_pairs": tally.n_pairs, "unreachable": tally.lost / tally.n_pairs}
        rows.append(row)
    if not rows:
        raise StrataError("no concept has two samples: convexity is about pairs")
    return pd.DataFrame(rows)
