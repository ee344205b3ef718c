"""Small sound encoders with random weights, of every family of transformers."""

from importlib import import_module

import torch

from strata.compat import prepare_imports

prepare_imports()
import transformers as tf  # noqa: E402

WIDTH, LAYERS, RATE = 32, 3, 16000
_BLOCKS = {
    "hidden_size": WIDTH,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": 2,
    "intermediate_size": 48,
}
_SEQ2SEQ = {
    "d_model": WIDTH,
    "encoder_layers": LAYERS,
    "decoder_layers": LAYERS + 2,  # more than the encoder's: the longest list is not the right one
    "encoder_attention_heads": 2,
    "decoder_attention_heads": 2,
    "encoder_ffn_dim": 48,
    "decoder_ffn_dim": 48,
    "vocab_size": 60,
    "pad_token_id": 1,
    "bos_token_id": 2,
    "eos_token_id": 2,
    "decoder_start_token_id": 2,
}
_SPECIAL = {"vocab_size": 60, "pad_token_id": 1, "bos_token_id": 2, "eos_token_id": 2}
_CONVOLUTIONS = {
    "conv_dim": (16, 16, 16, 16),
    "conv_kernel": (10, 8, 4, 4),
    "conv_stride": (5, 4, 4, 4),
    "num_feat_extract_layers": 4,
    "num_conv_pos_embeddings": 8,
    "num_conv_pos_embedding_groups": 4,
}
_SAMPLES = _BLOCKS | _CONVOLUTIONS | {"vocab_size": 4}
_CONFORMER = {"conv_depthwise_kernel_size": 3}
SECONDS = 2  # what the small networks of fixed length were made for
_WHISPER = {"num_mel_bins": 20, "max_source_positions": 50 * SECONDS}
_TOWER = {"d_model": WIDTH, "encoder_layers": LAYERS, "encoder_attention_heads": 2}
_TOWER |= {"encoder_ffn_dim": 48} | _WHISPER
_LANGUAGE = _BLOCKS | _SPECIAL | {"num_key_value_heads": 2, "head_dim": 16}
_SEAMLESS = (
    _SEQ2SEQ
    | {
        "hidden_size": WIDTH,
        "speech_encoder_layers": LAYERS,
        "speech_encoder_attention_heads": 2,
        "speech_encoder_intermediate_size": 48,
        "feature_projection_input_dim": 40,
        "t2u_vocab_size": 20,
        "t2u_encoder_layers": 5,
        "t2u_decoder_layers": 5,
        "t2u_encoder_ffn_dim": 48,
        "t2u_decoder_ffn_dim": 48,
        "t2u_encoder_attention_heads": 2,
        "t2u_decoder_attention_heads": 2,
        "upsample_initial_channel": 8,
        "upsample_rates": [2],
        "upsample_kernel_sizes": [4],
        "resblock_kernel_sizes": [3],
        "resblock_dilation_sizes": [[1]],
        "unit_hifi_gan_vocab_size": 20,
        "unit_embed_dim": 8,
        "lang_embed_dim": 8,
        "spkr_embed_dim": 8,
    }
    | _CONFORMER
)
_PARAKEET = _BLOCKS | {"num_mel_bins": 16, "subsampling_conv_channels": 4, "conv_kernel_size": 3}


def _samples():
    return tf.Wav2Vec2FeatureExtractor(return_attention_mask=True)


def _whisper():
    return tf.WhisperFeatureExtractor(feature_size=20, chunk_length=SECONDS)


def _stacked():
    return tf.SeamlessM4TFeatureExtractor(feature_size=20, num_mel_bins=20)


def _parakeet():
    return tf.ParakeetFeatureExtractor(feature_size=16)


def _alone(module, name, config, **settings):
    """A class that transformers does not export."""
    found = import_module(f"transformers.models.{module}.modeling_{module}")
    return getattr(found, name)(config(**settings))


def _pair(config, model, settings, extractor=_samples):
    return lambda: (getattr(tf, model)(getattr(tf, config)(**settings)), extractor())


# name: what makes (a model, its feature extractor)
READ = {
    "wav2vec2": _pair("Wav2Vec2Config", "Wav2Vec2ForPreTraining", _SAMPLES),
    "hubert": _pair("HubertConfig", "HubertModel", _SAMPLES),
    "wavlm": _pair("WavLMConfig", "WavLMModel", _SAMPLES),
    "unispeech": _pair("UniSpeechConfig", "UniSpeechModel", _SAMPLES),
    "unispeech-sat": _pair("UniSpeechSatConfig", "UniSpeechSatModel", _SAMPLES),
    "data2vec-audio": _pair(
        "Data2VecAudioConfig",
        "Data2VecAudioModel",
        _SAMPLES | {"num_conv_pos_embeddings": 5, "conv_pos_kernel_size": 5},
    ),
    "wav2vec2-conformer": _pair(
        "Wav2Vec2ConformerConfig", "Wav2Vec2ConformerModel", _SAMPLES | _CONFORMER
    ),
    "wav2vec2-conformer (rotary)": _pair(
        "Wav2Vec2ConformerConfig",
        "Wav2Vec2ConformerModel",
        _SAMPLES | _CONFORMER | {"position_embeddings_type": "rotary"},
    ),
    "sew": _pair("SEWConfig", "SEWModel", _SAMPLES | {"squeeze_factor": 2}),
    "sew-d": _pair("SEWDConfig", "SEWDModel", _SAMPLES | {"squeeze_factor": 2}),
    "speecht5": _pair(
        "SpeechT5Config",
        "SpeechT5ForSpeechToText",
        _SEQ2SEQ | _CONVOLUTIONS | {"hidden_size": WIDTH},
        lambda: tf.SpeechT5FeatureExtractor(),
    ),
    "moonshine": _pair(
        "MoonshineConfig",
        "MoonshineForConditionalGeneration",
        _SPECIAL
        | {
            "hidden_size": WIDTH,
            "intermediate_size": 48,
            "encoder_num_hidden_layers": LAYERS,
            "decoder_num_hidden_layers": LAYERS + 2,
            "encoder_num_attention_heads": 2,
            "decoder_num_attention_heads": 2,
            "decoder_start_token_id": 1,
        },
        lambda: tf.Wav2Vec2FeatureExtractor(do_normalize=False),
    ),
    "whisper": _pair(
        "WhisperConfig", "WhisperForConditionalGeneration", _SEQ2SEQ | _WHISPER, _whisper
    ),
    "whisper (encoder alone)": lambda: (
        _alone("whisper", "WhisperEncoder", tf.WhisperConfig, **_SEQ2SEQ, **_WHISPER),
        _whisper(),
    ),
    "qwen2_audio": lambda: (
        tf.Qwen2AudioForConditionalGeneration(
            tf.Qwen2AudioConfig(
                audio_config=_TOWER, text_config={"model_type": "qwen2"} | _LANGUAGE
            )
        ),
        _whisper(),
    ),
    "voxtral": lambda: (
        tf.VoxtralForConditionalGeneration(
            tf.VoxtralConfig(
                audio_config=_BLOCKS | _WHISPER, text_config={"model_type": "llama"} | _LANGUAGE
            )
        ),
        _whisper(),
    ),
    "glmasr (tower alone)": _pair(
        "GlmAsrEncoderConfig",
        "GlmAsrEncoder",
        _BLOCKS | {"num_key_value_heads": 2, "num_mel_bins": 20},
        _whisper,
    ),
    "audio-spectrogram-transformer": _pair(
        "ASTConfig",
        "ASTForAudioClassification",
        _BLOCKS | {"max_length": 100 * SECONDS, "num_mel_bins": 36},
        lambda: tf.ASTFeatureExtractor(num_mel_bins=36, max_length=100 * SECONDS),
    ),
    "wav2vec2-bert": _pair(
        "Wav2Vec2BertConfig",
        "Wav2Vec2BertModel",
        _BLOCKS | _CONFORMER | {"feature_projection_input_dim": 40},
        _stacked,
    ),
    "seamless_m4t": _pair("SeamlessM4TConfig", "SeamlessM4TModel", _SEAMLESS, _stacked),
    "seamless_m4t_v2": _pair(
        "SeamlessM4Tv2Config",
        "SeamlessM4Tv2Model",
        _SEAMLESS | {"char_vocab_size": 20, "t2u_variance_predictor_embed_dim": WIDTH},
        _stacked,
    ),
    "speech_to_text": _pair(
        "Speech2TextConfig",
        "Speech2TextForConditionalGeneration",
        _SEQ2SEQ | {"conv_channels": 16, "input_feat_per_channel": 20},
        lambda: tf.Speech2TextFeatureExtractor(feature_size=20, num_mel_bins=20),
    ),
    "parakeet_encoder": _pair("ParakeetEncoderConfig", "ParakeetEncoder", _PARAKEET, _parakeet),
    "parakeet_ctc": lambda: (
        tf.ParakeetForCTC(tf.ParakeetCTCConfig(encoder_config=_PARAKEET, vocab_size=20)),
        _parakeet(),
    ),
}


def save(name, directory):
    """Write a small model of a family with its preprocessor; returns the folder."""
    torch.manual_seed(0)
    model, extractor = READ[name]()
    for parameter in model.parameters():  # an init of zeros would hide what is read
        if parameter.ndim and float(parameter.detach().abs().max()) == 0:
            torch.nn.init.normal_(parameter, std=0.1)
    for module in model.modules():  # nor is it seen through convolutions that let nothing pass
        if isinstance(module, torch.nn.Conv2d):
            torch.nn.init.kaiming_normal_(module.weight)
    model.save_pretrained(directory)
    extractor.save_pretrained(directory)
    return directory


_CLAP = {
    "num_mel_bins": 16,
    "spec_size": 32,
    "patch_size": 4,
    "patch_stride": [4, 4],
    "depths": [1, 1],
    "num_attention_heads": [2, 2],
    "hidden_size": 32,
    "patch_embeds_hidden_size": 16,
    "window_size": 4,
    "num_classes": 5,
    "projection_dim": 16,
}
_SPEAKING = {
    "hidden_size": 16,
    "encoder_layers": 1,
    "decoder_layers": 1,
    "encoder_linear_units": 16,
    "decoder_linear_units": 16,
    "encoder_num_attention_heads": 2,
    "decoder_num_attention_heads": 2,
}
_CODEC = {
    "num_filters": 4,
    "hidden_size": 16,
    "codebook_size": 8,
    "codebook_dim": 16,
    "num_lstm_layers": 1,
    "upsampling_ratios": [4, 2],
}
_DAC = {
    "encoder_hidden_size": 8,
    "downsampling_ratios": [2, 4],
    "decoder_hidden_size": 16,
    "n_codebooks": 2,
    "codebook_size": 8,
    "codebook_dim": 4,
}
_UNIVNET = {
    "model_in_channels": 4,
    "model_hidden_channels": 4,
    "num_mel_bins": 8,
    "kernel_predictor_hidden_channels": 4,
}
_PIANO = {"d_model": 16, "d_kv": 8, "d_ff": 16, "num_layers": 2, "num_heads": 2, "vocab_size": 30}
_GEMMA = {
    "hidden_size": WIDTH,
    "conf_num_hidden_layers": 2,
    "conf_num_attention_heads": 2,
    "input_feat_size": 16,
    "sscp_conv_channel_size": (4, 4),
}
# name: what makes the model, and part of what is told
REFUSED = {
    "clap": (
        lambda: tf.ClapModel(
            tf.ClapConfig(audio_config=_CLAP, text_config=_BLOCKS | {"vocab_size": 20})
        ),
        "a clip has no frames of its own; .* source: arrays",
    ),
    "encodec": (lambda: tf.EncodecModel(tf.EncodecConfig(**_CODEC)), "codec of convolutions"),
    "dac": (lambda: tf.DacModel(tf.DacConfig(**_DAC)), "codec of convolutions"),
    "univnet": (lambda: tf.UnivNetModel(tf.UnivNetConfig(**_UNIVNET)), "makes sounds"),
    "fastspeech2_conformer": (
        lambda: tf.FastSpeech2ConformerModel(tf.FastSpeech2ConformerConfig(**_SPEAKING)),
        "makes sounds",
    ),
    "pop2piano": (
        lambda: tf.Pop2PianoForConditionalGeneration(tf.Pop2PianoConfig(**_PIANO)),
        "beats of music",
    ),
    "speecht5 (text to speech)": (
        lambda: tf.SpeechT5ForTextToSpeech(
            tf.SpeechT5Config(**_SEQ2SEQ, **_CONVOLUTIONS, hidden_size=WIDTH)
        ),
        "SpeechT5ForTextToSpeech reads text.* SpeechT5ForSpeechToText is read",
    ),
    "gemma3n_audio": (
        lambda: tf.Gemma3nAudioEncoder(tf.Gemma3nAudioConfig(**_GEMMA)),
        "how sounds enter a gemma3n_audio model is not known",
    ),
    "lasr_encoder": (
        lambda: tf.LasrEncoder(tf.LasrEncoderConfig(**_BLOCKS, num_mel_bins=16)),
        "how sounds enter a lasr_encoder model is not known",
    ),
    "audioflamingo3_encoder": (
        lambda: tf.AudioFlamingo3Encoder(tf.AudioFlamingo3EncoderConfig(**_TOWER)),
        "how sounds enter a audioflamingo3_encoder model is not known",
    ),
    "pe_audio_encoder": (
        lambda: tf.PeAudioEncoder(tf.PeAudioEncoderConfig(**_BLOCKS)),
        "how sounds enter a pe_audio_encoder model is not known",
    ),
}
