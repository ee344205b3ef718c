"""What the samples of a study are annotated with: label columns, pieces, and computed numbers."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence

import numpy as np
import pandas as pd

from strata.data.annotations import label_annotations, number_annotations
from strata.data.manifest import Dataset
from strata.errors import StrataError
from strata.threads import run_parallel

COMPUTED: Mapping[str, tuple[str, ...]] = {
    "image": ("color", "lightness", "contrast", "edge_density", "orientation", "spatial_frequency"),
    "audio": ("loudness", "pitch", "voicedness", "spectral_centroid", "duration"),
}
_DIRECTIONS = ("horizontal", "rising", "vertical", "falling")  # of 45 degrees each
_SAMPLES = 64  # annotated per task
_STRONG = 0.2  # agreement of a picture's edges from which it has an orientation


def computed_numbers(dataset: Dataset) -> pd.DataFrame:
    """Numbers of every sample, a row each: those of `strata.data.picture_annotations` for pictures,
    of `sound_annotations` for sounds.

    Raises StrataError for a data set of neither, and for a file that cannot be read.
    """
    if dataset.modality == "image":
        from strata.data.picture_annotations import numbers_of_image

        return _of_each(len(dataset), lambda i: numbers_of_image(dataset, i))
    if dataset.modality == "audio":
        from strata.data.sound_annotations import sound_numbers

        return _of_each(len(dataset), lambda i: sound_numbers(*dataset.recording(i)))
    raise StrataError(f"{dataset.info['name']}: {dataset.modality} is neither pictures nor sounds")


def _of_each(n: int, numbers_of: Callable[[int], dict[str, float]]) -> pd.DataFrame:
    """A row for each of n samples, on all threads."""
    rows: list[dict] = [{}] * n

    def work(piece: range) -> None:
        for i in piece:
            rows[i] = numbers_of(i)

    run_parallel(work, [range(i, min(i + _SAMPLES, n)) for i in range(0, n, _SAMPLES)])
    return pd.DataFrame(rows)


def orientation_annotations(numbers: pd.DataFrame) -> pd.DataFrame:
    """Orientation as classes, since 179 degrees are next to 0: "orientation=rising" is within 22.5
    degrees of 45. Pictures in which no orientation dominates have none of them.
    """
    angle, strength = (numbers[key].to_numpy() for key in ("orientation", "orientation_strength"))
    strong = np.isfinite(angle) & (strength >= _STRONG)
    place = np.floor(((np.nan_to_num(angle) + 22.5) % 180) / 45).astype(int)
    classes = {
        f"orientation={name}": (strong & (place == i)).astype(np.float32)
        for i, name in enumerate(_DIRECTIONS)
    }
    return pd.DataFrame(classes | {"orientation=none": (~strong).astype(np.float32)})


def piece_annotations(dataset: Dataset, column: str) -> pd.DataFrame:
    """A concept for each value of a column of labelled pieces: sounds one of whose pieces has it.

    A sound none of whose pieces is labelled takes no part.
    """
    pieces = dataset.segments[["sample", column]].dropna()
    labelled = np.isin(np.arange(len(dataset)), pieces["sample"])
    found = {}
    for value, own in sorted(pieces.astype({column: str}).groupby(column)["sample"]):
        has = np.isin(np.arange(len(dataset)), own).astype(np.float32)
        found[f"{column}={value}"] = np.where(labelled, has, np.float32(np.nan))
    return pd.DataFrame(found, index=range(len(dataset)))


def sample_annotations(
    dataset: Dataset,
    numbers: pd.DataFrame,
    *,
    columns: str | Sequence[str] = "all",
    computed: str | Sequence[str] = "all",
    color_above: Sequence[float] = (0.1, 0.25, 0.5),
    share: float = 0.25,
    frequent: Mapping[str, Collection[str]] | None = None,
) -> pd.DataFrame:
    """All concepts of a data set's samples, (samples, concepts): 1 or 0, NaN where none applies.

    `numbers` are `computed_numbers`. `columns` of labels, of samples or of pieces; `computed` as
    `COMPUTED` names them; "all" takes all that there are. Colours are concepts above each of the
    shares `color_above` of the picture, orientation is in classes, and the other numbers are low
    and high by the quantile `share`: of this data set, so that two data sets are not told apart by
    which of them is brighter. `frequent` names the values that columns of samples are to have
    concepts of (all): of fifty thousand file names none is worth fifty thousand numbers.

    Raises StrataError for a column that the data set does not have, or whose name cannot stand in
    that of a concept.
    """
    pieces = [] if dataset.segments is None else dataset.segments.columns
    pieces = [name for name in pieces if name not in ("sample", "start", "end")]
    wanted = [*dataset.families, *pieces] if columns == "all" else list(columns)
    known = [name for name in wanted if name in dataset.manifest]
    if unknown := [name for name in wanted if name not in known and name not in pieces]:
        raise StrataError(f"{dataset.info['name']}: annotations: no label column {unknown[0]!r}")
    if ending := [name for name in wanted if "=" in name or ">" in name]:
        raise StrataError(  # which would end elsewhere in "column=value"
            f"{dataset.info['name']}: annotations: the name of label column {ending[0]!r} has '=' "
            "or '>' in it; rename it, or leave it out of annotations: columns"
        )
    taken = [name for name in COMPUTED[dataset.modality] if name in wanted]
    if taken:
        raise StrataError(
            f"{dataset.info['name']}: label column {taken[0]!r} has the name of a computed "
            "annotation; rename it, or leave it out of annotations: columns"
        )
    parts = [label_annotations(dataset.manifest, known, frequent)]
    parts += [piece_annotations(dataset, name) for name in wanted if name not in known]
    chosen = COMPUTED[dataset.modality] if computed == "all" else tuple(computed)
    colors = [name for name in numbers if name.startswith("color=")]
    if "color" in chosen and colors:
        parts.append(number_annotations(numbers[colors], above=color_above))
    if "orientation" in chosen:
        parts.append(orientation_annotations(numbers))
    plain = [name for name in chosen if name in numbers and name != "orientation"]
    if plain:
        parts.append(number_annotations(numbers[plain], share))
    return pd.concat(parts, axis=1)


def probing_annotations(tables: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """The concepts of several data sets, one behind the other: what one of them does not have does
    not apply to its samples."""
    return pd.concat(tables, ignore_index=True).astype(np.float32)
