"""Activations of all layers in one pass against a bare forward pass: pictures per second.

Both sides read, preprocess and run the same pictures through the same network in the same batches;
ours also pools every layer by hooks, checks the values and writes them to disk. The sides alternate
in one process, and the ratio is the median over rounds.
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
from measuring import write_results

ZOO = Path(__file__).parents[1] / "resources" / "zoo"


def make_pictures(folder: Path, n: int):
    """A rendered data set of `n` pictures."""
    from strata.data import open_dataset
    from strata.data.manifest import write_dataset
    from strata.data.microworld import make_microworld

    images, manifest = make_microworld(n, 64, 0, {"all": 1.0})
    folder.mkdir()
    np.save(folder / "images.npy", images)
    info = {"name": "pictures", "modality": "image", "root": ".", "storage": "images.npy"}
    write_dataset(folder, manifest, info)
    return open_dataset(folder)


def make_vit(folder: Path) -> None:
    """A ViT-B/16 with random weights, as transformers saves it."""
    from strata.compat import prepare_imports

    prepare_imports()
    from transformers import ViTConfig, ViTImageProcessor, ViTModel

    ViTModel(ViTConfig(), add_pooling_layer=False).save_pretrained(folder)
    ViTImageProcessor().save_pretrained(folder)


def seconds_bare(encoder, dataset, batch_size: int) -> float:
    """Time of the forward passes alone, pictures read ahead as ours reads them."""
    import torch

    from strata.models.inference import run_batches

    def forward(pixels):
        with torch.inference_mode():
            encoder.forward(pixels)
        return []

    start = time.perf_counter()
    options = {"device": encoder.device, "batch_size": batch_size, "log": lambda line: None}
    for _ in run_batches(dataset, range(len(dataset)), encoder.preprocess, forward, **options):
        pass
    return time.perf_counter() - start


def seconds_all_layers(encoder, dataset, batch_size: int, folder: Path) -> float:
    """Time of `strata.activations.extract`, to complete files on disk."""
    from strata.activations.extraction import extract

    start = time.perf_counter()
    extract(encoder, dataset, folder, batch_size=batch_size, log=lambda line: None)
    return time.perf_counter() - start


def compare(name: str, encoder, dataset, batch_size: int, rounds: int, folder: Path) -> dict:
    """A row of the table; the first round warms up and does not count."""
    times = [
        (seconds_bare(encoder, dataset, batch_size),
         seconds_all_layers(encoder, dataset, batch_size, folder))
        for _ in range(rounds + 1)
    ][1:]  # fmt: skip
    bare, ours = (len(dataset) / statistics.median(column) for column in zip(*times, strict=True))
    ratio = statistics.median(a / b for a, b in times)
    return {
        "network": name,
        "layers": len(encoder.layers),
        "device": encoder.device,
        "bare forward, pictures/s": f"{bare:.1f}",
        "all layers to disk, pictures/s": f"{ours:.1f}",
        "ratio": f"{ratio:.3f}",
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--device", default="auto")
    arguments = parser.parse_args()
    from strata.models.encoder import load_encoder

    rows = []
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        make_vit(folder / "vit-base")
        cases = [
            ("ViT-B/16, 224 pixels", folder / "vit-base", 64, 16),
            ("micro-vit (zoo)", ZOO / "micro-vit", 4000, 64),
            ("micro-resnet (zoo)", ZOO / "micro-resnet", 2000, 64),
        ]
        for number, (name, source, n, batch_size) in enumerate(cases):
            dataset = make_pictures(folder / f"pictures-{number}", n)
            encoder = load_encoder(source, device=arguments.device)
            cache = folder / f"cache-{number}"
            rows.append(compare(name, encoder, dataset, batch_size, arguments.rounds, cache))
    write_results("activations", f"All layers at once, {arguments.rounds} rounds", rows)


if __name__ == "__main__":
    main()
