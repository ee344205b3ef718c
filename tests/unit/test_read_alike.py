"""Whoever reads a network reads what its own library does: pictures, places, heads, adapters."""

import json

import numpy as np
import pandas as pd
import pytest
import soundfile
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from strata import StrataError
from strata.compat import prepare_imports
from strata.config.defaults import fill_defaults
from strata.convexity.remainder import CutClassifier
from strata.data.manifest import open_dataset, write_dataset
from strata.data.splits import Task
from strata.models.encoder import load_encoder
from strata.models.fetching import fetch
from strata.models.preprocessing import image_processor
from strata.models.training.finetune import finetune
from strata.models.training.pictures import OwnLook
from strata.models.training.tuning import PictureInputs, Training, classifier, raw_example
from strata.pruning.costs import cost_measures
from strata.pruning.price import cost
from strata.pruning.surgery import prune

prepare_imports()
import timm  # noqa: E402 - after prepare_imports
import transformers  # noqa: E402

SMALL = {
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 32,
}
SQUARE = SMALL | {"image_size": 32, "patch_size": 8}
CROPS = {"size": {"shortest_edge": 36}, "crop_size": {"height": 32, "width": 32}}


def saved(folder, model, processor=None):
    model.save_pretrained(folder)
    (processor or transformers.ViTImageProcessor(size={"height": 32, "width": 32})).save_pretrained(
        folder
    )
    return folder


def noise(width, height=64, seed=0):
    draw = np.random.default_rng(seed)
    return Image.fromarray(draw.integers(0, 255, (height, width, 3), dtype=np.uint8))


def pictures_of(folder, sizes, order=1):
    """A data set of pictures of these widths, in two classes, its rows in order or the other way
    round."""
    (folder / "in").mkdir(parents=True, exist_ok=True)
    rows = []
    for number, width in enumerate(sizes):
        noise(width, seed=number).save(folder / f"in/{number:02}.png")
        split = "train" if number % 3 else "test"
        rows.append({"path": f"{number:02}.png", "split": split, "kind": "ab"[number // 2 % 2]})
    info = {"name": "pictures", "kind": "folder", "modality": "image", "root": "../in"}
    info |= {"licence": "", "source": "", "storage": "files"}
    write_dataset(folder / "made", pd.DataFrame(rows[::order]), info)
    return open_dataset(folder / "made")


@pytest.mark.parametrize(
    "processor",
    [
        transformers.BitImageProcessor(**CROPS),
        transformers.CLIPImageProcessor(**CROPS, do_normalize=False),
        transformers.ViTImageProcessor(size={"height": 32, "width": 32}, resample=2),
    ],
    ids=["cropped", "not normalised", "bilinear"],
)
def test_fine_tuning_sees_the_pictures_that_are_read(processor, tmp_path):
    source = saved(
        tmp_path / "net", transformers.ViTModel(transformers.ViTConfig(**SQUARE)), processor
    )
    dataset = pictures_of(tmp_path, [64, 130, 90])
    read = load_encoder(source, device="cpu").preprocess([dataset.image(i) for i in range(3)])
    seen = PictureInputs(source, dataset)(np.arange(3))["pixel_values"]
    torch.testing.assert_close(seen, read)
    example = raw_example(source, dataset, None, range(3))["pixel_values"]
    torch.testing.assert_close(example, read)


def test_a_shifted_picture_is_the_same_elsewhere(tmp_path):
    saved(tmp_path, transformers.ViTModel(transformers.ViTConfig(**SQUARE)))
    look = OwnLook(tmp_path)
    pixels = look.made([noise(32, 32)])
    draw = torch.Generator().manual_seed(1)
    y, x = torch.randint(0, 5, (1, 2), generator=torch.Generator().manual_seed(1)).tolist()[0]
    padded = torch.nn.functional.pad(pixels, (2, 2, 2, 2), mode="replicate")
    assert torch.equal(look.shifted(pixels, draw), padded[:, :, y : y + 32, x : x + 32])


def test_a_processor_that_fills_up_a_batch_makes_the_same_of_a_picture_alone(tmp_path):
    size = {"shortest_edge": 64, "longest_edge": 128}
    transformers.DetrImageProcessor(size=size).save_pretrained(tmp_path)
    process = image_processor(tmp_path)
    assert process([noise(64), noise(64, seed=1)]).shape == (2, 3, 64, 64)
    with pytest.raises(StrataError, match=r"unlike shapes.*set preprocess: whole or imagenet"):
        process([noise(64), noise(100)])


def test_training_does_not_depend_on_the_order_of_rows(tmp_path):
    torch.manual_seed(0)
    source = saved(tmp_path / "net", transformers.ViTModel(transformers.ViTConfig(**SQUARE)))
    heads = []
    for order in (1, -1):
        dataset = pictures_of(tmp_path / str(order), [64] * 24, order)
        made = tmp_path / str(order) / "tuned"
        training = Training(epochs=2, batch_size=8, learning_rate=1e-3)
        finetune(source, dataset, "kind", made, training, log=lambda line: None)
        heads.append(load_file(made / "model.safetensors")["classifier.weight"])
    assert torch.equal(*heads)


def test_the_cost_of_sounds_does_not_depend_on_the_order_of_rows(tmp_path):
    (tmp_path / "in").mkdir()
    rows = []
    for i in range(40):
        soundfile.write(
            tmp_path / f"in/{i:02}.wav", np.sin(np.arange(4000 if i < 20 else 16000)), 16000
        )
        rows.append(
            {
                "path": f"{i:02}.wav",
                "split": ["train", "validation", "test"][i % 3],
                "k": "ab"[i // 2 % 2],
            }
        )
    kernels = {"conv_dim": (16, 16), "conv_kernel": (10, 8), "conv_stride": (8, 8)}
    config = transformers.Wav2Vec2Config(
        **SMALL, **kernels, num_conv_pos_embeddings=16, num_conv_pos_embedding_groups=4
    )
    source = tmp_path / "net"
    transformers.Wav2Vec2Model(config).save_pretrained(source)
    transformers.Wav2Vec2FeatureExtractor().save_pretrained(source)
    info = {"name": "sounds", "kind": "folder", "modality": "audio", "root": "../in"}
    info |= {"licence": "", "source": "", "storage": "files"}
    found = []
    for order in (1, -1):
        write_dataset(tmp_path / "made", pd.DataFrame(rows[::order]), info)
        dataset = open_dataset(tmp_path / "made")
        task = Task.of(dataset.manifest, "k", {}, 0, "sounds")
        table = cost_measures(source, dataset, task, Training(), seed=0, log=lambda line: None)
        found.append(table.loc[table["metric"] == "macs", "value"].tolist())
    assert found[0] == found[1]


@pytest.mark.parametrize("kind", ["ViT", "DeiT", "Beit", "Dinov2"])
def test_a_networks_own_oblong_size_is_not_interpolated(kind, tmp_path):
    config = getattr(transformers, f"{kind}Config")(**SMALL, image_size=[32, 128], patch_size=16)
    model = getattr(transformers, f"{kind}Model")(config).eval()
    for name, parameter in model.named_parameters():
        if "position" in name:
            torch.nn.init.normal_(parameter)
    oblong = transformers.ViTImageProcessor(size={"height": 32, "width": 128})
    encoder = load_encoder(saved(tmp_path, model, oblong), device="cpu")
    pixels = encoder.preprocess([noise(128, 32)])
    with torch.no_grad():
        own, read = model(pixel_values=pixels), encoder.forward(pixels)
    torch.testing.assert_close(read.last_hidden_state, own.last_hidden_state)


def test_what_timm_wrote_beside_the_architecture_is_its_preprocessing(tmp_path):
    network = timm.create_model("resnet10t", num_classes=0)
    save_file(network.state_dict(), tmp_path / "model.safetensors")
    told = {"architecture": "resnet10t", "num_classes": 0, "input_size": [3, 64, 64]}
    told |= {"mean": [0.5] * 3, "std": [0.5] * 3, "crop_pct": 1.0, "interpolation": "bicubic"}
    (tmp_path / "config.json").write_text(json.dumps(told))
    white = load_encoder(tmp_path, device="cpu").preprocess([Image.new("RGB", (80, 80), "white")])
    assert torch.equal(white, torch.ones(1, 3, 64, 64))


def test_where_a_timm_folder_says_nothing_of_pictures_the_registry_does(tmp_path):
    arguments = {"embed_dim": 8, "depth": 1, "num_heads": 1}
    network = timm.create_model("vit_small_patch16_224", num_classes=0, **arguments)
    save_file(network.state_dict(), tmp_path / "model.safetensors")
    told = {"architecture": "vit_small_patch16_224", "num_classes": 0, "model_args": arguments}
    (tmp_path / "config.json").write_text(json.dumps(told))
    white = load_encoder(tmp_path, device="cpu").preprocess([Image.new("RGB", (80, 80), "white")])
    assert torch.equal(white, torch.ones(1, 3, 224, 224))  # mean and deviation one half


@pytest.mark.parametrize("classes", ["abc", "abcd"])
def test_a_fresh_head_holds_nothing_of_another_task(classes, tmp_path):
    config = transformers.ViTConfig(**SQUARE, num_labels=3)
    model = transformers.ViTForImageClassification(config)
    torch.nn.init.constant_(model.classifier.weight, 7.0)
    torch.nn.init.constant_(model.vit.layernorm.weight, 3.0)
    model.save_pretrained(tmp_path)
    fresh = classifier(tmp_path, list(classes))
    assert fresh.classifier.weight.abs().max() < 1
    assert (fresh.vit.layernorm.weight == 3).all()  # the encoder is the one that was saved


def test_a_model_with_an_adapter_beside_it_is_refused(tmp_path):
    source = saved(tmp_path / "net", transformers.ViTModel(transformers.ViTConfig(**SQUARE)))
    (source / "adapter_config.json").write_text("{}")
    with pytest.raises(StrataError, match=r"m: .*net has an adapter \(adapter_config.json\)"):
        fetch({"source": "transformers", "path": source}, tmp_path / "made", name="m")


@pytest.mark.parametrize("kind", ["two heads", "stages"])
def test_what_cannot_be_cut_open_is_told_in_one_line(kind, tmp_path):
    torch.manual_seed(0)
    names = {"id2label": {i: f"c{i}" for i in range(4)}, "label2id": {f"c{i}": i for i in range(4)}}
    if kind == "two heads":
        config = transformers.DeiTConfig(**SQUARE, **names)
        model = transformers.DeiTForImageClassificationWithTeacher(config)
    else:
        sizes = {"embed_dim": 8, "depths": [1, 1], "num_heads": [1, 2], "window_size": 4}
        config = transformers.SwinConfig(image_size=32, patch_size=4, **sizes, **names)
        model = transformers.SwinForImageClassification(config)
    cut = CutClassifier(saved(tmp_path, model), "cpu")
    told = {"two heads": "last linear layer alone", "stages": "cannot be cut open"}[kind]
    with pytest.raises(StrataError, match=told):
        cut.states([noise(32, 32), noise(32, 32, seed=1)])


def test_parameters_in_front_are_those_before_the_first_layer():
    config = transformers.SiglipVisionConfig(**SQUARE)
    whole = transformers.SiglipConfig(vision_config=config.to_dict())
    model = transformers.SiglipForImageClassification(whole).eval()
    embeddings = sum(p.numel() for p in model.vision_model.embeddings.parameters())
    found = cost(model, {"pixel_values": torch.zeros(1, 3, 32, 32)})
    assert found.front_end_parameters == embeddings


def test_layers_of_several_kinds_are_not_pruned():
    config = transformers.VitDetConfig(
        hidden_size=16, num_hidden_layers=2, num_attention_heads=2, image_size=32,
        pretrain_image_size=32, patch_size=4, window_size=2, window_block_indices=[0],
    )  # fmt: skip
    with pytest.raises(StrataError, match="VitDetModel: window_block_indices says"):
        prune(transformers.VitDetModel(config), [1])


def test_two_twins_of_a_model_are_not_compared_by_chance():
    models = {"net": {}, "one": {"base": "net"}, "two": {"base": "net"}}
    study = {"kind": "concepts", "models": list(models)}
    part = {"if": {"properties": {"kind": {"const": "concepts"}}}, "then": {}}
    registry = {"additionalProperties": {"allOf": [part]}}
    schema = {"properties": {"datasets": registry, "studies": registry}}
    with pytest.raises(
        StrataError, match="studies: mine: 'net' can be compared with 'one' or 'two'"
    ):
        fill_defaults({"models": models, "datasets": {}, "studies": {"mine": study}}, schema)


@pytest.mark.parametrize(
    "overrides",
    [{"intermediate_size": 77}, {"num_hidden_layers": 3}, {"hidden_dropout_prob": "high"}],
)
def test_settings_that_the_weights_do_not_fit_are_refused(overrides, tmp_path):
    transformers.ViTModel(transformers.ViTConfig(**SQUARE)).save_pretrained(tmp_path)
    with pytest.raises(
        StrataError, match=r"would be random|overrides: hidden_dropout_prob: 'high'"
    ):
        classifier(tmp_path, ["a", "b"], overrides)
    assert classifier(tmp_path, ["a", "b"], {"hidden_dropout_prob": 0.2})
