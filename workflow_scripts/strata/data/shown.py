"""Which pictures of an item people saw when they judged it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from strata.data.manifest import Dataset
from strata.errors import StrataError


def shown_pictures(items: pd.Series, paths: pd.Series, shown: str) -> np.ndarray:
    """Which pictures stand for their item (boolean): those whose whole path matches `shown`, and
    all of an item of which none does. `items` names the item of each picture."""
    matches = paths.astype(str).str.fullmatch(shown).to_numpy(bool)
    known = items.isin(items[matches].dropna()).to_numpy()
    return matches | ~known


def check_shown(spec: Mapping, pictures: Dataset, names: Sequence[str]) -> None:
    """Say of how many of the items (`names`) a picture matches `spec["shown"]`, where it is given.

    Raises StrataError where none does, or the pictures have no paths.
    """
    if "shown" not in spec:
        return
    if "path" not in pictures.manifest:
        raise StrataError(f"shown: the pictures of {spec['images']} have no paths to match")
    items = pictures.manifest[spec["column"]].astype("str")
    matches = pictures.manifest["path"].astype(str).str.fullmatch(spec["shown"])
    found = len(set(items[matches.to_numpy(bool)].dropna()) & set(names))
    if not found:
        example = pictures.manifest["path"].iloc[0]
        raise StrataError(
            f"shown: {spec['shown']!r} matches no picture of {spec['images']}, whose paths are "
            f"like {example!r}"
        )
    print(f"shown: a picture of {found} of {len(names)} items; of the others all stand in")
