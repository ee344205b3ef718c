"""Which layers to keep. Layers are numbered from 0; a choice is a tuple of those kept, in order.

An empty one keeps no layer: what enters the first goes to the head as it is.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from strata.errors import StrataError

RULES = ("most_convex", "one_standard_error", "depth_penalised")

Layers = tuple[int, ...]


def convexity_cut(
    scores: Sequence[float],
    rule: str = "most_convex",
    errors: Sequence[float] | None = None,
    penalty: float = 0.1,
    embedding: bool = False,
) -> int:
    """Number of layers to keep: those up to the layer where the task's labels are most convex.

    "Convexity-based Pruning of Speech Representation Models" (2024) cuts a pretrained model there,
    puts a classification head on it and fine-tunes it.

    Parameters
    ----------
    scores
        Graph convexity (fractions) of the task's labels in each layer, from the first; with
        `embedding` that of what enters the first layer before them.
    rule
        "most_convex": the layer of the highest score, the first of several. "one_standard_error":
        the first layer within one standard error of the highest score (Breiman et al. 1984, rule
        for pruning trees), by the error of the difference of the two. "depth_penalised": the
        highest score less `penalty` times the share of the layers that are kept.
    errors
        Standard error of each score's difference from the highest, of which it is 0 itself; needed
        by "one_standard_error" alone.
    embedding
        Whether no layer may be kept: then the first score is about that, and 0 may be returned.

    Raises
    ------
    StrataError
        There are no scores of layers, one is not finite, the rule is unknown, or its errors are
        missing.
    """
    kept = np.arange(0 if embedding else 1, len(scores) + (0 if embedding else 1))
    values = np.asarray(scores, dtype=float)
    if values.ndim != 1 or not kept.any() or not np.isfinite(values).all():
        raise StrataError(f"a cut needs one finite score a layer, not {scores}")
    best = int(np.argmax(values))
    if rule == "most_convex":
        return int(kept[best])
    if rule == "depth_penalised":
        return int(kept[np.argmax(values - penalty * kept / kept[-1])])
    if rule != "one_standard_error":
        raise StrataError(f"cut: rule {rule!r} is unknown; use one of {', '.join(RULES)}")
    errors = np.asarray(errors if errors is not None else (), dtype=float)
    if errors.shape != values.shape or not np.isfinite(errors).all():
        raise StrataError(
            "cut: one_standard_error needs the standard error of each score's difference from the "
            "highest"
        )
    return int(kept[np.argmax(values >= values[best] - errors)])


def check_depth(n: int, keep: int) -> None:
    """Raise a StrataError unless 0 <= keep <= n."""
    if not 0 <= keep <= n:
        raise StrataError(f"keep {keep} layers: the model has {n}; keep 0 to {n}")


def last_dropped(n: int, keep: int) -> Layers:
    """The first `keep` of n layers."""
    check_depth(n, keep)
    return tuple(range(keep))


def every_second_layer(n: int, keep: int) -> Layers:
    """`keep` of n layers at equal distances; every second for n / 2."""
    check_depth(n, keep)
    return tuple((2 * i + 1) * n // (2 * keep) for i in range(keep))


def random_layers(n: int, keep: int, seed: int) -> Layers:
    """`keep` of n layers drawn at random, in their order."""
    check_depth(n, keep)
    drawn = np.random.default_rng(seed).choice(n, size=keep, replace=False)
    return tuple(sorted(int(i) for i in drawn))


def block_influence_layers(influence: Sequence[float], keep: int) -> Layers:
    """The `keep` layers that change what passes them most (ShortGPT, Men et al. 2024)."""
    n = len(influence)
    check_depth(n, keep)
    order = np.argsort(-np.asarray(influence, dtype=float), kind="stable")
    return tuple(sorted(int(i) for i in order[:keep]))


def angular_distance_layers(distance: np.ndarray, keep: int) -> Layers:
    """All but the run of layers across which states turn least (Gromov et al. 2024).

    `distance` (n + 1, n + 1) is between what enters layers, and leaves the last one: its element
    (l, l + m) is the mean angle over tokens across the m layers from l on.
    """
    return _without_run(np.asarray(distance, dtype=float), keep)


def cka_layers(cka: np.ndarray, keep: int) -> Layers:
    """All but the run of layers across which linear CKA is highest.

    `cka` (n + 1, n + 1) as `distance` of `angular_distance_layers`; the similarity of
    "How Redundant Is the Transformer Stack in Speech Representation Models?" (2024).
    """
    return _without_run(1 - np.asarray(cka, dtype=float), keep)


def _without_run(distance: np.ndarray, keep: int) -> Layers:
    n = len(distance) - 1
    check_depth(n, keep)
    dropped = n - keep
    across = [distance[start, start + dropped] for start in range(keep + 1)]
    start = int(np.argmin(across))
    return (*range(start), *range(start + dropped, n))
