"""Faults of reading an encoder, each a kind: dtype, order, axes, class token, size; the checks."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import nn

from families import save_timm, save_transformers
from small_models import save_model
from strata import StrataError
from strata.activations.checks import check_encoder, check_fetched
from strata.activations.pooling import Recorder
from strata.compat import prepare_imports
from strata.convexity.remainder import CutClassifier
from strata.models.encoder import Encoder, load_encoder
from strata.models.fetching import fetch
from strata.models.layers import find_layers, transformers_layers
from strata.models.training.tuning import classifier
from strata.models.twins import random_twin

prepare_imports()
import transformers  # noqa: E402 - after prepare_imports

ZOO = Path(__file__).parents[2] / "resources/zoo"


def halve(folder):
    """Store the weights of a folder in half precision, as the hub has many."""
    weights = load_file(folder / "model.safetensors")
    halves = {k: v.half() if v.is_floating_point() else v for k, v in weights.items()}
    save_file(halves, folder / "model.safetensors", metadata={"format": "pt"})
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"dtype": "float16"}))
    return halves


def pictures(n=3, size=(48, 48), seed=0):
    draw = np.random.default_rng(seed)
    noise = draw.integers(0, 256, (n, 8, 8, 3), dtype=np.uint8)
    return [Image.fromarray(each).resize(size) for each in noise]


def read(encoder, pool="auto", shown=None):
    with Recorder(encoder, pool) as recorder:
        return recorder.record(encoder.preprocess(shown or pictures()))


def dtypes(module):
    tensors = [*module.parameters(), *module.buffers()]
    return {tensor.dtype for tensor in tensors if tensor.is_floating_point()}


# --- half precision -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("save", "family"), [(save_transformers, "DINOv2"), (save_timm, "ViT"), (save_timm, "Swin")]
)
def test_weights_stored_in_half_precision_are_computed_in_full(save, family, tmp_path):
    side = save(family, tmp_path / "m")
    halves = halve(tmp_path / "m")
    options = {"device": "cpu", "preprocess": "imagenet", "size": side}
    encoder = load_encoder(tmp_path / "m", **options)
    assert dtypes(encoder.module) == {torch.float32}
    fulls = {k: v.float() if v.is_floating_point() else v for k, v in halves.items()}
    save_file(fulls, tmp_path / "m/model.safetensors", metadata={"format": "pt"})
    for half, full in zip(
        read(encoder), read(load_encoder(tmp_path / "m", **options)), strict=True
    ):
        np.testing.assert_array_equal(half, full)


def test_whatever_loads_a_model_computes_in_full(tmp_path):
    save_model("google/vit-base-patch16-224", tmp_path / "vit")
    halve(tmp_path / "vit")
    assert dtypes(classifier(tmp_path / "vit", ["a", "b"])) == {torch.float32}
    assert dtypes(CutClassifier(tmp_path / "vit", device="cpu").module) == {torch.float32}
    random_twin(tmp_path / "vit", tmp_path / "twin", seed=0)
    twin = load_file(tmp_path / "twin/model.safetensors")
    assert {value.dtype for value in twin.values()} == {torch.float32}
    assert dtypes(load_encoder(tmp_path / "twin", device="cpu").module) == {torch.float32}
    from strata.dissect.clip import _load

    save_model("openai/clip-vit-base-patch16", tmp_path / "clip")
    halve(tmp_path / "clip")
    assert dtypes(_load(tmp_path / "clip", "cpu")) == {torch.float32}


# --- order and axes -------------------------------------------------------------------------------


def test_activations_are_under_the_names_of_their_layers(tmp_path):
    save_transformers("ViT", tmp_path / "m")
    options = {"device": "cpu", "preprocess": "imagenet", "size": 32}
    every = read(load_encoder(tmp_path / "m", **options))
    chosen = load_encoder(tmp_path / "m", layers=[2, 0], **options)
    assert chosen.layer_names == ["layers.2", "layers.0"]
    found = read(chosen)
    np.testing.assert_array_equal(found[0], every[2])
    np.testing.assert_array_equal(found[1], every[0])
    with pytest.raises(StrataError, match=r"layers: -1 is named twice \(layers.2\)"):
        load_encoder(tmp_path / "m", layers=[2, -1], **options)


class Toy(nn.Module):
    """A first layer that puts out what a test wants, of a mean that is different by picture."""

    def __init__(self, make, twice=False, never=False):
        super().__init__()
        self.first, self.second = nn.Identity(), nn.Identity()
        self.first.forward = make
        self.twice, self.never = twice, never

    def forward(self, pixels):
        for _ in range(2 if self.twice else 1):
            found = self.first(pixels)
        return found if self.never else self.second(found)


def toy(module, layers=("first",), **options):
    options = {"n_prefix_tokens": 0, "has_class_token": False} | options
    return Encoder(
        name="toy",
        module=module,
        layers={name: getattr(module, name) for name in layers},
        preprocess=lambda shown: torch.stack(
            [torch.from_numpy(np.array(each)).movedim(2, 0).float() for each in shown]
        ),
        forward=module,
        device="cpu",
        sha256="",
        **options,
    )


def a_map(pixels, channels, side):
    """A map (pictures, channels, side, side) whose mean over places is a number by picture."""
    coarse = nn.functional.adaptive_avg_pool2d(pixels, side).mean(dim=1, keepdim=True)
    return coarse * torch.arange(1.0, channels + 1)[None, :, None, None]


@pytest.mark.parametrize("channels", [3, 8, 12])
def test_the_axis_of_the_channels_is_told_by_the_picture(channels):
    shown = pictures(size=(48, 48))
    expected = read(toy(Toy(lambda pixels: a_map(pixels, channels, 8))), shown=shown)[0]
    assert expected.shape == (3, channels)
    lasting = Toy(lambda pixels: a_map(pixels, channels, 8).movedim(1, -1))
    (found,) = read(toy(lasting, channels_last=True), shown=shown)
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    if channels != 8:  # else only the network can say
        (found,) = read(toy(lasting), shown=shown)
        np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_pictures_that_are_not_square_have_maps_of_their_shape():
    shown = pictures(size=(64, 32))

    def wide(pixels):
        return nn.functional.adaptive_avg_pool2d(pixels, (4, 8))

    (expected,) = read(toy(Toy(wide)), shown=shown)
    (found,) = read(toy(Toy(lambda pixels: wide(pixels).movedim(1, -1))), shown=shown)
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    with pytest.raises(StrataError, match=r"puts out \(3, 3, 8, 4\) for pictures of 32 x 64"):
        read(toy(Toy(lambda pixels: wide(pixels).movedim(2, 3))), shown=shown)


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda p: p.flatten(1).reshape(len(p) * 4, -1, 4), "no row per sample"),
        (lambda p: p[None, None], "no row per sample"),
        (lambda p: p.reshape(len(p), 3, 1, 48, 48), "neither tokens nor a map"),
        (lambda p: [p, p], "puts out 2 branches"),
        (lambda p: (p, p, p), "puts out 3 branches"),
        (lambda p: None, "puts out NoneType"),
    ],
)
def test_outputs_that_cannot_be_read_are_told(make, told):
    with pytest.raises(StrataError, match=f"toy: layer first .*{told}.*under layers:"):
        read(toy(Toy(make, never=True)))


@pytest.mark.parametrize(
    "wrap",
    [
        lambda states: (states, None),
        lambda states: ((states,), 4, 4),
        lambda states: {"states": states, "other": 3},
        lambda states: transformers.modeling_outputs.BaseModelOutput(last_hidden_state=states),
    ],
)
def test_states_are_found_in_what_holds_them(wrap):
    (found,) = read(toy(Toy(lambda p: wrap(a_map(p, 5, 4)), never=True)))
    (expected,) = read(toy(Toy(lambda p: a_map(p, 5, 4))))
    np.testing.assert_array_equal(found, expected)


def test_a_layer_that_runs_twice_or_never_is_refused():
    def make(pixels):
        return a_map(pixels, 5, 4)

    with pytest.raises(StrataError, match="layer first runs more than once in a forward pass"):
        read(toy(Toy(make, twice=True)))
    with pytest.raises(StrataError, match="layer second does not run in a forward pass"):
        read(toy(Toy(make, never=True), layers=("first", "second")))


def test_what_is_recorded_does_not_change_with_what_comes_after():
    module = Toy(lambda pixels: a_map(pixels, 5, 1)[:, :, 0, 0])
    module.second.forward = lambda states: states.mul_(0)
    (found,) = read(toy(module))
    assert (found > 0).all()


# --- class tokens ---------------------------------------------------------------------------------


@pytest.mark.parametrize("family", ["CaiT", "ConViT", "XCiT"])
def test_a_class_token_that_enters_late_is_not_taken_from_the_patches(family, tmp_path):
    side = save_timm(family, tmp_path / "m")
    encoder = load_encoder(tmp_path / "m", device="cpu", preprocess="imagenet", size=side)
    pixels = encoder.preprocess(pictures())
    seen = {}
    for name, layer in encoder.layers.items():
        layer.register_forward_hook(lambda m, i, o, name=name: seen.setdefault(name, o))
    for found, name in zip(read(encoder), encoder.layer_names, strict=True):
        late = seen[name].shape[1] % 2  # the patches are an even number
        np.testing.assert_allclose(found, seen[name][:, late:].mean(dim=1).detach(), atol=1e-5)
    assert len(pixels) == 3
    with pytest.raises(StrataError, match="patches alone: the class token enters later; use mean"):
        read(encoder, "cls")


def test_a_layer_of_class_tokens_alone_is_read(tmp_path):
    save_timm("CaiT", tmp_path / "m")
    options = {"preprocess": "imagenet", "size": 32, "layers": ["blocks_token_only.1"]}
    encoder = load_encoder(tmp_path / "m", device="cpu", **options)
    assert read(encoder)[0].shape == (3, 16)
    np.testing.assert_array_equal(read(encoder)[0], read(encoder, "cls")[0])


# --- the size of pictures -------------------------------------------------------------------------


def test_imagenet_shows_224_pixels_whatever_a_network_was_made_for(tmp_path):
    model = save_model("facebook/dinov2-base", tmp_path / "m")
    encoder = load_encoder(tmp_path / "m", device="cpu", preprocess="imagenet")
    batch = encoder.preprocess(pictures())
    assert batch.shape == (3, 3, 224, 224)
    with torch.inference_mode():
        states = model(pixel_values=batch, output_hidden_states=True).hidden_states
    np.testing.assert_allclose(read(encoder)[0], states[1][:, 0].numpy(), atol=1e-5)


@pytest.mark.parametrize("family", ["ViT", "DeiT", "CLIP", "SigLIP", "BEiT", "ViT-MAE"])
def test_tables_of_positions_are_interpolated(family, tmp_path):
    save_transformers(family, tmp_path / "m")
    options = {"device": "cpu", "preprocess": "imagenet"}
    for size, patches in ((32, 16), (48, 36)):
        encoder = load_encoder(tmp_path / "m", size=size, **options)
        batch = encoder.preprocess(pictures())
        with torch.inference_mode():
            states = encoder.forward(batch)[0]
        assert states.shape[1] == patches + encoder.n_prefix_tokens
        check_encoder(encoder)


@pytest.mark.parametrize("family", ["ViT", "EVA-02", "Swin", "BEiT"])
def test_timm_makes_a_network_for_another_size(family, tmp_path):
    side = save_timm(family, tmp_path / "m")
    encoder = load_encoder(tmp_path / "m", device="cpu", preprocess="imagenet", size=2 * side)
    assert encoder.preprocess(pictures()).shape[-1] == 2 * side
    check_encoder(encoder)
    own = load_encoder(tmp_path / "m", device="cpu", preprocess="imagenet", size=side)
    for key, value in own.module.state_dict().items():
        if value.shape == encoder.module.state_dict()[key].shape:
            torch.testing.assert_close(encoder.module.state_dict()[key], value, rtol=0, atol=0)


def test_a_size_that_a_network_cannot_take_is_told(tmp_path):
    save_timm("MLP-Mixer", tmp_path / "m")
    options = {"device": "cpu", "preprocess": "imagenet"}
    with pytest.raises(
        StrataError, match=r"m: the weights do not fit config.json, or not pictures"
    ):
        load_encoder(tmp_path / "m", size=128, **options)
    save_transformers("SAM", tmp_path / "sam")
    with pytest.raises(
        StrataError, match=r"sam: cannot be run on pictures of 40 pixels: .* made for 32: set"
    ):
        load_encoder(tmp_path / "sam", size=40, **options)
    with pytest.raises(StrataError, match="size: 64 goes with preprocess: imagenet"):
        load_encoder(tmp_path / "m", size=64)


# --- the checks -----------------------------------------------------------------------------------


def save_small(tmp_path, **settings):
    """A folder of a ViT whose configuration is then changed."""
    side = save_transformers("ViT", tmp_path / "m")
    return load_encoder(tmp_path / "m", device="cpu", preprocess="imagenet", size=side)


def test_a_sound_encoder_passes_the_checks(tmp_path):
    save_model("facebook/wav2vec2-base", tmp_path / "source")
    fetch({"path": tmp_path / "source"}, tmp_path / "m", name="m", check=check_fetched)


def test_too_few_layers_are_told(tmp_path):
    encoder = save_small(tmp_path)
    encoder.module.config.num_hidden_layers = 7
    with pytest.raises(StrataError, match=r"m: 3 layers found \(layers.0 to layers.2\).* says 7"):
        check_encoder(encoder)
    check_encoder(encoder, chosen=True)


def test_layers_of_another_width_are_told(tmp_path):
    encoder = save_small(tmp_path)
    encoder.module.config.hidden_size = 17
    with pytest.raises(StrataError, match=r"layer layers.0 has 16 features, .* says 17"):
        check_encoder(encoder)
    check_encoder(encoder, chosen=True)


def test_masked_patches_are_told(tmp_path):
    encoder = save_small(tmp_path)
    encoder.layers["layers.0"].register_forward_pre_hook(
        lambda module, given: (given[0][:, :12], *given[1:])
    )
    with pytest.raises(
        StrataError, match=r"has 12 tokens for .*: neither a grid of patches nor one"
    ):
        check_encoder(encoder)
    encoder = save_small(tmp_path)
    encoder.layers["layers.0"].register_forward_pre_hook(
        lambda module, given: (given[0][:, :5], *given[1:])
    )
    with pytest.raises(
        StrataError, match="has 5 tokens for 32 x 32 pixels, where patches of 8 make"
    ):
        check_encoder(encoder)


def test_tokens_that_no_parameter_names_are_told(tmp_path):
    from dataclasses import replace

    encoder = replace(save_small(tmp_path), n_prefix_tokens=0, has_class_token=False)
    with pytest.raises(StrataError, match="has 1 tokens before and 0 behind the patches that are"):
        check_encoder(encoder)
    check_encoder(encoder, pool="mean")


def test_rows_that_depend_on_the_batch_or_on_nothing_are_told():
    def of_batch(pixels):
        return a_map(pixels, 5, 4) - a_map(pixels, 5, 4).mean(dim=0)

    with pytest.raises(StrataError, match="layer first: three inputs give other rows together"):
        check_encoder(toy(Toy(of_batch)))
    with pytest.raises(StrataError, match="layer first: unlike inputs give the same row"):
        check_encoder(toy(Toy(lambda pixels: a_map(torch.ones_like(pixels), 5, 4))))
    with pytest.raises(StrataError, match="layer first: NaN or infinite"):
        check_encoder(toy(Toy(lambda pixels: a_map(pixels, 5, 4) / 0)))


def test_a_network_of_something_else_is_told(tmp_path):
    save_transformers("VideoMAE", tmp_path / "source")
    spec = {"path": tmp_path / "source", "preprocess": "imagenet", "size": 32}
    with pytest.raises(
        StrataError, match="m: a VideoMAEModel cannot be run on pictures alone: Val"
    ):
        fetch(spec, tmp_path / "m", name="m", check=check_fetched)
    assert not (tmp_path / "m").exists()


WHOLE = [
    path
    for path in sorted(ZOO.glob("*/model.safetensors"))
    if '"image_tower"' not in (path.parent / "card.json").read_text()
]


@pytest.mark.parametrize("folder", WHOLE, ids=lambda p: p.parent.name)
def test_the_zoo_passes_the_checks(folder):
    check_encoder(load_encoder(folder.parent, device="cpu"))


# --- layers of transformers -----------------------------------------------------------------------


def test_the_longest_list_is_not_taken_for_the_blocks():
    config = transformers.Data2VecAudioConfig(
        hidden_size=16, num_hidden_layers=3, num_attention_heads=2, intermediate_size=32,
        conv_dim=(8,) * 7, num_conv_pos_embedding_groups=2,
    )  # fmt: skip
    found = transformers_layers(transformers.Data2VecAudioModel(config))
    assert list(found) == [f"encoder.layers.{i}" for i in range(3)]
    config.num_hidden_layers = 0
    assert transformers_layers(transformers.Data2VecAudioModel(config)) == {}


def test_a_classifier_has_the_layers_of_its_encoder():
    config = transformers.PoolFormerConfig(depths=[1, 2, 1, 1], hidden_sizes=[8, 12, 16, 24])
    model = transformers.PoolFormerForImageClassification(config)
    assert list(find_layers(model)) == list(transformers_layers(model.base_model))
    assert len(find_layers(model)) == 5
