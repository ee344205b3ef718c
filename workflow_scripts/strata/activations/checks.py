"""Whether an encoder is read right: what can be known of it beforehand, tried on three inputs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np

from strata.activations.pooling import Recorder
from strata.activations.shapes import tokens_before_patches
from strata.errors import StrataError
from strata.models.layers import configured_depths

if TYPE_CHECKING:
    import torch

    from strata.models.encoder import Encoder

_SIDE = 256  # pixels of the pictures that are tried
_SECONDS = (0.9, 1.0, 1.2)  # of the sounds
_ROUNDING = 1e-3  # of the largest activation: how far rows may differ with the batch they are in
_ALIKE = 1e-7  # below it, rows of unlike inputs are alike


def check_encoder(encoder: Encoder, *, pool: str = "auto", chosen: bool = False) -> None:
    """Refuse an encoder that would be read wrongly, having tried it on three unlike inputs.

    Checked are the number of found layers against the configuration's depth, the width of the
    pooled layers against the model's own, the tokens before the patches against those that are the
    same for all pictures where they enter the first layer, their number in each layer against the
    size of the picture and of a patch, and that the inputs give the same rows alone and together,
    and each input its own.

    Parameters
    ----------
    pool
        As in `strata.activations.extract`. Other than "auto" it has been chosen by the user, and
        tokens that the model does not name are no matter.
    chosen
        Whether the layers were chosen by the user, so that their number and width are no matter.

    Raises
    ------
    StrataError
        One line that says what was expected and what was found, and how to go on.
    """
    if not chosen:
        _check_depth(encoder)
    inputs = _three_sounds(encoder.rate) if encoder.rate else _three_pictures()
    with Recorder(encoder, pool) as recorder, _watched(encoder) as seen:
        together = _record(recorder, encoder, inputs)
        if encoder.rate is None:
            _check_tokens(encoder, seen, recorder.picture, pool, chosen)
        alone = [_record(recorder, encoder, [each]) for each in inputs]
    rows = [np.concatenate(parts) for parts in zip(*alone, strict=True)]
    for name, first, second in zip(encoder.layer_names, together, rows, strict=True):
        _check_rows(f"{encoder.name}: layer {name}", first, second)
    if not chosen:
        _check_width(encoder, [part.shape[1] for part in together])


def check_fetched(encoder: Encoder, spec: Mapping) -> None:
    """`check_encoder` for a model of the registry, by its entry."""
    check_encoder(encoder, pool=spec.get("pool", "auto"), chosen="layers" in spec)


def _three_pictures() -> list:
    """Coarse coloured noise, as unlike as pictures can be."""
    from PIL import Image

    draw = np.random.default_rng(0)
    coarse = draw.integers(0, 256, (3, 32, 32, 3), dtype=np.uint8)
    return [Image.fromarray(each).resize((_SIDE, _SIDE)) for each in coarse]


def _three_sounds(rate: int) -> list[np.ndarray]:
    """Noise of unlike lengths."""
    draw = np.random.default_rng(0)
    return [draw.normal(0, 0.1, int(rate * each)).astype(np.float32) for each in _SECONDS]


def _record(recorder: Recorder, encoder: Encoder, inputs: Sequence) -> list[np.ndarray]:
    """Pooled activations of these inputs; whatever a network says against them, in one line."""
    try:
        batch = encoder.preprocess(list(inputs))
        if isinstance(batch, list):
            return recorder.record([part.to(encoder.device) for part in batch])
        return recorder.record(batch.to(encoder.device))
    except StrataError:
        raise
    except Exception as error:  # a network may stumble over anything
        told = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        raise StrataError(
            f"{encoder.name}: a {type(encoder.module).__name__} cannot be run on "
            f"{'sounds' if encoder.rate else 'pictures'} alone: {told}; use a model that can"
        ) from None


@contextmanager
def _watched(encoder: Encoder) -> Iterator[dict[str, torch.Tensor]]:
    """What enters the first layer ("entering"), and by name what leaves each, where these are
    tokens (batch, tokens, features); of the first run."""
    seen: dict[str, torch.Tensor] = {}

    def entering(module, inputs, named):
        given = [*inputs, *named.values()]
        if given and getattr(given[0], "ndim", 0) == 3:
            seen.setdefault("entering", given[0])

    def leaving(name):
        def keep(module, inputs, output):
            if getattr(output, "ndim", 0) == 3:
                seen.setdefault(name, output)

        return keep

    layers = encoder.layers
    handles = [next(iter(layers.values())).register_forward_pre_hook(entering, with_kwargs=True)]
    handles += [layer.register_forward_hook(leaving(name)) for name, layer in layers.items()]
    try:
        yield seen
    finally:
        for handle in handles:
            handle.remove()


def _check_depth(encoder: Encoder) -> None:
    config = getattr(encoder.module, "config", None)
    depths = set() if config is None else configured_depths(config)
    found = [name for name in encoder.layer_names if name != "embedder"]
    if depths and len(found) not in depths:
        told = " or ".join(str(depth) for depth in sorted(depths))
        raise StrataError(
            f"{encoder.name}: {len(found)} layers found ({found[0]} to {found[-1]}), where the "
            f"configuration says {told}; name them under layers:"
        )


def _check_width(encoder: Encoder, widths: Sequence[int]) -> None:
    """Width of the pooled layers against what the configuration or timm says of each."""
    config = getattr(encoder.module, "config", None)
    for name, found, wanted in zip(
        encoder.layer_names, widths, _widths(encoder, config), strict=True
    ):
        if wanted is not None and found != wanted:
            raise StrataError(
                f"{encoder.name}: layer {name} has {found} features, where the model says "
                f"{wanted}; name other modules under layers:, or set pool:"
            )


def _widths(encoder: Encoder, config) -> list[int | None]:
    """What a model says of the width of each layer, None where it does not."""
    names = encoder.layer_names
    listed = getattr(encoder.module, "feature_info", None)
    if config is None:
        told = {stage["module"]: stage["num_chs"] for stage in listed or []}
        return [told.get(name) for name in names]
    if isinstance(getattr(config, "depths", None) or getattr(config, "depth", None), list | tuple):
        return [None] * (len(names) - 1) + [_last_width(encoder.module, config)]
    width = getattr(config, "hidden_size", None)
    return [width if isinstance(width, int) else None] * len(names)


def _last_width(module, config) -> int | None:
    """Width behind the last stage."""
    for width in (getattr(module, "num_features", None), getattr(config, "hidden_size", None)):
        if isinstance(width, int):
            return width
    stages = getattr(config, "hidden_sizes", None) or getattr(config, "embed_dims", None)
    return stages[-1] if isinstance(stages, list | tuple) else None


def _check_tokens(
    encoder: Encoder,
    seen: dict[str, torch.Tensor],
    picture: tuple[int, int],
    pool: str,
    chosen: bool,
) -> None:
    """Tokens that enter the first layer, and those that leave each."""
    entering = seen.pop("entering", None)
    if entering is not None and pool == "auto" and not chosen:
        _check_entrance(encoder, entering.float(), picture)
    for name, states in seen.items():
        if not chosen:
            _check_count(encoder, name, states.shape[1], picture, pool)


def _check_entrance(encoder: Encoder, states: torch.Tensor, picture: tuple[int, int]) -> None:
    """Tokens before and behind the patches, by what is alike for all pictures at the entrance."""
    alike = ((states - states[:1]).abs().amax(dim=(0, 2)) == 0).tolist()
    n = len(alike)
    before = next((place for place, same in enumerate(alike) if not same), n)
    behind = next((place for place, same in enumerate(reversed(alike)) if not same), n)
    where = f"{encoder.name}: what enters layer {encoder.layer_names[0]}"
    wanted = tokens_before_patches(n, picture, encoder, where)
    suffix = encoder.n_suffix_tokens if wanted == encoder.n_prefix_tokens else 0
    if (before, behind) != (wanted, suffix):
        raise StrataError(
            f"{where} has {before} tokens before and {behind} behind the patches that are the same "
            f"for all pictures, where the model's parameters name {wanted} and {suffix}; set pool: "
            "cls or mean, or layers:"
        )


def _check_count(encoder: Encoder, name: str, n: int, picture: tuple[int, int], pool: str) -> None:
    """Number of tokens of a layer, where all layers have the same patches; with a pool of the
    user's own more of them are no matter."""
    config = getattr(encoder.module, "config", None)
    patch, width = getattr(config, "patch_size", None), getattr(config, "hidden_size", None)
    staged = getattr(config, "depths", None) or not isinstance(width, int)
    if not isinstance(patch, int) or staged:
        return
    patches = (picture[0] // patch) * (picture[1] // patch)
    extra = encoder.n_prefix_tokens + encoder.n_suffix_tokens
    if n not in (patches, patches + extra) and not (pool != "auto" and n > patches):
        raise StrataError(
            f"{encoder.name}: layer {name} has {n} tokens for {picture[0]} x {picture[1]} pixels, "
            f"where patches of {patch} make {patches} and {extra} more with class tokens and the "
            "like; name other modules under layers:"
        )


def _check_rows(where: str, together: np.ndarray, alone: np.ndarray) -> None:
    """Each input has a row of its own, and the same one alone and beside others."""
    scale = float(np.abs(together).max())
    if not np.isfinite(scale):
        raise StrataError(f"{where}: NaN or infinite activations of noise")
    apart = float(np.abs(together - alone).max())
    if apart > _ROUNDING * scale:
        raise StrataError(
            f"{where}: three inputs give other rows together than alone (up to {apart:.2g} of "
            f"{scale:.2g}); set pool:, or name other modules under layers:"
        )
    for first, second in ((0, 1), (0, 2), (1, 2)):
        if np.abs(together[first] - together[second]).max() <= _ALIKE * scale:
            raise StrataError(
                f"{where}: unlike inputs give the same row, so that it says nothing of them; set "
                "pool: mean, or name other modules under layers:"
            )
