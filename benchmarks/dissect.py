"""Dissection of a whole model: strata.dissect against the original formulation, on one machine.

The peer computes what the original CLIP-Dissect computes, with torch: the softmax of the whole
images x concepts matrix, then for each layer a loop over neurons that gathers each one's top images
from it. It is given the matrix of cosines on disk and makes the softmax once for all layers, which
is kinder than the original. Ours is given the softmax's row sums on disk, as the workflow gives
them to every model; what they cost once per study is a row of its own.

Each side runs in a process of its own with the same threads. Time and memory are those of the
labelling, from arrays on disk to labels (imports and, for ours, compilation to the on-disk cache
happen before the clock starts).
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from measuring import peak_mib, write_results

WIDTH = 512
MAIN = ["soft_wpmi"]
FIVE = ["soft_wpmi", "wpmi", "rank_reorder", "cosine", "cosine_cubed"]
CHEAP = ["soft_wpmi", "wpmi", "cosine"]


def make_inputs(folder: Path, size: argparse.Namespace) -> None:
    """Embeddings with a shared latent structure and neurons that answer to some concepts."""
    draw = np.random.default_rng(0)
    latent = draw.normal(size=(64, WIDTH)).astype(np.float32)
    images = draw.normal(size=(size.images, 64)).astype(np.float32) @ latent
    texts = draw.normal(size=(size.concepts, 64)).astype(np.float32) @ latent
    np.save(folder / "images.npy", images)
    np.save(folder / "texts.npy", texts)
    for layer in range(size.layers):
        drive = images @ texts[draw.choice(size.concepts, size.neurons)].T
        noise = draw.normal(size=drive.shape).astype(np.float32)
        np.save(folder / f"layer{layer:02d}.npy", drive / drive.std() + noise)


def unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def read_layers(folder: Path) -> Iterator[tuple[str, np.ndarray]]:
    """Layers memory-mapped, one after the other, as the workflow reads them."""
    for path in sorted(folder.glob("layer*.npy")):
        yield path.stem, np.load(path, mmap_mode="r")


# --- what is measured, each in a process of its own ---------------------------------------------


def label_plain(folder: Path, top_k: int) -> list[int]:
    """Best concept of each neuron by soft WPMI (Oikarinen & Weng, 2023), densely."""
    import torch

    probability = torch.from_numpy(np.load(folder / "cosines.npy"))
    probability = torch.softmax(probability.mul_(10), dim=1)
    weight = torch.linspace(0.998, 0.97, top_k)[:, None]
    labels = []
    for _, activations in read_layers(folder):
        activations = torch.from_numpy(np.array(activations))
        top = torch.topk(activations, k=top_k, dim=0).indices
        given = []
        for neuron in range(activations.shape[1]):
            chosen = top[:, neuron : neuron + 1].expand(-1, probability.shape[1])
            membership = 1 + weight * (probability.gather(0, chosen) - 1)
            given.append(torch.log(membership + 1e-7).sum(dim=0))
        given = torch.stack(given)
        prior = torch.logsumexp(given, dim=0) - np.log(len(given))
        labels += (given - prior).argmax(dim=1).tolist()
    return labels


def label_strata(folder: Path, top_k: int, similarities=MAIN, permutations: int = 0) -> list[int]:
    """The same by strata.dissect: labels by the first of the functions."""
    from strata.dissect import SoftmaxSums, dissect_model

    images, texts = (np.load(folder / f"{name}.npy") for name in ("images", "texts"))
    sums = folder / "sums.npz"
    table = dissect_model(
        read_layers(folder),
        images,
        texts,
        [str(number) for number in range(len(texts))],
        model="a network",
        dataset="noise",
        similarities=similarities,
        top_k=top_k,
        permutations=permutations,
        sums=SoftmaxSums.load(sums) if sums.exists() else None,
        log=lambda line: None,
    )
    return table.loc[table["metric"] == "soft_wpmi", "concept"].astype(int).tolist()


def sum_softmax(folder: Path, top_k: int) -> list[int]:
    """Row sums for soft WPMI and WPMI, once per study."""
    from strata.dissect import softmax_sums

    images, texts = (np.load(folder / f"{name}.npy") for name in ("images", "texts"))
    softmax_sums(images, texts, [2.0, 10.0]).save(folder / "sums.npz")
    return []


def bare_product(folder: Path, top_k: int) -> list[int]:
    """One product images x concepts, which every formulation needs at least once."""
    images, texts = (np.load(folder / f"{name}.npy") for name in ("images", "texts"))
    out = np.zeros((len(images), len(texts)), dtype=np.float32)
    start = time.perf_counter()
    np.matmul(images, texts.T, out=out)
    return [time.perf_counter() - start]


JOBS: dict[str, Callable] = {
    "bare product": bare_product,
    "plain": label_plain,
    "sums": sum_softmax,
    "soft WPMI": label_strata,
    "100 permutations": lambda folder, k: label_strata(folder, k, permutations=100),
    "three": lambda folder, k: label_strata(folder, k, CHEAP),
    "five": lambda folder, k: label_strata(folder, k, FIVE),
}


SLOW = ("plain", "five")  # run once


def run_job(job: str, folder: Path, warm: Path, top_k: int) -> dict:
    """Labels, seconds and peak memory of one job, in this process; `warm` is a small input."""
    JOBS[job](warm, 5)
    before, start = peak_mib(), time.perf_counter()
    labels = JOBS[job](folder, top_k)
    seconds = time.perf_counter() - start
    if job == "bare product":
        labels, seconds = [], labels[0]
    return {"labels": labels, "seconds": seconds, "peak": peak_mib(), "before": before}


def measure(job: str, folder: Path, warm: Path, top_k: int, n_threads: int, times: int) -> dict:
    """The fastest of some runs of `run_job`, each in a process of its own."""
    options = ["--job", job, "--folder", folder, "--warm", warm, "--top-k", str(top_k)]
    environment = os.environ | {"OMP_NUM_THREADS": str(n_threads)}
    command = [sys.executable, __file__, *map(str, options)]
    runs = [
        json.loads(subprocess.check_output(command, text=True, env=environment))
        for _ in range(times)
    ]
    return min(runs, key=lambda run: run["seconds"])


# --- the table ----------------------------------------------------------------------------------


def compare(found: dict[str, dict], n_threads: int) -> list[dict]:
    """Rows of the table: every job, against the bare product, soft WPMI and the peer."""
    bare, main, plain = (found[name] for name in ("bare product", "soft WPMI", "plain"))
    rows = []
    for name, run in found.items():
        same = ""
        if run["labels"] and name != "plain":
            same = f"{np.mean(np.array(run['labels']) == np.array(plain['labels'])):.2%}"
        rows.append(
            {
                "threads": n_threads,
                "job": TITLES[name],
                "seconds": f"{run['seconds']:.1f}",
                "of a bare product": f"{run['seconds'] / bare['seconds']:.1f}",
                "of soft WPMI": f"{run['seconds'] / main['seconds']:.2f}",
                "peak MiB": f"{run['peak']:.0f}",
                "beyond the start": f"{run['peak'] - run['before']:.0f}",
                "labels as the peer's": same,
            }
        )
    added = [run["peak"] - run["before"] for run in (main, plain)]
    ratio = dict.fromkeys(rows[0], "") | {
        "threads": n_threads,
        "job": "strata, soft WPMI, against the peer",
        "seconds": f"{plain['seconds'] / main['seconds']:.1f} times faster",
        "peak MiB": f"{main['peak'] / plain['peak']:.3f}",
        "beyond the start": f"{added[0] / added[1]:.3f}",
    }
    return [*rows, ratio]


TITLES = {
    "bare product": "one bare product (numpy)",
    "plain": "the peer: plain dense (torch), given the product",
    "sums": "strata: row sums, once per study",
    "soft WPMI": "strata: soft WPMI",
    "100 permutations": "strata: soft WPMI with 100 permutations",
    "three": "strata: soft WPMI, WPMI, cosine",
    "five": "strata: all five functions",
}


def run_all(size: argparse.Namespace, folder: Path) -> list[dict]:
    """Every job, with the inputs in `folder`."""
    warm = folder / "warm"
    warm.mkdir()
    small = {"images": 300, "concepts": 60, "neurons": 8, "layers": 2}
    for place, chosen in ((folder, size), (warm, argparse.Namespace(**small))):
        make_inputs(place, chosen)
        images, texts = (unit(np.load(place / f"{name}.npy")) for name in ("images", "texts"))
        np.save(place / "cosines.npy", images @ texts.T)
    rows = []
    for n_threads in size.threads:
        found = {}
        for job in JOBS:
            if job == "five" and not (size.five and n_threads == max(size.threads)):
                continue
            times = 1 if job in SLOW else size.times
            found[job] = measure(job, folder, warm, size.top_k, n_threads, times)
        rows += compare(found, n_threads)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=20_000)
    parser.add_argument("--concepts", type=int, default=20_000)
    parser.add_argument("--neurons", type=int, default=768)
    parser.add_argument("--layers", type=int, default=12)
    parser.add_argument("--top-k", type=int, default=100)
    parser.add_argument("--times", type=int, default=2, help="runs of a job; the fastest counts")
    every = sorted({1, len(os.sched_getaffinity(0))})
    parser.add_argument("--threads", type=int, nargs="+", default=every)
    parser.add_argument("--five", action="store_true", help="all five functions as well: minutes")
    parser.add_argument("--name", default="dissect", help="of the file of results")
    parser.add_argument("--job", choices=JOBS, help=argparse.SUPPRESS)
    for name in ("--folder", "--warm"):
        parser.add_argument(name, type=Path, help=argparse.SUPPRESS)
    size = parser.parse_args()
    if size.job:
        print(json.dumps(run_job(size.job, size.folder, size.warm, size.top_k)))
        return
    with tempfile.TemporaryDirectory() as folder:
        rows = run_all(size, Path(folder))
    title = (
        f"A model of {size.layers} layers of {size.neurons} neurons, {size.images:,} images, "
        f"{size.concepts:,} concepts, soft WPMI, top {size.top_k}"
    )
    write_results(size.name, title, rows)


if __name__ == "__main__":
    main()
