"""Models whose weights or configuration lie: refused in one line that names the model."""

import json
import pickle
import shutil
import struct

import pytest
import torch
from safetensors.torch import save_file

from strata import StrataError
from strata.activations.checks import check_fetched
from strata.compat import prepare_imports
from strata.models.fetching import fetch

prepare_imports()
import timm  # noqa: E402 - after prepare_imports
import transformers  # noqa: E402

SMALL = {"hidden_size": 16, "num_hidden_layers": 3, "num_attention_heads": 2}
SMALL |= {"intermediate_size": 32, "image_size": 32, "patch_size": 8}
TIMM = {"img_size": 32, "patch_size": 8, "embed_dim": 16, "depth": 2, "num_heads": 2}


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """A folder `vit` of transformers and one `timm`."""
    root = tmp_path_factory.mktemp("models")
    transformers.ViTModel(transformers.ViTConfig(**SMALL)).save_pretrained(root / "vit")
    size = {"height": 32, "width": 32}
    transformers.ViTImageProcessor(size=size).save_pretrained(root / "vit")
    (root / "timm").mkdir()
    made = timm.create_model("vit_tiny_patch16_224", num_classes=3, **TIMM)
    save_file(made.state_dict(), root / "timm/model.safetensors")
    config = {"architecture": "vit_tiny_patch16_224", "num_classes": 3, "model_args": TIMM}
    config["pretrained_cfg"] = {"input_size": [3, 32, 32]}
    (root / "timm/config.json").write_text(json.dumps(config))
    return root


def refused(models, tmp_path, told, kind="vit", **files):
    """What is said of a model with other files; nothing is left of it."""
    folder = tmp_path / "source"
    shutil.copytree(models / kind, folder)
    for name, content in files.items():
        file = folder / {"weights": "model.safetensors"}.get(name, f"{name}.json")
        if content is None:
            file.unlink()
        else:
            file.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(StrataError, match=told) as error:
        fetch({"path": str(folder)}, tmp_path / "out/mine", name="mine", check=check_fetched)
    assert "mine: " in str(error.value) and ".part" not in str(error.value)
    assert "\n" not in str(error.value) and not list((tmp_path / "out").iterdir())


@pytest.mark.parametrize("kind", ["vit", "timm"])
def test_the_models_themselves_are_right(kind, models, tmp_path):
    fetch({"path": str(models / kind)}, tmp_path / "mine", name="mine", check=check_fetched)


def tensors(header, body=b""):
    header = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(header)) + header + body


def one(dtype="F32", shape=(2,), offsets=(0, 8)):
    return {"a": {"dtype": dtype, "shape": shape, "data_offsets": offsets}}


WEIGHTS = {
    "empty": b"",
    "a header that is cut": tensors(b"{" * 50)[:20],
    "a header of 2^60 bytes": struct.pack("<Q", 2**60) + b"{}",
    "a header that is no JSON": tensors(b"{nojson"),
    "a header that is a list": tensors([]),
    "a shape that lies": tensors(one(shape=(2**40,)), bytes(8)),
    "a shape that overflows": tensors(one(shape=(2**32, 2**32)), bytes(8)),
    "a negative shape": tensors(one(shape=(-2,)), bytes(8)),
    "tensors over each other": tensors(one() | {"b": one()["a"]}, bytes(8)),
    "a type that is none": tensors(one("X9"), bytes(8)),
    "offsets behind the end": tensors(one(), b""),
    "offsets turned round": tensors(one(offsets=(8, 0)), bytes(8)),
    "bytes behind the end": tensors(one(), bytes(80)),
    "an archive": b"PK\x03\x04" + bytes(100),
    "a pickle": pickle.dumps({"a": 1}),
    "a page": b"<!DOCTYPE html><html>404</html>",
}


@pytest.mark.parametrize("kind", ["vit", "timm"])
@pytest.mark.parametrize("lie", WEIGHTS)
def test_weights_that_lie_are_damaged(lie, kind, models, tmp_path):
    told = r"^mine: model\.safetensors is damaged: "
    refused(models, tmp_path, told, kind, weights=WEIGHTS[lie])


def test_weights_that_are_cut_or_others_are_told(models, tmp_path):
    whole = (models / "vit/model.safetensors").read_bytes()
    refused(models, tmp_path / "a", "is damaged", weights=whole[:-100])
    told = "3 layers, but model.safetensors holds 1 tensors"
    refused(models, tmp_path / "b", told, weights=tensors(one(), bytes(8)))
    pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n"
    refused(models, tmp_path / "c", "is a pointer of Git LFS: run git lfs pull", weights=pointer)
    wider = (models / "timm/model.safetensors").read_bytes()
    refused(models, tmp_path / "d", "lacks weights of|do not fit", weights=wider)


NO_JSON = ["", "{", "[]", '"a"', "null", b"\xff\xfe", "[" * 100_000, "9" * 5000]


@pytest.mark.parametrize("kind", ["vit", "timm"])
@pytest.mark.parametrize("content", NO_JSON, ids=range(len(NO_JSON)))
def test_a_configuration_that_is_no_json_is_told(content, kind, models, tmp_path):
    told = r"^mine: config\.json (is no JSON|should hold \{key: value)"
    refused(models, tmp_path, told, kind, config=content)


CHANGES = [
    ({"model_type": "nope"}, "config.json: .*model type `nope`"),
    ({"model_type": 5}, "config.json: "),
    ({"model_type": None, "architectures": None}, "config.json: "),
    ({"hidden_size": 32}, "do not have the shapes that config.json says"),
    ({"hidden_size": 2_000_000}, "do not have the shapes that config.json says"),
    ({"hidden_size": -16}, "cannot load it"),
    ({"hidden_size": "16"}, "config.json: "),
    ({"hidden_size": None}, "config.json: "),
    ({"num_attention_heads": 0}, "cannot load it"),
    ({"num_attention_heads": 3}, "do not have the shapes"),
    ({"num_hidden_layers": 5}, "lacks weights of layers.3"),
    ({"num_hidden_layers": 2}, "layers.2.*, of a layer that config.json does not count"),
    ({"num_hidden_layers": 100_000}, "says 100000 layers, but .* holds 56 tensors"),
    ({"num_hidden_layers": 0}, "no layers found|does not count"),
    ({"patch_size": 0}, "cannot load it"),
    ({"patch_size": 16}, "do not have the shapes"),
    ({"image_size": 64}, "do not have the shapes"),
    ({"image_size": -5}, "do not have the shapes|cannot load it"),
    ({"hidden_act": "nope"}, "cannot load it"),
    ({"model_type": "evil", "auto_map": {"AutoConfig": "evil.C"}}, "custom code"),
]


@pytest.mark.parametrize(("change", "told"), CHANGES)
def test_a_configuration_that_lies_is_told(change, told, models, tmp_path):
    config = json.loads((models / "vit/config.json").read_text())
    refused(models, tmp_path, f"^mine: .*{told}", config=json.dumps(config | change))


TIMM_CHANGES = [
    ({"architecture": "nope"}, "timm cannot build 'nope'"),
    ({"architecture": 5}, "architecture 5 should be a name"),
    ({"architecture": "hf_hub:evil/x"}, "should be a name of timm's"),
    ({"architecture": "local-dir:/tmp"}, "should be a name of timm's"),
    ({"model_args": [1]}, r"model_args should hold \{key"),
    ({"model_args": TIMM | {"embed_dim": 10**6}}, "embed_dim is 1000000, but .* do not fit"),
    ({"model_args": TIMM | {"depth": 100_000}}, "depth is 100000, but .* do not fit"),
    ({"model_args": TIMM | {"nope": 1}}, "timm cannot build"),
    ({"model_args": TIMM | {"checkpoint_path": "/etc/passwd"}}, "checkpoint_path means nothing"),
    ({"model_args": TIMM | {"pretrained": True}}, "pretrained means nothing here"),
    ({"num_classes": 10**12}, "num_classes is 1000000000000, but .* do not fit"),
    ({"pretrained_cfg": [1]}, r"pretrained_cfg should hold \{key"),
    ({"pretrained_cfg": {"input_size": "x"}}, "pretrained_cfg makes no preprocessing"),
]


@pytest.mark.parametrize(("change", "told"), TIMM_CHANGES)
def test_a_configuration_of_timm_that_lies_is_told(change, told, models, tmp_path):
    config = json.loads((models / "timm/config.json").read_text())
    refused(models, tmp_path, f"^mine: .*{told}", "timm", config=json.dumps(config | change))


PREPARING = [
    ("", "makes no image processor"),
    ("[]", "makes no image processor"),
    (None, "no preprocessor_config.json; set preprocess: imagenet"),
    ({"image_processor_type": "Nope"}, "makes no image processor"),
    ({"image_processor_type": "Nope", "auto_map": {"AutoImageProcessor": "evil.P"}}, "custom code"),
    ({"size": {"height": -1, "width": 3}}, "cannot be run|makes no image processor"),
    ({"image_std": [0, 0, 0]}, "NaN or infinite|cannot be run|makes no image processor"),
    ({"image_mean": [0.5, 0.5]}, "cannot be run|makes no image processor"),
]


@pytest.mark.parametrize(("change", "told"), PREPARING)
def test_a_preprocessor_that_lies_is_told(change, told, models, tmp_path):
    own = json.loads((models / "vit/preprocessor_config.json").read_text())
    content = json.dumps(own | change) if isinstance(change, dict) else change
    refused(models, tmp_path, f"mine: .*{told}", preprocessor_config=content)


@pytest.mark.parametrize("name", ["model.pt", "model.ckpt", "weights.pth", "x.pkl", "tf_model.h5"])
def test_a_folder_with_pickle_only_is_refused_with_the_reason(name, models, tmp_path):
    (tmp_path / "source").mkdir()
    shutil.copy(models / "vit/config.json", tmp_path / "source")
    torch.save({"a": torch.zeros(2)}, tmp_path / "source" / name)
    told = rf"^mine: it has no model\.safetensors; {name} may run code and is not opened: only safe"
    with pytest.raises(StrataError, match=told):
        fetch({"path": str(tmp_path / "source")}, tmp_path / "mine", name="mine")


class Evil:
    """What runs code when it is unpickled."""

    def __reduce__(self):
        return exec, ("raise SystemExit('it ran')",)


@pytest.mark.parametrize("content", [Evil(), [1], {"a": Evil()}, {"state_dict": {}}, {"a": 5}])
def test_a_pickle_that_holds_more_than_weights_is_not_loaded(content, models, tmp_path):
    (tmp_path / "source").mkdir()
    shutil.copy(models / "vit/config.json", tmp_path / "source")
    torch.save(content, tmp_path / "source/pytorch_model.bin")
    told = "^mine: pytorch_model.bin is damaged or holds more than weights, and is not loaded"
    with pytest.raises(StrataError, match=told):
        fetch({"path": str(tmp_path / "source")}, tmp_path / "mine", name="mine")


INDEXES = ["[]", "{}", '{"weight_map": []}', '{"weight_map": {"a": "../b"}}', "[" * 100_000]
INDEXES += ['{"weight_map": {"a": 5}}', '{"weight_map": {"a": "/etc/passwd"}}', ""]


@pytest.mark.parametrize("content", INDEXES, ids=range(len(INDEXES)))
def test_an_index_of_weights_that_lies_is_told(content, models, tmp_path):
    (tmp_path / "source").mkdir()
    shutil.copy(models / "vit/config.json", tmp_path / "source")
    (tmp_path / "source/model.safetensors.index.json").write_text(content)
    told = r"index\.json (is no index|names)|its index names|holds no"
    with pytest.raises(StrataError, match=told):
        fetch({"path": str(tmp_path / "source")}, tmp_path / "mine", name="mine")
