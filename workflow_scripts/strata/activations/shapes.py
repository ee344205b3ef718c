"""What the axes of a layer's output are: samples, tokens or places of a map, features."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from strata.errors import StrataError

if TYPE_CHECKING:
    import torch

    from strata.models.encoder import Encoder

_WAY_OUT = "name other modules under layers:"


def tensor_of(output: Any, batch: int, prefix: int, where: str) -> torch.Tensor:
    """The states in a layer's output: its first tensor with a row per sample of the batch.

    An output is a tensor, or a tuple, dictionary or dataclass of them, as transformers' are. A map
    and `prefix` tokens beside it are put together to tokens (batch, tokens, features).

    Raises StrataError where no tensor will do, or where several stand for several branches of the
    network.
    """
    import torch

    tensors = list(_tensors(output))
    fitting = [tensor for tensor in tensors if tensor.ndim > 1 and len(tensor) == batch]
    if not fitting:
        shapes = ", ".join(str(tuple(tensor.shape)) for tensor in tensors) or type(output).__name__
        raise StrataError(
            f"{where} puts out {shapes} for a batch of {batch}: no row per sample; {_WAY_OUT}"
        )
    # A tuple of two is the states and something about them.
    if len(fitting) > (1 if isinstance(output, list) else 2):
        raise StrataError(f"{where} puts out {len(fitting)} branches; {_WAY_OUT}")
    states, *beside = fitting
    if states.ndim > 4:
        shape = tuple(states.shape)
        raise StrataError(f"{where} puts out {shape}: neither tokens nor a map; {_WAY_OUT}")
    if states.ndim == 4 and beside and beside[0].ndim == 3 and beside[0].shape[1] == prefix > 0:
        return torch.cat([beside[0], states.flatten(2).transpose(1, 2)], dim=1)
    return states


def _tensors(output: Any) -> Iterator[torch.Tensor]:
    if hasattr(output, "ndim"):
        yield output
        return
    if isinstance(output, Mapping):
        output = list(output.values())
    for part in output if isinstance(output, (tuple, list)) else ():
        yield from _tensors(part)


def channels_first(
    states: torch.Tensor, picture: tuple[int, int], last: bool, where: str
) -> torch.Tensor:
    """A map as (batch, channels, height, width).

    A map has the shape of its picture (height, width), which tells the axis of the channels; `last`
    says which it is where both would do.

    Raises StrataError where neither would.
    """
    shape = tuple(states.shape)
    first, behind = _alike(shape[2:], picture), _alike(shape[1:3], picture)
    if not first and not behind:
        raise StrataError(
            f"{where} puts out {shape} for pictures of {picture[0]} x {picture[1]}: no map of that "
            f"shape, so that its channels are not known; {_WAY_OUT}"
        )
    return states.movedim(-1, 1) if behind and (last or not first) else states


def tokens_before_patches(n: int, picture: tuple[int, int], encoder: Encoder, where: str) -> int:
    """How many of a layer's `n` tokens stand before its patches: the model's class and register
    tokens, or none where these enter later.

    Patches are a grid of the shape of the picture (height, width).

    Raises StrataError where neither is so.
    """
    before, behind = encoder.n_prefix_tokens, encoder.n_suffix_tokens
    if n <= before or not before:
        return min(before, n)
    for prefix, suffix in ((before, behind), (0, 0)):
        if _is_grid(n - prefix - suffix, picture):
            return prefix
    raise StrataError(
        f"{where} has {n} tokens for pictures of {picture[0]} x {picture[1]}: neither a grid of "
        f"patches nor one with {before + behind} more (class tokens and the like); {_WAY_OUT}"
    )


def _is_grid(patches: int, picture: tuple[int, int]) -> bool:
    divisors = (height for height in range(1, patches + 1) if patches % height == 0)
    return any(_alike((height, patches // height), picture) for height in divisors)


def _alike(grid: tuple[int, int], picture: tuple[int, int]) -> bool:
    """Whether a grid has the shape of a picture, to less than one of its places."""
    return abs(grid[0] * picture[1] - grid[1] * picture[0]) < max(picture)
