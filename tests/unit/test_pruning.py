"""Which layers to keep, taking the others out, and what that costs and brings."""

import itertools

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from strata import StrataError
from strata.compat import prepare_imports
from strata.models.layers import find_layers
from strata.pruning import (
    angular_distance_layers,
    block_influence_layers,
    cka_layers,
    convexity_cut,
    cost,
    every_second_layer,
    last_dropped,
    layer_similarities,
    n_layers,
    prune,
    random_layers,
)
from strata.pruning.comparison import compare_cuts, pareto_front, runs_by_criterion, tradeoff_points
from strata.pruning.cuts import choose_cuts, cuts_of, similarity_measures
from strata.pruning.kept import CUT, kept_text
from strata.pruning.price import count_macs, seconds_of
from strata.pruning.similarity import LayerSimilarities
from strata.stats import paired_test, t_interval

prepare_imports()
import transformers  # noqa: E402

# --- criteria -------------------------------------------------------------------------------------


def test_the_cut_is_behind_the_most_convex_layer():
    assert convexity_cut([0.2, 0.5, 0.9, 0.4]) == 3
    assert convexity_cut([0.9, 0.9, 0.1]) == 1  # the first of equals
    assert convexity_cut([0.1]) == 1


def test_one_standard_error_takes_the_first_layer_that_is_as_good():
    scores, errors = [0.5, 0.84, 0.9, 0.88], [0.01, 0.01, 0.07, 0.01]
    assert convexity_cut(scores, "one_standard_error", errors) == 2
    assert convexity_cut(scores, "one_standard_error", [0.01] * 4) == 3


def test_depth_is_penalised_by_the_share_that_is_kept():
    scores = [0.80, 0.81, 0.82, 0.90]
    assert convexity_cut(scores, "depth_penalised", penalty=0.0) == 4
    assert convexity_cut(scores, "depth_penalised", penalty=0.12) == 4
    assert convexity_cut(scores, "depth_penalised", penalty=0.2) == 1


@pytest.mark.parametrize(
    ("scores", "rule", "message"),
    [
        ([], "most_convex", "one finite score a layer"),
        ([0.1, np.nan], "most_convex", "one finite score a layer"),
        ([0.1, 0.2], "best", "rule 'best' is unknown"),
        ([0.1, 0.2], "one_standard_error", "needs the standard error"),
    ],
)
def test_a_cut_without_what_it_needs_is_told(scores, rule, message):
    with pytest.raises(StrataError, match=message):
        convexity_cut(scores, rule)


@given(st.integers(1, 24).flatmap(lambda n: st.tuples(st.just(n), st.integers(1, n))))
def test_every_criterion_keeps_as_many_layers_as_asked_in_their_order(size):
    n, keep = size
    draw = np.random.default_rng(n * 100 + keep)
    square = draw.random((n + 1, n + 1))
    for kept in (
        last_dropped(n, keep),
        every_second_layer(n, keep),
        random_layers(n, keep, 3),
        block_influence_layers(draw.random(n), keep),
        angular_distance_layers(square, keep),
        cka_layers(square, keep),
    ):
        assert len(kept) == len(set(kept)) == keep
        assert list(kept) == sorted(kept) and kept[0] >= 0 and kept[-1] < n


@pytest.mark.parametrize("keep", [0, 5, -1])
def test_keeping_no_layer_or_more_than_there_are_is_told(keep):
    for choose in (last_dropped, every_second_layer, lambda n, k: random_layers(n, k, 0)):
        with pytest.raises(StrataError, match=rf"keep {keep} layers: the model has 4; keep 1 to 4"):
            choose(4, keep)


def test_every_second_layer_is_every_second_at_half_depth():
    assert every_second_layer(8, 4) == (1, 3, 5, 7)
    assert every_second_layer(6, 5) == (0, 1, 3, 4, 5)  # not the first five


def test_the_least_influential_layers_go_first():
    assert block_influence_layers([0.5, 0.1, 0.4, 0.05], 2) == (0, 2)


def test_the_run_goes_across_which_states_change_least():
    distance = np.full((6, 6), 0.5)
    distance[2, 4] = 0.1  # across layers 2 and 3
    assert angular_distance_layers(distance, 3) == (0, 1, 4)
    assert cka_layers(1 - distance, 3) == (0, 1, 4)


# --- surgery --------------------------------------------------------------------------------------

SPEECH = {
    "hidden_size": 32,
    "num_hidden_layers": 5,
    "num_attention_heads": 2,
    "intermediate_size": 48,
    "conv_dim": (16, 16),
    "conv_kernel": (10, 4),
    "conv_stride": (5, 4),
    "num_feat_extract_layers": 2,
    "num_conv_pos_embeddings": 8,
    "num_conv_pos_embedding_groups": 4,
    "vocab_size": 4,
}
STABLE = {"do_stable_layer_norm": True, "feat_extract_norm": "layer"}
VISION = {
    "hidden_size": 32,
    "num_hidden_layers": 5,
    "num_attention_heads": 2,
    "intermediate_size": 48,
    "image_size": 32,
    "patch_size": 8,
}
TEXT = {k: VISION[k] for k in ("hidden_size", "num_attention_heads", "intermediate_size")}
MODELS = {
    "wav2vec2": ("Wav2Vec2Model", SPEECH),
    "wav2vec2-large": ("Wav2Vec2ForSequenceClassification", SPEECH | STABLE),
    "hubert": ("HubertForSequenceClassification", SPEECH),
    "wavlm": ("WavLMModel", SPEECH),
    "wavlm-large": ("WavLMForSequenceClassification", SPEECH | STABLE),
    "vit": ("ViTForImageClassification", VISION),
    "dinov2": ("Dinov2Model", VISION),
    "beit": ("BeitForImageClassification", VISION | {"use_relative_position_bias": True}),
    "data2vec": ("Data2VecVisionModel", VISION | {"use_shared_relative_position_bias": True}),
    "mae": ("ViTMAEModel", VISION | {"mask_ratio": 0.0}),
    "clip": ("CLIPVisionModel", VISION),
    "clip-classifier": (
        "CLIPForImageClassification",
        {"vision_config": VISION, "text_config": TEXT | {"num_hidden_layers": 2}},
    ),
}


def build(name):
    model_class, settings = MODELS[name]
    torch.manual_seed(0)
    model_class = getattr(transformers, model_class)
    model = model_class(model_class.config_class(**settings)).eval()
    draw = torch.Generator().manual_seed(1)
    if hasattr(model.config, "conv_stride"):
        return model, {"input_values": torch.randn(2, 3000, generator=draw)}
    example = {"pixel_values": torch.randn(2, 3, 32, 32, generator=draw)}
    if "MAE" in model_class.__name__:
        example["noise"] = torch.arange(16.0).expand(2, -1)
    return model, example


def states_behind(model, example):
    """What leaves each layer."""
    found = []
    handles = [
        layer.register_forward_hook(
            lambda m, i, output: found.append(output if hasattr(output, "ndim") else output[0])
        )
        for layer in find_layers(model).values()
    ]
    with torch.inference_mode():
        output = model(**example)
    for handle in handles:
        handle.remove()
    return found, output.logits if hasattr(output, "logits") else output.last_hidden_state


@pytest.mark.parametrize("name", MODELS)
def test_what_is_left_computes_what_it_did_in_the_full_model(name):
    model, example = build(name)
    full, _ = states_behind(model, example)
    for depth in (1, 3, 5):
        cut, _ = states_behind(prune(model, depth), example)
        assert len(cut) == depth
        for one, other in zip(cut, full, strict=False):
            assert torch.equal(one, other)
    assert n_layers(model) == 5  # the full model is left as it was
    assert n_layers(prune(model, np.int64(2))) == 2


@pytest.mark.parametrize("keep", [1, 3, (0, 2, 4), (3, 4)], ids=str)
@pytest.mark.parametrize("name", MODELS)
def test_a_cut_model_saves_and_loads_with_the_library_alone(name, keep, tmp_path):
    model, example = build(name)
    smaller = prune(model, keep)
    smaller.save_pretrained(tmp_path)
    again, report = type(model).from_pretrained(tmp_path, output_loading_info=True)
    assert not report["missing_keys"] and not report["unexpected_keys"]
    assert n_layers(again) == (keep if isinstance(keep, int) else len(keep))
    assert torch.equal(states_behind(smaller, example)[1], states_behind(again.eval(), example)[1])
    fewer = sum(p.numel() for p in again.parameters())
    assert fewer < sum(p.numel() for p in model.parameters())


@pytest.mark.parametrize(
    ("keep", "message"),
    [
        (0, "keep 0 layers: the model has 5; keep 1 to 5"),
        (6, "keep 6 layers"),
        ([], "keep 0 layers"),
        ([0, 0], r"numbered 0 to 4, each can be kept once"),
        ([1, 5], r"numbered 0 to 4"),
    ],
)
def test_layers_that_cannot_be_kept_are_told(keep, message):
    with pytest.raises(StrataError, match=message):
        prune(build("vit")[0], keep)


def test_stages_of_a_convolutional_network_cannot_be_taken_out():
    config = transformers.ResNetConfig(embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1])
    with pytest.raises(StrataError, match="ResNetModel: its layers cannot be taken out"):
        prune(transformers.ResNetModel(config), 1)


# --- cost -----------------------------------------------------------------------------------------


def test_cost_of_a_vision_transformer_by_hand():
    model = build("vit")[0]
    one = {"pixel_values": torch.zeros(1, 3, 32, 32)}
    width, inner, patches, layers, classes = 32, 48, 16, 5, 2
    tokens = patches + 1
    projections = tokens * (4 * width * width + 2 * width * inner)
    attention = 2 * tokens * tokens * width
    front = patches * 3 * 8 * 8 * width
    macs = front + layers * (projections + attention) + width * classes
    found = cost(model, one)
    assert (found.macs, found.front_end_macs) == (macs, front)
    layer = 4 * width * (width + 1) + width * (inner + 1) + inner * (width + 1) + 4 * width
    embeddings = 3 * 8 * 8 * width + width + width + tokens * width
    norm = 2 * width
    assert found.front_end_parameters == embeddings + norm
    assert found.parameters == embeddings + norm + layers * layer + classes * (width + 1)
    assert 4 * found.parameters < found.file_bytes < 4 * found.parameters + 20_000
    assert found.latency is None


def test_cost_of_a_speech_transformers_convolutions_by_hand():
    model = build("wav2vec2")[0]
    samples = 3000
    first = (samples - 10) // 5 + 1
    frames = (first - 4) // 4 + 1
    convolutions = first * 10 * 16 + frames * 4 * 16 * 16
    projection = frames * 16 * 32
    # An even kernel of 8 on padding of 4 gives one frame more than is kept.
    positions = (frames + 1) * 8 * 32 * 32 // 4
    macs, front = count_macs(model, {"input_values": torch.zeros(1, samples)})
    assert front == convolutions + projection + positions
    layer = frames * (4 * 32 * 32 + 2 * 32 * 48) + 2 * frames * frames * 32
    assert macs == front + 5 * layer


def test_every_layer_costs_the_same_and_the_front_end_stays():
    model, example = build("hubert")
    found = [cost(prune(model, depth), example) for depth in range(1, 6)]
    for key in ("macs", "parameters"):
        steps = np.diff([getattr(each, key) for each in found])
        assert (steps == steps[0]).all() and steps[0] > 0
    for key in ("front_end_macs", "front_end_parameters"):
        assert len({getattr(each, key) for each in found}) == 1


def test_memory_is_that_of_the_largest_tensors_alive_together():
    model = build("vit")[0]
    one, four = (
        cost(model, {"pixel_values": torch.zeros(n, 3, 32, 32)}).memory_bytes for n in (16, 64)
    )
    inner = 16 * 17 * 48 * 4
    assert one > 2 * inner  # before and after the activation function
    assert 3.5 * one < four < 4.5 * one


def test_latency_is_measured_when_asked_for():
    model, example = build("vit")
    latency = cost(model, example, repeats=5, warmup=1).latency
    assert 0 < latency.low <= latency.median <= latency.high
    with pytest.raises(StrataError, match="repeats 0"):
        seconds_of(lambda: None, 0, 0, 1)


# --- similarities ---------------------------------------------------------------------------------


class Pictures:
    """Just enough of a data set."""

    modality = "image"
    info = {"name": "pictures"}  # noqa: RUF012

    def __init__(self, n):
        self.pixels = torch.randn(n, 3, 32, 32, generator=torch.Generator().manual_seed(2))

    def image(self, sample):
        return self.pixels[sample]


def encoder_of(module):
    from strata.models.encoder import Encoder

    return Encoder(
        name="toy",
        module=module,
        layers=find_layers(module),
        preprocess=torch.stack,
        forward=lambda pixels: module(pixel_values=pixels),
        n_prefix_tokens=1,
        has_class_token=True,
        device="cpu",
        sha256="",
    )


def test_similarities_agree_with_their_definitions():
    model, _ = build("vit")
    module, data = model.vit, Pictures(12)
    with torch.inference_mode():
        for layer in list(find_layers(module).values())[1:2]:  # a layer that does nothing
            for p in layer.parameters():
                p.zero_()
    found = layer_similarities(
        encoder_of(module), data, range(12), batch_size=5, log=lambda line: None
    )
    with torch.inference_mode():
        states = module(data.pixels, output_hidden_states=True).hidden_states
    states = [s.double() for s in states]
    cosine = torch.nn.functional.cosine_similarity(states[0], states[3], dim=-1)
    assert found.angular_distance[0, 3] == pytest.approx(float(cosine.arccos().mean() / np.pi))
    assert found.block_influence[1] == pytest.approx(0, abs=1e-6)
    assert found.block_influence[2] == pytest.approx(
        1 - float(torch.nn.functional.cosine_similarity(states[2], states[3], dim=-1).mean())
    )
    means = [s.mean(dim=1).numpy() for s in states]
    x, y = (m - m.mean(axis=0) for m in (means[0], means[3]))
    hsic = np.linalg.norm(x.T @ y) ** 2
    expected = hsic / (np.linalg.norm(x.T @ x) * np.linalg.norm(y.T @ y))
    assert found.cka[0, 3] == pytest.approx(expected)
    np.testing.assert_allclose(np.diagonal(found.cka), 1)
    np.testing.assert_allclose(found.cka, found.cka.T)
    assert 1 not in block_influence_layers(found.block_influence, 4)
    assert 1 not in angular_distance_layers(found.angular_distance, 4)


# --- cuts and their comparison --------------------------------------------------------------------


def convexity_table(scores, width=0.02, model="m"):
    return pd.DataFrame(
        {
            "model": model,
            "dataset": "d",
            "layer": [f"layers.{i}" for i in range(len(scores))],
            "layer_index": range(len(scores)),
            "concept": None,
            "family": "word",
            "metric": "graph_convexity",
            "value": scores,
            "low": np.array(scores) - width,
            "high": np.array(scores) + width,
            "n": 10,
            "seed": 0,
        }
    )


def similarity_table(n, model="m"):
    draw = np.random.default_rng(0)
    found = LayerSimilarities(
        draw.random(n), draw.random((n + 1,) * 2), draw.random((n + 1,) * 2), 9
    )
    layers = [f"layers.{i}" for i in range(n)]
    return similarity_measures(found, layers, model=model, dataset="d", seed=0)


@pytest.fixture
def cuts():
    scores = [0.2, 0.4, 0.7, 0.695, 0.5, 0.3]
    options = {"seeds": range(4), "penalty": 0.1}
    return choose_cuts(convexity_table(scores), similarity_table(6), ["word"], **options)


def test_baselines_keep_as_many_layers_as_the_cut(cuts):
    baselines = cuts[~cuts["metric"].isin(["full", "prefix", "depth_penalised"])]
    assert baselines["value"].eq(3).all()
    assert cuts.loc[cuts["metric"] == CUT, "kept"].tolist() == ["0 1 2"]
    assert sorted(cuts.loc[cuts["metric"] == "prefix", "value"]) == [1, 2, 3, 4, 5, 6]
    drawn = cuts[cuts["metric"] == "random"]
    assert drawn["seed"].tolist() == [0, 1, 2, 3]
    assert drawn["kept"].nunique() > 1


def test_no_layers_are_trained_twice(cuts):
    for seed in range(4):
        wanted = cuts_of(cuts, "word", seed)
        assert len(wanted) == len(set(wanted))
        assert {tuple(range(d)) for d in range(1, 7)} <= set(wanted)


def test_a_task_whose_convexity_was_not_measured_is_told():
    with pytest.raises(StrataError, match="no convexity of 'speaker'"):
        choose_cuts(
            convexity_table([0.1, 0.2]), similarity_table(2), ["speaker"], seeds=[0], penalty=0.1
        )


def trained_table(cuts, accuracy):
    """Accuracies of every cut by `accuracy(kept, seed, split)`."""
    rows = [
        {"model": "m", "dataset": "d", "layer": "x", "layer_index": kept[-1], "concept": None}
        | {"family": "word", "metric": f"{split}_accuracy", "kept": kept_text(kept), "seed": seed}
        | {"value": accuracy(kept, seed, split), "low": np.nan, "high": np.nan, "n": 100}
        for seed in range(4)
        for kept in cuts_of(cuts, "word", seed)
        for split in ("test", "validation")
    ]
    return pd.DataFrame(rows)


def test_differences_are_paired_by_seed(cuts):
    """A seed's luck is common to all cuts, and leaves their differences alone."""
    luck = [0.0, 0.1, -0.1, 0.05]

    def accuracy(kept, seed, split):
        return 0.5 + luck[seed] + 0.01 * (kept == (0, 1, 2)) + 0.001 * len(kept)

    table = compare_cuts(cuts, trained_table(cuts, accuracy), seed=0)
    rows = table[(table["metric"] == "difference") & (table["model"] == "m")]
    full = rows[rows["concept"] == "full"].iloc[0]
    assert full["value"] == pytest.approx(0.01 - 0.003)
    assert full["high"] - full["low"] < 1e-9
    every = rows[rows["concept"] == "every_second"].iloc[0]
    assert every["value"] == pytest.approx(0.01) and every["p_value"] == pytest.approx(2 / 16)
    spread = table[(table["metric"] == "accuracy") & (table["concept"] == "full")].iloc[0]
    assert spread["high"] - spread["low"] > 0.2


def test_the_oracle_does_not_see_the_test_split(cuts):
    def accuracy(kept, seed, split):
        best = 5 if split == "validation" else 2
        return 0.9 - 0.1 * abs(len(kept) - best)

    runs = runs_by_criterion(cuts, trained_table(cuts, accuracy))
    oracle = runs[runs["criterion"] == "oracle"]
    assert (
        oracle["layers"].eq(5).all() and oracle["accuracy"].eq(accuracy(range(5), 0, "test")).all()
    )
    blind = runs[runs["criterion"] == "random_depth"]
    expected = np.mean([accuracy(range(d), 0, "test") for d in range(1, 7)])
    assert blind["accuracy"].to_numpy() == pytest.approx(expected)


def test_seeds_with_the_same_layers_are_counted(cuts):
    cuts = cuts.copy()
    cuts.loc[(cuts["metric"] == "random") & (cuts["seed"] == 1), "kept"] = "0 1 2"
    draw = np.random.default_rng(0)
    values = {}

    def accuracy(kept, seed, split):
        return values.setdefault((kept, seed, split), draw.random())

    table = compare_cuts(cuts, trained_table(cuts, accuracy), seed=0)
    rows = table[(table["metric"] == "difference") & (table["concept"] == "random")]
    assert rows.loc[rows["model"] == "m", "same"].item() == 1
    assert not (table["model"] == "all").any()  # of one model there is nothing to pool


def test_over_models_each_counts_once_however_many_seeds_it_has(cuts):
    gains = {"a": 0.01, "b": 0.02, "c": 0.06}

    def trained(name):
        def accuracy(kept, seed, split):
            return 0.5 + gains[name] * (kept == (0, 1, 2))

        return trained_table(cuts, accuracy).assign(model=name)

    all_cuts = pd.concat([cuts.assign(model=name) for name in gains])
    table = compare_cuts(all_cuts, pd.concat(map(trained, gains)), seed=0)
    row = table[(table["model"] == "all") & (table["concept"] == "every_second")].iloc[0]
    assert row["n"] == 3 and row["value"] == pytest.approx(0.03)
    assert row["p_value"] == pytest.approx(2 / 8)
    low, high = t_interval(np.array(list(gains.values())))[1:]
    assert (row["low"], row["high"]) == pytest.approx((low, high))


def test_points_of_the_tradeoff_know_their_price(cuts):
    trained = trained_table(cuts, lambda kept, seed, split: 0.5)
    costs = pd.DataFrame({"model": "m", "layer_index": range(6), "metric": "macs"})
    costs["value"] = 10.0 * (costs["layer_index"] + 1)
    points = tradeoff_points(cuts, trained, costs)
    prefix = points[points["criterion"] == "prefix"].sort_values("layers")
    assert prefix["macs"].tolist() == [10, 20, 30, 40, 50, 60]
    assert points.loc[points["criterion"] == "cka", "macs"].item() == 30


def test_the_pareto_front_is_never_beaten():
    draw = np.random.default_rng(1)
    points = pd.DataFrame({"macs": draw.integers(1, 9, 40), "value": draw.random(40).round(1)})
    front = pareto_front(points)
    for one, other in itertools.combinations(front.itertuples(), 2):
        assert one.macs < other.macs and one.value < other.value
    for point in points.itertuples():
        assert any(f.macs <= point.macs and f.value >= point.value for f in front.itertuples())


# --- statistics -----------------------------------------------------------------------------------


def test_intervals_over_seeds_are_students():
    from scipy import stats

    values = np.array([0.5, 0.55, 0.6, 0.52])
    found = t_interval(values)
    low, high = stats.t.interval(0.95, 3, values.mean(), stats.sem(values))
    assert found == pytest.approx((values.mean(), low, high))
    assert np.isnan(t_interval(values[:1]).low)


def test_signs_are_flipped_exactly_where_they_are_few():
    values = np.array([0.1, 0.2, 0.15, 0.3, -0.01])
    flips = np.array(list(itertools.product([1, -1], repeat=5)))
    means = (flips * values).mean(axis=1)
    expected = (np.abs(means) >= values.mean() - 1e-12).mean()
    assert paired_test(values) == pytest.approx(expected)
    assert paired_test(np.zeros(4)) == 1.0
