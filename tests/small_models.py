"""Small networks of the papers' architectures, saved as their repositories on the hub hold them.

Every network has the class, the names of weights and the files of the real one, and random weights.
"""

import json
from pathlib import Path

import torch
import yaml
from safetensors.torch import save_file

from strata.compat import prepare_imports

prepare_imports()
import timm  # noqa: E402 - after prepare_imports
import transformers as tf  # noqa: E402

ROOT = Path(__file__).parents[1]
SIZE = 32  # pixels
_WIDTH = {"hidden_size": 16, "num_attention_heads": 2, "intermediate_size": 32}
_VISION = {**_WIDTH, "image_size": SIZE, "patch_size": 8}
_WORDS = 77  # CLIP's longest text


def read_overlay(name: str) -> dict:
    """An overlay of studies/ as it is shipped."""
    return yaml.safe_load((ROOT / f"studies/{name}.yaml").read_text())


def fetched_models(*overlays: str) -> dict[str, dict]:
    """The entry of every network that these overlays fetch, by its repository."""
    entries = [entry for name in overlays for entry in read_overlay(name)["models"].values()]
    return {entry["id"]: entry for entry in entries if "id" in entry}


def save_model(repository: str, folder: Path) -> torch.nn.Module:
    """Save a small network under the name of a real one; returns it."""
    folder.mkdir(parents=True)
    torch.manual_seed(len(repository))
    layers = 4 if "large" in repository else 3
    name = repository.partition("/")[2]
    family = next(key for key in _FAMILIES if key in name)
    model = _FAMILIES[family](folder, layers, name)
    (folder / "README.md").write_text(
        "---\nlicense: apache-2.0\n---\n# Small, with random weights\n"
    )
    return model.eval()


def _save_vision(folder, model, processor=None):
    model.save_pretrained(folder)
    size = {"height": SIZE, "width": SIZE}
    (processor or tf.ViTImageProcessor(size=size)).save_pretrained(folder)
    return model


def _tuned(name: str) -> bool:
    """Whether a name is that of a classifier rather than of a pretrained network."""
    pretrained = ("in21k", "pt22k", "vision-base", "vision-large", "vit-mae-base", "dinov2-base")
    return not name.endswith(pretrained)


def _vit(folder, layers, name):
    config = tf.ViTConfig(**_VISION, num_hidden_layers=layers, num_labels=5)
    return _save_vision(
        folder, (tf.ViTForImageClassification if _tuned(name) else tf.ViTModel)(config)
    )


def _dinov2(folder, layers, name):
    config = tf.Dinov2Config(**_VISION, num_hidden_layers=layers, num_labels=5)
    model = (tf.Dinov2ForImageClassification if _tuned(name) else tf.Dinov2Model)(config)
    edge = {"shortest_edge": SIZE}
    crop = {"height": SIZE, "width": SIZE}
    return _save_vision(folder, model, tf.BitImageProcessor(size=edge, crop_size=crop))


def _mae(folder, layers, name):
    decoder = {"decoder_hidden_size": 8, "decoder_num_attention_heads": 2}
    decoder |= {"decoder_num_hidden_layers": 2, "decoder_intermediate_size": 16}
    config = tf.ViTMAEConfig(**_VISION, **decoder, num_hidden_layers=layers)
    return _save_vision(folder, tf.ViTMAEForPreTraining(config))


def _beit(folder, layers, name):
    config = tf.BeitConfig(**_VISION, num_hidden_layers=layers, num_labels=5, vocab_size=32)
    config.use_relative_position_bias = True
    masked = tf.BeitForMaskedImageModeling
    return _save_vision(folder, (tf.BeitForImageClassification if _tuned(name) else masked)(config))


def _data2vec_vision(folder, layers, name):
    config = tf.Data2VecVisionConfig(**_VISION, num_hidden_layers=layers, num_labels=5)
    config.use_relative_position_bias = True
    tuned = tf.Data2VecVisionForImageClassification
    return _save_vision(folder, (tuned if _tuned(name) else tf.Data2VecVisionModel)(config))


def _resnet(folder, layers, name):
    config = tf.ResNetConfig(
        embedding_size=8, hidden_sizes=[8, 16, 16, 24], depths=[1, 1, 1, 1], num_labels=5
    )
    processor = tf.ConvNextImageProcessor(size={"shortest_edge": SIZE})
    return _save_vision(folder, tf.ResNetForImageClassification(config), processor)


def _clip(folder, layers, name):
    tokens = _clip_tokenizer(folder)
    text = {**_WIDTH, "num_hidden_layers": 2, "max_position_embeddings": _WORDS}
    text |= {"vocab_size": len(tokens), "bos_token_id": len(tokens) - 2}
    text |= {"eos_token_id": len(tokens) - 1, "pad_token_id": len(tokens) - 1}
    vision = {**_VISION, "num_hidden_layers": layers}
    config = tf.CLIPConfig(text_config=text, vision_config=vision, projection_dim=16, num_labels=5)
    tuned = name.endswith(("cub", "bloodmnist"))
    edge, crop = {"shortest_edge": SIZE}, {"height": SIZE, "width": SIZE}
    processor = tf.CLIPImageProcessor(size=edge, crop_size=crop)
    model = (tf.CLIPForImageClassification if tuned else tf.CLIPModel)(config)
    return _save_vision(folder, model, processor)


def _clip_tokenizer(folder):
    """CLIP's own tokenizer with an alphabet and no words: it spells."""
    letters = [chr(code) for code in range(33, 127)]
    words = [*letters, *(f"{letter}</w>" for letter in letters), "<|startoftext|>", "<|endoftext|>"]
    tokenizer = tf.CLIPTokenizer(vocab={word: i for i, word in enumerate(words)}, merges=[])
    tokenizer.save_pretrained(folder)
    return tokenizer


def _speech(config_class, model_class):
    def save(folder, layers, name):
        large = "large" in name
        config = config_class(
            **_WIDTH,
            num_hidden_layers=layers,
            conv_dim=(8,) * 7,
            num_conv_pos_embeddings=16,
            num_conv_pos_embedding_groups=2,
            codevector_dim=8,
            proj_codevector_dim=8,
            num_codevectors_per_group=4,
            feat_extract_norm="layer" if large else "group",
            do_stable_layer_norm=large,
            num_buckets=32,
        )
        model = model_class(config)
        config.architectures = [model_class.__name__]
        config.save_pretrained(folder)
        torch.save(_old_names(model.state_dict()), folder / "pytorch_model.bin")
        if "ccc" not in name:  # that repository does not say how its sounds are prepared
            extractor = tf.Wav2Vec2FeatureExtractor(return_attention_mask=large)
            extractor.save_pretrained(folder)
        return model

    return save


def _old_names(weights):
    """Names of the weight-normalised convolution from before torch's parametrizations."""
    names = {"parametrizations.weight.original0": "weight_g"}
    names |= {"parametrizations.weight.original1": "weight_v"}
    for new, old in names.items():
        weights = {key.replace(new, old): value for key, value in weights.items()}
    return weights


def _timm(folder, layers, name):
    arguments = {
        "img_size": SIZE,
        "patch_size": 8,
        "embed_dim": 16,
        "depth": layers,
        "num_heads": 2,
    }
    architecture = name.partition(".")[0]
    model = timm.create_model(architecture, **arguments, num_classes=5)
    config = {
        "architecture": architecture,
        "num_classes": 5,
        "model_args": arguments,
        "pretrained_cfg": {"input_size": [3, SIZE, SIZE], "mean": [0.5] * 3, "std": [0.5] * 3},
    }
    (folder / "config.json").write_text(json.dumps(config))
    save_file(model.state_dict(), folder / "model.safetensors", metadata={"format": "pt"})
    return model


# By a part of the repository's name; the first that fits.
_FAMILIES = {
    "vit_tiny": _timm,
    "vit-mae": _mae,
    "clip-vit": _clip,
    "dinov2": _dinov2,
    "data2vec-vision": _data2vec_vision,
    "beit": _beit,
    "resnet": _resnet,
    "vit-": _vit,
    "wav2vec2": _speech(tf.Wav2Vec2Config, tf.Wav2Vec2ForPreTraining),
    "hubert": _speech(tf.HubertConfig, tf.HubertModel),
    "wavlm": _speech(tf.WavLMConfig, tf.WavLMModel),
}
