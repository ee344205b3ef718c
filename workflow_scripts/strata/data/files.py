"""Labels of pictures and sounds that lie in folders."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd

from strata.data.manifest import KEY_COLUMNS
from strata.errors import StrataError

SUFFIXES = {
    "image": (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".tif", ".tiff", ".webp"),
    "audio": (".wav", ".flac"),
}
_READERS = 4  # threads that check files; pictures are decoded outside of Python's lock


def index_files(
    root: str | Path,
    layout: Mapping,
    *,
    modality: str,
    splits: Mapping[str, float] | None = None,
    seed: int = 0,
    name: str = "data set",
) -> pd.DataFrame:
    """Manifest (path, split, a column per concept family) of the files under `root`.

    Parameters
    ----------
    layout
        One of `{"classes": folder, "family": column}`: each subfolder is a class;
        `{"labels": csv}`: a table with the column `path`, optionally `split`, and a column per
        family (`"families"` picks some); `{"pattern": regular expression}`: its named groups,
        matched to the whole path below `root`, are the families. With any of them, `"lists"`
        (`{split: file of paths}`) puts the listed files into a split and all others into train;
        `"skip"` names files to leave out.
    splits
        Share of each split, drawn within each class of the first family; without it, all samples
        are in the split "all" unless the table says otherwise.

    Raises
    ------
    StrataError
        A folder or file is missing or unreadable, a class is empty, a column is not there.
    """
    root = Path(root)
    if not root.is_dir():
        raise StrataError(f"{name}: no folder {root}")
    if "labels" in layout:
        manifest = _from_table(root, layout, name)
    elif "pattern" in layout:
        manifest = _from_pattern(root, layout["pattern"], modality, name)
    else:
        manifest = _from_folders(root, layout, modality, name)
    manifest = _without(manifest, layout.get("skip", ()), name)
    families = [column for column in manifest if column not in KEY_COLUMNS]
    manifest[families] = manifest[families].astype("str")
    if "lists" in layout:
        if "split" in manifest:
            raise StrataError(f"{name}: lists and a column split both name splits; give one")
        manifest.insert(1, "split", _listed_splits(root, manifest["path"], layout["lists"], name))
    if "split" not in manifest:
        groups = manifest[families[0]] if families else pd.Series("", index=manifest.index)
        manifest.insert(1, "split", _splits(groups, splits, seed, name))
    _check_files(root, manifest["path"], modality)
    return manifest


def read_segments(root: str | Path, file: str, manifest: pd.DataFrame) -> pd.DataFrame:
    """Labelled pieces of sounds (sample, start, end, a column per family) from a CSV table with the
    columns path, start and end (seconds) and at least one of labels.

    Raises StrataError for a table that is missing or lacks a column, a path that is no sample, or
    a piece that ends before it starts.
    """
    table = Path(root) / file
    if not table.is_file():
        raise StrataError(f"{table}: no such table of segments")
    pieces = pd.read_csv(table, dtype={"path": str})
    missing = [column for column in ("path", "start", "end") if column not in pieces]
    families = [column for column in pieces if column not in ("path", "start", "end")]
    if missing or not families:
        needed = f"no column {missing[0]!r}" if missing else "no column of labels"
        raise StrataError(f"{table}: {needed}; it should have path, start, end and labels")
    samples = dict(zip(manifest["path"], range(len(manifest)), strict=True))
    pieces.insert(0, "sample", pieces["path"].map(samples))
    wrong = np.flatnonzero(pieces["sample"].isna() | ~(pieces["start"] < pieces["end"]))
    if len(wrong):
        raise StrataError(
            f"{table}, line {wrong[0] + 2}: {pieces['path'].iloc[wrong[0]]!r} should be a sample, "
            "and start before end"
        )
    pieces[families] = pieces[families].astype("str")
    pieces = pieces.astype({"sample": int, "start": float, "end": float})
    return pieces.sort_values(["sample", "start"])[["sample", "start", "end", *families]]


def _listed(folder: Path, root: Path, modality: str) -> list[str]:
    """Files of the modality below `folder`, as sorted paths below `root`."""
    found = (file for file in folder.rglob("*") if file.suffix.lower() in SUFFIXES[modality])
    return sorted(file.relative_to(root).as_posix() for file in found if file.is_file())


def _from_folders(root: Path, layout: Mapping, modality: str, name: str) -> pd.DataFrame:
    top = root / layout.get("classes", ".")
    if not top.is_dir():
        raise StrataError(f"{name}: no folder {top}; it should hold a folder for each class")
    classes = sorted(f for f in top.iterdir() if f.is_dir() and not f.name.startswith("."))
    if not classes:
        raise StrataError(f"{top}: no class folders; use labels: for a table of labels")
    rows = []
    for folder in classes:
        files = _listed(folder, root, modality)
        if not files:
            wanted = ", ".join(SUFFIXES[modality])
            raise StrataError(f"{folder}: class {folder.name!r} is empty; it needs {wanted} files")
        rows += [(file, folder.name) for file in files]
    return pd.DataFrame(rows, columns=["path", layout.get("family", "class")])


def _from_pattern(root: Path, pattern: str, modality: str, name: str) -> pd.DataFrame:
    expression = re.compile(pattern)
    if not expression.groupindex:
        raise StrataError(f"{name}: pattern {pattern!r} has no named group like (?P<word>...)")
    matches = [(file, expression.fullmatch(file)) for file in _listed(root, root, modality)]
    rows = [{"path": file, **match.groupdict()} for file, match in matches if match]
    if not rows:
        raise StrataError(f"{name}: no file below {root} matches pattern {pattern!r}")
    return pd.DataFrame(rows)


def _from_table(root: Path, layout: Mapping, name: str) -> pd.DataFrame:
    path = root / layout["labels"]
    if not path.is_file():
        raise StrataError(f"{name}: no table of labels {path}")
    table = pd.read_csv(path, dtype=str, keep_default_na=False)
    families = layout.get("families") or [c for c in table if c not in KEY_COLUMNS]
    for column in ("path", *families):
        if column not in table:
            found = ", ".join(table.columns)
            raise StrataError(f"{path}: no column {column!r}; it has {found}")
    if not len(table):
        raise StrataError(f"{path}: the table has no rows")
    if table["path"].duplicated().any():
        repeated = table.loc[table["path"].duplicated(), "path"].iloc[0]
        raise StrataError(f"{path}: {repeated!r} is listed twice")
    for column in families:
        if (table[column] == "").any():
            row = int(np.flatnonzero(table[column] == "")[0]) + 2
            raise StrataError(f"{path}, line {row}: column {column!r} is empty")
    keep = ["path", *(["split"] if "split" in table else []), *families]
    return table[keep].copy()


def _without(manifest: pd.DataFrame, skipped: Sequence[str], name: str) -> pd.DataFrame:
    unknown = sorted(set(skipped) - set(manifest["path"]))
    if unknown:
        raise StrataError(f"{name}: skip: {unknown[0]!r} is none of its files")
    return manifest[~manifest["path"].isin(skipped)].reset_index(drop=True)


def _listed_splits(root: Path, paths: pd.Series, lists: Mapping[str, str], name: str) -> np.ndarray:
    """The split whose list names a path (relative to the list's folder), else train, for each."""
    result = np.full(len(paths), "train", dtype=object)
    for split, file in lists.items():
        if not (root / file).is_file():
            raise StrataError(f"{name}: no list of the split {split!r} at {root / file}")
        folder = Path(file).parent
        lines = filter(None, map(str.strip, (root / file).read_text().splitlines()))
        wanted = {(folder / line).as_posix() for line in lines}
        found = paths.isin(wanted).to_numpy()
        if not found.any():
            raise StrataError(f"{root / file}: none of the files listed for {split!r} is there")
        result[found] = split
    return result


def _splits(
    groups: pd.Series, shares: Mapping[str, float] | None, seed: int, name: str
) -> np.ndarray:
    """A split for every row: the shares hold within every group, up to rounding."""
    if not shares:
        return np.full(len(groups), "all", dtype=object)
    if not np.isclose(sum(shares.values()), 1.0):
        raise StrataError(f"{name}: splits {dict(shares)} must add up to 1")
    draw = np.random.default_rng(seed)
    result = np.empty(len(groups), dtype=object)
    for group in sorted(groups.unique()):
        rows = draw.permutation(np.flatnonzero(groups == group))
        ends = np.round(np.cumsum(list(shares.values()))[:-1] * len(rows)).astype(int)
        for split, part in zip(shares, np.split(rows, ends), strict=True):
            result[part] = split
    return result


def content_digest(root: str | Path, paths: Sequence[str]) -> str:
    """A digest of the files at `paths` below `root`, by name and content."""
    found, root = hashlib.sha256(), Path(root)
    with ThreadPoolExecutor(_READERS) as readers:
        for path, digest in zip(
            paths, readers.map(lambda p: sha256_of(root / p), paths), strict=True
        ):
            found.update(f"{path}={digest}\n".encode())
    return found.hexdigest()


def sha256_of(path: Path) -> str:
    """SHA-256 of a file's content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _check_files(root: Path, paths: pd.Series, modality: str) -> None:
    """Read every file once, so that a damaged one stops the run at its start."""
    check = {"image": _check_image, "audio": _check_audio}[modality]
    with ThreadPoolExecutor(_READERS) as readers:
        for _ in readers.map(lambda path: _checked(check, root / path), paths):
            pass


def _checked(check: Callable[[Path], None], path: Path) -> None:
    if not path.is_file():
        raise StrataError(f"{path}: file is missing; its label is listed")
    try:
        check(path)
    except Exception as error:
        reason = " ".join(str(error).split())
        raise StrataError(f"{path}: cannot be read ({reason}); replace or remove it") from None


def _check_image(path: Path) -> None:
    from PIL import Image

    with Image.open(path) as picture:
        picture.load()


def _check_audio(path: Path) -> None:
    import soundfile

    with soundfile.SoundFile(path) as sound:
        blocks = [(len(block), block.any()) for block in sound.blocks(blocksize=2**16)]
    frames = sum(length for length, _ in blocks)
    if frames == 0:
        raise ValueError("the clip has no samples: length zero")
    if frames != sound.frames:
        raise ValueError(f"{frames} of {sound.frames} frames")
    if not any(loud for _, loud in blocks):
        raise ValueError("the clip is silent: all samples are 0")
