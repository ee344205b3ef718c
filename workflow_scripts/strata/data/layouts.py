"""How the files of a folder are labelled: by class folders, by a table, or by their names.

A layout is one of `{"classes": folder, "family": column}`: each subfolder is a class, with all that
lies below it; `{"labels": table}`: a table (`user_tables.read_table`) with the column `path`,
optionally `split`, and a column per family (`"families"` picks some), an empty cell of which says
that it does not apply; `{"pattern": regular
expression}`: its named groups, matched to the whole path below the root, are the families. With any
of them, `"lists"` (`{split: file of paths}`) puts the listed files into a split and all others into
train; `"skip"` names files to leave out.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from strata.data.listing import Listing, is_hidden, left_out, list_files
from strata.data.reading import SUFFIXES
from strata.data.user_tables import Paths, check_filled, read_lines, read_table, without_empty
from strata.errors import StrataError

OWN = ("path", "split", "sample")  # columns of a manifest that are no labels
_SPLITS = {"train", "training", "val", "valid", "validation", "dev", "test", "testing", "eval"}


@dataclass(frozen=True)
class Labelled:
    """Files with labels: path, perhaps split, and a column per family; how many other files there
    are, by reason; and the class folders that hold no file."""

    manifest: pd.DataFrame
    left_out: dict[str, int]
    empty: list[str]


def labelled_files(
    root: Path, layout: Mapping, modality: str, name: str, log: Callable[[str], None]
) -> Labelled:
    """The files below `root` that a layout labels.

    Raises
    ------
    StrataError
        A folder or table is missing, a column is not there, has no label or cannot be a family, a
        path or split is empty, a file is named twice, no file matches, or fewer than two of several
        classes have files.
    """
    if not root.is_dir():
        raise StrataError(f"{name}: no folder {root}")
    top = root / layout.get("classes", ".")
    if not top.is_dir():
        raise StrataError(f"{name}: no folder {top}; it should hold a folder for each class")
    listing, empty = _below(list_files(top), layout.get("classes", ".")), []
    if "labels" in layout:
        manifest = _from_table(root, layout, listing, name, log)
        reason = f"not in {layout['labels']}"
    elif "pattern" in layout:
        manifest = _from_pattern(root, layout["pattern"], listing, modality, name)
        reason = "whose names do not match the pattern"
    else:
        manifest, empty = _from_folders(root, layout, listing, modality)
        reason = "beside the class folders"
    tables = [layout.get("labels"), layout.get("segments"), *layout.get("lists", {}).values()]
    known = [Path(file).as_posix() for file in tables if file]
    wanted = dict.fromkeys(SUFFIXES[modality], reason)
    others = left_out(listing, manifest["path"], known, wanted)
    return Labelled(_without(manifest, layout.get("skip", ()), name), others, empty)


def _below(listing: Listing, folder: str) -> Listing:
    """The listing of a subfolder, as paths below the folder above."""
    if folder == ".":
        return listing
    files = tuple((Path(folder) / file).as_posix() for file in listing.files)
    return Listing(files, listing.met_again)


def _check_families(families: Sequence[str], where: str) -> None:
    for family in families:
        if family in OWN:
            raise StrataError(
                f"{where}: {family!r} cannot name labels, as every data set has a column of that "
                "name; rename it"
            )


def _from_folders(
    root: Path, layout: Mapping, listing: Listing, modality: str
) -> tuple[pd.DataFrame, list[str]]:
    """Samples by class folder, and the class folders that hold none."""
    top, family = root / layout.get("classes", "."), layout.get("family", "class")
    _check_families([family], f"{top}: family")
    above = len(Path(layout.get("classes", ".")).parts)
    files = [file for file in listing.files if file.lower().endswith(SUFFIXES[modality])]
    rows = [(Path(file).parts[above], file) for file in files if len(Path(file).parts) > above + 1]
    folders = sorted(f.name for f in top.iterdir() if f.is_dir() and not is_hidden(f.name))
    if not folders:
        raise StrataError(f"{top}: no class folders; use labels: for a table of labels")
    classes = sorted({name for name, _ in rows})
    empty = sorted(set(folders) - set(classes))
    if not classes or (len(classes) == 1 and empty):
        wanted = ", ".join(SUFFIXES[modality])
        raise StrataError(f"{top / empty[0]}: class {empty[0]!r} is empty; it needs {wanted} files")
    nested = all(len(Path(file).parts) > above + 2 for _, file in rows)
    if nested and {name.lower() for name in classes} <= _SPLITS:
        raise StrataError(
            f"{top}: the folders {', '.join(classes)} are splits, with classes below; say so by "
            f"pattern: (?P<split>[^/]+)/(?P<{family}>[^/]+)/.*"
        )
    return pd.DataFrame(sorted(rows), columns=[family, "path"])[["path", family]], empty


def _from_pattern(
    root: Path, pattern: str, listing: Listing, modality: str, name: str
) -> pd.DataFrame:
    expression = re.compile(pattern)
    if not expression.groupindex:
        raise StrataError(f"{name}: pattern {pattern!r} has no named group like (?P<word>...)")
    families = [group for group in expression.groupindex if group != "split"]
    _check_families(families, f"{name}: pattern")
    files = [file for file in listing.files if file.lower().endswith(SUFFIXES[modality])]
    matches = [(file, expression.fullmatch(file)) for file in files]
    rows = [{"path": file, **match.groupdict()} for file, match in matches if match]
    if not rows:
        raise StrataError(f"{name}: no file below {root} matches pattern {pattern!r}")
    for row in rows:
        for group, value in row.items():
            if not value:
                raise StrataError(
                    f"{name}: pattern: group {group!r} is empty for {row['path']!r}; let the "
                    "pattern match a label, or leave the file out by skip"
                )
    return pd.DataFrame(rows)


def _from_table(
    root: Path, layout: Mapping, listing: Listing, name: str, log: Callable
) -> pd.DataFrame:
    path = root / layout["labels"]
    if not path.is_file():
        raise StrataError(f"{name}: no table of labels {path}")
    table = read_table(path, ["path", *layout.get("families", ())], log)
    families = layout.get("families") or [c for c in table if c not in ("path", "split")]
    _check_families(families, str(path))
    if not len(table):
        raise StrataError(f"{path}: the table has no rows")
    own = ["split"] if "split" in table else []
    keep = [*own, *families]
    check_filled(table, ["path", *own], path)
    table = without_empty(table, families, path)
    paths = Paths(root, listing.files)
    found = pd.Series(
        [paths.find(text, f"{path}, line {line}") for line, text in table["path"].items()],
        index=table.index,
    )
    if found.duplicated().any():
        line = found.index[found.duplicated().argmax()]
        raise StrataError(f"{path}, line {line}: {found.loc[line]!r} is listed twice")
    if paths.respelled:
        log(f"{path}: {paths.respelled} paths name files that are spelled otherwise on disk")
    return table[keep].assign(path=found)[["path", *keep]].reset_index(drop=True)


def _without(manifest: pd.DataFrame, skipped: Sequence[str], name: str) -> pd.DataFrame:
    skipped = [Path(path).as_posix() for path in skipped]
    unknown = sorted(set(skipped) - set(manifest["path"]))
    if unknown:
        raise StrataError(f"{name}: skip: {unknown[0]!r} is none of its files")
    return manifest[~manifest["path"].isin(skipped)].reset_index(drop=True)


def with_split(
    root: Path,
    manifest: pd.DataFrame,
    layout: Mapping,
    shares: Mapping[str, float] | None,
    seed: int,
    name: str,
) -> pd.DataFrame:
    """The manifest with its column `split`: its own, from lists, or drawn."""
    if "lists" in layout and "split" in manifest:
        raise StrataError(f"{name}: lists and a column split both name splits; give one")
    if "split" in manifest:
        return manifest[["path", "split", *manifest.columns.drop(["path", "split"])]]
    if "lists" in layout:
        column = _listed_splits(root, manifest["path"], layout["lists"], name)
    else:
        families = manifest.columns.drop("path")
        groups = manifest[families[0]] if len(families) else pd.Series("", index=manifest.index)
        column = _splits(groups, manifest["path"], shares, seed, name)
    result = manifest.copy()
    result.insert(1, "split", column)
    return result


def _listed_splits(root: Path, paths: pd.Series, lists: Mapping[str, str], name: str) -> np.ndarray:
    """The split whose list names a path (relative to the list's folder), else train, for each."""
    names = Paths(root, paths)
    result = np.full(len(paths), "", dtype=object)
    for split, file in lists.items():
        if not (root / file).is_file():
            raise StrataError(f"{name}: no list of the split {split!r} at {root / file}")
        folder = Path(file).parent
        lines = filter(None, read_lines(root / file))
        wanted = {names.find((folder / line).as_posix(), str(root / file)) for line in lines}
        found = paths.isin(wanted).to_numpy()
        if not found.any():
            raise StrataError(f"{root / file}: none of the files listed for {split!r} is there")
        twice = np.flatnonzero(found & (result != ""))
        if len(twice):
            path, other = paths.iloc[twice[0]], result[twice[0]]
            raise StrataError(f"{root / file}: {path!r} is in the list of {other!r} too")
        result[found] = split
    result[result == ""] = "train"
    return result


def _splits(
    groups: pd.Series, paths: pd.Series, shares: Mapping[str, float] | None, seed: int, name: str
) -> np.ndarray:
    """A split for every row: the shares hold within every group, up to rounding.

    Drawn in the order of paths, so that the order of a table's rows plays no part.
    """
    if not shares:
        return np.full(len(groups), "all", dtype=object)
    if not np.isclose(sum(shares.values()), 1.0):
        raise StrataError(f"{name}: splits {dict(shares)} must add up to 1")
    draw = np.random.default_rng(seed)
    result = np.empty(len(groups), dtype=object)
    groups = groups.fillna("")  # those that have none are a group too
    by_path = np.argsort(paths.to_numpy(dtype=str), kind="stable")
    for group in sorted(groups.unique()):
        rows = draw.permutation(by_path[(groups == group).to_numpy()[by_path]])
        ends = np.round(np.cumsum(list(shares.values()))[:-1] * len(rows)).astype(int)
        for split, part in zip(shares, np.split(rows, ends), strict=True):
            result[part] = split
    return result
