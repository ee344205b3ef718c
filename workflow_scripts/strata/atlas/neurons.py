"""Study 1 for the atlas: every neuron of a model in columns, and the words of the study."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from strata.atlas.samples import Samples, numbers_in
from strata.atlas.writing import short
from strata.concepts.counts import category_shares, concept_counts
from strata.tables import blocks_passed

_SHADES = "0123456789abcdefghijklmnopqrstuvwxyz"  # heights of a histogram's bars
_KEYS = ["layer_index", "unit"]
PLANTED = "planted_factor"  # the function whose label is the factor that a neuron tells best


def vocabulary_of(
    labels: pd.DataFrame, concepts: Sequence[str], categories: Mapping[str, Sequence[str]]
) -> dict:
    """Words of a study with their categories: words, category (numbers, -1 for none), categories.

    `concepts` are the words that could be labels, before others that `labels` has.
    """
    from strata.figures.style import REST_COLOR, category_colors

    others = sorted(set(labels["concept"].dropna()) - set(concepts))
    words = [*concepts, *others]
    lists = reversed([*enumerate(categories.values())])  # the first that has a word counts
    of = {word: number for number, own in lists for word in own}
    colors = category_colors(categories)
    named = [{"name": name, "color": colors[name]} for name in categories]
    return {
        "words": words,
        "category": [of.get(word, -1) for word in words],
        "categories": named,
        "rest": REST_COLOR,
    }


def neurons_data(
    labels: pd.DataFrame,
    words: Sequence[str],
    samples: Samples | None,
    *,
    categories: Mapping[str, Sequence[str]],
    portraits: pd.DataFrame | None = None,
    nearest: pd.DataFrame | None = None,
    histograms: pd.DataFrame | None = None,
) -> dict:
    """Columns of a model's neurons, sorted by layer and number.

    `labels` has a row per neuron and function (`metric`), the first function's the main one; a
    neuron that another function has no row of has no label by it. What was not measured
    (`portraits`, `nearest`, `histograms`) is left out. Missing numbers are None, missing words -1.
    `nearest` becomes, for each word, the rows of its neurons and their cosines; `top` holds places
    in `samples`. `concepts` and `shares`, by function and layer, are the counts and category shares
    of `strata.concepts`.
    """
    functions = list(dict.fromkeys(labels["metric"]))
    number = {word: i for i, word in enumerate(words)}
    main = labels[labels["metric"] == functions[0]]
    main = main.sort_values(_KEYS, kind="stable").reset_index(drop=True)
    layers = main.drop_duplicates("layer_index").assign(block=blocks_passed)
    told = {
        "functions": functions,
        "layers": [[row.layer, int(row.block)] for row in layers.itertuples()],
        "layer": np.searchsorted(layers["layer_index"], main["layer_index"]).tolist(),
        "unit": main["unit"].tolist(),
    }
    by = [_beside(main, rows, ["concept", "value"]) for rows in _by_function(labels, functions)]
    told["label"] = [_numbers(rows["concept"], number) for rows in by]
    told["score"] = [short(rows["value"]) for rows in by]
    told |= _of_main(main, number, samples)
    told |= _depth(labels, functions, layers["layer"], categories)
    place = {key: i for i, key in enumerate(zip(main["layer_index"], main["unit"], strict=True))}
    told |= _portraits(portraits, main, place) if portraits is not None else {}
    if histograms is not None:
        told |= _histograms(histograms, main)
    if nearest is not None:
        told["nearest"] = _nearest(nearest, number, place)
    return told


def _by_function(labels: pd.DataFrame, functions: Sequence[str]) -> list[pd.DataFrame]:
    return [labels[labels["metric"] == name] for name in functions]


def _of_main(main: pd.DataFrame, number: Mapping[str, int], samples: Samples | None) -> dict:
    """What is known of the main function's labels alone, and of the samples."""
    told = {}
    for column in ("q_value", "margin", "stability"):
        if column in main and main[column].notna().any():
            told[column] = short(main[column], 3)
    if "sign" in main:
        told["sign"] = main["sign"].astype(int).tolist()
    if "runner_up" in main:
        told["runners"] = [_joined(row, number) for row in main["runner_up"].fillna("")]
    if samples is not None and "images" in main:
        told["top"] = [samples.add_all(row) for row in numbers_in(main["images"])]
    return told


def _joined(joined: str, number: Mapping[str, int]) -> list[int]:
    """Numbers of ";"-joined concepts, which may have a ";" themselves."""
    parts, found = joined.split(";"), []
    while parts:
        lengths = range(len(parts), 0, -1)
        taken = next((n for n in lengths if ";".join(parts[:n]) in number), None)
        if taken:
            found.append(number[";".join(parts[:taken])])
        parts = parts[taken or 1 :]
    return found


def _depth(
    labels: pd.DataFrame,
    functions: Sequence[str],
    layers: pd.Series,
    categories: Mapping[str, Sequence[str]],
) -> dict:
    counts, shares = [], []
    names = {"concept": "description", "value": "similarity"}
    for rows in _by_function(labels.rename(columns=names), functions):
        found = concept_counts(rows).set_index("layer")["n_concepts"].reindex(layers)
        counts.append(short(found))
        by = category_shares(rows, categories).pivot(
            index="layer", columns="category", values="share"
        )
        by = by.reindex(index=layers, columns=list(categories)).fillna(0)
        shares.append([short(row, 3) for row in by.to_numpy()])
    return {"concepts": counts, "shares": shares}


def _numbers(words: pd.Series, number: Mapping[str, int]) -> list[int]:
    return [number.get(word, -1) for word in words]


def _beside(main: pd.DataFrame, table: pd.DataFrame, columns: Sequence[str]) -> pd.DataFrame:
    """Columns of another table of the neurons, for the rows of `main`."""
    wanted = table.drop_duplicates(_KEYS)[[*_KEYS, *columns]]
    return main[_KEYS].merge(wanted, how="left", on=_KEYS, validate="one_to_one")


def _portraits(portraits: pd.DataFrame, main: pd.DataFrame, place: Mapping) -> dict:
    """The three measures, and `twin`: the row of the neuron of the layer that is nearest."""
    told = {}
    for metric, rows in portraits.groupby("metric"):
        told[metric] = short(_beside(main, rows, ["value"])["value"], 3)
    near = _beside(main, portraits, ["nearest_unit"])
    keys = zip(near["layer_index"], near["nearest_unit"], strict=True)
    return told | {"twin": [place.get(key, -1) for key in keys]}


def _histograms(histograms: pd.DataFrame, main: pd.DataFrame) -> dict:
    """Bars as letters, the highest of each neuron a z."""
    found = _beside(main, histograms, ["low", "high", "counts"])
    shades = []
    for row in numbers_in(found["counts"]):
        most = max(row, default=0)
        shades.append("".join(_SHADES[-(-count * 35 // most)] for count in row) if most else "")
    return {"low": short(found["low"]), "high": short(found["high"]), "spread": shades}


def _nearest(nearest: pd.DataFrame, number: Mapping[str, int], place: Mapping) -> dict:
    told: dict[str, list] = {}
    for word, rows in nearest.groupby("concept", sort=False):
        keys = zip(rows["layer_index"], rows["unit"], strict=True)
        told[str(number[word])] = [[place[key] for key in keys], short(rows["value"], 3)]
    return told
