"""Figures made of pictures: what drives a neuron, and what a data set looks like."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from PIL import Image, ImageOps

from strata.data.manifest import Dataset
from strata.errors import StrataError
from strata.figures import style
from strata.figures.axes import layer_name
from strata.tables import blocks_passed

_SIDE = 96  # pixels of a drawn thumbnail: 250 dpi at the size it is printed


def choose_examples(
    labels: pd.DataFrame, per_layer: int = 2, metric: str = "soft_wpmi", alpha: float = 0.05
) -> pd.DataFrame:
    """The neurons to show: in each layer of each model, significant ones with the best scores.

    `labels` is a labels table (columns unit, q_value, images beside the measure's). Significant
    labels (`q_value` <= `alpha`) come before others, then higher scores, then lower units; a layer
    shows a label once where it has enough labels, and no neuron without one. The same table gives
    the same choice.
    """
    rows = labels[(labels["metric"] == metric) & labels["concept"].notna()]
    if rows.empty:
        raise StrataError(f"no labels by {metric} to choose examples from")
    ranked = rows.assign(_worse=~(rows["q_value"] <= alpha), _minus=-rows["value"])
    by = ["model", "layer_index"]
    ranked = ranked.sort_values([*by, "_worse", "_minus", "unit"], kind="stable")
    ranked["_again"] = ranked.duplicated([*by, "concept"])
    ranked = ranked.sort_values([*by, "_again", "_worse", "_minus", "unit"], kind="stable")
    chosen = ranked.groupby(by, sort=False).head(per_layer)
    return chosen.drop(columns=["_worse", "_minus", "_again"]).reset_index(drop=True)


def thumbnail(image: Image.Image) -> Image.Image:
    """The centre square of an image at the printed size; small pictures keep their hard pixels."""
    side = min(image.size)
    enlarge = side <= _SIDE // 2
    method = Image.Resampling.NEAREST if enlarge else Image.Resampling.LANCZOS
    return ImageOps.fit(image.convert("RGB"), (_SIDE, _SIDE), method=method)


def _place(figure: Figure, image: Image.Image, left: float, top: float, side: float) -> None:
    """Draw a thumbnail with its corner `left`, `top` inches from the figure's upper left."""
    width, height = figure.get_size_inches()
    box = [left / width, 1 - (top + side) / height, side / width, side / height]
    ax = figure.add_axes(box)
    ax.imshow(np.asarray(thumbnail(image)), interpolation="none")
    ax.set_axis_off()


def _text(figure: Figure, left: float, top: float, text: str, **kwargs) -> None:
    width, height = figure.get_size_inches()
    figure.text(left / width, 1 - top / height, text, **{"va": "top", "fontsize": 6.5} | kwargs)


@style.styled
def picture_grid(
    examples: pd.DataFrame,
    open_image: Callable[[int], Image.Image],
    pictures: int = 5,
    columns: int = 2,
) -> tuple[Figure, pd.DataFrame]:
    """Top-activating pictures of chosen neurons, with label, score and q-value.

    Parameters
    ----------
    examples
        Rows of `choose_examples` for one model: layer, layer_index, unit, concept, value, q_value,
        images ("12;7;..."); columns `factor`, `auc` and `named` (bool) add the planted truth.
    open_image
        Gives the picture of a sample number.
    """
    side, gap, words, head = 0.38, 0.02, 1.4, 0.02
    block = style.DOUBLE / columns
    rows = math.ceil(len(examples) / columns)
    figure = style.new_figure(style.DOUBLE, rows * (side + 0.1) + 2 * head, layout=None)
    numbered = examples.assign(layer_number=blocks_passed(examples))
    for i, row in enumerate(numbered.itertuples()):
        # Down the first column, then the next, so that depth reads downwards.
        left, top = (i // rows) * block, head + (i % rows) * (side + 0.1)
        _text(figure, left, top, _cut(row.concept, 17), fontsize=7, fontweight="bold")
        _text(
            figure,
            left,
            top + 0.125,
            f"{layer_name(row.layer_number)}, neuron {row.unit}",
            fontsize=6,
            color=style.GREY,
        )
        _text(
            figure, left, top + 0.23, _score(row.value, row.q_value), fontsize=6, color=style.GREY
        )
        if hasattr(row, "factor") and isinstance(row.factor, str):
            _truth(figure, left, top + 0.335, row)
        for k, sample in enumerate(row.images.split(";")[:pictures]):
            _place(figure, open_image(int(sample)), left + words + k * (side + gap), top, side)
    wanted = [
        "model",
        "layer",
        "layer_index",
        "unit",
        "concept",
        "value",
        "q_value",
        "images",
        "factor",
        "auc",
        "named",
    ]
    return figure, examples[[c for c in wanted if c in examples]].reset_index(drop=True)


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"


def _score(score: float, q: float) -> str:
    text = f"score {score:.2f}"
    if math.isnan(q):
        return text
    return f"{text}, q < 0.001" if q < 0.001 else f"{text}, q = {q:.3f}"


def _truth(figure: Figure, left: float, top: float, row) -> None:
    """The neuron's planted factor: ticked in green where the label names it."""
    mark, color = ("✓", "#007A5A") if row.named else ("✗", "#B2182B")
    family, _, value = row.factor.partition("=")
    factor = _cut(f"{value} ({family.replace('_', ' ')})", 18)
    _text(
        figure,
        left,
        top,
        f"{mark} {factor} AUC {row.auc:.2f}",
        fontsize=6,
        color=color,
    )


@style.styled
def picture_specimen(
    pictures: Sequence[tuple[int, Image.Image, str]], columns: int = 8
) -> tuple[Figure, pd.DataFrame]:
    """Pictures of a data set with a caption below each; items are (sample, image, caption)."""
    if not pictures:
        raise StrataError("a specimen needs at least one picture")
    cell = style.DOUBLE / columns
    side = cell - 0.06
    wrapped = [_wrap(caption, int(side / 0.052)) for _, _, caption in pictures]
    lines = max(text.count("\n") + 1 for text in wrapped)
    step = side + 0.1 * lines + 0.08
    rows = math.ceil(len(pictures) / columns)
    figure = style.new_figure(style.DOUBLE, rows * step, layout=None)
    for i, ((_, image, _), text) in enumerate(zip(pictures, wrapped, strict=True)):
        left, top = (i % columns) * cell + 0.03, (i // columns) * step
        _place(figure, image, left, top, side)
        _text(
            figure,
            left + side / 2,
            top + side + 0.03,
            text,
            fontsize=6,
            ha="center",
            linespacing=1.1,
        )
    table = pd.DataFrame(
        [(sample, caption) for sample, _, caption in pictures], columns=["sample", "caption"]
    )
    return figure, table


def _wrap(text: str, width: int) -> str:
    """Break `text` into lines of about `width` characters."""
    lines = [""]
    for word in text.split():
        if lines[-1] and len(lines[-1]) + 1 + len(word) > width:
            lines.append(word)
        else:
            lines[-1] = f"{lines[-1]} {word}".strip()
    return "\n".join(lines)


def with_truth(examples: pd.DataFrame, neurons: pd.DataFrame) -> pd.DataFrame:
    """Add `factor`, `auc` and `named` of the truth's table of neurons to the chosen neurons."""
    keys = ["model", "layer_index", "unit", "metric"]
    return examples.merge(neurons[[*keys, "factor", "auc", "named"]], on=keys, how="left")


def specimens(dataset: Dataset, n: int, seed: int) -> list[tuple[int, Image.Image, str]]:
    """`n` random samples of a data set: number, picture, and its caption or first label."""
    manifest = dataset.manifest
    shown = np.random.default_rng(seed).permutation(len(manifest))[:n]
    column = "caption" if "caption" in manifest else next(iter(dataset.families), None)
    words = manifest[column].astype("str").fillna("").str.replace("_", " ") if column else None
    return [(int(i), dataset.image(i), words.iloc[i] if column else "") for i in shown]
