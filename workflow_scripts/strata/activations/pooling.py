"""Hooks that pool the output of every layer: what one neuron's activation is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from strata.activations.shapes import channels_first, tensor_of, tokens_before_patches
from strata.errors import StrataError
from strata.models.inference import mixed
from strata.models.layers import entering_states
from strata.tables import EMBEDDING

if TYPE_CHECKING:
    import torch

    from strata.models.encoder import Encoder

POOLS = ("auto", "cls", "mean", "spatial_mean")


class Recorder:
    """Hooks that pool the output of every layer as soon as it is computed, in one way or (`pools`)
    in several."""

    def __init__(
        self,
        encoder: Encoder,
        pools: str | Sequence[str],
        pieces: list | None = None,
        precision: str = "float32",
    ):
        self.pools = (pools,) if isinstance(pools, str) else tuple(pools)
        for pool in self.pools:
            _check_pool(pool, encoder)
        self.encoder, self.pieces, self.precision = encoder, pieces, precision
        self.done = 0  # samples of earlier batches
        self.places: Sequence[int] = ()  # of the clips of a pass, in their batch
        self.frames: list[int] | None = None
        self.batch = 0  # samples of the present batch
        self.picture = (1, 1)  # their height and width in pixels
        self.pooled: dict[str, list[torch.Tensor]] = {}  # of each layer in each way
        self.class_tokens: dict[str, torch.Tensor] = {}
        self.pooled_pieces: dict[str, torch.Tensor] = {}

    def __enter__(self) -> Recorder:
        self.handles = [
            layer.register_forward_hook(self._hook(name))
            for name, layer in self.encoder.layers.items()
        ]
        if self.encoder.embedding is not None:
            hook = self.encoder.embedding.register_forward_pre_hook
            self.handles.append(hook(self._entering, with_kwargs=True))
        return self

    def __exit__(self, *error) -> None:
        for handle in self.handles:
            handle.remove()

    def _hook(self, name: str):
        return lambda module, inputs, output: self._keep(name, output)

    def _keep(self, name: str, output) -> None:
        """Pool what a layer has put out."""
        where = f"{self.encoder.name}: layer {name}"
        if name in self.pooled:
            raise StrataError(
                f"{where} runs more than once in a forward pass; name other modules under layers:"
            )
        states = tensor_of(output, self.batch, self.encoder.n_prefix_tokens, where).float()
        if self.frames is not None:
            self._check_frames(name, states)
        self.pooled[name] = [self._pool(name, pool, states, where) for pool in self.pools]
        if self.pieces is not None:
            frames = self.encoder.front_end.frames(states)
            self.pooled_pieces[name] = _means(frames, *self._spans())

    def _entering(self, module, inputs, named) -> None:
        if EMBEDDING not in self.pooled:  # a layer that runs again takes what others made
            self._keep(EMBEDDING, entering_states(inputs, named, self.encoder.name))

    def _pool(self, name: str, pool: str, states: torch.Tensor, where: str) -> torch.Tensor:
        """(batch, features) of a layer's output: tokens (batch, tokens, features) or a map."""
        if states.ndim == 2:
            return states.clone()  # what comes later may change it in place
        if states.ndim == 4:
            if pool == "cls":
                raise StrataError(f"{where}: pool: cls on a convolutional map; use spatial_mean")
            last = self.encoder.channels_last
            return channels_first(states, self.picture, last, where).mean(dim=(2, 3))
        if self.frames is not None:
            return self._pool_frames(pool, states)
        before = tokens_before_patches(states.shape[1], self.picture, self.encoder, where)
        if before and self.encoder.has_class_token:
            class_token = states[:, : self.encoder.n_class_tokens].mean(dim=1)
            self.class_tokens[name] = class_token
            if pool == "cls":
                return class_token
        elif pool == "cls":
            raise StrataError(
                f"{where}: pool: cls, but its {states.shape[1]} tokens are patches alone: the "
                "class token enters later; use mean, or name the layers that have it under layers:"
            )
        patches = states[:, before : states.shape[1] - self.encoder.n_suffix_tokens]
        return patches.mean(dim=1) if patches.shape[1] else states.mean(dim=1)

    def _pool_frames(self, pool: str, states: torch.Tensor) -> torch.Tensor:
        if pool == "cls" or (pool == "auto" and self.encoder.has_class_token):
            return states[:, 0]
        clips, spans = range(len(self.frames)), [(0, length) for length in self.frames]
        return _means(self.encoder.front_end.frames(states), clips, spans)

    def _spans(self) -> tuple[list[int], list[tuple[int, int]]]:
        """The clip of the batch and the frames of each labelled piece."""
        clips, spans = [], []
        for clip, (place, length) in enumerate(zip(self.places, self.frames, strict=True)):
            for start, end in self.pieces[self.done + place]:
                clips.append(clip)
                spans.append(self.encoder.front_end.frame_span(start, end, length))
        return clips, spans

    def _check_frames(self, name: str, states: torch.Tensor) -> None:
        """What is recorded of a sound are its own frames, and all of them."""
        front_end, most = self.encoder.front_end, max(self.frames)
        found = front_end.frames(states).shape[1] if states.ndim == 3 else None
        if found is None or found < most or (found > most and front_end.context != "full"):
            raise StrataError(
                f"{self.encoder.name}: layer {name} puts out {tuple(states.shape)}, expected "
                f"{most} frames of its longest clip in the second place; name other layers:"
            )

    def record(self, batch: torch.Tensor | list[torch.Tensor]) -> list[np.ndarray]:
        """Pooled activations of all layers for a batch, each (batch, features) float32, in one way
        after the other; behind them, where there are labelled pieces, those of the pieces, each
        (pieces, features)."""
        import torch

        with torch.inference_mode(), mixed(self.encoder.device, self.precision):
            if self.encoder.front_end is not None:
                found = self._record_sounds(batch)
            else:
                self.picture = tuple(batch.shape[-2:])
                found = self._pass(batch)
        self.done += len(batch)
        return [states.float().cpu().numpy() for states in found]

    def _pass(self, batch: torch.Tensor | list[torch.Tensor]) -> list[torch.Tensor]:
        """What one forward pass leaves of all layers, and behind them of the pieces."""
        self.batch = len(batch)
        for kept in (self.pooled, self.class_tokens, self.pooled_pieces):
            kept.clear()
        self.encoder.forward(batch)
        names = self.encoder.layer_names  # modules may run in another order than they are named
        idle = [name for name in names if name not in self.pooled]
        if idle:
            raise StrataError(
                f"{self.encoder.name}: layer {idle[0]} does not run in a forward pass; name other "
                "modules under layers:"
            )
        # A class token that enters later is read nowhere, lest layers be read in different ways.
        everywhere = len(self.class_tokens) == len(names)
        found = []
        for way, pool in enumerate(self.pools):
            tokens = pool == "auto" and everywhere
            found += [self.class_tokens[n] if tokens else self.pooled[n][way] for n in names]
        if self.pieces is not None:
            found += [self.pooled_pieces[name] for name in names]
        return found

    def _record_sounds(self, batch: list[torch.Tensor]) -> list[torch.Tensor]:
        """Clips in the passes that their front end wants, their rows in the order of the batch."""
        import torch

        front_end, parts, order, piece_order = self.encoder.front_end, [], [], []
        pieces = self.pieces[self.done :][: len(batch)] if self.pieces else [()] * len(batch)
        first_piece = np.cumsum([0, *map(len, pieces)]).tolist()
        for self.places in front_end.groups(batch):
            clips = [batch[place] for place in self.places]
            self.frames = front_end.frame_counts(clips)
            parts.append(self._pass(clips))
            order += self.places
            for place in self.places:
                piece_order += range(first_piece[place], first_piece[place + 1])
        orders = [torch.tensor(each, dtype=torch.long).argsort() for each in (order, piece_order)]
        joined = [torch.cat(rows) for rows in zip(*parts, strict=True)]
        n = len(self.pooled) * len(self.pools)
        return [rows[orders[i >= n].to(rows.device)] for i, rows in enumerate(joined)]


def _check_pool(pool: str, encoder: Encoder) -> None:
    if pool not in POOLS:
        raise StrataError(f"pool: {pool!r} is unknown; use one of {', '.join(POOLS)}")
    if pool == "cls" and not encoder.has_class_token:
        raise StrataError(f"{encoder.name}: pool: cls, but it has no class token; use mean")
    if encoder.rate is not None and pool == "spatial_mean":
        raise StrataError(f"{encoder.name}: pool: spatial_mean on sounds; use mean")


def _means(states: torch.Tensor, clips: Sequence, spans: Sequence) -> torch.Tensor:
    """Mean over the frames (start, end) of each span of its clip: states (clips, frames, features)
    give (spans, features)."""
    import torch
    from torch.nn.functional import pad

    clips = torch.as_tensor(list(clips), dtype=torch.long, device=states.device)
    spans = torch.as_tensor(spans, dtype=torch.long, device=states.device).reshape(-1, 2)
    sums = pad(states.double().cumsum(dim=1), (0, 0, 1, 0))
    lengths = spans[:, 1] - spans[:, 0]
    return (sums[clips, spans[:, 1]] - sums[clips, spans[:, 0]]) / lengths[:, None]
