"""One pass for all: layers are added one by one, then labelled by one or several functions."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from strata.arrays import as_array
from strata.dissect.best import Best
from strata.dissect.cosine import Cosine, LinearCosine, PowerCosine
from strata.dissect.images import survey
from strata.dissect.labels import label_table
from strata.dissect.mutual_information import MutualInformation
from strata.dissect.parameters import Parameters
from strata.dissect.problem import Problem, check_activations, check_problem
from strata.dissect.rank_reorder import RankReorder, RankReorderScorer
from strata.dissect.scorer import Keys, Scorer
from strata.dissect.softmax import SoftmaxSums, unit_sums
from strata.dissect.stream import Take, stream
from strata.models.inference import pick_device


class Dissection:
    """Labels of all layers by one or several functions; layers are added one by one.

    `permutations` belong to the first function, the main one; the others take no null. What is held
    of a layer is what its scorers hold: for soft WPMI and WPMI 12 bytes for each neuron and top
    image, for rank reorder 8 bytes and 4 for each neuron and dimension of the embeddings, for the
    cosine the latter, and for cosine cubed the array itself, which is better memory-mapped.

    Raises StrataError as `label_neurons` does.
    """

    def __init__(
        self,
        image_embeddings: np.ndarray,
        text_embeddings: np.ndarray,
        concepts: Sequence[str],
        parameters: Sequence[Parameters],
        *,
        permutations: int = 0,
        seed: int = 0,
        memory_mb: float = 64,
        sums: SoftmaxSums | None = None,
        device: str = "cpu",
        backend: str | None = None,
    ):
        device = pick_device(device)
        image_embeddings = as_array(image_embeddings, "image embeddings")
        text_embeddings = as_array(text_embeddings, "text embeddings")
        # Torch on the CPU as well, where a test asks for what runs on a GPU.
        self.torch_device = device if device == "cuda" or backend == "torch" else ""
        self.problem = check_problem(image_embeddings, text_embeddings, concepts, memory_mb, seed)
        self.concepts = np.asarray(concepts, dtype=object)
        self.parameters = list(parameters)
        self.sums, self.temperatures = sums, {x.a for x in parameters if hasattr(x, "a")}
        if sums is not None:
            sums.check(image_embeddings, text_embeddings)
            for a in self.temperatures:
                sums.of(a)
        counts = [permutations] + [0] * (len(self.parameters) - 1)
        self.scorers = [
            _scorer(self.problem, chosen, n)
            for chosen, n in zip(self.parameters, counts, strict=True)
        ]
        self.shown: list[np.ndarray] = []

    def add(self, activations: np.ndarray, n_images_shown: int = 5) -> None:
        """Add a layer: activations (images, neurons), perhaps memory-mapped."""
        activations = as_array(activations, "activations")
        check_activations(activations, self.problem.n_images)
        shown = min(n_images_shown, len(activations))
        k = max(getattr(chosen, "top_k", 1) for chosen in self.parameters)
        # One more than needed tells whether another image activates a neuron as the last one does.
        k = min(max(k + 1, shown), len(activations))
        found = survey(activations, k, self.problem.memory_mb, self.problem.ranks)
        for scorer in self.scorers:
            scorer.add(activations, found)
        self.shown.append(found.top[:, :shown].copy())

    def tables(self, n_runners_up: int = 4) -> list[list[pd.DataFrame]]:
        """Tables as of `label_neurons`, by function and layer."""
        wanted = min(max(2, 1 + n_runners_up), len(self.concepts))
        by_name = np.argsort(self.concepts.astype(str), kind="stable")  # what ties go by
        order = np.argsort(by_name)
        best = [[Best(len(shown), wanted, order) for shown in self.shown] for _ in self.scorers]

        def take(number: int, span: slice, layers: list[Keys]) -> None:
            for kept, keys in zip(best[number], layers, strict=True):
                kept.add(span, keys)

        self._stream(take)
        return [
            [
                label_table(
                    kept,
                    lambda keys, scorer=scorer, layer=layer: scorer.score(layer, keys),
                    scorer.constant[layer],
                    scorer.tied[layer],
                    self.concepts[by_name],
                    self.shown[layer],
                    n_runners_up,
                )
                for layer, kept in enumerate(layers)
            ]
            for scorer, layers in zip(self.scorers, best, strict=True)
        ]

    def scores(self) -> np.ndarray:
        """All scores (neurons, concepts) of the first layer by the only function."""
        keys = np.empty((len(self.shown[0]), len(self.concepts)), dtype=np.float32)

        def take(number: int, span: slice, layers: list[Keys]) -> None:
            keys[:, span] = layers[0].keys

        self._stream(take)
        return self.scorers[0].score(0, keys)

    def _stream(self, take: Take) -> None:
        problem, sums = self.problem, self.sums
        if sums is None and self.temperatures:
            sums = unit_sums(problem.images, problem.texts, self.temperatures, problem.memory_mb)
        stream(problem, self.scorers, take, sums, self.torch_device)


def _scorer(problem: Problem, parameters: Parameters, n_permutations: int) -> Scorer:
    """The scorer of the function that `parameters` belong to."""
    if isinstance(parameters, RankReorder):
        return RankReorderScorer(problem, parameters, n_permutations)
    if isinstance(parameters, Cosine):
        make = LinearCosine if parameters.power == 1 else PowerCosine
        return make(problem, parameters, n_permutations)
    return MutualInformation(problem, parameters, n_permutations)
