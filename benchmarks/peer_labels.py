"""The labels of SemanticLens (its own package) on the planted truth, beside Strata's scoreboard.

Needs a run of the default study, and the peer installed by hand (it is no dependency of Strata):
    pip install --target PEER --no-deps semanticlens==0.2.1 zennit-crp==0.6.0 zennit==0.5.1 \\
        einops==0.8.2 open-clip-torch==3.3.0 ftfy==6.3.1 wcwidth
    python benchmarks/peer_labels.py --peer PEER [--results results] [--study scenes]

The same network, pictures, words and image-and-text model: only the way from pictures to a label is
the peer's. Its `Lens` embeds the pictures that activate a neuron most, and `text_probing` scores
every word by the cosine to their mean; the best word is the label.
"""

import argparse
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import yaml
from measuring import RESULTS, write_results

from strata.compat import prepare_imports

prepare_imports()

import torch  # noqa: E402

from strata.concepts.scoreboard import scoreboard  # noqa: E402
from strata.data import open_dataset  # noqa: E402
from strata.data.vocabulary import read_vocabulary  # noqa: E402
from strata.data.words import read_categories, read_concepts  # noqa: E402
from strata.models.encoder import load_encoder  # noqa: E402
from strata.models.locked import dual_encoder  # noqa: E402
from strata.models.preprocessing import image_processor  # noqa: E402
from strata.stats import wilson_interval  # noqa: E402
from strata.tables import read_measures  # noqa: E402

PEER = "SemanticLens"


class Pictures(torch.utils.data.Dataset):
    """A data set's pictures, as they are or as `prepare` makes them."""

    def __init__(self, dataset, name, prepare=None):
        self.dataset, self.name, self.prepare = dataset, name, prepare

    def __len__(self):
        return len(self.dataset)

    def __getitem__(self, i):
        picture = self.dataset.image(i)
        return (self.prepare([picture])[0] if self.prepare else picture), 0


def vlm(folder: Path, abstract):
    """The study's image-and-text model in the peer's interface."""
    from transformers import AutoTokenizer

    model = dual_encoder().from_pretrained(folder, dtype=torch.float32).eval()
    prepare, tokenizer = image_processor(folder), AutoTokenizer.from_pretrained(folder)

    class Labeller(abstract):
        name, device = folder.name, torch.device("cpu")

        def to(self, device):
            return self

        def preprocess(self, pictures):
            return torch.stack(list(prepare(list(pictures))))

        def encode_image(self, pixels):
            return model.get_image_features(pixel_values=pixels).pooler_output

        def tokenize(self, lines):
            return tokenizer(lines, padding=True, truncation=True, return_tensors="pt")

        def encode_text(self, tokens):
            return model.get_text_features(**tokens).pooler_output

    return Labeller()


class Tensors(torch.nn.Module):
    """A transformers network whose output is a tensor, as the peer wants it."""

    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, pixels):
        return self.net(pixels).last_hidden_state


def peer_labels(arguments, study: dict, words: list[str]) -> pd.DataFrame:
    """The peer's best word of every neuron: layer, unit, label, score."""
    from semanticlens import Lens
    from semanticlens.component_visualization import ActivationComponentVisualizer, aggregators
    from semanticlens.foundation_models.base import AbstractVLM

    models = yaml.safe_load(Path("config.yaml").read_text())["models"]
    options = {key: models[arguments.model][key] for key in ("preprocess", "size")}
    encoder = load_encoder(arguments.results / "models" / arguments.model, device="cpu", **options)
    dataset = open_dataset(arguments.results / "data" / study["probing"][0])
    name = dataset.info["name"]
    paths = {f"net.{layer}": layer for layer in encoder.layers}
    visualizer = ActivationComponentVisualizer(
        Tensors(encoder.module),
        Pictures(dataset, name, encoder.preprocess),
        Pictures(dataset, name),
        list(paths),
        num_samples=arguments.samples,
        aggregate_fn=aggregators.get_aggregate_transformer_special_token(0),
    )
    lens = Lens(vlm(arguments.results / "models" / study["clip"], AbstractVLM))
    seen = {layer: found.mean(1) for layer, found in lens.compute_concept_db(visualizer).items()}
    scores = lens.text_probing(words, seen)
    rows = []
    for path, layer in paths.items():
        best = scores[path].reshape(len(words), -1).max(dim=0)
        for unit, (place, score) in enumerate(zip(best.indices, best.values, strict=True)):
            rows.append((layer, unit, words[int(place)], float(score)))
    return pd.DataFrame(rows, columns=["layer", "unit", "label", "score"])


def board_of(arguments, study: dict, labels: pd.DataFrame) -> pd.DataFrame:
    """Strata's own scoreboard with the peer as one more way of labelling."""
    folder = arguments.results / "measures" / arguments.study
    neurons = read_measures([folder / "truth_neurons" / f"{arguments.model}.parquet"])
    vocabulary = read_vocabulary(study["vocabulary"])
    known = neurons.drop_duplicates(["layer", "unit"])
    mine = known.drop(columns=["label", "score", "named"]).merge(labels, on=["layer", "unit"])
    named = [f in vocabulary.get(w, ()) for f, w in zip(mine["factor"], mine["label"], strict=True)]
    mine = mine.assign(metric=PEER, named=named, value=mine["score"])
    board = scoreboard(mine, vocabulary, read_categories(study["categories"]))
    own = read_measures([folder / "scoreboard" / f"{arguments.model}.parquet"])
    return pd.concat([own, board[board["similarity"] == PEER]], ignore_index=True)


def rows_of(board: pd.DataFrame) -> list[dict]:
    """A row for each way of labelling: agreement over all layers by neurons, and by category."""
    rows = []
    for way, part in board.groupby("similarity", sort=False):
        if way == "planted":
            continue
        row = {"way of labelling": way}
        for metric in ("same_factor", "same_category"):
            found = part[(part["metric"] == metric) & part["concept"].isna()]
            right = wilson_interval(round((found["value"] * found["n"]).sum()), found["n"].sum())
            held = f" [{right.low:.2f}, {right.high:.2f}]" if found["low"].notna().all() else ""
            row[metric] = f"{right.value:.2f}{held}"
        by = part[(part["metric"] == "same_category") & part["concept"].notna()]
        for category, own in by.groupby("concept", sort=False):
            row[category] = f"{np.average(own['value'], weights=own['n']):.2f} ({own['n'].sum()})"
        rows.append(row)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--peer", required=True, help="folder where the peer is installed")
    parser.add_argument("--results", type=Path, default=Path("results"))
    parser.add_argument("--study", default="scenes")
    parser.add_argument("--model", default="dinov2-small")
    parser.add_argument("--samples", type=int, default=100, help="pictures of a neuron")
    arguments = parser.parse_args()
    sys.path.append(arguments.peer)
    configuration = yaml.safe_load(Path("config.yaml").read_text())
    study = configuration["studies"][arguments.study]
    words = read_concepts(configuration["concept_sets"][study["concept_set"]]["path"])
    start = time.process_time()
    labels = peer_labels(arguments, study, words)
    print(f"{PEER}: {time.process_time() - start:.0f} CPU seconds")
    board = board_of(arguments, study, labels)
    board.to_csv(RESULTS / "semanticlens.csv", index=False, float_format="%.6g")
    title = (
        f"Share of {arguments.model}'s neurons, all layers, whose label names their planted "
        "factor, or is of its category; by category of the factor (in brackets: neurons)"
    )
    write_results("semanticlens", title, rows_of(board))


if __name__ == "__main__":
    main()
