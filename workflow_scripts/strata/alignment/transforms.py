"""Linear transforms of a representation that bring it closer to human judgements.

naive (Muttenthaler et al. 2023, "Human alignment of neural network representations"): W minimises
the cross-entropy of the answers, softmax over the three pairs' similarities in x W, plus
lam |W|^2. gLocal (Muttenthaler et al. 2023, "Improving neural network representations using human
similarity judgments"): an affine transform minimises

    (1 - alpha) L_answers + alpha L_local + lam |W - mean(diag W) I|^2,
    L_local = - mean_i sum_{j != i} p_ij log q_ij,

where p_i is the softmax of picture i's cosines to the others, over a temperature, before the
transform, and q_i the same after it: neighborhoods are kept. The original takes these pictures from
ImageNet, a batch of 1,024 at a time, not from what was judged: `local`. Without it the items that
were judged stand in.

What is transformed is standardised by the judged items' mean (of each dimension, or as the original
one number for all: `centre`) and their deviation (one number); the local pictures by the same.

Losses are minimised by L-BFGS (SciPy) with gradients from torch, in float64.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from strata.alignment.accuracy import triplet_credits
from strata.arrays import as_array
from strata.data.answers import TASKS, check_triplets
from strata.errors import StrataError

METHODS = ("naive", "glocal")
CENTRES = ("dimension", "global")


@dataclass(frozen=True)
class Transform:
    """x -> ((x - mean) / scale) weights + bias, for rows x."""

    mean: np.ndarray
    scale: float
    weights: np.ndarray
    bias: np.ndarray

    def __call__(self, features: np.ndarray) -> np.ndarray:
        """Transformed rows (samples, dimensions), float64."""
        standard = (as_array(features, "features").astype(np.float64) - self.mean) / self.scale
        return standard @ self.weights + self.bias


@dataclass(frozen=True)
class CrossValidated:
    """Accuracies on items that took no part in the fit.

    `credits` are those of `triplets`, the ones whose three items lie in one fold; `before` the
    same of the untransformed representation; `chosen` the regularisation of each fold.
    """

    triplets: np.ndarray
    credits: np.ndarray
    before: np.ndarray
    chosen: tuple[float, ...]


def fit_transform(
    embeddings: np.ndarray,
    triplets: np.ndarray,
    method: str = "naive",
    *,
    counts: np.ndarray | None = None,
    regularisation: float = 1e-3,
    alpha: float = 0.1,
    temperature: float = 0.1,
    centre: str = "dimension",
    local: Sequence[np.ndarray] | None = None,
    task: str = "odd_one_out",
    iterations: int = 200,
) -> Transform:
    """Fit a linear transform of `embeddings` (items, dimensions) to the answers in `triplets`.

    Parameters
    ----------
    triplets : (n, 3) item numbers, the odd one last; `counts` how many people gave each answer
    method : "naive" or "glocal"; `alpha` and `temperature` belong to the latter
    regularisation : lam, of the mean loss per answer
    centre : subtract the items' mean of each "dimension", or one "global" mean of all values
    local : batches (pictures, dimensions) whose neighborhoods gLocal keeps, each picture's within
        its batch; by default the items that `triplets` name, as one batch
    task : "odd_one_out", or "two_alternative": the last two items of a row are no pair

    Raises
    ------
    StrataError
        Unknown names, a negative regularisation, bad triplets (`check_triplets`), NaN embeddings,
        a representation in which all items are the same, or local pictures that are none, fewer
        than three a batch, of another width or not finite.
    """
    for name, chosen, known in (
        ("transform", method, METHODS),
        ("task", task, tuple(TASKS)),
        ("centre", centre, CENTRES),
    ):
        if chosen not in known:
            raise StrataError(f"{name} {chosen!r} is unknown: choose from {known}")
    if regularisation < 0:
        raise StrataError(f"regularisation must not be negative, but is {regularisation}")
    triplets = check_triplets(triplets, len(embeddings))
    embeddings = as_array(embeddings, "embeddings").astype(np.float64)
    if not np.isfinite(embeddings).all():
        raise StrataError("embeddings hold NaN or infinite values")
    used = np.unique(triplets)
    mean, scale = embeddings[used].mean(axis=0), float(embeddings[used].std())
    if not scale:
        raise StrataError("embeddings: all items are the same; there is nothing to transform")
    if centre == "global":
        mean = np.full_like(mean, mean.mean())
    if local is not None:
        local = [(batch - mean) / scale for batch in _checked_local(local, embeddings.shape[1])]
    standard = (embeddings - mean) / scale
    terms = (method, regularisation, alpha, temperature, task)
    weights, bias = _Loss(standard, used, triplets, counts, local, *terms).minimise(iterations)
    return Transform(mean, scale, weights, bias)


def _checked_local(local: Sequence[np.ndarray], dimensions: int) -> list[np.ndarray]:
    """Batches of local pictures in float64."""
    batches = [np.asarray(batch, dtype=np.float64) for batch in local]
    if not batches:
        raise StrataError("local pictures: there are none; leave local out to keep the items'")
    for batch in batches:
        if batch.ndim != 2 or len(batch) < 3 or batch.shape[1] != dimensions:
            raise StrataError(
                f"local pictures: a batch should have three rows or more of {dimensions} "
                f"dimensions, not the shape {batch.shape}"
            )
        if not np.isfinite(batch).all():
            raise StrataError("local pictures hold NaN or infinite values")
    return batches


class _Loss:
    """The objective as a function of W (and the bias of gLocal), flattened; W in a `basis`."""

    def __init__(
        self,
        standard,
        used,
        triplets,
        counts,
        local,
        method,
        regularisation,
        alpha,
        temperature,
        task,
    ):
        import torch

        counts = as_array(np.ones(len(triplets)) if counts is None else counts, "counts")
        counts = counts.astype(float)
        place = np.searchsorted(used, triplets)
        self.basis = _span(standard[used]) if method == "naive" else np.eye(standard.shape[1])
        self.items = torch.from_numpy(standard[used] @ self.basis)
        self.a, self.b, self.c = torch.from_numpy(place).T
        self.share = torch.from_numpy(counts / counts.sum())
        self.dimensions = self.basis.shape[1]
        self.method, self.regularisation = method, regularisation
        self.alpha, self.temperature, self.task = alpha, temperature, task
        self.local = None if local is None else [torch.from_numpy(batch) for batch in local]
        if method == "glocal":
            batches = [self.items] if self.local is None else self.local
            self.neighbors = [torch.softmax(self._others(batch), dim=1) for batch in batches]

    def _others(self, vectors):
        """Cosines to the others of a batch over the temperature; to itself minus infinity."""
        import torch

        unit = torch.nn.functional.normalize(vectors, dim=1)
        cosines = unit @ unit.T / self.temperature
        return cosines.masked_fill(torch.eye(len(vectors), dtype=torch.bool), -torch.inf)

    def _answers(self, vectors):
        """Cross-entropy of the answers."""
        import torch

        similar = vectors @ vectors.T
        pairs = [similar[self.a, self.b], similar[self.a, self.c], similar[self.b, self.c]]
        logits = torch.stack(pairs[: 3 if self.task == "odd_one_out" else 2], dim=1)
        return -(torch.log_softmax(logits, dim=1)[:, 0] * self.share).sum()

    def _local(self, batches):
        """Cross-entropy between neighbors before and after, mean over the pictures of batches."""
        import torch

        total = 0.0
        for before, vectors in zip(self.neighbors, batches, strict=True):
            after = torch.log_softmax(self._others(vectors), dim=1)
            off_diagonal = ~torch.eye(len(vectors), dtype=torch.bool)
            total = total - (before[off_diagonal] * after[off_diagonal]).sum()
        return total / sum(map(len, batches))

    def value(self, flat):
        """The loss at W, bias = flat (a torch vector)."""
        import torch

        weights = flat[: self.dimensions**2].reshape(self.dimensions, self.dimensions)
        if self.method == "naive":
            penalty = (weights**2).sum()
            return self._answers(self.items @ weights) + self.regularisation * penalty
        bias = flat[self.dimensions**2 :]
        vectors = self.items @ weights + bias
        batches = [vectors] if self.local is None else [x @ weights + bias for x in self.local]
        target = weights.diagonal().mean() * torch.eye(self.dimensions, dtype=weights.dtype)
        penalty = ((weights - target) ** 2).sum()
        both = (1 - self.alpha) * self._answers(vectors) + self.alpha * self._local(batches)
        return both + self.regularisation * penalty

    def minimise(self, iterations: int) -> tuple[np.ndarray, np.ndarray]:
        """W and the bias at the minimum found from a multiple of the identity."""
        import torch
        from scipy.optimize import minimize

        def value_and_gradient(flat):
            point = torch.from_numpy(flat).requires_grad_()
            value = self.value(point)
            value.backward()
            return value.item(), point.grad.numpy()

        size = self.dimensions
        # Similarities of standardised items grow with the dimension: begin where they are near one.
        first = np.eye(size) / np.sqrt(len(self.basis))
        start = np.concatenate([first.ravel(), np.zeros(size)])
        start = start if self.method == "glocal" else start[: size**2]
        options = {"maxiter": iterations}
        found = minimize(value_and_gradient, start, jac=True, method="L-BFGS-B", options=options).x
        bias = found[size**2 :] if self.method == "glocal" else np.zeros(len(self.basis))
        weights = self.basis @ found[: size**2].reshape(size, size) @ self.basis.T
        return weights, bias


def _span(items: np.ndarray) -> np.ndarray:
    """Orthonormal basis (dimensions, rank) of what `items` (items, dimensions) span.

    The naive loss leaves W free outside of it, where its penalty makes W zero; and from a multiple
    of the identity no gradient leads out of basis M basis^T. So M alone is fitted, which for fewer
    items than dimensions is far smaller.
    """
    _, lengths, rows = np.linalg.svd(items, full_matrices=False)
    return rows[lengths > lengths[0] * max(items.shape) * np.finfo(np.float64).eps].T


# --- cross-validation over items ----------------------------------------------------------------


def item_folds(n_items: int, folds: int, seed: int) -> np.ndarray:
    """Fold number of every item, at random and of equal sizes.

    Raises StrataError for fewer than two folds or folds of fewer than three items.
    """
    if folds < 2 or n_items < 3 * folds:
        raise StrataError(f"{folds} folds of {n_items} items: a fold needs three items or more")
    return np.random.default_rng(seed).permutation(np.arange(n_items) % folds)


def cross_validate(
    embeddings: np.ndarray,
    triplets: np.ndarray,
    method: str,
    *,
    grid: Sequence[float],
    counts: np.ndarray | None = None,
    folds: int = 3,
    similarity: str = "cosine",
    task: str = "odd_one_out",
    seed: int = 0,
    names: Sequence[str] | None = None,
    **options,
) -> CrossValidated:
    """Accuracy of the transform on items that it has not seen.

    Items are cut into folds. A transform is fitted to the triplets of which no item lies in the
    fold, and tested on those whose three items all do; triplets that straddle are left out. The
    regularisation is chosen from `grid` in the same way among the remaining folds' items. Items
    are dealt out in the order of their `names` (items, each once), by which folds are the same
    however items are numbered; without names by number.

    Raises StrataError when a fold has no triplets, besides the errors of `fit_transform`.
    """
    triplets = check_triplets(triplets, len(embeddings))
    embeddings = as_array(embeddings, "embeddings")
    counts = as_array(np.ones(len(triplets)) if counts is None else counts, "counts")
    by_name = _by_name(names, len(embeddings))
    fold_of = np.empty(len(embeddings), dtype=np.int64)
    fold_of[by_name] = item_folds(len(embeddings), folds, seed)
    scoring = {"similarity": similarity, "task": task}
    fitting = {"method": method, "task": task, **options}
    parts, credits, before, chosen = [], [], [], []
    for fold in range(folds):
        inside = fold_of == fold
        train, test = _split(triplets, inside, f"fold {fold + 1} of {folds}")
        best = _choose(
            embeddings, triplets[train], counts[train], grid, fitting, scoring, by_name, seed
        )
        fitted = fit_transform(
            embeddings, triplets[train], counts=counts[train], regularisation=best, **fitting
        )
        parts.append(np.flatnonzero(test))
        credits.append(triplet_credits(fitted(embeddings), triplets[test], **scoring))
        before.append(triplet_credits(embeddings, triplets[test], **scoring))
        chosen.append(best)
    return CrossValidated(*map(np.concatenate, (parts, credits, before)), tuple(chosen))


def _by_name(names: Sequence[str] | None, n: int) -> np.ndarray:
    """Item numbers in the order of their names."""
    if names is None:
        return np.arange(n)
    if len(set(names)) != n or len(names) != n:
        raise StrataError(f"names: {n} items need as many different names, not {len(set(names))}")
    told = pd.Series([str(name) for name in names])
    numbers = told.str.fullmatch("[0-9]+").all()
    return np.argsort((told.astype(np.int64) if numbers else told).to_numpy(), kind="stable")


def _split(triplets: np.ndarray, inside: np.ndarray, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Triplets without any item inside, and with items inside only."""
    train, test = ~inside[triplets].any(axis=1), inside[triplets].all(axis=1)
    if not train.any() or not test.any():
        raise StrataError(f"{name} has no triplets; use fewer folds or more triplets")
    return train, test


def _choose(
    embeddings: np.ndarray,
    triplets: np.ndarray,
    counts: np.ndarray,
    grid: Sequence[float],
    fitting: Mapping,
    scoring: Mapping,
    by_name: np.ndarray,
    seed: int,
) -> float:
    """The regularisation that does best on items held out; the strongest of equals."""
    if len(grid) == 1:
        return float(grid[0])
    items = by_name[np.isin(by_name, triplets)]
    held_out = np.zeros(len(embeddings), bool)
    held_out[np.random.default_rng([seed, 1]).permutation(items)[: len(items) // 3]] = True
    train, test = _split(triplets, held_out, "the choice of the regularisation")
    scores = {}
    for value in sorted(map(float, grid), reverse=True):
        fitted = fit_transform(
            embeddings, triplets[train], counts=counts[train], regularisation=value, **fitting
        )
        credits = triplet_credits(fitted(embeddings), triplets[test], **scoring)
        scores[value] = np.average(credits, weights=counts[test])
    return max(scores, key=scores.get)
