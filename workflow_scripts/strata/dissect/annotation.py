"""Neurons labelled without CLIP: by the annotation that their activations tell best.

For a neuron and every concept the samples' activations are ranked, and the rank sum of those that
have the concept is told in standard deviations (annotation_ranks.py), so that rare and frequent
concepts compete on one scale. The null is of the greatest deviation over all concepts when samples
are permuted, the annotations of a sample staying together (Westfall & Young 1993).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from hashlib import blake2b

import numpy as np
import pandas as pd

from strata.arrays import as_array, random_ranks
from strata.dissect.annotation_ranks import Deviations, masks_of, tie_factors
from strata.dissect.problem import blocks
from strata.errors import StrataError
from strata.stats import adjust_p_values, permutation_p_values
from strata.threads import n_threads, one_blas_thread, run_parallel

DIRECTIONS = ("both", "high")
DECIDING = ("deviation", "auc")
ANNOTATION_COLUMNS = ("unit", "label", "sign", "score", "deviation", "runner_up", "margin")
ANNOTATION_COLUMNS += ("p_value", "q_value", "constant", "tied")
_FEW_TIES = 0.999  # tie factor from which a neuron's null is that of neurons without ties
_BYTES = 48.0  # a neuron's activation, rank, and what sorting them needs


def label_by_annotation(
    activations: np.ndarray,
    annotations: np.ndarray,
    concepts: Sequence[str],
    *,
    direction: str = "both",
    best: str = "deviation",
    min_positives: int = 5,
    n_permutations: int = 0,
    seed: int = 0,
    n_runners_up: int = 4,
    memory_mb: float = 64,
    log: Callable[[str], None] = print,
) -> pd.DataFrame:
    """Label each neuron of a layer with the annotation that it tells best.

    Parameters
    ----------
    activations : (samples, neurons), may be memory-mapped
    annotations : (samples, concepts), 1 or 0 (True or False), NaN where a concept does not apply
    concepts : their names, as "column=value"
    direction : "both": high or low activation may go with a concept; "high": only high
    best : which concept is the label, that of the greatest "deviation" of the rank sum, which grows
        with the number of samples that have the concept, or of the greatest "auc", which favours
        rare concepts, whose areas vary most by chance
    min_positives : a concept that fewer samples have, or fewer lack, is told to `log` and left out
    n_permutations : permutations of the samples for the null; 0 leaves p and q NaN
    memory_mb : size of what is computed at a time on each thread, at least one neuron

    Returns
    -------
    DataFrame with a row per neuron: unit, label (the `best` concept; of equals the first by
    name), sign (1 if high activation goes with it, -1 if low), score (area under the ROC curve in
    that direction), deviation (standard deviations of the rank sum, in that direction), runner_up
    (the next by what decides, ";"-joined), margin (the deviation, or the area, less the second's;
    NaN with a single concept), p_value = (1 + null maxima of what decides that reach it) /
    (permutations + 1), q_value (Benjamini-
    Hochberg within the layer), constant, and tied (1 less the tie correction of the variance). A
    constant neuron has no label: label missing, sign, score, deviation and margin 0, p = q = 1. The
    null of neurons whose ties cut the variance by less than a thousandth is that of neurons without
    ties; all others are permuted themselves.

    Raises
    ------
    StrataError
        Shapes that do not fit, NaN or infinite activations, annotations other than 0, 1 and NaN,
        repeated names, no usable concept, an unknown direction or `best`.
    """
    values = as_array(annotations, "annotations")
    options = {"direction": direction, "best": best, "min_positives": min_positives, "seed": seed}
    prepared = Annotations(values, concepts, n_permutations=n_permutations, **options)
    for concept, reason in prepared.left_out.items():
        log(f"annotation {concept!r} is left out: {reason}")
    return prepared.label(activations, n_runners_up=n_runners_up, memory_mb=memory_mb)


class Annotations:
    """Annotations of samples, made ready once for all layers and models of a study.

    `concepts` are those that are used, by name; `left_out` says of the others why, {name: reason}.
    Arguments and errors as for `label_by_annotation`.
    """

    def __init__(
        self,
        values: np.ndarray,
        concepts: Sequence[str],
        *,
        direction: str = "both",
        best: str = "deviation",
        min_positives: int = 5,
        n_permutations: int = 0,
        seed: int = 0,
    ):
        if direction not in DIRECTIONS:
            raise StrataError(f"direction {direction!r} is unknown: use {', '.join(DIRECTIONS)}")
        if best not in DECIDING:
            raise StrataError(f"best {best!r} is unknown: use {', '.join(DECIDING)}")
        if min_positives < 1:
            raise StrataError(f"min_positives must be at least 1, not {min_positives}")
        _check_annotations(values, concepts)
        self.direction, self.best = direction, best
        self.n_permutations, self.seed = n_permutations, seed
        self.n_samples = len(values)
        order = np.argsort(np.array(concepts, dtype=str), kind="stable")
        have, lack = (values == 1).sum(axis=0), (values == 0).sum(axis=0)
        self.left_out = {
            str(concepts[i]): _reason(int(have[i]), int(lack[i]), min_positives)
            for i in order
            if min(have[i], lack[i]) < min_positives
        }
        kept = order[np.minimum(have, lack)[order] >= min_positives]
        if not len(kept):
            raise StrataError(
                f"annotations: no concept that at least {min_positives} samples have and as many "
                "lack; lower min_positives or give other annotations"
            )
        self.concepts = np.array([str(concepts[i]) for i in kept], dtype=object)
        values = values[:, kept].astype(np.float32)
        self.masks = masks_of(values)
        # Samples by what they are annotated with: permutations are dealt out in this order.
        self.ranks = random_ranks(np.nan_to_num(values, nan=-1.0), seed)
        self._nulls: dict[bytes, np.ndarray] = {}

    def deviations(self, rows: np.ndarray) -> Deviations:
        """z and AUC, each (neurons, concepts), of activations (neurons, samples)."""
        z, auc = np.empty((2, len(rows), len(self.concepts)))
        for mask in self.masks:
            z[:, mask.places], auc[:, mask.places] = mask.deviations(rows)
        return Deviations(z, auc)

    def keys(self, found: Deviations) -> np.ndarray:
        """What decides, in either direction or upwards: the deviation, or the area beyond 1/2."""
        moved = found.z if self.best == "deviation" else found.auc - 0.5
        return np.abs(moved) if self.direction == "both" else moved

    def null(self, row: np.ndarray, memory_mb: float) -> np.ndarray:
        """Greatest keys (permutations,) of a neuron (samples,) whose samples are permuted.

        The same draws for all neurons; neurons with the same ties share a null.
        """
        levels = np.unique(row, return_inverse=True)[1].astype(np.int32)
        levels.sort()
        pattern = blake2b(levels.data, digest_size=16).digest()
        if pattern not in self._nulls:
            draw = np.random.default_rng(self.seed)
            found = np.empty(self.n_permutations)
            for block in blocks(self.n_permutations, _BYTES * len(row), memory_mb):
                width = block.stop - block.start
                drawn = np.stack([draw.permutation(levels)[self.ranks] for _ in range(width)])
                found[block] = self.keys(self.deviations(drawn)).max(axis=1)
            self._nulls[pattern] = found
        return self._nulls[pattern]

    def label(
        self, activations: np.ndarray, *, n_runners_up: int = 4, memory_mb: float = 64
    ) -> pd.DataFrame:
        """The labels of one layer, as `label_by_annotation` describes them."""
        activations = as_array(activations, "activations")
        if activations.ndim != 2 or not activations.shape[1]:
            raise StrataError(
                f"activations must be (samples, neurons), not of shape {activations.shape}"
            )
        if len(activations) != self.n_samples:
            raise StrataError(
                f"activations have {len(activations)} samples, annotations {self.n_samples}"
            )
        each = max(self.n_samples, len(self.concepts)) * _BYTES
        spans = list(blocks(activations.shape[1], each, memory_mb))
        most = -(-activations.shape[1] // n_threads())
        if len(spans) < n_threads():
            spans = list(blocks(activations.shape[1], 2.0**20 / most, 1))
        parts: dict[int, pd.DataFrame] = {}
        if self.n_permutations:  # before the threads, which all need it
            self.null(np.arange(self.n_samples), memory_mb)

        def work(span: slice) -> None:
            parts[span.start] = self._block(activations, span, n_runners_up, memory_mb)

        with one_blas_thread():
            run_parallel(work, spans)
        table = pd.concat([parts[span.start] for span in spans], ignore_index=True)
        varying = ~table["constant"]
        if self.n_permutations:
            table.loc[varying, "q_value"] = adjust_p_values(table.loc[varying, "p_value"])
        return table[list(ANNOTATION_COLUMNS)]

    def _block(
        self, activations: np.ndarray, span: slice, n_runners_up: int, memory_mb: float
    ) -> pd.DataFrame:
        rows = np.ascontiguousarray(np.asarray(activations[:, span]).T)
        if rows.dtype == np.float16:
            rows = rows.astype(np.float32)
        if not np.isfinite(rows).all():
            unit = span.start + int(np.flatnonzero(~np.isfinite(rows).all(axis=1))[0])
            raise StrataError(f"activations: neuron {unit} has NaN or infinite values")
        constant = (rows == rows[:, :1]).all(axis=1)
        factors = tie_factors(rows)
        z, auc = found = self.deviations(rows)
        keys = self.keys(found)
        order = np.argsort(-keys, axis=1, kind="stable")[:, : max(2, 1 + n_runners_up)]
        at = np.arange(len(rows)), order[:, 0]
        best, sign = keys[at], np.where(z[at] < 0, -1, 1)
        words = self.concepts[order]
        table = pd.DataFrame(
            {
                "unit": np.arange(span.start, span.stop),
                "label": words[:, 0],
                "sign": sign,
                "score": 0.5 + sign * (auc[at] - 0.5),
                "deviation": np.abs(z[at]) if self.direction == "both" else z[at],
                "runner_up": [";".join(row[1 : 1 + n_runners_up]) for row in words],
                "margin": best - keys[at[0], order[:, 1]] if order.shape[1] > 1 else np.nan,
                "p_value": self._p_values(rows, best, factors, constant, memory_mb),
                "q_value": np.nan,
                "constant": constant,
                "tied": np.where(constant, 0.0, 1 - factors),
            }
        )
        table.loc[constant, ["label", "runner_up"]] = None, ""
        table.loc[constant, ["score", "deviation", "margin"]] = 0.0
        table.loc[constant, "sign"] = 0
        if self.n_permutations:
            table.loc[constant, ["p_value", "q_value"]] = 1.0
        return table

    def _p_values(self, rows, best, factors, constant, memory_mb: float) -> np.ndarray:
        if not self.n_permutations:
            return np.full(len(rows), np.nan)
        found = permutation_p_values(best, self.null(np.arange(self.n_samples), memory_mb)[None])
        for i in np.flatnonzero((factors < _FEW_TIES) & ~constant):
            found[i] = permutation_p_values(best[[i]], self.null(rows[i], memory_mb)[None])[0]
        return found


def _reason(have: int, lack: int, least: int) -> str:
    if not have or not lack:
        return "all samples that it applies to have it" if have else "no sample has it"
    return f"{have} samples have it, {lack} lack it: min_positives is {least}"


def _check_annotations(values: np.ndarray, concepts: Sequence[str]) -> None:
    if values.ndim != 2 or len(values) < 2:
        raise StrataError(f"annotations must be (samples, concepts), not of shape {values.shape}")
    if len(concepts) != values.shape[1]:
        raise StrataError(f"{len(concepts)} concepts, but {values.shape[1]} columns of annotations")
    repeated = pd.Index(concepts)[pd.Index(concepts).duplicated()]
    if len(repeated):
        raise StrataError(
            f"annotations: concepts are repeated: {', '.join(map(str, repeated[:5]))}"
        )
    for place, concept in enumerate(concepts):
        column = values[:, place]
        wrong = (column != 0) & (column != 1) & ~np.isnan(column)
        if wrong.any():
            found = column[wrong.argmax()]
            raise StrataError(f"annotation {concept!r} must be 0, 1 or NaN, not {found}")
