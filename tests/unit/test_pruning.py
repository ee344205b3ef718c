"""Which layers to keep, taking the others out, and what that costs and brings."""

import numpy as np
import pytest
import torch

from strata import StrataError
from strata.compat import prepare_imports
from strata.models.layers import find_layers
from strata.pruning import (
    angular_distance_layers,
    block_influence_layers,
    cost,
    layer_similarities,
    n_layers,
    prune,
)
from strata.pruning.price import count_macs, seconds_of

prepare_imports()
import transformers  # noqa: E402

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
    for depth in (0, 1, 3, 5):
        cut, _ = states_behind(prune(model, depth), example)
        assert len(cut) == depth
        for one, other in zip(cut, full, strict=False):
            assert torch.equal(one, other)
    assert n_layers(model) == 5  # the full model is left as it was
    assert n_layers(prune(model, np.int64(2))) == 2
    none = prune(model, 0)
    assert n_layers(none) == 0 and n_layers(prune(none, 0)) == 0


@pytest.mark.parametrize("name", MODELS)
def test_without_layers_what_enters_the_first_goes_to_what_follows_the_last(name):
    model, example = build(name)
    found = states_behind(prune(model, []), example)[1]
    for layer in find_layers(model).values():
        layer.register_forward_hook(
            lambda m, i, named, output: (
                (i or [named["hidden_states"]])[0]
                if hasattr(output, "ndim")
                else ((i or [named["hidden_states"]])[0], *output[1:])
            ),
            with_kwargs=True,
        )
    assert torch.equal(found, states_behind(model, example)[1])


def test_a_head_that_weighs_all_layers_weighs_those_that_are_left():
    config = transformers.Wav2Vec2Config(**SPEECH, use_weighted_layer_sum=True)
    model = transformers.Wav2Vec2ForSequenceClassification(config).eval()
    model.layer_weights.data = torch.arange(6.0)
    assert prune(model, (1, 4)).layer_weights.tolist() == [0, 2, 5]
    none = prune(model, 0)
    assert not hasattr(none, "layer_weights") and not none.config.use_weighted_layer_sum
    sounds = torch.randn(2, 3000, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        first = model.wav2vec2(sounds, output_hidden_states=True).hidden_states[0]
        expected = model.classifier(model.projector(first).mean(dim=1))
        torch.testing.assert_close(none(sounds).logits, expected)
    assert len(model.layer_weights) == 6 and model.config.use_weighted_layer_sum


@pytest.mark.parametrize("keep", [0, 1, 3, (0, 2, 4), (3, 4), ()], ids=str)
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
        (6, "keep 6 layers: the model has 5; keep 0 to 5"),
        (-1, "keep -1 layers"),
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
    assert found.front_end_parameters == embeddings  # the norm is behind the last layer
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
    found = [cost(prune(model, depth), example) for depth in range(6)]
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
