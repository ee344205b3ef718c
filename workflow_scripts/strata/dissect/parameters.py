"""The similarity functions by name, with their default parameters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields, replace

from strata.dissect.cosine import Cosine
from strata.dissect.rank_reorder import RankReorder
from strata.dissect.soft_wpmi import SoftWpmi
from strata.dissect.wpmi import Wpmi
from strata.errors import StrataError

Parameters = SoftWpmi | Wpmi | RankReorder | Cosine

DEFAULTS: dict[str, Parameters] = {
    "soft_wpmi": SoftWpmi(),
    "wpmi": Wpmi(),
    "rank_reorder": RankReorder(),
    "cosine": Cosine(),
    "cosine_cubed": Cosine(power=3, centred=True, min_norm=1e-3),
}
SIMILARITIES = tuple(DEFAULTS)


def similarity_parameters(
    similarity: str,
    n_images: int,
    top_k: int | None = None,
    parameters: Mapping[str, float] | None = None,
) -> Parameters:
    """The parameters of `similarity` for `n_images`, with `parameters` and `top_k` overriding.

    Raises StrataError for an unknown function or parameter, or a `top_k` outside 1..n_images.
    """
    _check_name(similarity)
    chosen = DEFAULTS[similarity]
    known = [field.name for field in fields(chosen)]
    for name in parameters or {}:
        if name not in known:
            raise StrataError(f"{similarity} has no parameter {name!r}: it takes {known}")
    chosen = replace(chosen, **(parameters or {}))
    if isinstance(chosen, Cosine | RankReorder) and (
        chosen.power < 1 or chosen.power != int(chosen.power)
    ):
        raise StrataError(f"{similarity}: power must be a positive whole number")
    if isinstance(chosen, Cosine):
        return chosen
    if top_k is not None:
        chosen = replace(chosen, top_k=top_k)
    if isinstance(chosen, RankReorder):
        if chosen.top_k is None:
            chosen = replace(chosen, top_k=max(2, int(n_images * chosen.top_fraction)))
    elif not 0 < chosen.a <= 40:  # exp(a P) and its sum must fit float32
        raise StrataError(f"{similarity}: a must be above 0 and at most 40, not {chosen.a}")
    if not 1 <= chosen.top_k <= n_images:
        raise StrataError(
            f"{similarity}: top_k is {chosen.top_k}, but the probing set has {n_images} images"
        )
    return chosen


def softmax_temperatures(similarities: Sequence[str]) -> list[float]:
    """The values of `a` by which these functions, at their defaults, take a softmax; ascending."""
    for similarity in similarities:
        _check_name(similarity)
    return sorted({DEFAULTS[name].a for name in similarities if hasattr(DEFAULTS[name], "a")})


def _check_name(similarity: str) -> None:
    if similarity not in DEFAULTS:
        raise StrataError(f"similarity {similarity!r} is unknown: choose from {SIMILARITIES}")
