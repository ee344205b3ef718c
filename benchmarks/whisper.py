"""Whisper on a clip's own frames (`context: clip`) against the clip padded to thirty seconds
(`context: full`): seconds, how alike the states are, and convexity by layer.

Both sides read the same clips and average each state over the clip's own frames. State 0 enters the
first block, state n leaves block n. The clips are recordings named {word}_{speaker}_{take}.wav, as
the Free Spoken Digit Dataset has them; `--takes` of each word by each speaker are used.
"""

import argparse
import re
import time
from pathlib import Path

import numpy as np
from measuring import write_results

NAME = re.compile(r"(?P<word>[^_]+)_(?P<speaker>[^_]+)_(?P<take>[0-9]+)[.]wav")


def read_clips(folder: Path, takes: int, rate: int):
    """Clips at `rate` with their words and speakers."""
    from strata.data.sounds import read_sound, resample

    clips, words, speakers = [], [], []
    for path in sorted(folder.rglob("*.wav")):
        found = NAME.fullmatch(path.name)
        if found and int(found["take"]) < takes:
            clips.append(resample(*read_sound(path), rate))
            words.append(found["word"])
            speakers.append(found["speaker"])
    return clips, np.array(words), np.array(speakers)


def states_of(model: Path, clips, context: str, batch: int = 8) -> tuple[list[np.ndarray], float]:
    """Mean over each clip's own frames of every state, (clips, features) each; seconds."""
    import torch

    from strata.models.encoder import load_encoder

    encoder = load_encoder(model, device="cpu", context=context)
    front_end, layers, kept = encoder.front_end, list(encoder.layers.values()), []
    layers[0].register_forward_pre_hook(lambda module, inputs: kept.append(inputs[0]))
    for layer in layers:
        layer.register_forward_hook(
            lambda module, inputs, output: kept.append(
                output if hasattr(output, "ndim") else output[0]
            )
        )
    rows, started = [], time.perf_counter()
    for start in range(0, len(clips), batch):
        ready = encoder.preprocess(clips[start : start + batch])
        kept.clear()
        with torch.inference_mode():
            encoder.forward(ready)
        counts = front_end.frame_counts(ready)
        rows.append(
            [
                torch.stack([clip[:n].mean(dim=0) for clip, n in zip(states, counts, strict=True)])
                for states in kept
            ]
        )
    seconds = time.perf_counter() - started
    return [torch.cat(parts).numpy() for parts in zip(*rows, strict=True)], seconds


def cka(one: np.ndarray, other: np.ndarray) -> float:
    """Linear centred kernel alignment of two (clips, features) arrays."""
    one, other = (rows - rows.mean(axis=0) for rows in (one, other))
    norm = np.linalg.norm(one.T @ one) * np.linalg.norm(other.T @ other)
    return float(np.linalg.norm(one.T @ other) ** 2 / norm)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, required=True, help="folder of a Whisper model")
    parser.add_argument("--sounds", type=Path, required=True, help="folder of recordings")
    parser.add_argument("--takes", type=int, default=5)
    arguments = parser.parse_args()
    from strata.convexity import graph_convexity

    clips, words, speakers = read_clips(arguments.sounds, arguments.takes, 16000)
    sides = {name: states_of(arguments.model, clips, name) for name in ("clip", "full")}
    (own, fast), (padded, slow) = sides.values()
    rows: list[dict] = [{"state": state} for state in range(len(own))]
    for row, one, other in zip(rows, own, padded, strict=True):
        row["CKA"] = f"{cka(one, other):.2f}"
        for label, families in (("words", words), ("speakers", speakers)):
            for name, states in (("clip", one), ("full", other)):
                value = graph_convexity(states, families, n_neighbors=10, halves=0).mean
                row[f"{label}, {name}"] = f"{value:.2f}"
    length = np.mean([len(clip) for clip in clips]) / 16000
    told = (
        f"{arguments.model.name} on {len(clips)} clips of {length:.2f} s: `clip` in {fast:.0f} s, "
        f"`full` in {slow:.0f} s; graph convexity of {len(set(words))} words and "
        f"{len(set(speakers))} speakers"
    )
    write_results("whisper", told, rows)


if __name__ == "__main__":
    main()
