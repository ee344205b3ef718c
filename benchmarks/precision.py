"""What mixed precision changes: extraction in bfloat16 against float32, on the same samples.

Of networks that have learned (the zoo's): how far activations move, how many neurons keep their
label, by how much graph convexity moves. Of a ViT-B/16: pictures per second of both. On a CPU
without bfloat16 instructions mixed precision is slower; what it changes is the same.
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
from measuring import write_results

from activations import ZOO, make_pictures, make_vit

PICTURES, SPEAKERS, SHOWN = 2000, 12, 64


def caches(source: Path, dataset, folder: Path, device: str) -> list:
    """The same layers of the same samples, in float32 and in bfloat16."""
    from strata.activations.cache import ActivationCache
    from strata.activations.extraction import extract
    from strata.models.encoder import load_encoder
    from strata.models.inference import PRECISIONS

    encoder = load_encoder(source, device=device)
    for precision in PRECISIONS:
        place = folder / precision
        extract(encoder, dataset, place, precision=precision, log=lambda line: None)
    return [ActivationCache(folder / precision) for precision in PRECISIONS]


def moved(full, half) -> float:
    """Median over neurons and layers of the correlation between both precisions."""
    found = []
    for index in range(len(full.layers)):
        a, b = (np.asarray(cache.layer(index), dtype=float) for cache in (full, half))
        a, b = (x - x.mean(axis=0) for x in (a, b))
        scale = np.sqrt((a**2).sum(axis=0) * (b**2).sum(axis=0))
        found.append((a * b).sum(axis=0)[scale > 0] / scale[scale > 0])
    return float(np.median(np.concatenate(found)))


def convexity_moved(full, half, labels) -> float:
    """Largest difference of a layer's graph convexity."""
    from strata.convexity import graph_convexity

    pairs = [
        [graph_convexity(np.asarray(cache.layer(index)), labels).mean for cache in (full, half)]
        for index in range(len(full.layers))
    ]
    return max(abs(a - b) for a, b in pairs)


def labels_kept(full, half, dataset, device: str) -> float:
    """Share of neurons with the same label, CLIP's embeddings in the same precision."""
    from strata.dissect import label_neurons
    from strata.dissect.clip import image_embeddings, text_embeddings
    from strata.models.inference import PRECISIONS

    words = (ZOO.parents[0] / "concepts" / "microworld.txt").read_text().split("\n")
    words = [word for word in words if word]
    texts = text_embeddings(ZOO / "micro-clip", words, device=device)
    images = [
        image_embeddings(ZOO / "micro-clip", dataset, device=device, precision=precision)
        for precision in PRECISIONS
    ]
    same = []
    for index in range(len(full.layers)):
        found = [
            label_neurons(np.asarray(cache.layer(index)), seen, texts, words)["label"].to_numpy()
            for cache, seen in zip((full, half), images, strict=True)
        ]
        same.append(found[0] == found[1])
    return float(np.concatenate(same).mean())


def speeds(folder: Path, device: str, rounds: int) -> list[float]:
    """Pictures per second of a ViT-B/16, all layers to disk, in each precision."""
    from strata.activations.extraction import extract
    from strata.models.encoder import load_encoder
    from strata.models.inference import PRECISIONS

    make_vit(folder / "vit-base")
    shown = make_pictures(folder / "shown", SHOWN if device == "cpu" else 40 * SHOWN)
    encoder = load_encoder(folder / "vit-base", device=device)
    times = {precision: [] for precision in PRECISIONS}
    for _ in range(rounds + 1):
        for precision, taken in times.items():
            start = time.perf_counter()
            options = {"batch_size": SHOWN, "log": lambda line: None}
            extract(encoder, shown, folder / "cache", precision=precision, **options)
            taken.append(time.perf_counter() - start)
    return [len(shown) / statistics.median(taken[1:]) for taken in times.values()]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--device", default="auto")
    arguments = parser.parse_args()
    from speech import make_clips

    from strata.models.inference import pick_device

    device, rows = pick_device(arguments.device), []
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        pictures = make_pictures(folder / "pictures", PICTURES)
        clips = make_clips(folder / "clips", SPEAKERS)
        for name in ("micro-vit", "micro-clip", "micro-mae", "micro-hubert"):
            spoken = name == "micro-hubert"
            dataset = clips if spoken else pictures
            full, half = caches(ZOO / name, dataset, folder / name, device)
            labels = dataset.manifest["word" if spoken else "object"].to_numpy()
            kept = "" if spoken else f"{labels_kept(full, half, dataset, device):.1%}"
            rows.append(
                {
                    "network": name,
                    "samples": len(dataset),
                    "median correlation of a neuron": f"{moved(full, half):.5f}",
                    "neurons with the same label": kept,
                    "largest change of convexity": f"{convexity_moved(full, half, labels):.4f}",
                    "float32, samples/s": "",
                    "bfloat16, samples/s": "",
                }
            )
        full, half = speeds(folder, device, arguments.rounds)
        rows.append(dict.fromkeys(rows[0], ""))
        rows[-1] |= {"network": "ViT-B/16, 224 pixels", "samples": SHOWN}
        rows[-1] |= {"float32, samples/s": f"{full:.1f}", "bfloat16, samples/s": f"{half:.1f}"}
    write_results("precision", f"Mixed precision on {device}", rows)


if __name__ == "__main__":
    main()
