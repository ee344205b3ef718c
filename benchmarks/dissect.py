"""soft WPMI: strata.dissect against the plain dense formulation, on the same arrays on CPU.

The peer computes what the original CLIP-Dissect computes, with torch: the softmax of the whole
images x concepts matrix, then a loop over neurons that gathers each one's top images from it. Each
side runs in its own process, with one thread and with all; time and memory are those of the
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
from pathlib import Path

import numpy as np
from measuring import peak_mib, write_results

SIDES = ("strata", "plain dense")
WIDTH = 512


def make_inputs(folder: Path, n_images: int, n_concepts: int, n_neurons: int) -> None:
    """Embeddings with a shared latent structure and neurons that answer to some concepts."""
    draw = np.random.default_rng(0)
    latent = draw.normal(size=(64, WIDTH)).astype(np.float32)
    images = draw.normal(size=(n_images, 64)).astype(np.float32) @ latent
    texts = draw.normal(size=(n_concepts, 64)).astype(np.float32) @ latent
    chosen = texts[draw.choice(n_concepts, n_neurons)]
    noise = draw.normal(size=(n_images, n_neurons)).astype(np.float32)
    drive = images @ chosen.T
    arrays = {"activations": drive / drive.std() + noise, "images": images, "texts": texts}
    for name, array in arrays.items():
        np.save(folder / f"{name}.npy", array)


def label_plain(activations, images, texts, top_k: int) -> list[int]:
    """Best concept of each neuron by soft WPMI (Oikarinen & Weng, 2023), densely."""
    import torch

    arrays = (torch.from_numpy(np.array(x)) for x in (activations, images, texts))
    activations, images, texts = arrays
    images /= images.norm(dim=1, keepdim=True)
    texts /= texts.norm(dim=1, keepdim=True)
    similar = images @ texts.T
    probability = torch.softmax(10 * similar, dim=1)
    top = torch.topk(activations, k=top_k, dim=0).indices
    weight = torch.linspace(0.998, 0.97, top_k)[:, None]
    given = []
    for neuron in range(activations.shape[1]):
        chosen = top[:, neuron : neuron + 1].expand(-1, similar.shape[1])
        membership = 1 + weight * (probability.gather(0, chosen) - 1)
        given.append(torch.log(membership + 1e-7).sum(dim=0))
    given = torch.stack(given)
    prior = torch.logsumexp(given, dim=0) - np.log(len(given))
    return (given - prior).argmax(dim=1).tolist()


def label_strata(activations, images, texts, top_k: int) -> list[int]:
    """The same by strata.dissect."""
    from strata.dissect import label_neurons

    names = [str(number) for number in range(len(texts))]
    table = label_neurons(activations, images, texts, names, "soft_wpmi", top_k)
    return table["label"].astype(int).tolist()


def run_side(side: str, folder: Path, top_k: int) -> dict:
    """Labels, seconds and peak memory of one side, in this process."""
    label = {"strata": label_strata, "plain dense": label_plain}[side]
    arrays = [
        np.load(folder / f"{n}.npy", mmap_mode="r") for n in ("activations", "images", "texts")
    ]
    label(*(array[:50] for array in arrays), 5)
    before, start = peak_mib(), time.perf_counter()
    labels = label(*arrays, top_k)
    seconds = time.perf_counter() - start
    return {"labels": labels, "seconds": seconds, "peak": peak_mib(), "before": before}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=20_000)
    parser.add_argument("--concepts", type=int, default=20_000)
    parser.add_argument("--neurons", type=int, default=768)
    parser.add_argument("--top-k", type=int, default=100)
    parser.add_argument("--side", choices=SIDES, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.side:
        print(json.dumps(run_side(arguments.side, arguments.folder, arguments.top_k)))
        return
    with tempfile.TemporaryDirectory() as folder:
        make_inputs(Path(folder), arguments.images, arguments.concepts, arguments.neurons)
        rows = []
        for n_threads in sorted({1, len(os.sched_getaffinity(0))}):
            found = [measure(side, folder, arguments.top_k, n_threads) for side in SIDES]
            rows += compare(*found, n_threads)
    title = (
        f"soft WPMI, {arguments.images:,} images, {arguments.concepts:,} concepts, "
        f"{arguments.neurons} neurons, top {arguments.top_k}"
    )
    write_results("dissect", title, rows)


def measure(side: str, folder: str, top_k: int, n_threads: int) -> dict:
    """`run_side` in a process of its own."""
    options = ["--side", side, "--folder", folder, "--top-k", str(top_k)]
    environment = os.environ | {"OMP_NUM_THREADS": str(n_threads)}
    command = [sys.executable, __file__, *options]
    return json.loads(subprocess.check_output(command, text=True, env=environment))


def compare(ours: dict, plain: dict, n_threads: int) -> list[dict]:
    """Rows of the table: both sides, their ratios and the agreement of the labels."""
    rows = [
        {
            "OMP_NUM_THREADS": n_threads,
            "side": name,
            "seconds": f"{side['seconds']:.1f}",
            "peak MiB": f"{side['peak']:.0f}",
            "peak MiB beyond the start": f"{side['peak'] - side['before']:.0f}",
            "same label": "",
        }
        for name, side in (("strata", ours), ("plain dense (torch)", plain))
    ]
    added = [side["peak"] - side["before"] for side in (ours, plain)]
    same = np.mean(np.array(ours["labels"]) == np.array(plain["labels"]))
    ratios = {
        "OMP_NUM_THREADS": n_threads,
        "side": "ratio",
        "seconds": f"{plain['seconds'] / ours['seconds']:.1f} times faster",
        "peak MiB": f"{ours['peak'] / plain['peak']:.3f}",
        "peak MiB beyond the start": f"{added[0] / added[1]:.3f}",
        "same label": f"{same:.2%}",
    }
    return [*rows, ratios]


if __name__ == "__main__":
    main()
