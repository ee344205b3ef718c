"""Labels by annotation: time, memory, and the ratio to the bare product of ranks and indicators."""

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
from measuring import peak_mib, write_results

from strata.dissect import Annotations

CASES = {"one column of 1,000 values": 0.0, "1,000 concepts, each of a fifth": 0.2}


def make(samples: int, neurons: int, concepts: int, share: float, folder: str):
    """Memory-mapped float32 activations and float32 annotations, one-hot where `share` is 0."""
    draw = np.random.default_rng(0)
    path = Path(folder) / "activations.npy"
    np.save(path, draw.normal(size=(samples, neurons)).astype(np.float32))
    if share:
        present = draw.random((samples, concepts), dtype=np.float32) < share
    else:
        present = np.arange(samples)[:, None] % concepts == np.arange(concepts)
    return np.load(path, mmap_mode="r"), present.astype(np.float32)


def seconds_product(values: np.ndarray, neurons: int) -> float:
    """The product (neurons, samples) x (samples, concepts) in float32, ranks given."""
    ranks = np.random.default_rng(1).random((neurons, len(values)), dtype=np.float32)
    start = time.process_time()
    for first in range(0, neurons, 256):
        ranks[first : first + 256] @ values
    return time.process_time() - start


def measure(case: str, samples: int, neurons: int, permutations: int) -> dict:
    names = [f"c={i:04d}" for i in range(1000)]
    with tempfile.TemporaryDirectory() as folder:
        activations, values = make(samples, neurons, len(names), CASES[case], folder)
        start = time.process_time()
        options = {"min_positives": 2, "n_permutations": permutations}
        prepared = Annotations(values, names, **options)
        ready = time.process_time() - start
        start = time.process_time()
        prepared.null(np.arange(samples), 64)
        null = time.process_time() - start
        start = time.process_time()
        prepared.label(activations)
        label = time.process_time() - start
    product = seconds_product(values, neurons)
    return {
        "concepts": case,
        "samples": samples,
        "neurons": neurons,
        "made ready (CPU s)": f"{ready:.1f}",
        f"null, {permutations} permutations, once (CPU s)": f"{null:.1f}",
        "labels (CPU s)": f"{label:.1f}",
        "bare product (CPU s)": f"{product:.1f}",
        "labels / product": f"{label / product:.1f}",
        "peak of the process (MiB)": f"{peak_mib():.0f}",
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--samples", type=int, default=10_000)
    parser.add_argument("--neurons", type=int, default=768)
    parser.add_argument("--permutations", type=int, default=200)
    arguments = parser.parse_args()
    sizes = (arguments.samples, arguments.neurons, arguments.permutations)
    rows = [measure(case, *sizes) for case in CASES]
    write_results("annotations", "Labels by annotation, neurons of one layer", rows)


if __name__ == "__main__":
    main()
