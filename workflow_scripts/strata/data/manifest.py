"""What every data set ends in: `manifest.parquet`, a row per sample, and `dataset.json`."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from strata.errors import StrataError, one_line
from strata.tables import MADE_AGAIN, read_parquet, write_table
from strata.whole import whole

if TYPE_CHECKING:
    from PIL.Image import Image


def families_of(manifest: pd.DataFrame, info: Mapping) -> list[str]:
    """The concept families of a data set: its columns but those that say what a sample is.

    These are `sample`, `split`, `path` where samples are files and `index` where they are rows of
    an array; and what the data set itself declares to be no labels (`info["not_labels"]`).
    """
    own = {"sample", "split", _place(manifest, info), *info.get("not_labels", ())}
    return [column for column in manifest if column not in own]


def _place(manifest: pd.DataFrame, info: Mapping) -> str:
    """The column that says where samples are: `path` of files, or `index` in a stored array."""
    if "storage" in info:
        return "path" if info["storage"] == "files" else "index"
    return "path" if "path" in manifest else "index"


@dataclass(frozen=True)
class Dataset:
    """A data set opened from its folder.

    `manifest` has a row per sample in the order of every array that follows: `sample` (0..n-1),
    `split`, `path` (below `root`) or `index` (a row of the array that `info["storage"]` names), and
    a column of labels per concept family, missing where it does not apply. `info` is the content of
    `dataset.json`.
    """

    directory: Path
    info: Mapping
    manifest: pd.DataFrame

    def __len__(self) -> int:
        return len(self.manifest)

    @property
    def root(self) -> Path:
        """Folder that the manifest's paths start from."""
        return (self.directory / self.info["root"]).resolve()

    @property
    def families(self) -> list[str]:
        """Names of the concept families."""
        return families_of(self.manifest, self.info)

    @property
    def _in_files(self) -> bool:
        return _place(self.manifest, self.info) == "path"

    @cached_property
    def _stored(self) -> np.ndarray:
        return np.load(self.directory / self.info["storage"], mmap_mode="r", allow_pickle=False)

    @property
    def modality(self) -> str:
        """ "image", "audio" or "table"."""
        return self.info["modality"]

    @cached_property
    def segments(self) -> pd.DataFrame | None:
        """Labelled pieces of the sounds, where there are any: a row per piece with `sample`,
        `start` and `end` in seconds, and a column per concept family."""
        path = self.directory / "segments.parquet"
        if not path.is_file():
            return None
        table = pd.read_parquet(path)
        samples = table["sample"].to_numpy()
        inside = ((samples >= 0) & (samples < len(self))).all()
        if not (inside and (np.diff(samples) >= 0).all() and (table["start"] < table["end"]).all()):
            raise StrataError(
                f"{path}: pieces should be of the samples 0 to {len(self) - 1}, in their order, "
                "and start before they end"
            )
        return table

    def place_of(self, sample: int) -> str:
        """Where a sample comes from, for messages: its file, or its number."""
        if self._in_files:
            return str(self.root / self.manifest["path"].iloc[sample])
        return f"{self.info['name']}, sample {sample}"

    def image(self, sample: int) -> Image:
        """Picture of a sample, in RGB, as a viewer shows it (`strata.data.pictures.open_picture`).

        Raises
        ------
        StrataError
            The file is missing, truncated or not a picture (it is named).
        """
        from strata.data.pictures import open_picture

        if self._in_files:
            return open_picture(self.root / self.manifest["path"].iloc[sample])
        from PIL import Image

        return Image.fromarray(np.asarray(self._stored[self.manifest["index"].iloc[sample]]))

    def recording(self, sample: int) -> tuple[np.ndarray, int]:
        """Sound of a sample, float32 (samples,) in -1 to 1, mono, and the rate in Hz that it has.

        Raises StrataError for a file that is missing, unreadable, empty or silent (it is named).
        """
        from strata.data.sounds import check_sound, read_sound

        if self._in_files:
            return read_sound(self.root / self.manifest["path"].iloc[sample])
        stored = self._stored[self.manifest["index"].iloc[sample]]
        check_sound(stored, self.place_of(sample))
        return stored.astype(np.float32) / 32768, self.info["rate"]

    def sound(self, sample: int, rate: int) -> np.ndarray:
        """`recording` of a sample, brought to `rate` Hz, by torchaudio if that is not its own."""
        from strata.data.sounds import resample

        return resample(*self.recording(sample), rate)


def describe(manifest: pd.DataFrame, info: Mapping) -> dict:
    """The parts of `dataset.json` that the manifest itself tells: n, families and counts; and of
    families that do not apply to all samples how many have no label (`missing`)."""
    labels = {name: manifest[name] for name in families_of(manifest, info)}
    missing = {name: int(each.isna().sum()) for name, each in labels.items() if each.isna().any()}
    return {
        "n": len(manifest),
        "families": {name: sorted(set(each.dropna().astype(str))) for name, each in labels.items()},
        **({"missing": missing} if missing else {}),
        "counts": {str(k): int(v) for k, v in manifest["split"].value_counts().items()},
    }


def write_dataset(
    directory: str | Path,
    manifest: pd.DataFrame,
    info: Mapping,
    segments: pd.DataFrame | None = None,
) -> None:
    """Write a data set's files, `manifest.parquet` last, each complete or not at all.

    `info` holds name, kind, modality, root, licence, source and checksums; what the manifest tells
    (`describe`) is added. `sample` is set to 0..n-1. Where `info` has `content`, a digest of the
    samples' files, the manifest's file has it too: it differs when only a picture has changed. So
    it does when only `segments` have.

    Raises
    ------
    StrataError
        There are no samples, `split` is missing, or there is neither `path` nor `index`.
    """
    directory = Path(directory)
    name = info["name"]
    if not len(manifest):
        raise StrataError(f"{name}: the data set has no samples")
    if "split" not in manifest or _place(manifest, info) not in manifest:
        raise StrataError(f"{name}: a manifest needs the columns split, and path or index")
    columns = [column for column in manifest if column != "sample"]
    manifest = manifest[columns].reset_index(drop=True)
    manifest.insert(0, "sample", np.arange(len(manifest)))
    told = {"content": info["content"]} if "content" in info else {}
    if segments is not None:
        write_table(segments, directory / "segments.parquet")
        told["segments"] = hashlib.sha256(segments.to_csv(index=False).encode()).hexdigest()
    text = json.dumps({**info, **describe(manifest, info)}, indent=2, sort_keys=True) + "\n"
    with whole(directory / "dataset.json") as part:
        part.write_text(text)
    with whole(directory / "manifest.parquet") as part:
        _to_parquet(manifest, part, told)


def _to_parquet(table: pd.DataFrame, path: Path, told: Mapping[str, str]) -> None:
    """Write a table; `told` goes into the file's metadata."""
    import pyarrow
    from pyarrow import parquet

    made = pyarrow.Table.from_pandas(table, preserve_index=False)
    parquet.write_table(made.replace_schema_metadata(made.schema.metadata | told), path)


def open_dataset(directory: str | Path) -> Dataset:
    """Open a data set written by `write_dataset`.

    Raises
    ------
    StrataError
        The folder does not hold a data set, a file of it is damaged, or its files do not tell of
        the same samples.
    """
    directory = Path(directory)
    for file in ("manifest.parquet", "dataset.json"):
        if not (directory / file).is_file():
            raise StrataError(f"{directory}: no {file}; this folder holds no data set of Strata")
    info, manifest = _read_info(directory / "dataset.json"), directory / "manifest.parquet"
    found = Dataset(directory, info, read_manifest(manifest))
    _check_manifest(found, manifest)
    return found


def _read_info(path: Path) -> dict:
    """Content of `dataset.json`, in which everything that is read is of its kind."""
    try:
        info = json.loads(path.read_text())
    except (OSError, ValueError, RecursionError) as error:
        raise StrataError(f"{path}: damaged ({one_line(error)}); {MADE_AGAIN}") from None
    if not isinstance(info, dict) or "name" not in info:
        raise StrataError(f"{path}: damaged (no name of a data set); {MADE_AGAIN}")
    kinds = dict.fromkeys(("name", "modality", "root", "storage"), str)
    for key, kind in (kinds | dict.fromkeys(("not_labels", "unreadable"), list)).items():
        if not isinstance(info.get(key, kind()), kind):
            raise StrataError(f"{path}: damaged ({key!r} is no {kind.__name__}); {MADE_AGAIN}")
    return info


def read_manifest(path: str | Path) -> pd.DataFrame:
    """The table of a data set's samples, whose row i is sample i.

    Raises StrataError where it is not, or is damaged, and for a sample without a split or a path
    that is there twice.
    """
    table = read_parquet(path)
    for column in ("sample", "split"):
        if column not in table:
            raise StrataError(f"{path}: damaged (no column {column!r}); {MADE_AGAIN}")
    if table["sample"].tolist() != list(range(len(table))):
        raise StrataError(f"{path}: damaged (sample should count from 0); {MADE_AGAIN}")
    if table["split"].isna().any():
        raise StrataError(f"{path}: sample {int(table['split'].isna().argmax())} has no split")
    if "path" in table and table["path"].duplicated().any():
        path_twice = table["path"][table["path"].duplicated().idxmax()]
        raise StrataError(f"{path}: {path_twice!r} is twice")
    return table


def _check_manifest(found: Dataset, path: Path) -> None:
    """A manifest has the number of rows that it was written with, and each has a place of its own:
    of another's, rows of every array would be of other samples."""
    manifest, info = found.manifest, found.info
    place = _place(manifest, info)
    if place not in manifest:
        raise StrataError(f"{path}: damaged (no column {place!r}); {MADE_AGAIN}")
    if info.get("n", len(manifest)) != len(manifest):
        raise StrataError(
            f"{path}: {len(manifest)} rows, where dataset.json says {info['n']!r}; {MADE_AGAIN}"
        )
    if info.get("storage", "files") != "files":
        places, stored = manifest["index"], len(found._stored)
        if not places.between(0, stored - 1).all() or places.duplicated().any():
            raise StrataError(
                f"{path}: index should be different rows of {info['storage']}, which has {stored}; "
                f"{MADE_AGAIN}"
            )
