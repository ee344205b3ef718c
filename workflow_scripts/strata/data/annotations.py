"""Annotations of samples: which sample has which concept, from label columns and from numbers.

A concept is named "column=value". It is 1 for samples that have it, 0 for those that lack it, and
NaN for those that it does not apply to, as they have no value in the column.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import numpy as np
import pandas as pd

from strata.errors import StrataError


def label_annotations(
    manifest: pd.DataFrame,
    columns: Sequence[str],
    values_of: Mapping[str, Collection[str]] | None = None,
) -> pd.DataFrame:
    """A concept for each value of label columns, (samples, concepts) float32, named by concept.

    A missing or empty value leaves the sample out of that column's concepts only. With `values_of`
    there are concepts of these values alone. Raises StrataError for a column that the data set does
    not have.
    """
    found: dict[str, np.ndarray] = {}
    for column in columns:
        if column not in manifest:
            raise StrataError(f"annotations: the data set has no column {column!r}")
        values = manifest[column]
        missing = (values.isna() | (values.astype(str) == "")).to_numpy()
        words = values.astype(str).to_numpy()
        there = set(words[~missing])
        for value in sorted(there if values_of is None else there & set(values_of[column])):
            present = (words == value).astype(np.float32)
            found[f"{column}={value}"] = np.where(missing, np.float32(np.nan), present)
    return pd.DataFrame(found, index=range(len(manifest)))


def number_annotations(
    numbers: pd.DataFrame, share: float = 0.25, above: Sequence[float] = ()
) -> pd.DataFrame:
    """Concepts of real-valued columns, as `label_annotations`.

    Without `above`: "column=low" and "column=high" are the samples up to the quantile `share` and
    from the quantile 1 - `share` on, among those that have a number; the others lack both. With
    thresholds `above`, for columns of shares: "column>0.1" is a share above it.

    Raises StrataError for a `share` that is not between 0 and 1/2.
    """
    if not 0 < share <= 0.5:
        raise StrataError(f"annotations: share must be above 0 and at most 0.5, not {share}")
    found: dict[str, np.ndarray] = {}
    for column in numbers:
        values = numbers[column].to_numpy(dtype=float)
        missing = np.isnan(values)
        if missing.all():
            continue
        low, high = np.nanquantile(values, [share, 1 - share])
        classes = {f"{column}>{level:g}": values > level for level in above}
        if not above:
            classes = {f"{column}=low": values <= low, f"{column}=high": values >= high}
        for name, present in classes.items():
            found[name] = np.where(missing, np.nan, present).astype(np.float32)
    return pd.DataFrame(found, index=range(len(numbers)))
