"""A small CLAP with random weights, as its repository holds one."""

from pathlib import Path

import torch

from strata.compat import prepare_imports

prepare_imports()
import transformers as tf  # noqa: E402 - after prepare_imports
from transformers.convert_slow_tokenizer import bytes_to_unicode  # noqa: E402

RATE, SECONDS = 8000, 1
_AUDIO = {"num_mel_bins": 16, "spec_size": 32, "patch_size": 4, "patch_stride": [4, 4]}
_AUDIO |= {"depths": [1, 1], "num_attention_heads": [2, 2], "hidden_size": 32, "window_size": 4}
_AUDIO |= {"patch_embeds_hidden_size": 16, "num_classes": 5, "projection_dim": 16}
_TEXT = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
_TEXT |= {"intermediate_size": 32, "max_position_embeddings": 40, "projection_dim": 16}


def save_clap(folder: Path, fused: bool = False) -> tf.ClapModel:
    """Save it with its extractor (8 kHz, windows of a second) and a tokenizer that spells."""
    torch.manual_seed(0)
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    letters = sorted(set(bytes_to_unicode().values()))
    vocab = {word: number for number, word in enumerate([*special, *letters])}
    tf.RobertaTokenizer(vocab=vocab, merges=[]).save_pretrained(folder)
    audio = _AUDIO | {"enable_fusion": fused}
    config = tf.ClapConfig(
        audio_config=audio, text_config=_TEXT | {"vocab_size": len(vocab)}, projection_dim=16
    )
    model = tf.ClapModel(config).eval()
    for module in model.modules():  # else the tower hears next to nothing
        if isinstance(module, torch.nn.Conv2d | torch.nn.Linear):
            torch.nn.init.kaiming_normal_(module.weight)
    model.save_pretrained(folder)
    tf.ClapFeatureExtractor(
        feature_size=16,
        sampling_rate=RATE,
        hop_length=160,
        max_length_s=SECONDS,
        fft_window_size=256,
        frequency_max=4000,
        truncation="fusion" if fused else "rand_trunc",
    ).save_pretrained(folder)
    return model
