"""The samples that an atlas shows: sheets of small pictures, or sounds to listen to."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from PIL import Image, ImageOps

from strata.activations.probing import rows_of_split
from strata.errors import StrataError

if TYPE_CHECKING:
    from strata.data.manifest import Dataset

SIDE = 64  # pixels of a small picture
COLUMNS = 10  # small pictures beside and below each other on a sheet
QUALITY = 85
WORDS = 6  # labels that are told of a sample


class Samples:
    """Samples of the data sets of a study, in the order of the study's own numbers.

    `numbers` says which number stands for which row: with `split` those of a probing set, one data
    set behind the other. `add` gives the place at which a sample is shown.
    """

    def __init__(self, datasets: Sequence[Dataset], split: str = "all"):
        self.modality = datasets[0].modality
        self._rows = [
            (dataset, int(row))
            for dataset in datasets
            for row in rows_of_split(dataset.manifest, split, dataset.info["name"])
        ]
        self._places: dict[int, int] = {}

    def add(self, number: int) -> int:
        """Where a sample stands in the atlas: 0, 1, ... in the order of first asking.

        Raises StrataError for a number that no sample has.
        """
        if not 0 <= number < len(self._rows):
            raise StrataError(f"atlas: no sample {number} among {len(self._rows)}")
        return self._places.setdefault(int(number), len(self._places))

    def add_all(self, numbers: Iterable[int]) -> list[int]:
        return [self.add(number) for number in numbers]

    def write(self, folder: str | Path) -> dict:
        """Write what was asked for into `folder`; returns what the page has to know of it."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        shown = [self._rows[number] for number in self._places]
        told = {"modality": self.modality, "text": [_told(*one) for one in shown]}
        if self.modality == "audio":
            return told | {"files": [_write_sound(folder, i, *o) for i, o in enumerate(shown)]}
        if self.modality != "image":
            return told
        for first in range(0, len(shown), COLUMNS**2):
            sheet = _sheet(shown[first : first + COLUMNS**2])
            path = folder / f"sheet{first // COLUMNS**2}.jpg"
            sheet.save(path, quality=QUALITY, optimize=True)
        return told | {"side": SIDE, "columns": COLUMNS}


def _told(dataset: Dataset, row: int) -> str:
    """What a sample is, in the words of its labels."""
    values = dataset.manifest[dataset.families].iloc[row].dropna()
    return ", ".join(str(value) for value in values.iloc[:WORDS]) or f"sample {row}"


def _sheet(shown: Sequence[tuple[Dataset, int]]) -> Image.Image:
    rows = -(-len(shown) // COLUMNS)
    sheet = Image.new("RGB", (COLUMNS * SIDE, rows * SIDE))
    for place, (dataset, row) in enumerate(shown):
        small = ImageOps.fit(dataset.image(row), (SIDE, SIDE), method=Image.Resampling.LANCZOS)
        sheet.paste(small, (place % COLUMNS * SIDE, place // COLUMNS * SIDE))
    return sheet


def _write_sound(folder: Path, place: int, dataset: Dataset, row: int) -> str:
    """As a WAV file, which every browser plays."""
    from scipy.io import wavfile

    sound, rate = dataset.recording(row)
    name = f"sound{place}.wav"
    scaled = np.clip(np.round(sound * 32767), -32768, 32767).astype(np.int16)
    wavfile.write(folder / name, rate, scaled)
    return name


def numbers_in(text: pd.Series) -> list[list[int]]:
    """The sample numbers of rows like "12;7;3", no number for a missing row."""
    return [
        [int(part) for part in value.split(";") if part] if isinstance(value, str) else []
        for value in text
    ]
