"""How alike the layers of a model are, from their states token by token."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from strata.models.inference import run_batches
from strata.models.layers import entering_states
from strata.tables import check_measures

if TYPE_CHECKING:
    import torch

    from strata.data.manifest import Dataset
    from strata.models.encoder import Encoder


@dataclass(frozen=True)
class LayerSimilarities:
    """Similarities between what enters each of n layers and what leaves the last.

    `block_influence` (n,) is 1 - the mean cosine of a layer's input and output (ShortGPT, Men et
    al. 2024). `angular_distance` (n + 1, n + 1) is the mean angle over tokens, as a share of a half
    turn (Gromov et al. 2024). `cka` (n + 1, n + 1) is linear centred kernel alignment (Kornblith et
    al. 2019) of samples, each the mean of its tokens.
    """

    block_influence: np.ndarray
    angular_distance: np.ndarray
    cka: np.ndarray
    n_samples: int


def layer_similarities(
    encoder: Encoder,
    dataset: Dataset,
    samples: Sequence[int],
    *,
    batch_size: int | str = "auto",
    log: Callable[[str], None] = print,
) -> LayerSimilarities:
    """Compare the layers of `encoder` on these samples of a data set; padding is left out."""
    collected = _Collected(encoder)
    batches = run_batches(
        dataset,
        samples,
        encoder.preprocess,
        collected.add,
        device=encoder.device,
        read=encoder.reader(dataset),
        batch_size=batch_size,
        log=log,
    )
    with collected:
        means = [np.concatenate(parts) for parts in zip(*batches, strict=True)]
    cosine = collected.cosine / collected.tokens
    return LayerSimilarities(
        block_influence=1 - np.diagonal(cosine, offset=1),
        angular_distance=collected.angle / collected.tokens / np.pi,
        cka=_cka(means),
        n_samples=len(samples),
    )


def similarity_measures(
    found: LayerSimilarities, layers: Sequence[str], *, model: str, dataset: str, seed: int
) -> pd.DataFrame:
    """Block influence of each layer; angular distance and CKA between places.

    A place is what enters a layer (`layer_index`), or, numbered n, what leaves the last; the column
    `other` is the second place, -1 for block influence.
    """
    n = len(layers)
    places = [*layers, "output"]
    rows = [(layers[i], i, -1, "block_influence", found.block_influence[i]) for i in range(n)]
    for metric in ("angular_distance", "cka"):
        matrix = getattr(found, metric)
        rows += [
            (places[i], i, j, metric, matrix[i, j]) for i in range(n + 1) for j in range(n + 1)
        ]
    table = pd.DataFrame(rows, columns=["layer", "layer_index", "other", "metric", "value"])
    table = table.assign(model=model, dataset=dataset, concept=None, low=np.nan, high=np.nan)
    return check_measures(table.assign(n=found.n_samples, seed=seed), f"similarity of {model}")


class _Collected:
    """Hooks that keep the states around every layer, and sums over tokens of all batches."""

    def __init__(self, encoder: Encoder):
        n = len(encoder.layers) + 1
        self.encoder, self.tokens = encoder, 0
        self.cosine, self.angle = np.zeros((n, n)), np.zeros((n, n))
        self.states: list[torch.Tensor] = []

    def __enter__(self) -> _Collected:
        layers = list(self.encoder.layers.values())
        self.handles = [layers[0].register_forward_pre_hook(self._entering, with_kwargs=True)]
        self.handles += [layer.register_forward_hook(self._leaving) for layer in layers]
        return self

    def __exit__(self, *error) -> None:
        for handle in self.handles:
            handle.remove()

    def _entering(self, module, inputs, named) -> None:
        self.states = [entering_states(inputs, named, self.encoder.name)]

    def _leaving(self, module, inputs, output) -> None:
        self.states.append(output if hasattr(output, "ndim") else output[0])

    def add(self, batch) -> list[np.ndarray]:
        """Run a batch; returns the mean of each sample's tokens, (batch, features) a place."""
        front_end = self.encoder.front_end
        if front_end is None:
            return self._add(batch)
        places = front_end.groups(batch)
        parts = [self._add([batch[place] for place in group]) for group in places]
        order = np.argsort(np.concatenate(places))
        return [np.concatenate(rows)[order] for rows in zip(*parts, strict=True)]

    def _add(self, batch) -> list[np.ndarray]:
        import torch

        with torch.inference_mode():
            self.encoder.forward(batch)
            kept = self._kept(batch)
            flat = torch.stack([states[kept] for states in self.states]).double()
            unit = torch.nn.functional.normalize(flat, dim=-1)
            for i, one in enumerate(unit):  # one place against all others bounds the memory
                cosine = (unit * one).sum(dim=-1).clamp(-1, 1)
                self.cosine[i] += cosine.sum(dim=1).cpu().numpy()
                self.angle[i] += cosine.arccos().sum(dim=1).cpu().numpy()
            self.tokens += int(kept.sum())
            counts = kept.sum(dim=1, keepdim=True)
            sums = [(states * kept[..., None]).sum(dim=1) / counts for states in self.states]
        return [mean.double().cpu().numpy() for mean in sums]

    def _kept(self, batch) -> torch.Tensor:
        """Which tokens are no padding, (batch, tokens)."""
        import torch

        first, front_end = self.states[0], self.encoder.front_end
        if front_end is not None:
            return front_end.own_tokens(first, front_end.frame_counts(batch))
        return torch.ones(first.shape[:2], dtype=torch.bool, device=first.device)


def _cka(means: Sequence[np.ndarray]) -> np.ndarray:
    """Linear CKA of every pair of (samples, features) arrays."""
    grams = []
    for rows in means:
        centred = rows - rows.mean(axis=0)
        gram = centred @ centred.T
        grams.append(gram.ravel() / np.linalg.norm(gram))
    stacked = np.stack(grams)
    return stacked @ stacked.T
