"""Splits of a data set for learning: no sample, and where asked no group of samples, is in two."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np
import pandas as pd

from strata.errors import StrataError


@dataclass(frozen=True)
class Task:
    """A classification task: the column to be learned and the rows of each split."""

    target: str
    rows: Mapping[str, np.ndarray]

    @classmethod
    def of(cls, manifest: pd.DataFrame, target: str, spec: Mapping, seed: int, name: str) -> Task:
        """From a configuration's entry (`splits`, `apart`), by `task_rows`; with validation."""
        needed = ("train", "validation", "test")
        return cls(target, task_rows(manifest, target, seed=seed, name=name, needed=needed, **spec))

    def targets(self, labels: np.ndarray) -> tuple[list[str], np.ndarray]:
        """The classes of the train split, and the class number of every label (-1 for others, and
        for missing ones)."""
        labels, known = as_text(labels), pd.Series(labels).notna().to_numpy()
        classes = np.unique(labels[self.rows["train"]])
        places = np.minimum(np.searchsorted(classes, labels), len(classes) - 1)
        return classes.tolist(), np.where(known & (classes[places] == labels), places, -1)


def tasks_of(manifest: pd.DataFrame, specs: Mapping, seed: int, name: str) -> dict[str, Task]:
    """The tasks of a study's configuration: {column to be learned: task}."""
    return {target: Task.of(manifest, target, spec, seed, name) for target, spec in specs.items()}


def as_text(labels: Sequence) -> np.ndarray:
    """Labels as an array of text; a missing one is "", which no label is."""
    return pd.Series(labels).astype("str").fillna("").to_numpy().astype(str)


def shared_rows(tasks: Mapping[str, Task], split: str) -> np.ndarray:
    """The rows that are in this split of every task."""
    return reduce(np.intersect1d, [task.rows[split] for task in tasks.values()])


def sample_order(manifest: pd.DataFrame) -> np.ndarray:
    """Rows of a manifest in the order of what they are, by path or else index.

    What is drawn in this order is the same for a manifest whose rows are sorted otherwise.
    """
    for column in ("path", "index"):
        if column in manifest:
            values = manifest[column].to_numpy()
            return np.argsort(values.astype(str) if column == "path" else values, kind="stable")
    return np.arange(len(manifest))


def some_rows(rows: np.ndarray, n: int, seed: int, manifest: pd.DataFrame) -> np.ndarray:
    """Up to n of these rows of a manifest, drawn at random by what they are, in ascending order."""
    order = sample_order(manifest)
    rows = order[np.isin(order, rows)]
    drawn = np.random.default_rng(seed).choice(rows, size=min(n, len(rows)), replace=False)
    return np.sort(drawn)


def task_rows(
    manifest: pd.DataFrame,
    target: str,
    splits: Mapping[str, float] | str = "own",
    apart: str | None = None,
    at_least: int = 1,
    seed: int = 0,
    name: str = "data set",
    needed: Sequence[str] = ("train", "test"),
) -> dict[str, np.ndarray]:
    """Rows of each split of a task: {split: rows in order; of "train" by what they are}.

    Parameters
    ----------
    target
        The column of labels to be learned; samples without a label are left out.
    splits
        "own": the manifest's column `split`; or the share of each split, drawn anew: whole groups
        of `apart` where it is given, else samples within each class of `target`.
    apart
        A column no value of which may be in two splits (speakers, when words are learned); samples
        without a value are left out, as nobody knows whether they are apart.
    at_least
        Samples of a class that has fewer are left out.
    needed
        The splits that must not be empty.

    Raises
    ------
    StrataError
        A column or a needed split is missing, a value of `apart` is in two splits, there
        are fewer than two classes, a class is in no train split, or has too few samples to be in
        every split.
    """
    for column in filter(None, (target, apart)):
        if column not in manifest:
            raise StrataError(f"{name}: no column {column!r}")
    known = manifest[[*filter(None, (target, apart))]].notna().all(axis=1)
    labels = as_text(manifest[target])
    sizes = manifest[target].where(known).groupby(manifest[target]).transform("count")
    frequent = known.to_numpy() & (sizes >= at_least).to_numpy()
    if splits == "own":
        rows = {str(s): np.flatnonzero(manifest["split"] == s) for s in set(manifest["split"])}
    elif apart is not None:
        rows = _drawn_groups(as_text(manifest[apart]), splits, seed, f"{name}: {apart}")
    else:
        kept = sample_order(manifest)
        kept = kept[frequent[kept]]
        drawn = _drawn_within(labels[kept], splits, seed, f"{name}: {target}")
        rows = {split: np.sort(kept[part]) for split, part in drawn.items()}
    rows = {split: part[frequent[part]] for split, part in rows.items()}
    if "train" in rows:  # whose batches are drawn by number
        order = sample_order(manifest)
        rows["train"] = order[np.isin(order, rows["train"])]
    _check_task(labels, rows, needed, f"{name}: {target}")
    if apart is not None:
        _check_apart(as_text(manifest[apart]), rows, f"{name}: {apart}")
    return rows


def _drawn_groups(
    groups: np.ndarray, shares: Mapping[str, float], seed: int, name: str
) -> dict[str, np.ndarray]:
    values = np.unique(groups[groups != ""])
    if len(values) < len(shares):
        raise StrataError(f"{name} has {len(values)} values, too few for {len(shares)} splits")
    order = np.random.default_rng(seed).permutation(values)
    parts = np.split(order, _ends(len(values), shares))
    return {
        split: np.flatnonzero(np.isin(groups, part))
        for split, part in zip(shares, parts, strict=True)
    }


def _drawn_within(
    labels: np.ndarray, shares: Mapping[str, float], seed: int, name: str
) -> dict[str, np.ndarray]:
    draw = np.random.default_rng(seed)
    parts: dict[str, list[np.ndarray]] = {split: [] for split in shares}
    for label in np.unique(labels).tolist():
        rows = np.flatnonzero(labels == label)
        if len(rows) < len(shares):
            raise StrataError(
                f"{name} {label!r} has {len(rows)} sample{'s'[: len(rows) != 1]}; each of the "
                f"splits {', '.join(shares)} needs one; at_least: {len(shares)} leaves it out"
            )
        pieces = np.split(draw.permutation(rows), _ends(len(rows), shares))
        for split, piece in zip(shares, pieces, strict=True):
            parts[split].append(piece)
    return {split: np.sort(np.concatenate(pieces)) for split, pieces in parts.items()}


def _ends(n: int, shares: Mapping[str, float]) -> np.ndarray:
    """Where to cut n things into shares, with at least one in each."""
    ends = np.round(np.cumsum(list(shares.values()))[:-1] * n).astype(int)
    for i in range(len(ends)):
        ends[i] = min(max(ends[i], (ends[i - 1] if i else 0) + 1), n - len(ends) + i)
    return ends


def _check_task(
    labels: np.ndarray, rows: Mapping[str, np.ndarray], needed: Sequence[str], name: str
) -> None:
    for split in needed:
        if not len(rows.get(split, ())):
            raise StrataError(f"{name}: learning needs a {split!r} split, and it is empty")
    known = set(labels[rows["train"]].tolist())
    if len(known) < 2:
        raise StrataError(f"{name} has only one class in the train split")
    for split, chosen in rows.items():
        if unseen := sorted(set(labels[chosen].tolist()) - known):
            raise StrataError(f"{name} {unseen[0]!r} is in the {split} split, but not in train")


def _check_apart(groups: np.ndarray, rows: Mapping[str, np.ndarray], name: str) -> None:
    places: dict[str, str] = {}
    for split, chosen in rows.items():
        for group in sorted(set(groups[chosen].tolist())):
            if group in places:
                raise StrataError(
                    f"{name} {group!r} is in the splits {places[group]} and {split}; give shares "
                    "under splits to draw others"
                )
            places[group] = split
