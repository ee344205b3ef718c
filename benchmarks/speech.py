"""Speech: all layers and phonemes against a bare forward pass, and training against plain steps.

Extraction: both sides read, prepare and run the same clips; ours also pools every layer over each
clip and each of its phonemes and writes them to disk. Training: the peer is the loop that one
writes around transformers, samples in, frozen convolutions and all, at every step; ours computes
what the convolutions say of each clip once, and that is counted. Sides alternate in one process;
the ratio is the median over rounds.
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
from measuring import write_results

SOURCE = Path(__file__).parents[1] / "resources" / "zoo" / "micro-hubert"
EPOCHS, BATCH, RATE = 2, 32, 1e-3


def make_clips(folder: Path, speakers: int):
    """A spoken data set: 20 words by each speaker."""
    from strata.data import open_dataset
    from strata.data.manifest import write_dataset
    from strata.data.microspeech import RATE as HERTZ
    from strata.data.microspeech import make_microspeech

    splits = {"train": 0.6, "validation": 0.2, "test": 0.2}
    sounds, manifest, segments = make_microspeech(speakers, 1, 0, splits)
    folder.mkdir()
    np.save(folder / "sounds.npy", sounds)
    info = {"name": "clips", "modality": "audio", "root": ".", "rate": HERTZ}
    write_dataset(folder, manifest, info | {"storage": "sounds.npy"}, segments)
    return open_dataset(folder)


def extraction(encoder, dataset, folder: Path) -> tuple[float, float]:
    """Seconds of the bare forward pass and of ours."""
    import torch

    from strata.activations.extraction import extract
    from strata.models.inference import run_batches

    def forward(clips):
        with torch.inference_mode():
            encoder.module(torch.stack(clips))  # the clips have one length
        return []

    options = {"device": encoder.device, "batch_size": BATCH, "log": lambda line: None}
    read = encoder.reader(dataset)
    start = time.perf_counter()
    for _ in run_batches(
        dataset, range(len(dataset)), encoder.preprocess, forward, read=read, **options
    ):
        pass
    middle = time.perf_counter()
    extract(encoder, dataset, folder, batch_size=BATCH, log=lambda line: None)
    return middle - start, time.perf_counter() - middle


def training(dataset) -> tuple[float, float]:
    """Seconds of the plain loop and of ours, for as many steps at every depth."""
    import torch

    from strata.data.splits import task_rows
    from strata.models.training.tuning import (
        Training,
        classifier,
        inputs_of,
        raw_example,
        train_classifier,
    )
    from strata.pruning import n_layers, prune

    rows = {"train": task_rows(dataset.manifest, "word", apart="speaker")["train"]}
    words, targets = np.unique(dataset.manifest["word"].to_numpy(dtype=str), return_inverse=True)
    full = classifier(SOURCE, list(words))
    depths = range(1, n_layers(full) + 1)
    start = time.perf_counter()
    clips = raw_example(SOURCE, dataset, full, range(len(dataset)))["input_values"]
    for depth in depths:
        plain_loop(prune(full, depth).train(), clips, torch.from_numpy(targets), rows["train"])
    middle = time.perf_counter()
    inputs = inputs_of(SOURCE, dataset, full)
    settings = Training(epochs=EPOCHS, batch_size=BATCH, learning_rate=RATE)
    for depth in depths:
        model = prune(full, depth)
        train_classifier(model, inputs, rows, targets, settings, 0, log=lambda line: None)
    return middle - start, time.perf_counter() - middle


def plain_loop(model, clips, targets, rows) -> None:
    """Training as one writes it around transformers."""
    import torch

    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=RATE)
    for _ in range(EPOCHS):
        order = np.random.permutation(rows)
        for first in range(0, len(order) - BATCH + 1, BATCH):
            chosen = order[first : first + BATCH]
            logits = model(input_values=clips[chosen]).logits
            torch.nn.functional.cross_entropy(logits, targets[chosen]).backward()
            optimizer.step()
            optimizer.zero_grad()


def compare(work: str, measure, rounds: int) -> dict:
    """A row of the table; the first round warms up and does not count."""
    times = [measure() for _ in range(rounds + 1)][1:]
    peer, ours = (statistics.median(column) for column in zip(*times, strict=True))
    ratio = statistics.median(a / b for a, b in times)
    return {
        "work": work,
        "peer, s": f"{peer:.2f}",
        "ours, s": f"{ours:.2f}",
        "ratio": f"{ratio:.2f}",
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--speakers", type=int, default=30)
    arguments = parser.parse_args()
    from strata.models.encoder import load_encoder

    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        dataset = make_clips(folder / "clips", arguments.speakers)
        encoder = load_encoder(SOURCE, device="cpu")
        extracted = compare(
            f"8 layers of {len(dataset)} clips and their phonemes to disk, against a bare pass",
            lambda: extraction(encoder, dataset, folder / "cache"),
            arguments.rounds,
        )
        trained = compare(
            f"a word classifier at every depth, {EPOCHS} epochs, against plain transformers",
            lambda: training(dataset),
            arguments.rounds,
        )
    write_results("speech", f"Speech, {arguments.rounds} rounds", [extracted, trained])


if __name__ == "__main__":
    main()
