"""What users hand over as arrays and labels, and an order of rows that is not the one given.

Tensors (on any device, in bfloat16 too), DataFrames, Series, categoricals and lists come as they
are. A draw among equals (pairs of samples, neighbors at one distance, images that activate a neuron
alike) must not go by a row's number, or a table sorted by class tells of the sorting: it goes by
what is in the rows (`drawn_order`, `random_ranks`).
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b

import numpy as np
import pandas as pd

from strata.errors import StrataError


def as_array(values, name: str) -> np.ndarray:
    """`values` as a numpy array of numbers, memory-mapped if it was.

    A torch tensor (any device, with or without gradient; bfloat16 becomes float32), a pandas object
    with any index, a list, or an array. Raises StrataError, naming `name`, for what is sparse,
    complex, masked or no numbers.
    """
    if hasattr(values, "detach"):  # a tensor, without loading torch
        if "strided" not in str(values.layout):
            raise StrataError(f"{name} is a sparse tensor; give a dense one (.to_dense())")
        values = values.detach().cpu()
        values = (values.float() if "bfloat16" in str(values.dtype) else values).numpy()
    elif hasattr(values, "tocsr"):
        raise StrataError(f"{name} is sparse; give a dense array (.toarray())")
    elif isinstance(values, pd.DataFrame | pd.Series):
        numeric = values.convert_dtypes(convert_string=False)
        kinds = [numeric.dtype] if values.ndim == 1 else list(numeric.dtypes)
        if not all(pd.api.types.is_numeric_dtype(kind) for kind in kinds):
            raise StrataError(
                f"{name} must be numbers, not {', '.join(sorted({*map(str, kinds)}))}"
            )
        plain = all(isinstance(kind, np.dtype) for kind in np.atleast_1d(values.dtypes))
        values = values.to_numpy() if plain else values.to_numpy(dtype=float, na_value=np.nan)
    if isinstance(values, np.ma.MaskedArray):
        raise StrataError(f"{name} is a masked array; give one without a mask")
    try:
        array = np.asarray(values)
    except ValueError:
        raise StrataError(f"{name}: rows differ in length") from None
    if array.dtype.kind == "O" and array.size:
        array = _of_objects(array, name)
    if array.dtype.kind not in "fiub":
        raise StrataError(f"{name} must be real numbers, not {array.dtype}")
    return array


def _of_objects(array: np.ndarray, name: str) -> np.ndarray:
    """A list of tensors or arrays of numbers."""
    try:
        return array.astype(np.float64)
    except (TypeError, ValueError):
        raise StrataError(f"{name} must be numbers, not Python objects") from None


def as_labels(labels, n: int, name: str = "labels") -> list:
    """One label for each of n samples: strings, numbers, categoricals, tensors, with any index.

    Raises StrataError for another number of labels and for a missing one (None, NaN, NaT, NA).
    """
    if hasattr(labels, "detach"):
        labels = labels.detach().cpu().numpy()
    if isinstance(labels, pd.DataFrame) or getattr(labels, "ndim", 1) != 1:
        raise StrataError(f"{name} must be one column, not of shape {np.shape(labels)}")
    if hasattr(labels, "tolist"):
        labels = labels.tolist()
    found = [label.item() if hasattr(label, "item") else label for label in labels]
    if len(found) != n:
        raise StrataError(f"there are {n} samples, but {len(found)} {name}")
    missing = pd.isna(pd.Series(found, dtype=object)).to_numpy()
    if missing.any():
        raise StrataError(f"{name}: sample {int(missing.argmax())} has none")
    return found


# --- an order that does not go by number --------------------------------------------------------


def row_digests(rows: np.ndarray) -> np.ndarray:
    """A number of 64 bits for each row (n,): the same for equal values, of whatever type."""
    flat = np.asarray(rows).reshape(len(rows), -1)
    found = np.empty(len(flat), dtype=np.uint64)
    for i, row in enumerate(flat):
        content = (row.astype(np.float64) + 0.0).data  # no -0
        found[i] = int.from_bytes(blake2b(content, digest_size=8).digest(), "little")
    return found


def _keyed(seed: int, *columns: np.ndarray) -> np.ndarray:
    """A number of 64 bits for each row of the uint64 columns, at random by `seed`."""
    key = str(int(seed)).encode()[:64]
    table = np.stack(columns, axis=1)
    found = np.empty(len(table), dtype=np.uint64)
    for i, row in enumerate(table):
        found[i] = int.from_bytes(blake2b(row.data, digest_size=8, key=key).digest(), "little")
    return found


def random_ranks(rows: np.ndarray, seed: int) -> np.ndarray:
    """A rank for each of n rows (n,), int32, drawn by `seed` and what is in the row.

    The order of the rows plays no part, but among rows that are equal in everything.
    """
    digests = row_digests(rows)
    keys = _keyed(seed, digests, _occurrence(digests))
    ranks = np.empty(len(keys), dtype=np.int32)
    ranks[np.argsort(keys, kind="stable")] = np.arange(len(keys), dtype=np.int32)
    return ranks


def drawn_order(
    rows: np.ndarray, labels: Sequence, seed: int, beside: np.ndarray | None = None
) -> np.ndarray:
    """Row numbers (n,) in an order that is drawn by `seed`, whatever the order given.

    What is drawn in this order, or goes to the first of several equals, depends neither on how the
    rows are sorted nor on their classes: equal rows of several classes are mixed at random. Names
    of classes count only for classes whose rows are all the same, and where no two rows are equal
    labels play no part. `beside` (n, more) tells equal rows of a class apart, as by the halves that
    they are in: without it they are one as good as another.
    """
    digests = row_digests(rows)
    if len(np.unique(digests)) == len(digests):
        return np.argsort(_keyed(seed, digests), kind="stable")
    codes, names = pd.factorize(pd.Series(list(labels), dtype=object))
    table = pd.DataFrame({"row": digests, "code": codes})
    members = table.sort_values("row").groupby("code")["row"]
    content = [_text(part.to_numpy().tobytes()) for _, part in members]
    alike = pd.Series(content).duplicated(keep=False).to_numpy()
    told = [
        _text(repr(name).encode()) if same else 0 for name, same in zip(names, alike, strict=True)
    ]
    classes = [np.array(values, dtype=np.uint64)[codes] for values in (content, told)]
    among = (
        np.arange(len(table)) if beside is None else np.argsort(row_digests(beside), kind="stable")
    )
    counted = np.empty(len(table), dtype=np.uint64)
    counted[among] = table.iloc[among].groupby(["row", "code"]).cumcount().to_numpy(np.uint64)
    return np.argsort(_keyed(seed, digests, *classes, counted), kind="stable")


def _text(content: bytes) -> int:
    return int.from_bytes(blake2b(content, digest_size=8).digest(), "little")


def _occurrence(values: np.ndarray) -> np.ndarray:
    """How many equal values stand before each."""
    return pd.Series(values).groupby(values).cumcount().to_numpy(np.uint64)
