"""A direct objective for convex classes: points between samples of a class belong to the class.

Euclidean convexity (`strata.convexity.euclidean`) as something to train for: behind a layer drawn
at random, each sample's states are replaced by a point on the segment to another sample of the same
class, and the rest of the network still has to name the class. (Manifold mixup, Verma et al. 2019,
within classes.)
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from torch import nn


@contextmanager
def interpolated(
    layers: Sequence[nn.Module], targets: torch.Tensor, draw: torch.Generator
) -> Iterator[None]:
    """Within this context, one of `layers` puts out points between samples of the same class.

    `targets` (batch,) are the classes of the batch that is passed through. A sample that is alone
    in its class stays as it is.
    """
    layer = layers[int(torch.randint(len(layers), (1,), generator=draw))]
    partner = torch.from_numpy(partners(targets.numpy(), draw))
    weight = torch.rand(len(targets), generator=draw)

    def mix(module, inputs, output):
        states = output if hasattr(output, "ndim") else output[0]
        share = weight.reshape(-1, *[1] * (states.ndim - 1)).to(states)
        mixed = share * states + (1 - share) * states[partner]
        return mixed if hasattr(output, "ndim") else (mixed, *output[1:])

    handle = layer.register_forward_hook(mix)
    try:
        yield
    finally:
        handle.remove()


def partners(targets: np.ndarray, draw: torch.Generator) -> np.ndarray:
    """Another sample of the same class for each, drawn so that each is a partner once."""
    shuffled = torch.randperm(len(targets), generator=draw).numpy()
    order = shuffled[np.argsort(targets[shuffled], kind="stable")]
    _, start, counts = np.unique(targets[order], return_index=True, return_counts=True)
    following = np.arange(1, len(order) + 1)
    following[start + counts - 1] = start  # the last of a class goes back to its first
    found = np.empty_like(order)
    found[order] = order[following]
    return found
