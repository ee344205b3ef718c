"""Encoders of many architectures with random weights: layers, pooling, caches; safe loading."""

import json
import pickle

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from strata import StrataError
from strata.activations.cache import ActivationCache, merge_shards
from strata.activations.extraction import extract, extract_readings
from strata.compat import prepare_imports
from strata.data import open_dataset
from strata.data.manifest import write_dataset
from strata.models.encoder import load_encoder
from strata.models.fetching import fetch
from strata.models.inference import run_batches
from strata.models.twins import random_twin

prepare_imports()
import timm  # noqa: E402 - after prepare_imports
import transformers  # noqa: E402

SMALL = {
    "hidden_size": 16,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "image_size": 32,
    "patch_size": 8,
}
VISION = {
    "vit": (transformers.ViTConfig, transformers.ViTModel, {}),
    "dinov2": (transformers.Dinov2Config, transformers.Dinov2Model, {}),
    "beit": (transformers.BeitConfig, transformers.BeitModel, {}),
    "data2vec": (transformers.Data2VecVisionConfig, transformers.Data2VecVisionModel, {}),
    "mae": (
        transformers.ViTMAEConfig,
        transformers.ViTMAEForPreTraining,
        {
            "decoder_hidden_size": 8,
            "decoder_num_attention_heads": 2,
            "decoder_num_hidden_layers": 4,
        },
    ),
    "clip": (transformers.CLIPVisionConfig, transformers.CLIPVisionModel, {}),
}


def save_vision(folder, name):
    """A small transformers model with its preprocessing, as a user would have it."""
    config, model, extra = VISION[name]
    torch.manual_seed(0)
    built = model(config(**SMALL, **extra))
    built.save_pretrained(folder)
    size = {"height": 32, "width": 32}
    transformers.ViTImageProcessor(size=size).save_pretrained(folder)
    return built.eval()


def save_timm(folder, name, **arguments):
    model = timm.create_model(name, **arguments)
    folder.mkdir()
    pretrained = {"input_size": [3, 32, 32], "mean": [0.5] * 3, "std": [0.5] * 3}
    config = {"architecture": name, "model_args": arguments, "pretrained_cfg": pretrained}
    (folder / "config.json").write_text(json.dumps(config))
    save_file(model.state_dict(), folder / "model.safetensors")
    return model.eval()


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pictures")
    images = np.random.default_rng(0).integers(0, 256, (7, 32, 32, 3), dtype=np.uint8)
    np.save(folder / "images.npy", images)
    table = pd.DataFrame({"split": "all", "index": range(7)})
    info = {"name": "pictures", "modality": "image", "root": ".", "storage": "images.npy"}
    write_dataset(folder, table, info)
    return open_dataset(folder)


def quiet(line):
    pass


@pytest.mark.parametrize("name", VISION)
def test_the_blocks_of_a_transformers_encoder_are_found_and_recorded(name, tmp_path, dataset):
    built = save_vision(tmp_path / name, name)
    encoder = load_encoder(tmp_path / name, device="cpu")
    assert len(encoder.layers) == 3 and encoder.has_class_token and encoder.n_prefix_tokens == 1
    extract(encoder, dataset, tmp_path / "cache", batch_size=3, log=quiet)
    cache = ActivationCache(tmp_path / "cache")
    assert len(cache) == 7 and cache.index["features"] == [16, 16, 16]
    pixels = encoder.preprocess([dataset.image(i) for i in range(7)])
    vision = getattr(built, "vit", built)
    call = {"pixel_values": pixels, "output_hidden_states": True}
    if name == "mae":
        vision.config.mask_ratio = 0.0
        call["noise"] = torch.arange(16.0).expand(7, -1)
    with torch.inference_mode():
        states = vision(**call).hidden_states
    for index in range(2):  # the last state may be normalised
        expected = states[index + 1][:, 0].numpy()
        np.testing.assert_allclose(cache.layer(index), expected, atol=1e-5)


def test_a_masked_autoencoder_hides_nothing(tmp_path, dataset):
    save_vision(tmp_path / "mae", "mae")
    encoder = load_encoder(tmp_path / "mae", device="cpu")
    pixels = encoder.preprocess([dataset.image(i) for i in range(2)])
    with torch.inference_mode():
        first, again = (encoder.forward(pixels).last_hidden_state for _ in range(2))
    assert first.shape == (2, 17, 16) and torch.equal(first, again)


def test_stages_of_a_resnet_with_their_stem(tmp_path, dataset):
    config = transformers.ResNetConfig(
        embedding_size=8, hidden_sizes=[8, 12], depths=[1, 1], layer_type="basic"
    )
    transformers.ResNetModel(config).save_pretrained(tmp_path / "resnet")
    encoder = load_encoder(tmp_path / "resnet", device="cpu", preprocess="imagenet")
    assert encoder.layer_names == ["embedder", "encoder.stages.0", "encoder.stages.1"]
    extract(encoder, dataset, tmp_path / "cache", pool="spatial_mean", log=quiet)
    assert ActivationCache(tmp_path / "cache").index["features"] == [8, 8, 12]
    with pytest.raises(StrataError, match="no class token"):
        extract(encoder, dataset, tmp_path / "other", pool="cls", log=quiet)


def test_timm_models_of_both_kinds(tmp_path, dataset):
    small = {"img_size": 32, "patch_size": 8, "embed_dim": 16, "depth": 3, "num_heads": 2}
    built = save_timm(tmp_path / "vit", "vit_tiny_patch16_224", num_classes=0, **small)
    encoder = load_encoder(tmp_path / "vit", device="cpu")
    assert encoder.layer_names == ["blocks.0", "blocks.1", "blocks.2"]
    pixels = encoder.preprocess([dataset.image(i) for i in range(7)])
    with torch.inference_mode():
        states = built.forward_intermediates(pixels, output_fmt="NLC", intermediates_only=True)
    extract(encoder, dataset, tmp_path / "cache", pool="mean", log=quiet)
    expected = states[2].mean(dim=1).numpy()
    np.testing.assert_allclose(ActivationCache(tmp_path / "cache").layer(2), expected, atol=1e-5)
    save_timm(tmp_path / "resnet", "resnet10t", num_classes=0)
    found = load_encoder(tmp_path / "resnet", device="cpu").layer_names
    assert found[-4:] == ["layer1", "layer2", "layer3", "layer4"]


def test_layers_can_be_chosen_by_path_and_number(tmp_path):
    save_vision(tmp_path / "vit", "vit")
    found = load_encoder(tmp_path / "vit", device="cpu").layer_names
    chosen = load_encoder(tmp_path / "vit", device="cpu", layers=[-1, found[0], "layernorm"])
    assert chosen.layer_names == [found[-1], found[0], "layernorm"]
    for wrong in ("layerr", 7):
        with pytest.raises(StrataError, match=f"no layer {wrong!r}; found {found[0]}"):
            load_encoder(tmp_path / "vit", device="cpu", layers=[wrong])


def test_one_pass_reads_a_network_in_several_ways(tmp_path, dataset):
    save_vision(tmp_path / "vit", "vit")
    encoder = load_encoder(tmp_path / "vit", device="cpu")
    ways = {tmp_path / "together" / pool: pool for pool in ("auto", "mean", "cls", "spatial_mean")}
    extract_readings(encoder, dataset, ways, batch_size=3, log=quiet)
    read = {}
    for place, pool in ways.items():
        extract(encoder, dataset, tmp_path / pool, pool=pool, batch_size=3, log=quiet)
        alone, together = ActivationCache(tmp_path / pool), ActivationCache(place)
        assert together.index == alone.index and together.index["pooling"] == pool
        read[pool] = np.stack([together.layer(i) for i in range(3)])
        assert np.array_equal(read[pool], np.stack([alone.layer(i) for i in range(3)]))
    assert np.array_equal(read["auto"], read["cls"])
    assert not np.isclose(read["mean"], read["cls"]).any(axis=(0, 1)).all()
    with pytest.raises(StrataError, match="pool: 'max' is unknown"):
        extract_readings(encoder, dataset, {tmp_path / "x": "cls", tmp_path / "y": "max"})


def test_shards_join_to_the_same_activations(tmp_path, dataset):
    save_vision(tmp_path / "vit", "vit")
    encoder = load_encoder(tmp_path / "vit", device="cpu")
    extract(encoder, dataset, tmp_path / "whole", log=quiet)
    for i in range(3):
        extract(encoder, dataset, tmp_path / f"{i}", shard=(i, 3), log=quiet)
    merge_shards([tmp_path / f"{i}" for i in range(3)], tmp_path / "joined")
    whole, joined = ActivationCache(tmp_path / "whole"), ActivationCache(tmp_path / "joined")
    assert joined.layers == whole.layers and len(joined) == len(whole)
    for index in range(3):
        np.testing.assert_allclose(joined.layer(index), whole.layer(index), atol=1e-5)
    with pytest.raises(StrataError, match="do not make 8 shards"):
        extract(encoder, dataset, tmp_path / "x", shard=(7, 8), log=quiet)
    extract(encoder, dataset, tmp_path / "mean", pool="mean", shard=(1, 3), log=quiet)
    with pytest.raises(StrataError, match="pooling differs"):
        merge_shards([tmp_path / "0", tmp_path / "mean"], tmp_path / "never")
    weights = tmp_path / "vit/model.safetensors"
    shards = [tmp_path / f"{i}" for i in range(3)]
    merge_shards(shards, tmp_path / "own", weights)
    weights.write_bytes(weights.read_bytes()[:-1] + b"x")
    with pytest.raises(StrataError, match="not of the network whose weights are"):
        merge_shards(shards, tmp_path / "never", weights)


def test_an_interrupted_run_leaves_nothing_that_looks_complete(tmp_path):
    with pytest.raises(KeyboardInterrupt), ActivationCache.create(tmp_path / "c", 4, {}) as cache:
        cache.append([np.zeros((2, 3), np.float32)])
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(StrataError, match="incomplete"):
        ActivationCache(tmp_path / "c")


def test_nan_activations_are_named_by_layer_and_sample(tmp_path, dataset):
    save_vision(tmp_path / "vit", "vit")
    encoder = load_encoder(tmp_path / "vit", device="cpu")
    broken = encoder.layers[encoder.layer_names[1]]
    broken.register_forward_hook(lambda module, inputs, output: output * float("nan"))
    with pytest.raises(StrataError, match=r"layer .*1: NaN or infinite activation at sample 0"):
        extract(encoder, dataset, tmp_path / "cache", log=quiet)
    assert not (tmp_path / "cache").exists()


def test_a_batch_that_does_not_fit_is_halved(dataset):
    sizes = []

    def compute(pixels):
        sizes.append(len(pixels))
        if len(pixels) > 2:
            raise torch.OutOfMemoryError("too much")
        return [pixels.numpy()]

    def preprocess(pictures):
        return torch.stack([torch.from_numpy(np.array(picture)) for picture in pictures])

    options = {"device": "cpu", "batch_size": 6, "log": quiet}
    parts = list(run_batches(dataset, range(7), preprocess, compute, **options))
    np.testing.assert_array_equal(np.concatenate([p for (p,) in parts])[:, 0, 0], [
        np.asarray(dataset.image(i))[0, 0] for i in range(7)
    ])  # fmt: skip
    assert sizes[0] == 6 and max(sizes[2:]) <= 3


def test_a_random_twin_has_the_shape_and_not_the_weights(tmp_path):
    save_vision(tmp_path / "clip", "clip")
    card = random_twin(tmp_path / "clip", tmp_path / "twin", seed=1)
    random_twin(tmp_path / "clip", tmp_path / "same", seed=1)
    weights, twin, same = (
        load_file(tmp_path / name / "model.safetensors") for name in ("clip", "twin", "same")
    )
    assert {k: v.shape for k, v in weights.items()} == {k: v.shape for k, v in twin.items()}
    assert any(not torch.equal(weights[k], twin[k]) for k in weights)
    assert all(torch.equal(same[k], twin[k]) for k in twin)
    assert card["base"] == "clip" and card["seed"] == 1
    assert load_encoder(tmp_path / "twin", device="cpu").layer_names


def test_a_model_comes_from_the_mirror_with_a_card(tmp_path):
    save_vision(tmp_path / "mirror/models/lab/small", "vit")
    (tmp_path / "mirror/models/lab/small/README.md").write_text("---\nlicense: mit\n---\n")
    spec = {"source": "transformers", "id": "lab/small", "revision": "abc"}
    card = fetch(spec, tmp_path / "small", mirror=str(tmp_path / "mirror"), name="small")
    assert card["licence"] == "mit" and card["revision"] == "abc" and card["parameters"] > 1000
    assert (tmp_path / "small/card.json").is_file()
    assert load_encoder(tmp_path / "small", device="cpu").name == "small"


def test_pickled_weights_are_read_as_weights_only(tmp_path):
    source = tmp_path / "source"
    save_vision(source, "vit")
    weights = load_file(source / "model.safetensors")
    (source / "model.safetensors").unlink()
    torch.save(weights, source / "pytorch_model.bin")
    fetch({"path": source}, tmp_path / "good", name="good")
    assert not (tmp_path / "good/pytorch_model.bin").exists()
    assert load_file(tmp_path / "good/model.safetensors").keys() == weights.keys()
    (source / "pytorch_model.bin").write_bytes(pickle.dumps({"weight": Image.new("L", (1, 1))}, 2))
    with pytest.raises(StrataError, match=r"bad: pytorch_model\.bin is damaged or holds more"):
        fetch({"path": source}, tmp_path / "bad", name="bad")
    assert not (tmp_path / "bad").exists()


def test_models_that_cannot_be_loaded_are_named(tmp_path):
    with pytest.raises(StrataError, match=r"no config\.json"):
        load_encoder(tmp_path)
    with pytest.raises(StrataError, match=r"gone: path .* is not a folder"):
        fetch({"path": tmp_path / "nowhere"}, tmp_path / "x", name="gone")
    save_vision(tmp_path / "vit", "vit")
    weights = load_file(tmp_path / "vit/model.safetensors")
    lost = next(key for key in weights if "layer.1" in key or "layers.1" in key)
    rest = {k: v for k, v in weights.items() if k != lost}
    save_file(rest, tmp_path / "vit/model.safetensors", metadata={"format": "pt"})
    with pytest.raises(StrataError, match=r"vit: model\.safetensors lacks weights of"):
        load_encoder(tmp_path / "vit", device="cpu")
    (tmp_path / "vit/preprocessor_config.json").unlink()
    save_file(weights, tmp_path / "vit/model.safetensors", metadata={"format": "pt"})
    with pytest.raises(StrataError, match="set preprocess: imagenet"):
        load_encoder(tmp_path / "vit", device="cpu")
    save_timm(tmp_path / "timm", "resnet10t", num_classes=0)
    config = json.loads((tmp_path / "timm/config.json").read_text())
    (tmp_path / "timm/config.json").write_text(json.dumps(config | {"architecture": "resnet9"}))
    with pytest.raises(StrataError, match="timm cannot build 'resnet9'"):
        load_encoder(tmp_path / "timm")
    if not torch.cuda.is_available():
        with pytest.raises(StrataError, match="no CUDA device"):
            load_encoder(tmp_path / "vit", device="cuda")


def test_mixed_precision_is_near_and_not_the_same(tmp_path, dataset):
    save_vision(tmp_path / "vit", "vit")
    encoder = load_encoder(tmp_path / "vit", device="cpu")
    for precision in ("float32", "bfloat16"):
        extract(encoder, dataset, tmp_path / precision, precision=precision, log=quiet)
    full, half = (ActivationCache(tmp_path / name).layer(1) for name in ("float32", "bfloat16"))
    assert half.dtype == np.float32 and not np.array_equal(full, half)
    np.testing.assert_allclose(half, full, atol=0.05 * np.abs(full).max())
    assert ActivationCache(tmp_path / "bfloat16").index["precision"] == "bfloat16"
    with pytest.raises(StrataError, match="precision: 'half' is unknown; use float32 or bfloat16"):
        extract(encoder, dataset, tmp_path / "x", precision="half", log=quiet)
