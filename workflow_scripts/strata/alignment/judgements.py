"""Sets of triplets, and where their items lie among the samples of a data set."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from strata.data.answers import check_triplets
from strata.data.shown import shown_pictures
from strata.errors import StrataError


@dataclass(frozen=True)
class Judgements:
    """A set of triplets and where their items lie among the samples of a data set.

    `answers` has a, b, odd and count; `items` is each sample's item number, -1 for none; `members`
    the items' categories (boolean columns, perhaps none); `info` is the set's `dataset.json`;
    `names` are the items'.
    """

    name: str
    answers: pd.DataFrame
    items: np.ndarray
    n_items: int
    members: pd.DataFrame
    info: Mapping
    names: Sequence[str] | None = None

    @classmethod
    def of(
        cls, manifest: pd.DataFrame, answers: pd.DataFrame, info: Mapping, linked: pd.Series
    ) -> Judgements:
        """Join the set's items (`manifest`) to samples, whose item names `linked` holds.

        Raises StrataError for an item without any sample or a name that two have, and for answers
        about others than the items, or that nobody gave.
        """
        numbers = {name: i for i, name in enumerate(manifest["item"].astype(str))}
        if len(numbers) != len(manifest):
            raise StrataError(f"{info['name']}: {len(manifest)} items have {len(numbers)} names")
        items = linked.astype("str").map(numbers).fillna(-1).astype(int).to_numpy()
        missing = sorted(set(range(len(numbers))) - set(items.tolist()))
        if missing:
            name = manifest["item"].iloc[missing[0]]
            raise StrataError(f"{info['name']}: item {name!r} has no sample in {info['images']}")
        try:
            check_triplets(answers[["a", "b", "odd"]].to_numpy(), len(manifest))
        except StrataError as error:
            raise StrataError(f"{info['name']}: {error}") from None
        if (answers["count"] < 1).any():
            raise StrataError(f"{info['name']}: an answer was given less than once")
        families = manifest.drop(columns=["sample", "split", "index", "item"])
        members = _members(families)
        return cls(info["name"], answers, items, len(numbers), members, info, list(numbers))

    @property
    def rows(self) -> np.ndarray:
        """Triplets (answers, 3), repeated as often as the answer was given."""
        return np.repeat(
            self.answers[["a", "b", "odd"]].to_numpy(), self.answers["count"].to_numpy(), axis=0
        )


def picture_categories(judgements: Judgements) -> pd.DataFrame:
    """Categories of each sample's item as boolean columns; a sample of no item is in none."""
    known = judgements.items >= 0
    marks = judgements.members.to_numpy(bool)[np.where(known, judgements.items, 0)]
    return pd.DataFrame(marks & known[:, None], columns=judgements.members.columns)


def _members(families: pd.DataFrame) -> pd.DataFrame:
    """Categories as boolean columns: boolean families as they are, others as "family=value"."""
    columns = {}
    for name, values in families.items():
        if values.dtype == bool:
            columns[name] = values
        else:
            columns |= {
                f"{name}={value}": values == value for value in sorted(set(values.dropna()))
            }
    return pd.DataFrame(columns, index=families.index)


def open_judgements(
    files: Sequence[str],
    columns: Mapping[str, str],
    pictures: pd.DataFrame,
    every_picture: bool = False,
) -> list[Judgements]:
    """Sets of triplets from their `triplets.parquet` files, beside which the other two lie.

    `columns` maps a set's name to the column of `pictures` that holds its items' names. Where the
    set says which pictures were shown to people, an item is those of its pictures, if it has any;
    all of them with `every_picture`.
    """
    found = []
    for file in map(Path, files):
        info = json.loads((file.parent / "dataset.json").read_text())
        items = pd.read_parquet(file.parent / "manifest.parquet")
        linked = pictures[columns[info["name"]]].astype("str")
        if "shown" in info and not every_picture:
            linked = linked.where(shown_pictures(linked, pictures["path"], info["shown"]))
        found.append(Judgements.of(items, pd.read_parquet(file), info, linked))
    return found
