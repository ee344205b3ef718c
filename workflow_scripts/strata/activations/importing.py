"""Activations made elsewhere, matched to a data set's samples by name."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from strata.activations.cache import ActivationCache, CacheWriter
from strata.data.arrays import ArrayLayer, array_files, array_layers, read_names
from strata.data.files import sha256_of
from strata.data.user_tables import Paths
from strata.errors import StrataError

if TYPE_CHECKING:
    from strata.data.manifest import Dataset

DATASET = "{dataset}"  # in a path, stands for the data set's name
_TOLD = 3  # names told of many


def array_folder(path: str, dataset: str, base: str | Path = ".") -> Path:
    """The folder of an entry's arrays about a data set."""
    return Path(base) / path.replace(DATASET, dataset)


def import_arrays(
    spec: Mapping,
    dataset: Dataset,
    directory: str | Path,
    *,
    model: str,
    base: str | Path = ".",
    log: Callable[[str], None] = print,
) -> None:
    """Write the arrays of a `source: arrays` entry about a data set as its activations.

    Parameters
    ----------
    spec
        `path`: the folder of the arrays, `{dataset}` in it standing for the data set's name;
        `samples`: the table in it with a name for each row of the arrays; `layers`: which, in
        order of depth (`strata.data.arrays.array_layers`); `pool` of tokens (samples, tokens,
        features): "cls", the first, or "mean", of those behind the first `n_prefix_tokens` (0);
        of maps (samples, channels, height, width): "spatial_mean"; `unknown`: "skip" leaves out
        rows whose name is no sample's.

    A sample's name is its path below the data set's root, as its manifest has it, in any of the
    spellings of `strata.data.user_tables.Paths`; where samples have no path, their number.

    Raises
    ------
    StrataError
        A sample without a row, a name that is there twice or no sample's; an array that does not
        have a row for every name or is of another form; a NaN or infinite value (layer and sample
        are named); what `array_layers` and `read_names` raise.
    """
    folder = array_folder(spec["path"], dataset.info["name"], base)
    table, names = folder / spec["samples"], sample_names(dataset)
    where = f"{model}: {table}"
    found = _spelled(read_names(table, name_column(dataset), log), dataset)
    rows = match_rows(found, names, where, dataset.info["name"], spec.get("unknown", "refuse"))
    layers = array_layers(folder, spec.get("layers"))
    poolers = [_pooler(layer, len(found), spec, model) for layer in layers]
    with ActivationCache.create(directory, len(names), _index(spec, dataset, folder, layers)) as to:
        to.allocate([features for features, _ in poolers])
        for number, (layer, (_, pool)) in enumerate(zip(layers, poolers, strict=True)):
            _copy(layer, to, number, pool, rows, names, model)
            log(f"{layer.name}: {layer.shape} from {layer.file.name}")


def name_column(dataset: Dataset) -> str:
    """The column of a manifest, and of a table of names, that holds the samples' names."""
    return "path" if "path" in dataset.manifest else "sample"


def sample_names(dataset: Dataset) -> list[str]:
    """Names of a data set's samples: their paths below its root, or without files their numbers."""
    return dataset.manifest[name_column(dataset)].astype(str).tolist()


def _spelled(found: Sequence[str], dataset: Dataset) -> list[str]:
    """Names as the manifest spells them; those of no sample as they are."""
    if name_column(dataset) != "path":
        return list(found)
    own = set(sample_names(dataset))
    paths, spelled = Paths(dataset.root, own), []
    for name in found:
        try:
            inside = paths.find(name, "")
        except StrataError:  # outside of the data set, or one of two samples
            inside = name
        spelled.append(inside if inside in own else name)
    return spelled


def match_rows(
    found: Sequence[str], wanted: Sequence[str], where: str, dataset: str, unknown: str = "refuse"
) -> np.ndarray:
    """The place in `found` of each of `wanted`, (samples,).

    Raises StrataError, all in one line, for names of `wanted` that are missing, names of `found`
    that are there twice, and those that are not wanted unless `unknown` is "skip".
    """
    places = {name: place for place, name in enumerate(found)}
    known = set(wanted)
    wrong = {
        f"of {len(wanted)} samples of {dataset} have no row": [
            n for n in wanted if n not in places
        ],
        "names are there twice": [name for name, times in Counter(found).items() if times > 1],
        f"names are of no sample of {dataset}": [name for name in places if name not in known],
    }
    if unknown == "skip":
        wrong.popitem()
    told = [f"{len(names)} {what} ({_some(names)})" for what, names in wrong.items() if names]
    if told:
        raise StrataError(f"{where}: {'; '.join(told)}; samples are named like {wanted[0]!r}")
    return np.array([places[name] for name in wanted])


def _some(names: Sequence[str]) -> str:
    more = ", ..." if len(names) > _TOLD else ""
    return ", ".join(map(repr, names[:_TOLD])) + more


def _pooler(layer: ArrayLayer, n: int, spec: Mapping, model: str) -> tuple[int, Callable]:
    """Number of features of a layer, and what makes (rows, features) of a block of its array."""
    shape, pool = layer.shape, spec.get("pool", "auto")
    prefix = spec.get("n_prefix_tokens", 0)
    where = f"{model}, layer {layer.name} ({layer.file}): an array of shape {shape}"
    if len(shape) < 2 or len(shape) > 4:
        raise StrataError(f"{where}; it should be samples x features, or with tokens between")
    if shape[0] != n:
        raise StrataError(f"{where}, but the table of samples has {n} names")
    if 0 in shape:
        raise StrataError(f"{where} holds nothing")
    if len(shape) == 2:
        return shape[1], lambda block: block
    fits = {3: ("cls", "mean"), 4: ("spatial_mean",)}[len(shape)]
    if pool not in fits:
        what = {3: "samples x tokens x features", 4: "samples x channels x height x width"}
        raise StrataError(
            f"{where} reads as {what[len(shape)]}, and pool is {pool}; say pool: "
            f"{' or '.join(fits)}"
        )
    if len(shape) == 4:
        return shape[1], lambda block: block.mean(axis=(2, 3), dtype=np.float64)
    if pool == "cls":
        return shape[2], lambda block: block[:, 0]
    if prefix >= shape[1]:
        raise StrataError(f"{where}: behind n_prefix_tokens, {prefix}, no token is left")
    return shape[2], lambda block: block[:, prefix:].mean(axis=1, dtype=np.float64)


def _copy(
    layer: ArrayLayer,
    to: CacheWriter,
    number: int,
    pool: Callable,
    rows: np.ndarray,
    names: Sequence[str],
    model: str,
) -> None:
    """Put each row of a layer's array where its sample belongs."""
    samples = np.argsort(rows, kind="stable")
    ordered, start = rows[samples], 0
    for block in layer.blocks():
        first, last = np.searchsorted(ordered, [start, start + len(block)])
        taken = samples[first:last]
        with np.errstate(over="ignore"):  # what float32 cannot hold is infinite, and refused
            values = pool(block[ordered[first:last] - start]).astype(np.float32)
        good = np.isfinite(values).all(axis=1)
        if not good.all():
            name = names[int(taken[int(np.argmin(good))])]
            raise StrataError(
                f"{model}, layer {layer.name} ({layer.file}): NaN or infinite value of sample "
                f"{name!r}"
            )
        to.put(number, taken, values)
        start += len(block)


def _index(spec: Mapping, dataset: Dataset, folder: Path, layers: Sequence[ArrayLayer]) -> dict:
    """What the index of the cache says beside what the writer adds."""
    used = {layer.file for layer in layers}
    files = [file for file in array_files(folder) if file in used]
    files.append(folder / spec["samples"])
    checksums = {os.path.relpath(file, folder): sha256_of(file) for file in files}
    told = " ".join(f"{name} {digest}" for name, digest in checksums.items())
    return {
        "source": "arrays",
        "layers": [layer.name for layer in layers],
        "pooling": spec.get("pool", "auto"),
        "checksums": checksums,
        "model_sha256": hashlib.sha256(told.encode()).hexdigest(),
        "dataset_sha256": sha256_of(dataset.directory / "manifest.parquet"),
    }


def arrays_card(name: str, spec: Mapping, activations: Sequence[str | Path]) -> dict:
    """The card of a `source: arrays` entry, from the caches that were made of it.

    Raises StrataError without any: no study has it on a data set.
    """
    if not activations:
        raise StrataError(f"{name}: no study that runs has these arrays, so there is nothing known")
    caches = {Path(path).parent.name: ActivationCache(path).index for path in activations}
    return {
        "name": name,
        "source": spec.get("origin", spec["path"]),
        "kind": "arrays",
        "revision": None,
        "licence": spec.get("licence", "not stated"),
        "parameters": None,
        "objective": "activations made elsewhere",
        "layers": next(iter(caches.values()))["layers"],
        "checksums": {dataset: index["checksums"] for dataset, index in caches.items()},
        "sha256": {dataset: index["model_sha256"] for dataset, index in caches.items()},
    }
