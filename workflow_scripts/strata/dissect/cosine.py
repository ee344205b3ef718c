"""Cosine similarity, plain and of cubes (Oikarinen & Weng, ICLR 2023, section 3.2).

score_jc = cos(q_j, P_c)   over all images, q_j neuron j's activations, P_c concept c's cosines

cosine: the columns as they are. Cosine cubed: both centred, then each value raised to the third
power (`power`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from strata.dissect.images import Survey
from strata.dissect.nulls import shuffles
from strata.dissect.problem import Problem, blocks
from strata.dissect.scorer import Keys
from strata.dissect.softmax import SoftmaxSums
from strata.dissect.tiles import Tile


@dataclass(frozen=True)
class Cosine:
    """Cosine of columns over all images (`top_k` has no meaning), centred or not, to a power.

    Columns shorter than `min_norm` are divided by it instead.
    """

    power: int = 1
    centred: bool = False
    min_norm: float = 1e-12


class Columns:
    """A layer's columns of activations, centred, raised to a power and of unit length."""

    def __init__(self, activations: np.ndarray, parameters: Cosine, memory_mb: float):
        n_images, n_neurons = activations.shape
        self.activations, self.power = activations, parameters.power
        self.blocks = list(blocks(n_images, 16.0 * n_neurons, memory_mb))
        self.mean, self.length = np.zeros(n_neurons), np.ones(n_neurons)
        if parameters.centred:
            sums = (activations[b].sum(axis=0, dtype=np.float64) for b in self.blocks)
            self.mean = sum(sums) / n_images
        squares = np.zeros(n_neurons)
        for block in self.blocks:
            values = self.read(block, np.float64)
            squares += np.einsum("ij,ij->j", values, values)
        self.length = np.maximum(np.sqrt(squares), parameters.min_norm)

    def read(self, rows: slice, dtype=np.float32) -> np.ndarray:
        """The columns at these images, (rows, neurons)."""
        from strata.dissect.kernels import raise_columns

        values = np.ascontiguousarray(self.activations[rows])
        if values.dtype not in (np.float32, np.float64):
            values = values.astype(np.float32)
        out = np.empty(values.shape, dtype=dtype)
        raise_columns(values, self.mean, self.length, self.power, out)
        return out


class LinearCosine:
    """Power 1: A'(X T') = (A'X) T', so that P is never needed. Null: images shuffled.

    A layer's null is found when it is added, all else when a tile is. Held for the whole pass:
    4 bytes for each neuron and dimension of the embeddings.
    """

    reads = "nothing"

    def __init__(self, problem: Problem, parameters: Cosine, n_permutations: int):
        self.problem, self.parameters = problem, parameters
        self.orders = shuffles(problem.ranks, n_permutations, problem.seed)
        self.constant: list[np.ndarray] = []
        self.tied: list[np.ndarray] = []
        self.projected: list[np.ndarray] = []
        self.nulls: list[np.ndarray] = []
        images, texts = problem.images, problem.texts
        self.centre = np.zeros(images.shape[1], dtype=np.float32)
        if parameters.centred:
            self.centre = images.mean(axis=0, dtype=np.float64).astype(np.float32)
        # |X t|^2 = t' (X'X) t
        gram = np.zeros((images.shape[1],) * 2)
        for block in blocks(len(images), 8.0 * images.shape[1], problem.memory_mb):
            centred = images[block] - self.centre
            gram += centred.T @ centred
        tiles = blocks(len(texts), 24.0 * images.shape[1], problem.memory_mb)
        squares = [np.einsum("cd,cd->c", texts[t] @ gram, texts[t]) for t in tiles]
        lengths = np.sqrt(np.maximum(np.concatenate(squares), 0))
        self.lengths = np.maximum(lengths, parameters.min_norm).astype(np.float32)

    def add(self, activations: np.ndarray, survey: Survey) -> None:
        columns = Columns(activations, self.parameters, self.problem.memory_mb)
        self.constant.append(survey.constant)
        self.tied.append(np.zeros(len(survey.constant)))
        self.projected.append(self._project(columns, np.arange(len(activations))))
        null = np.full((activations.shape[1], len(self.orders)), -np.inf, dtype=np.float32)
        tiles = list(blocks(self.problem.n_concepts, 8.0 * len(null), self.problem.memory_mb))
        for number, order in enumerate(self.orders):
            # Image i has the activations of image order[i].
            projected = self._project(columns, np.argsort(order))
            for span in tiles:
                drawn = self._cosines(projected, span).max(axis=1)
                null[:, number] = np.maximum(null[:, number], drawn)
        self.nulls.append(null)

    def _project(self, columns: Columns, images: np.ndarray) -> np.ndarray:
        parts = (
            columns.read(block).T @ (self.problem.images[images[block]] - self.centre)
            for block in columns.blocks
        )
        return sum(parts)

    def _cosines(self, projected: np.ndarray, span: slice) -> np.ndarray:
        """float32 of products in float64: a concept's place in a tile, and the number of threads,
        decide the last digits of a product in float32, and with them which of equals is first."""
        texts = self.problem.texts[span].astype(np.float64)
        found = projected.astype(np.float64) @ texts.T / self.lengths[span]
        return found.astype(np.float32)

    def images(self) -> np.ndarray:
        return np.empty(0, dtype=np.int64)

    def start(self, needed: np.ndarray, sums: SoftmaxSums | None) -> None:
        pass

    def bytes_per_concept(self) -> float:
        return 16.0 * sum(map(len, self.projected))

    def keys(self, tile: Tile) -> list[Keys]:
        pairs = zip(self.projected, self.nulls, strict=True)
        return [Keys(self._cosines(projected, tile.span), null) for projected, null in pairs]

    def score(self, layer: int, keys: np.ndarray) -> np.ndarray:
        return keys


class PowerCosine:
    """Powers above 1: a product of all activations with each tile of P. Null: images shuffled.

    The activations are read again for every tile, so the layers' arrays are kept by reference.
    """

    reads = "whole"

    def __init__(self, problem: Problem, parameters: Cosine, n_permutations: int):
        self.problem, self.parameters = problem, parameters
        self.orders = shuffles(problem.ranks, n_permutations, problem.seed)
        self.constant: list[np.ndarray] = []
        self.tied: list[np.ndarray] = []
        self.layers: list[Columns] = []
        images = problem.images
        self.centre = np.zeros(images.shape[1], dtype=np.float32)
        if parameters.centred:
            self.centre = images.mean(axis=0, dtype=np.float64).astype(np.float32)

    def add(self, activations: np.ndarray, survey: Survey) -> None:
        self.layers.append(Columns(activations, self.parameters, self.problem.memory_mb / 8))
        self.constant.append(survey.constant)
        self.tied.append(np.zeros(len(survey.constant)))

    def images(self) -> np.ndarray:
        return np.arange(self.problem.n_images)

    def start(self, needed: np.ndarray, sums: SoftmaxSums | None) -> None:
        widest = max(len(layer.length) for layer in self.layers)
        row_bytes = 16.0 * (widest + 512)
        self.blocks = list(blocks(len(needed), row_bytes, self.problem.memory_mb / 4))

    def bytes_per_concept(self) -> float:
        return 8.0 * sum(len(layer.length) for layer in self.layers)

    def keys(self, tile: Tile) -> list[Keys]:
        tables = self._cosines(tile, np.arange(self.problem.n_images))
        nulls = [np.empty((len(table), len(self.orders)), np.float32) for table in tables]
        for number, order in enumerate(self.orders):
            for null, drawn in zip(nulls, self._cosines(tile, np.argsort(order)), strict=True):
                null[:, number] = drawn.max(axis=1)
        return [Keys(table, null) for table, null in zip(tables, nulls, strict=True)]

    def _cosines(self, tile: Tile, images: np.ndarray) -> list[np.ndarray]:
        """Cosines by layer when image i's activations meet the concepts at image images[i]."""
        width = len(tile.texts)
        tables = [np.zeros((len(layer.length), width), np.float32) for layer in self.layers]
        squares = np.zeros(width)
        centre = tile.texts @ self.centre
        for block in self.blocks:
            columns = (layer.read(block) for layer in self.layers)
            found, added = tile.column_products(
                images[block], centre, self.parameters.power, columns
            )
            squares += added
            for table, part in zip(tables, found, strict=True):
                table += part
        lengths = np.maximum(np.sqrt(squares), self.parameters.min_norm).astype(np.float32)
        for table in tables:
            table /= lengths
        return tables

    def score(self, layer: int, keys: np.ndarray) -> np.ndarray:
        return keys
