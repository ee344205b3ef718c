"""The state before the first block as layer 0 of every measure, and cuts that keep no block."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from small_models import save_model
from strata import StrataError
from strata.activations.cache import SEGMENTS, ActivationCache, merge_shards
from strata.activations.extraction import extract
from strata.activations.pooling import Recorder
from strata.activations.probing import ProbingSet
from strata.compat import prepare_imports
from strata.convexity.measures import convexity_measures
from strata.convexity.remainder import CutClassifier
from strata.data import open_dataset
from strata.data.manifest import write_dataset
from strata.data.microspeech import RATE
from strata.models.encoder import load_encoder
from strata.tables import EMBEDDING, blocks_passed, relative_depths

prepare_imports()
import transformers  # noqa: E402

ZOO = Path(__file__).parents[2] / "resources" / "zoo"
VISION = (
    "facebook/dinov2-base",
    "facebook/data2vec-vision-base",
    "facebook/vit-mae-base",
    "google/vit-base-patch16-224-in21k",
    "microsoft/beit-base-patch16-224-pt22k",
    "openai/clip-vit-base-patch16",
    "timm/vit_tiny_patch16_224.augreg_in21k",
)
SPEECH = {
    "hidden_size": 32,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "intermediate_size": 48,
    "conv_dim": (16, 16, 16, 16),
    "conv_kernel": (10, 8, 4, 4),
    "conv_stride": (5, 4, 4, 4),
    "num_feat_extract_layers": 4,
    "num_conv_pos_embeddings": 8,
    "num_conv_pos_embedding_groups": 4,
    "vocab_size": 4,
}
STABLE = {"do_stable_layer_norm": True, "feat_extract_norm": "layer"}  # as the large models
SOUNDS = [(family, more) for family in ("Wav2Vec2", "Hubert", "WavLM") for more in ({}, STABLE)]


def quiet(line):
    pass


def speech_model(folder, family="Wav2Vec2", more=None):
    torch.manual_seed(0)
    config = getattr(transformers, f"{family}Config")(**SPEECH, **(more or {}))
    getattr(transformers, f"{family}Model")(config).save_pretrained(folder)
    transformers.Wav2Vec2FeatureExtractor(sampling_rate=RATE).save_pretrained(folder)
    return folder


def recorded(encoder, batch, pool):
    with Recorder(encoder, pool) as recorder:
        return dict(zip(encoder.layer_names, recorder.record(batch), strict=True))


def states_of(encoder, **given):
    """What transformers itself says of every layer, the embedding first."""
    with torch.inference_mode():
        return encoder.module(**given, output_hidden_states=True).hidden_states


# --- extraction -----------------------------------------------------------------------------------


@pytest.mark.parametrize("repository", VISION)
def test_what_enters_the_first_block_is_the_librarys_own_first_state(repository, tmp_path):
    save_model(repository, tmp_path / "m")
    encoder = load_encoder(tmp_path / "m", device="cpu", embedding=True)
    assert len(encoder.layer_names) == 4 and encoder.layer_names[0] == EMBEDDING
    pixels = torch.randn(3, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    if repository.startswith("timm"):
        with torch.inference_mode():
            module = encoder.module
            first = module.norm_pre(module._pos_embed(module.patch_embed(pixels)))
    else:
        noise = {"noise": torch.arange(16.0).expand(3, -1)} if "mae" in repository else {}
        first = states_of(encoder, pixel_values=pixels, **noise)[0]
    assert first.shape == (3, 17, 16)
    found = recorded(encoder, pixels, "mean")[EMBEDDING]
    np.testing.assert_allclose(found, first[:, 1:].mean(dim=1), atol=1e-6)
    assert np.ptp(found, axis=0).min() > 0
    token = recorded(encoder, pixels, "cls")[EMBEDDING]
    np.testing.assert_allclose(token, first[:, 0], atol=1e-6)
    assert not np.ptp(token, axis=0).any()  # a class token has seen nothing yet


@pytest.mark.parametrize(("family", "more"), SOUNDS, ids=str)
def test_frames_before_the_first_block_are_pooled_without_their_padding(family, more, tmp_path):
    encoder = load_encoder(speech_model(tmp_path / "m", family, more), device="cpu", embedding=True)
    draw = np.random.default_rng(0)
    clips = [draw.standard_normal(n).astype(np.float32) for n in (16000, 5000, 9000)]
    found = recorded(encoder, encoder.preprocess(clips), "auto")
    assert list(found) == [EMBEDDING, "encoder.layers.0", "encoder.layers.1", "encoder.layers.2"]
    for place, clip in enumerate(clips):
        alone = torch.stack(encoder.preprocess([clip]))
        first = states_of(encoder, input_values=alone)[0][0]
        np.testing.assert_allclose(found[EMBEDDING][place], first.mean(dim=0), atol=2e-5)


@pytest.mark.parametrize("name", ["micro-vit", "micro-mae", "micro-clip"])
def test_nothing_else_changes_with_the_embedding(name):
    plain, more = (load_encoder(ZOO / name, device="cpu", embedding=e) for e in (False, True))
    pixels = torch.randn(4, 3, 48, 48, generator=torch.Generator().manual_seed(1))
    one, other = (recorded(encoder, pixels, "auto") for encoder in (plain, more))
    assert [EMBEDDING, *one] == list(other)
    assert all(np.array_equal(one[layer], other[layer]) for layer in one)


def test_layers_that_are_named_leave_the_embedding_what_it_is():
    pixels = torch.randn(2, 3, 48, 48, generator=torch.Generator().manual_seed(1))
    every, some = (
        load_encoder(ZOO / "micro-vit", device="cpu", layers=layers, embedding=True)
        for layers in (None, [-1])
    )
    assert some.layer_names == [EMBEDDING, every.layer_names[-1]]
    expected = recorded(every, pixels, "mean")
    for name, rows in recorded(some, pixels, "mean").items():
        assert np.array_equal(rows, expected[name])


def test_where_there_is_no_embedding_one_line_says_so(tmp_path):
    pixels = torch.zeros(1, 3, 48, 48)
    encoder = load_encoder(ZOO / "micro-resnet", device="cpu", embedding=True)
    with pytest.raises(StrataError, match=r"micro-resnet: its first layer takes a map .*, not tok"):
        recorded(encoder, pixels, "auto")
    with pytest.raises(StrataError, match="layers: 'embedding' is what embedding: true adds"):
        load_encoder(ZOO / "micro-vit", device="cpu", layers=["embedding"], embedding=True)


# --- measures -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """Pictures of two colours with a square somewhere."""
    folder = tmp_path_factory.mktemp("pictures")
    draw = np.random.default_rng(0)
    images = draw.integers(0, 60, (40, 48, 48, 3), dtype=np.uint8)
    colors = np.arange(40) % 2
    for image, color in zip(images, colors, strict=True):
        top, left = draw.integers(0, 30, 2)
        image[..., 2 * color] += 150
        image[top : top + 16, left : left + 16] = draw.integers(0, 256, 3)
    np.save(folder / "images.npy", images)
    table = pd.DataFrame({"split": "all", "index": range(40), "color": colors})
    info = {"name": "pictures", "modality": "image", "root": ".", "storage": "images.npy"}
    write_dataset(folder, table, info)
    return open_dataset(folder)


def test_every_measure_takes_the_embedding_as_its_first_layer(pictures, tmp_path):
    encoder = load_encoder(ZOO / "micro-vit", device="cpu", embedding=True)
    for i in range(2):
        extract(encoder, pictures, tmp_path / f"s{i}", pool="mean", shard=(i, 2), log=quiet)
    merge_shards([tmp_path / "s0", tmp_path / "s1"], tmp_path / "whole")
    probing = ProbingSet.open([pictures.directory / "manifest.parquet"], [tmp_path / "whole"])
    table = convexity_measures(
        probing.layers(), probing.families(["color"]), model="m", dataset="d", log=quiet
    )
    rows = table[table["metric"] == "graph_convexity"]
    assert rows["layer"].tolist() == encoder.layer_names
    assert rows["layer_index"].tolist() == list(range(7)) and rows["block"].tolist() == [*range(7)]
    images = np.stack([np.asarray(pictures.image(i)) for i in range(40)])
    with torch.inference_mode():
        first = encoder.module.embeddings(
            encoder.preprocess([pictures.image(i) for i in range(40)])
        )
    from strata.convexity import graph_convexity

    expected = graph_convexity(first[:, 1:].mean(dim=1).numpy(), pictures.manifest["color"])
    assert rows["value"].iloc[0] == pytest.approx(expected.mean, abs=1e-6)
    assert images.shape == (40, 48, 48, 3)


def test_a_class_token_that_is_the_same_for_all_tells_nothing_and_stops_nothing():
    """Every measure has the value of chance there, or none, and the blocks keep their numbers."""
    from strata.alignment.judgements import Judgements
    from strata.alignment.optimised import transform_measures
    from strata.concepts.measures import count_measures, share_measures
    from strata.dissect.model import dissect_model
    from strata.figures.pictures import choose_examples

    draw = np.random.default_rng(0)
    layers = [(EMBEDDING, np.tile(draw.normal(size=8), (60, 1))), ("b", draw.normal(size=(60, 8)))]
    embeddings, words = draw.normal(size=(60, 16)), draw.normal(size=(5, 16))
    options = {"model": "m", "dataset": "d", "log": quiet}
    labels = dissect_model(
        layers, embeddings, words, list("vwxyz"), similarities=["soft_wpmi"], top_k=10, **options
    )
    assert labels.loc[labels["layer"] == EMBEDDING, "constant"].all()
    assert set(choose_examples(labels)["layer"]) == {"b"}
    for table in (count_measures(labels), share_measures(labels, {"some": ["v", "w"]})):
        assert set(table["layer"]) == {"b"}  # no neuron of the embedding has a label
        assert blocks_passed(table).eq(1).all()
    kinds = pd.DataFrame({"kind": np.arange(60) % 2})
    scores = convexity_measures(layers, kinds, halves=2, **options)
    scores = scores[scores["metric"] == "graph_convexity"]
    assert scores["block"].tolist() == [0, 1] and scores["value"].between(0, 1).all()
    triplets = np.array([draw.choice(60, 3, replace=False) for _ in range(900)])
    answers = pd.DataFrame(triplets, columns=["a", "b", "odd"]).assign(count=1)
    told = {"name": "t", "task": "odd_one_out"}
    judged = Judgements("t", answers, np.arange(60), 60, pd.DataFrame(index=range(60)), told)
    options |= {"grid": [0.1], "folds": 2, "halves": 2}
    table = transform_measures(layers, kinds, [judged], methods=["naive", "glocal"], **options)
    there = table[table["layer"] == EMBEDDING].set_index(["transform", "metric"])["value"]
    for method in ("naive", "glocal"):
        assert there[method, "accuracy_before"] == there[method, "accuracy_after"] == 1 / 3
        assert there[method, "graph_convexity_before"] == there[method, "graph_convexity_after"]
    folds = table.groupby(["layer", "metric", "transform"])["n"].first()
    one, other = (folds[name, "accuracy_after", "naive"] for name in (EMBEDDING, "b"))
    assert one == other  # the same triplets are asked about every layer


def test_a_block_has_the_same_number_and_depth_with_and_without_the_embedding():
    with_it = pd.DataFrame({"model": "a", "layer": [EMBEDDING, "x", "y", "z"]})
    without = pd.DataFrame({"model": "b", "layer": ["x", "y", "z"]})
    tables = [t.assign(layer_index=range(len(t))) for t in (with_it, without)]
    table = pd.concat(tables, ignore_index=True)
    numbers = blocks_passed(table)
    assert numbers.tolist() == [0, 1, 2, 3, 1, 2, 3]
    depths = relative_depths(table["model"], numbers)
    assert depths.tolist() == [-0.5, 0, 0.5, 1, 0, 0.5, 1]
    kept = table.assign(block=numbers)
    part = kept[kept["layer"] != EMBEDDING]  # a measure that has no row there
    assert blocks_passed(part).tolist() == [1, 2, 3, 1, 2, 3]


def test_a_network_computes_on_from_its_embedding():
    from PIL import Image

    from strata.data.microworld import make_microworld

    classifier = CutClassifier(ZOO / "micro-vit", device="cpu", embedding=True)
    images, _ = make_microworld(20, 48, 77, {"all": 1.0})
    pictures = [Image.fromarray(image) for image in images]
    layers, pooled = classifier.states(pictures)
    assert classifier.layers[0] == EMBEDDING and len(layers) == len(classifier.layers) == 7
    with torch.inference_mode():
        first = classifier.module.base_model.embeddings(classifier.processor(pictures))
    np.testing.assert_allclose(layers[0], first, atol=1e-6)
    logits = pooled @ classifier.head_weights.T + classifier.head_bias
    answers = [classifier.classes[i] for i in logits.argmax(axis=1)]
    for number, states in enumerate(layers):
        assert classifier.classify_from(number, states) == answers
    swapped = classifier.classify_from(0, layers[0][::-1].copy())
    assert swapped == answers[::-1] and len(set(answers)) > 1
    with pytest.raises(StrataError, match="micro-resnet: its first layer takes a map"):
        CutClassifier(ZOO / "micro-resnet", device="cpu", embedding=True).states(pictures[:1])


# --- cuts that keep no block ----------------------------------------------------------------------


@pytest.fixture(scope="module")
def tones(tmp_path_factory):
    """Two words, a high and a low tone, of six speakers: no block is needed to tell them apart."""
    folder, draw = tmp_path_factory.mktemp("tones"), np.random.default_rng(0)
    rows, sounds, pieces = [], [], []
    for number in range(48):
        word, speaker = number % 2, number // 8
        time = np.arange(4000) / RATE
        tone = np.sin(2 * np.pi * (300, 1500)[word] * time)
        sounds.append(8000 * (tone + 0.05 * draw.standard_normal(len(time))))
        split = ("train", "validation", "test")[speaker % 3]
        rows.append({"word": f"w{word}", "speaker": f"s{speaker}", "split": split, "index": number})
        pieces += [
            {"sample": number, "start": start, "end": start + 0.1, "half": half}
            for half, start in (("first", 0.02), ("second", 0.12))
        ]
    np.save(folder / "sounds.npy", np.stack(sounds).astype(np.int16))
    info = {"name": "tones", "modality": "audio", "root": ".", "rate": RATE}
    info |= {"storage": "sounds.npy"}
    write_dataset(folder, pd.DataFrame(rows), info, pd.DataFrame(pieces))
    return open_dataset(folder)


@pytest.fixture(scope="module")
def spoken(tones, tmp_path_factory):
    """A model's activations with the embedding, and tables of a study of pruning."""
    from strata.data.splits import Task
    from strata.models.training.tuning import Training
    from strata.pruning import layer_similarities
    from strata.pruning.comparison import compare_cuts
    from strata.pruning.convexity import task_convexity
    from strata.pruning.costs import cost_measures, timing_measures
    from strata.pruning.cuts import choose_cuts, cuts_of
    from strata.pruning.similarity import similarity_measures
    from strata.pruning.tuning import finetune_cuts

    folder = tmp_path_factory.mktemp("spoken")
    model = speech_model(folder / "tiny")
    encoder = load_encoder(model, device="cpu", embedding=True)
    extract(encoder, tones, folder / "acts", log=quiet)
    rows = {s: np.flatnonzero(tones.manifest["split"] == s) for s in set(tones.manifest["split"])}
    task, training = Task("word", rows), Training(epochs=1, batch_size=8, learning_rate=1e-3)
    options = {"model": "tiny", "n_neighbors": 3, "halves": 2, "log": quiet}
    families = ["word", "half"]
    tables = {
        name: task_convexity(folder / "acts", tones, families, {"word": task}, part, **options)
        for name, part in (("selection", "train"), ("convexity", "test"))
    }
    similar = layer_similarities(encoder, tones, range(10), log=quiet)
    place = {"model": "tiny", "dataset": "tones", "seed": 0}
    tables["similarity"] = similarity_measures(similar, list(encoder.layers), **place)
    tables["cuts"] = choose_cuts(
        tables["selection"], tables["similarity"], ["word"],
        deviates=tables["selection"].assign(split=0).iloc[:0], seeds=[0, 1], penalty=0.1,
    )  # fmt: skip
    options = {"embedding": True, "log": quiet}
    tuned = [
        finetune_cuts(
            model, tones, task, cuts_of(tables["cuts"], "word", seed), training,
            seed=seed, checkpoints=folder / f"checkpoints{seed}", **options,
        )
        for seed in (0, 1)
    ]  # fmt: skip
    tables["trained"] = pd.concat(found.measures for found in tuned)
    answers = pd.concat(found.answers for found in tuned)
    tables["comparison"] = compare_cuts(tables["cuts"], tables["trained"], answers, seed=0)
    tables["cost"] = cost_measures(model, tones, task, training, seed=0, **options)
    timing = {"repeats": 1, "warmup": 0, "threads": 1, "steps": 1}
    tables["timing"] = timing_measures(model, tones, task, training, **timing, **options)
    return folder, encoder, tables


def test_pieces_of_sounds_have_an_embedding_too(spoken, tones):
    folder, encoder, _ = spoken
    cache = ActivationCache(folder / "acts" / SEGMENTS)
    assert cache.layers == encoder.layer_names and len(cache) == 96
    clip = torch.stack(encoder.preprocess([tones.sound(5, RATE)]))
    states = states_of(encoder, input_values=clip)[0][0]
    piece = tones.segments.iloc[11]
    centres = (320 * np.arange(len(states)) + 345 / 2) / RATE  # a frame every 320 samples, of 345
    own = (centres >= piece["start"]) & (centres < piece["end"])
    assert own.sum() == 5
    np.testing.assert_allclose(cache.layer(0)[11], states[own].mean(dim=0), atol=2e-5)


def test_labels_that_are_convex_before_the_first_block_need_no_block(spoken):
    tables = spoken[2]
    scores = tables["selection"].query("metric == 'graph_convexity' and family == 'word'")
    assert scores["layer"].tolist()[0] == EMBEDDING and scores["value"].iloc[0] == 1.0
    cuts = tables["cuts"].set_index("metric")
    chosen = cuts.loc["most_convex"]
    assert (chosen["value"], chosen["kept"], chosen["n"]) == (0, "none", 3)
    assert (chosen["layer"], chosen["layer_index"], chosen["block"]) == (EMBEDDING, 0, 0)
    full = cuts.loc["full"]
    assert (full["kept"], full["layer"]) == ("0 1 2", "encoder.layers.2")
    assert (full["layer_index"], full["block"]) == (3, 3)
    assert cuts.loc["prefix", "kept"].tolist() == ["none", "0", "0 1", "0 1 2"]
    for name in ("every_second", "block_influence", "angular_distance", "cka", "random"):
        assert set(np.atleast_1d(cuts.loc[name, "kept"])) == {"none"}


def test_a_cut_that_keeps_no_block_learns_and_is_compared(spoken):
    tables = spoken[2]
    tests = tables["trained"].query("metric == 'test_accuracy'")
    assert tests["kept"].tolist() == ["none", "0", "0 1", "0 1 2"] * 2
    assert tests["layer_index"].tolist() == [0, 1, 2, 3] * 2
    assert tests["layer"].tolist()[:2] == [EMBEDDING, "encoder.layers.0"]
    none = tests.loc[tests["kept"] == "none", "value"]
    found = tables["comparison"].query("metric == 'accuracy' and concept == 'most_convex'").iloc[0]
    assert found["value"] == pytest.approx(none.mean()) and found["layers"] == 0
    blind = tables["comparison"].query("metric == 'accuracy' and concept == 'random_depth'")
    assert blind["value"].item() == pytest.approx(tests["value"].mean())
    assert blind["layers"].item() == pytest.approx(1.5)


def test_without_blocks_only_what_comes_before_and_the_head_cost(spoken):
    cost = spoken[2]["cost"]
    costs = cost.pivot(index="block", columns="metric", values="value")
    assert costs.index.tolist() == [0, 1, 2, 3]
    assert cost.drop_duplicates("block")["layer_index"].tolist() == [0, 1, 2, 3]
    assert costs["front_end_macs"].nunique() == costs["front_end_parameters"].nunique() == 1
    frames = 12  # of 4000 samples: one every 320, of 345 samples each
    config = transformers.Wav2Vec2Config()
    head = frames * 32 * config.classifier_proj_size + config.classifier_proj_size * 2
    assert costs.loc[0, "macs"] - costs.loc[0, "front_end_macs"] == head
    for metric in ("macs", "parameters"):
        steps = np.diff(costs[metric])
        assert (steps == steps[0]).all() and steps[0] > 0
    weights = 33 * config.classifier_proj_size + (config.classifier_proj_size + 1) * 2
    assert costs.loc[0, "parameters"] == costs.loc[0, "front_end_parameters"] + weights


# --- figures and paper ----------------------------------------------------------------------------

STUDY = {
    "n_neighbors": 3, "halves": 2, "permutations": 0, "seeds": 2, "similarity_samples": 10,
    "depth_penalty": 0.1, "training": {},
}  # fmt: skip


def drawn(function, *tables):
    from strata.figures import pruning
    from strata.figures.models import describe_models

    table = pd.concat([spoken_table for spoken_table in tables], ignore_index=True)
    return getattr(pruning, function)(table, describe_models(["tiny"]))


def test_figures_of_pruning_begin_where_no_block_is_kept(spoken):
    tables = spoken[2]
    figure, data = drawn("convexity_with_cuts", tables["selection"], tables["cuts"])
    words = data[(data["family"] == "word") & (data["metric"] == "graph_convexity")]
    assert words["layer_number"].tolist() == [0, 1, 2, 3]
    assert words["relative_depth"].tolist() == [-0.5, 0, 0.5, 1]
    cut = data[data["metric"] == "most_convex"]
    assert cut["layer_number"].tolist() == [0] and cut["value"].tolist() == [1.0]
    left, right = figure.axes[0].get_xlim()
    assert left < -0.5 and right > 1
    upper = figure.axes[0].child_axes[0]
    assert [tick.get_text() for tick in upper.get_xticklabels()] == ["0", "1", "2", "3"]
    assert upper.get_xticks() == pytest.approx([-0.5, 0, 0.5, 1])
    _, data = drawn("cost", tables["cost"])
    assert sorted(set(data["layer_number"])) == [0, 1, 2, 3]
    _, data = drawn("seconds", tables["timing"])
    assert set(data["metric"]) == {"latency", "epoch_seconds"}
    _, data = drawn("tradeoff", tables["comparison"], tables["cost"])
    macs = tables["cost"].query("metric == 'macs'")["value"].tolist()
    prefix = data[data["criterion"] == "prefix"].sort_values("layers")
    assert prefix["layers"].tolist() == [0, 1, 2, 3] and prefix["macs"].tolist() == macs
    assert data.loc[data["criterion"] == "cka", "macs"].item() == macs[0]


def test_the_paper_says_that_no_block_is_kept(spoken):
    from strata.differences import paired_differences
    from strata.figures.models import describe_models
    from strata.paper.pruning import pruning_table, pruning_values

    tables, looks = dict(spoken[2]), describe_models(["tiny"])
    tables["differences"] = paired_differences(
        tables["convexity"], ["graph_convexity"], twins={}, bases={}
    )
    values = pruning_values("s", STUDY, tables, looks)
    scores = tables["selection"].query("metric == 'graph_convexity' and family == 'word'")["value"]
    assert values["SSelectionTinyWordEmbedding"] == values["SSelectionTinyWordMax"] == 1.0
    assert values["SSelectionTinyWordFirst"] == scores.iloc[1]
    assert values["SSelectionTinyWordMaxLayer"] == values["STinyWordKeptMostConvex"] == 0
    assert values["STinyLayers"] == 3
    macs = tables["cost"].query("metric == 'macs'").set_index("block")["value"]
    saved = float(values["STinyWordSavedMacs"].partition("\\")[0])
    assert saved == pytest.approx(100 * (1 - macs[0] / macs[3]), abs=0.05)
    assert values["STinyMacsOne"] == f"{1e-6 * macs[1]:.1f}"
    assert "none of 3" in pruning_table(tables, looks)


def test_models_with_and_without_an_embedding_share_an_axis_and_a_table():
    from strata.figures.concepts import mean_over_models
    from strata.figures.convexity import convexity_by_layer
    from strata.figures.models import describe_models
    from strata.paper.convexity import convexity_values, profile_table

    rows = [
        {"model": model, "dataset": "d", "layer": layer, "layer_index": i, "family": "kind"}
        | {"concept": None, "metric": metric, "n": 9, "seed": 0, "low": 0.0, "high": 1.0}
        | {"value": 0.1 * (i + (model == "beit")) if metric == "graph_convexity" else 0.3}
        for model, layers in (("vit", [EMBEDDING, "x", "y", "z"]), ("beit", ["x", "y", "z"]))
        for i, layer in enumerate(layers)
        for metric in ("graph_convexity", "chance")
    ]
    table, looks = pd.DataFrame(rows), describe_models(["vit", "beit"])
    figure, data = convexity_by_layer(table, looks)
    wide = data[data["metric"] == "graph_convexity"].pivot(
        index="layer_number", columns="model", values="value"
    )
    assert wide["vit"].tolist() == pytest.approx([0, 0.1, 0.2, 0.3])
    assert wide["beit"].tolist()[1:] == pytest.approx([0.1, 0.2, 0.3])
    assert figure.axes[0].get_xlim()[0] < -0.5
    lines = profile_table(table, "graph_convexity", looks).splitlines()
    head = next(line for line in lines if line.startswith("model"))
    assert [cell.strip(" \\") for cell in head.split("&")] == ["model", "0", "1", "2", "3"]
    row = next(line for line in lines if line.startswith("BEiT"))
    assert row.split("&")[1].strip() == "" and "0.10" in row.split("&")[2]
    values = convexity_values(
        "s", {"n_neighbors": 1, "permutations": 0, "halves": 0}, {"convexity": table}, looks
    )
    assert values["SVitKindEmbedding"] == 0 and values["SVitKindFirst"] == pytest.approx(0.1)
    assert "SBeitKindEmbedding" not in values and values["SVitKindMaxLayer"] == 3
    mean = mean_over_models(data[data["metric"] == "graph_convexity"])
    assert mean["layer_number"].tolist() == [1, 2, 3]  # where all of them are
    assert mean["value"].tolist() == pytest.approx([0.1, 0.2, 0.3])


def test_without_an_embedding_the_axis_is_what_it_was():
    from strata.figures.concepts import category_areas
    from strata.figures.models import describe_models

    rows = [
        {"model": model, "dataset": "d", "layer": layer, "layer_index": i, "concept": concept}
        | {"metric": "category_share_mean", "value": 0.2, "low": 0, "high": 1, "n": 9, "seed": 0}
        for model, layers in (("vit", [EMBEDDING, "x", "y"]), ("beit", ["x", "y"]))
        for i, layer in enumerate(layers)
        for concept in ("colors", "objects and machines")
    ]
    table = pd.DataFrame(rows)
    figure, _ = category_areas(table[table["model"] == "beit"], describe_models(["beit"]))
    assert figure.axes[0].get_xlim() == (0, 1)
    assert [tick.get_text() for tick in figure.axes[0].get_xticklabels()] == [
        "0",
        "",
        "0.5",
        "",
        "1",
    ]
    figure, _ = category_areas(table, describe_models(["vit", "beit"]))
    assert {ax.get_xlim() for ax in figure.axes} == {(-1, 1)}
    numbers = [[t.get_text() for t in ax.child_axes[0].get_xticklabels()] for ax in figure.axes]
    assert numbers == [["0", "1", "2"], ["1", "2"]]


# --- configuration --------------------------------------------------------------------------------


def test_a_twin_is_read_as_its_base_is():
    import json

    from strata.config.defaults import fill_defaults
    from strata.config.form import SCHEMA

    schema = json.loads((ZOO.parents[1] / SCHEMA).read_text())
    models = {
        "m-random": {"base": "m", "weights": "random"},
        "m": {"embedding": True, "pool": "mean"},
        "m-cub": {"base": "m", "finetune": {}, "pool": "cls"},
        "other": {},
    }
    fill_defaults({"models": models, "datasets": {}, "studies": {}}, schema)
    assert models["m-random"] == {
        "base": "m",
        "weights": "random",
        "embedding": True,
        "pool": "mean",
    }
    assert models["m-cub"]["pool"] == "cls" and models["m-cub"]["embedding"]
    assert models["other"] == {}
