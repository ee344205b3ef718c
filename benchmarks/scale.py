"""What the full study costs: each kind of work measured at its real size, and added up.

Everything is measured on one core, in processor seconds (so that what else runs matters little), on
networks and arrays of the real sizes with random content. How often each kind of work is done is
counted from studies/full.yaml. Of networks multiply-accumulates are counted too: they say what a
GPU would need.
"""

import argparse
import os
import tempfile
import time
from pathlib import Path

os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")

import numpy as np
import yaml
from measuring import peak_mib, write_results

from activations import make_pictures, make_vit

ROOT = Path(__file__).parents[1]
IMAGES, WORDS = 50_000 + 63_305, 20_000  # ImageNet's validation pictures and Broden's; 20k.txt
THINGS, OBJECTS, ANSWERS = 26_107, 1_854, 4_700_000
CLIPS, TRAINED = 105_829, 84_843  # of Speech Commands; those of its training split
WIDTH = 768  # of base models
# Layers, width, and size as a multiple of the base model's, by a part of the name.
SIZES = {"large": (24, 1024, 3.5), "resnet": (5, 1000, 0.25), "": (12, 768, 1.0)}
# A GPU's float32 (TF32) throughput in practice: an assumption, not a measurement of ours.
GPU_MACS = 2e13


def size_of(model: str) -> tuple[int, int, float]:
    return next(size for part, size in SIZES.items() if part in model)


def core_seconds(action) -> float:
    start = time.process_time()
    action()
    return time.process_time() - start


# --- networks -----------------------------------------------------------------------------------


def picture_cost(folder: Path) -> tuple[float, float]:
    """Core seconds and multiply-accumulates of a picture: a ViT-B/16, all layers to disk."""
    import torch

    from strata.activations.extraction import extract
    from strata.models.encoder import load_encoder
    from strata.pruning import cost

    torch.set_num_threads(1)
    make_vit(folder / "vit-base")
    shown = make_pictures(folder / "pictures", 32)
    encoder = load_encoder(folder / "vit-base", device="cpu")
    options = {"batch_size": 16, "log": lambda line: None}
    extract(encoder, shown, folder / "warm", **options)
    taken = core_seconds(lambda: extract(encoder, shown, folder / "cache", **options))
    macs = cost(encoder.module, {"pixel_values": torch.zeros(1, 3, 224, 224)}).macs
    return taken / len(shown), macs


def clip_costs() -> tuple[float, float, float]:
    """Of a second of sound through a wav2vec2 base: core seconds of a pass and of a training step,
    and the multiply-accumulates of a pass."""
    import torch

    from strata.compat import prepare_imports

    prepare_imports()
    from transformers import Wav2Vec2Config, Wav2Vec2ForSequenceClassification

    from strata.pruning import cost
    from strata.pruning.price import training_step

    torch.set_num_threads(1)
    model = Wav2Vec2ForSequenceClassification(Wav2Vec2Config(num_labels=35))
    model.freeze_feature_encoder()
    batch = {"input_values": torch.randn(8, 16_000)}

    def forward():
        with torch.inference_mode():
            model.eval()(**batch)

    step = training_step(model.train(), batch)
    step()
    macs = cost(model.eval(), {"input_values": torch.zeros(1, 16_000)}).macs
    return core_seconds(forward) / 8, core_seconds(step) / 8, macs


# --- measures -----------------------------------------------------------------------------------


def labelling_cost(permutations: int) -> float:
    """Core seconds to label a layer of 768 neurons."""
    from strata.dissect import label_neurons

    draw = np.random.default_rng(0)
    acts = draw.normal(size=(IMAGES, WIDTH)).astype(np.float32)
    images, texts = (draw.normal(size=(n, 512)).astype(np.float32) for n in (IMAGES, WORDS))
    words = [f"word{number}" for number in range(WORDS)]
    return core_seconds(
        lambda: label_neurons(acts, images, texts, words, n_permutations=permutations)
    )


def convexity_cost(n: int, classes: int, pairs, permutations: int) -> float:
    """Core seconds of the graph convexity of a layer."""
    from strata.convexity import graph_convexity

    draw = np.random.default_rng(0)
    labels = np.arange(n) % classes
    features = draw.normal(size=(classes, WIDTH))[labels] + 2 * draw.normal(size=(n, WIDTH))
    options = {"pairs": pairs, "permutations": permutations}
    return core_seconds(lambda: graph_convexity(features.astype(np.float32), labels, **options))


def answer_costs() -> tuple[float, float]:
    """Core seconds of all answers in a layer, and of one evaluation of a transform's loss."""
    import torch

    from strata.alignment.accuracy import mean_credit, triplet_credits
    from strata.alignment.transforms import _Loss

    torch.set_num_threads(1)
    draw = np.random.default_rng(0)
    items = draw.normal(size=(OBJECTS, WIDTH))
    start = draw.integers(0, OBJECTS, ANSWERS)
    steps = 1 + draw.integers(0, OBJECTS // 2 - 1, (2, ANSWERS))
    rows = np.stack([start, (start + steps[0]) % OBJECTS, (start + steps.sum(0)) % OBJECTS], axis=1)
    scored = core_seconds(lambda: mean_credit(triplet_credits(items, rows), rows))
    loss = _Loss(items, np.arange(OBJECTS), rows, None, "naive", 1e-3, 0.1, 0.1, "odd_one_out")
    point = torch.from_numpy((np.eye(WIDTH) / 28).ravel()).requires_grad_()
    return scored, core_seconds(lambda: loss.value(point).backward())


# --- the sum ------------------------------------------------------------------------------------


def measured(folder: Path) -> dict:
    picture, picture_macs = picture_cost(folder)
    clip, step, clip_macs = clip_costs()
    found = {
        "picture": picture,
        "clip": clip,
        "step": step,
        "picture_macs": picture_macs,
        "clip_macs": clip_macs,
        "labels": labelling_cost(0),
        "labels_null": labelling_cost(1000),
        "peak": peak_mib(),
        "things": convexity_cost(THINGS, OBJECTS, "all", 0),
        "things_null": convexity_cost(THINGS, OBJECTS, "all", 100),
        "commands": convexity_cost(20_000, 35, 5000, 0) * (TRAINED / 20_000) ** 2,
    }
    found["answers"], found["evaluation"] = answer_costs()
    return found


def units(of: dict) -> list[dict]:
    """A row per kind of work."""
    rows = [
        ("a picture through a ViT-B/16, all layers to disk", of["picture"], of["picture_macs"]),
        ("a second of sound through a wav2vec2 base", of["clip"], of["clip_macs"]),
        ("a second of sound in a training step of it", of["step"], 3 * of["clip_macs"]),
        ("a neuron labelled: 113,305 pictures, 20,000 words", of["labels"] / WIDTH, ""),
        ("the same with 1,000 permutations", of["labels_null"] / WIDTH, ""),
        ("a point of 26,107 in a convexity graph, all pairs", of["things"] / THINGS, ""),
        ("the same with 100 permutations", of["things_null"] / THINGS, ""),
        ("a point of 84,843, 5,000 pairs a class", of["commands"] / TRAINED, ""),
        ("4.7 million answers in a layer, with interval", of["answers"], ""),
        ("an evaluation of a transform's loss on them", of["evaluation"], ""),
    ]
    return [
        {
            "work": work,
            "core seconds": f"{seconds:.3g}",
            "billion multiply-accumulates": f"{macs / 1e9:.1f}" if macs else "",
        }
        for work, seconds, macs in rows
    ]


def totals(of: dict) -> list[dict]:
    """A row per stage of the full study."""
    full = yaml.safe_load((ROOT / "studies/full.yaml").read_text())
    studies = full["studies"]
    concepts, convexity, pruning = (
        studies[f"{name}-full"] for name in ("concepts", "convexity", "pruning")
    )

    def weigh(models, what) -> float:
        return sum(what(*size_of(model)) for model in models)

    def stage(name, seconds, macs=0.0, size=0.0) -> dict:
        hours = macs / GPU_MACS / 3600
        return {
            "stage": name,
            "CPU core hours": f"{seconds / 3600:.0f}",
            "GPU hours (assumed)": f"{hours:.1f}" if macs else "",
            "GB": f"{size / 1e9:.0f}" if size else "",
        }

    def passes(study, samples, key) -> tuple[float, float, float]:
        volume = weigh(study["models"], lambda layers, width, size: size)
        stored = weigh(study["models"], lambda layers, width, size: layers * width * 4)
        return (
            volume * samples * of[key],
            volume * samples * of[f"{key}_macs"],
            stored * samples,
        )

    neurons = weigh(concepts["models"], lambda layers, width, size: layers * width)
    layers = weigh(convexity["models"], lambda layers, width, size: layers)
    pretrained = convexity["comparisons"]["pretraining"]
    fitted = weigh(pretrained, lambda layers, width, size: layers)
    # Three folds by three strengths on the answers within two thirds of the items, and a last fit.
    evaluations = 220 * (9 * (2 / 3) ** 3 + 1) * len(convexity["transforms"]["methods"])
    spoken = weigh(pruning["models"], lambda layers, width, size: layers)
    volume = weigh(pruning["comparisons"]["pretraining"], lambda layers, width, size: size)
    # The cut, all layers and five others, of which some are the same: about half the layers each.
    trainings = 0.5 * 6 * pruning["seeds"] * len(pruning["tasks"])
    steps = volume * trainings * pruning["training"]["epochs"] * TRAINED
    rows = [
        stage("concepts: activations", *passes(concepts, IMAGES, "picture")),
        stage("concepts: labels with null", neurons / WIDTH * of["labels_null"]),
        stage("convexity: activations", *passes(convexity, THINGS, "picture")),
        stage("convexity: graphs with null", layers * of["things_null"]),
        stage("convexity: alignment", layers * of["answers"]),
        stage("convexity: transforms", fitted * evaluations * of["evaluation"]),
        stage("pruning: activations", *passes(pruning, CLIPS, "clip")),
        stage("pruning: graphs", spoken * len(pruning["tasks"]) * of["commands"]),
        stage("pruning: fine-tuning", steps * of["step"], steps * 3 * of["clip_macs"]),
    ]
    return rows


def main() -> None:
    argparse.ArgumentParser(description=__doc__.splitlines()[0]).parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = measured(Path(folder))
    title = f"Costs of kinds of work, one core; labelling peaks at {found['peak']:.0f} MiB"
    write_results("scale_units", title, units(found))
    told = f"The full study; a GPU assumed to do {GPU_MACS:.0e} multiply-accumulates a second"
    write_results("scale_full", told, totals(found))


if __name__ == "__main__":
    main()
