"""Sounds: spoken, read from files, and through speech transformers of every kind."""

import numpy as np
import pandas as pd
import pytest
import soundfile
import torch

from strata import StrataError
from strata.activations.cache import SEGMENTS, ActivationCache, merge_shards
from strata.activations.extraction import extract, extract_readings
from strata.compat import prepare_imports
from strata.data import open_dataset
from strata.data.folder import index_folder
from strata.data.manifest import write_dataset
from strata.data.microspeech import CLIP, RATE, make_microspeech
from strata.data.sounds import read_sound, resample
from strata.models.encoder import load_encoder
from strata.models.front_end import FrontEnd, sound_reader, write_sound_processor
from strata.models.speech import frame_geometry, frames_of
from strata.models.twins import random_twin

prepare_imports()
import transformers  # noqa: E402

SHAPE = {
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
FAMILIES = {
    "wav2vec2": ("Wav2Vec2", {}),
    "wav2vec2-large": ("Wav2Vec2", STABLE),
    "hubert": ("Hubert", {}),
    "hubert-large": ("Hubert", STABLE),
    "wavlm": ("WavLM", {}),
    "wavlm-large": ("WavLM", STABLE),
}


def speech_model(directory, name):
    family, more = FAMILIES[name]
    torch.manual_seed(0)
    config = getattr(transformers, f"{family}Config")(**SHAPE, **more)
    getattr(transformers, f"{family}Model")(config).save_pretrained(directory)
    write_sound_processor(directory, RATE)
    return directory


@pytest.fixture(scope="module")
def spoken():
    splits = {"train": 0.5, "test": 0.5}
    return make_microspeech(4, 1, 3, splits, words=("yes", "no", "seven"))


@pytest.fixture
def dataset(spoken, tmp_path):
    sounds, manifest, segments = spoken
    folder = tmp_path / "spoken"
    folder.mkdir()
    np.save(folder / "sounds.npy", sounds)
    info = {"name": "spoken", "modality": "audio", "root": ".", "rate": RATE}
    write_dataset(folder, manifest, info | {"storage": "sounds.npy"}, segments)
    return open_dataset(folder)


# --- Microspeech ----------------------------------------------------------------------------------


def test_the_same_words_give_the_same_bytes(spoken):
    again = make_microspeech(4, 1, 3, {"train": 0.5, "test": 0.5}, words=("yes", "no", "seven"))
    assert spoken[0].tobytes() == again[0].tobytes()
    pd.testing.assert_frame_equal(spoken[1], again[1])
    pd.testing.assert_frame_equal(spoken[2], again[2])


def test_nobody_is_heard_in_two_splits(spoken):
    manifest = spoken[1]
    assert manifest.groupby("speaker")["split"].nunique().eq(1).all()
    assert manifest.groupby("split")["speaker"].nunique().to_dict() == {"train": 2, "test": 2}
    assert manifest.groupby("speaker")["word"].nunique().eq(3).all()


def test_phonemes_follow_each_other_inside_their_clip(spoken):
    sounds, manifest, segments = spoken
    assert sounds.shape == (12, CLIP) and sounds.dtype == np.int16
    assert (segments["start"] < segments["end"]).all() and segments["end"].max() <= 1
    for sample, pieces in segments.groupby("sample"):
        assert (pieces["end"].to_numpy()[:-1] <= pieces["start"].to_numpy()[1:] + 1e-3).all()
        expected = {"yes": ["j", "E", "s"], "no": ["n", "oU"]}.get(manifest["word"][sample])
        if expected:
            assert pieces["phoneme"].tolist() == expected


def test_words_are_louder_than_their_noise(spoken):
    """The signal-to-noise ratio that is recorded is the one that is heard."""
    sounds, manifest, segments = spoken
    for sample, pieces in segments.groupby("sample"):
        clip = sounds[sample].astype(float)
        word = slice(int(pieces["start"].min() * RATE), int(pieces["end"].max() * RATE))
        outside = np.delete(clip, np.r_[word])
        # What is heard of the word is its power and the noise's.
        ratio = clip[word].var() / max(outside.var(), 1e-9)
        assert 10 * np.log10(ratio) > manifest["snr"][sample] - 6


def test_fewer_speakers_than_splits_are_told():
    with pytest.raises(StrataError, match="a speaker for each split"):
        make_microspeech(1, 1, 0, {"train": 0.5, "test": 0.5})


# --- files ----------------------------------------------------------------------------------------


def tone(rate, seconds=0.5, channels=1):
    wave = 0.5 * np.sin(2 * np.pi * 440 * np.arange(int(rate * seconds)) / rate)
    return np.repeat(wave[:, None], channels, axis=1)


@pytest.mark.parametrize("rate", [8000, 16000, 44100])
def test_any_rate_and_any_number_of_channels_become_mono_at_the_models_rate(rate, tmp_path):
    path = tmp_path / "tone.wav"
    soundfile.write(path, tone(rate, channels=2) * [1.0, 0.0], rate)
    sound = resample(*read_sound(path), RATE)
    assert sound.dtype == np.float32 and abs(len(sound) - RATE / 2) <= 1
    spectrum = np.abs(np.fft.rfft(sound))
    assert abs(spectrum.argmax() * RATE / len(sound) - 440) < 5
    assert np.abs(sound[1000:-1000]).max() == pytest.approx(0.25, abs=0.01)  # mean of both channels


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (np.zeros(0), "length zero"),
        (np.zeros(8000), "silent"),
        (None, "unreadable"),
    ],
)
def test_a_sound_that_holds_nothing_is_named(content, message, tmp_path):
    path = tmp_path / "a.wav"
    if content is None:
        path.write_bytes(b"RIFF and nothing else")
    else:
        soundfile.write(path, content, RATE)
    with pytest.raises(StrataError, match=rf"a\.wav.*{message}"):
        read_sound(path)


def folder_of_sounds(root, clips):
    for name, sound in clips.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(root / name, sound, RATE)


@pytest.mark.parametrize(
    ("sound", "message"), [(np.zeros(0), "length zero"), (np.zeros(400), "silent")]
)
def test_indexing_names_a_clip_that_holds_nothing(sound, message, tmp_path):
    folder_of_sounds(tmp_path / "in", {"a/1.wav": tone(RATE), "b/2.wav": sound})
    with pytest.raises(StrataError, match=rf"b/2\.wav.*{message}"):
        index_folder({"path": str(tmp_path / "in"), "modality": "audio"}, tmp_path / "out")
    spec = {"path": str(tmp_path / "in"), "modality": "audio", "skip": ["b/2.wav"]}
    index_folder(spec, tmp_path / "out")
    assert open_dataset(tmp_path / "out").manifest["path"].tolist() == ["a/1.wav"]


def test_lists_of_files_make_the_splits(tmp_path):
    names = [f"{word}/{speaker}_nohash_0.wav" for word in ("yes", "no") for speaker in "abc"]
    folder_of_sounds(tmp_path / "in", dict.fromkeys(names, tone(RATE, 0.1)))
    (tmp_path / "in/testing_list.txt").write_text("yes/a_nohash_0.wav\nno/a_nohash_0.wav\n")
    (tmp_path / "in/validation_list.txt").write_text("yes/b_nohash_0.wav\nno/b_nohash_0.wav\n")
    spec = {
        "path": str(tmp_path / "in"),
        "modality": "audio",
        "pattern": "(?P<word>[a-z]+)/(?P<speaker>[a-z])_nohash_(?P<take>[0-9]+)[.]wav",
        "lists": {"validation": "validation_list.txt", "test": "testing_list.txt"},
    }
    index_folder(spec, tmp_path / "out")
    found = open_dataset(tmp_path / "out").manifest
    split = dict(zip(found["speaker"], found["split"], strict=True))
    assert split == {"a": "test", "b": "validation", "c": "train"}
    table = "path,split,word\n" + "".join(f"{name},all,x\n" for name in names)
    (tmp_path / "in/labels.csv").write_text(table)
    both = {**spec, "labels": "labels.csv"}
    with pytest.raises(StrataError, match="lists and a column split both name splits"):
        index_folder(both, tmp_path / "out")
    spec["lists"] = {"test": "nowhere.txt"}
    with pytest.raises(StrataError, match=r"no list of the split 'test'.*nowhere"):
        index_folder(spec, tmp_path / "out")


def test_a_table_of_pieces_becomes_segments(tmp_path):
    folder_of_sounds(tmp_path / "in", {"a/1.wav": tone(RATE), "b/2.wav": tone(RATE)})
    table = tmp_path / "in/pieces.csv"
    table.write_text("path,start,end,phoneme\nb/2.wav,0.1,0.3,E\na/1.wav,0,0.2,j\n")
    spec = {"path": str(tmp_path / "in"), "modality": "audio", "segments": "pieces.csv"}
    index_folder(spec, tmp_path / "out")
    assert open_dataset(tmp_path / "out").segments["phoneme"].tolist() == ["j", "E"]
    table.write_text("path,start,end,phoneme\nc/3.wav,0.1,0.3,E\n")
    with pytest.raises(StrataError, match=r"line 2.*c/3\.wav"):
        index_folder(spec, tmp_path / "out")


# --- models ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FAMILIES)
def test_a_clips_features_do_not_depend_on_its_batch(name, tmp_path):
    encoder = load_encoder(speech_model(tmp_path / name, name), device="cpu")
    assert len(encoder.layers) == 3 and encoder.rate == RATE
    draw = np.random.default_rng(0)
    clips = [draw.standard_normal(n).astype(np.float32) for n in (16000, 5000, 9000, 16000)]
    together = encoder.forward(encoder.preprocess(clips)).last_hidden_state
    counts = encoder.front_end.frame_counts(encoder.preprocess(clips))
    for i, clip in enumerate(clips):
        alone = encoder.forward(encoder.preprocess([clip])).last_hidden_state[0]
        assert len(alone) == counts[i]
        torch.testing.assert_close(together[i, : counts[i]], alone, atol=2e-5, rtol=1e-4)


@pytest.mark.parametrize("name", FAMILIES)
def test_without_padding_features_are_those_of_the_library_alone(name, tmp_path):
    encoder = load_encoder(speech_model(tmp_path / name, name), device="cpu")
    clips = np.random.default_rng(1).standard_normal((2, 8000)).astype(np.float32)
    ready = encoder.preprocess(list(clips))
    with torch.inference_mode():
        expected = encoder.module(torch.stack(ready)).last_hidden_state
        assert torch.equal(encoder.forward(ready).last_hidden_state, expected)


def test_frames_are_counted_as_the_model_does(tmp_path):
    encoder = load_encoder(speech_model(tmp_path / "m", "hubert"), device="cpu")
    module, (hop, field) = encoder.module, frame_geometry(encoder.module.config)
    for samples in (field, field + hop - 1, field + hop, 16000):
        counted = encoder.front_end.frame_counts([torch.zeros(samples)])[0]
        assert counted == int(module._get_feat_extract_output_lengths(samples))


def test_real_geometry_is_the_published_one():
    assert frame_geometry(transformers.Wav2Vec2Config()) == (320, 400)


def test_a_piece_gets_the_frames_whose_centres_it_holds():
    span = FrontEnd(None, 16000, None, 320, 200.0, 400).frame_span
    centres = (np.arange(49) * 320 + 200) / 16000
    for start, end in ((0.0, 1.0), (0.1, 0.23), (0.5, 0.52)):
        first, last = span(start, end, 49)
        assert np.array_equal(
            np.arange(first, last), np.flatnonzero((centres >= start) & (centres < end))
        )
    assert span(0.9999, 1.0, 49) == (48, 49)
    assert span(0.0, 0.001, 49) == (0, 1)


def test_clips_and_phonemes_are_pooled_over_their_own_frames(dataset, tmp_path):
    encoder = load_encoder(speech_model(tmp_path / "m", "wav2vec2"), device="cpu")
    extract(encoder, dataset, tmp_path / "whole", batch_size=5)
    cache, pieces = (
        ActivationCache(tmp_path / "whole"),
        ActivationCache(tmp_path / "whole" / SEGMENTS),
    )
    assert len(cache) == 12 and len(pieces) == len(dataset.segments)
    place = 7
    clip = encoder.preprocess([dataset.sound(place, RATE)])
    kept = []
    encoder.layers["encoder.layers.1"].register_forward_hook(
        lambda m, i, o: kept.append(o[0] if isinstance(o, tuple) else o)
    )
    with torch.inference_mode():
        encoder.forward(clip)
    states = kept[0][0].numpy()
    np.testing.assert_allclose(cache.layer(1)[place], states.mean(axis=0), atol=1e-5)
    row = np.flatnonzero(dataset.segments["sample"] == place)[0]
    piece = dataset.segments.iloc[row]
    first, last = encoder.front_end.frame_span(piece["start"], piece["end"], len(states))
    np.testing.assert_allclose(pieces.layer(1)[row], states[first:last].mean(axis=0), atol=1e-5)


def test_sounds_and_their_pieces_are_read_in_several_ways_at_once(dataset, tmp_path):
    encoder = load_encoder(speech_model(tmp_path / "m", "wav2vec2"), device="cpu")
    ways = {tmp_path / "one": "mean", tmp_path / "two": "auto"}
    extract_readings(encoder, dataset, ways, batch_size=5)
    extract(encoder, dataset, tmp_path / "alone", batch_size=5)
    for inner in (".", SEGMENTS):
        caches = [ActivationCache(tmp_path / name / inner) for name in ("one", "two", "alone")]
        for i in range(len(caches[0].layers)):
            one, two, alone = (cache.layer(i) for cache in caches)
            assert np.array_equal(one, alone) and np.array_equal(two, alone)


def test_shards_join_to_the_whole(dataset, tmp_path):
    encoder = load_encoder(speech_model(tmp_path / "m", "wavlm"), device="cpu")
    extract(encoder, dataset, tmp_path / "whole")
    for i in range(3):
        extract(encoder, dataset, tmp_path / f"s{i}", shard=(i, 3))
    merge_shards([tmp_path / f"s{i}" for i in range(3)], tmp_path / "joined")
    for inner in (".", SEGMENTS):
        one, other = (ActivationCache(tmp_path / name / inner) for name in ("whole", "joined"))
        for i in range(3):
            np.testing.assert_allclose(one.layer(i), other.layer(i), atol=1e-5)


def test_a_random_twin_of_a_speech_model_is_another_model(tmp_path):
    base = speech_model(tmp_path / "m", "hubert")
    random_twin(base, tmp_path / "twin", seed=5)
    one, twin = load_encoder(base, device="cpu"), load_encoder(tmp_path / "twin", device="cpu")
    clip = one.preprocess([np.random.default_rng(0).standard_normal(4000).astype(np.float32)])
    with torch.inference_mode():
        states = [e.forward(clip).last_hidden_state for e in (one, twin)]
    assert states[0].shape == states[1].shape and not torch.allclose(*states)


def test_pictures_before_a_speech_model_are_told(dataset, tmp_path):
    encoder = load_encoder(speech_model(tmp_path / "m", "hubert"), device="cpu")
    dataset.info["modality"] = "image"
    with pytest.raises(StrataError, match="m is a model of modality audio, spoken holds image"):
        encoder.reader(dataset)


def test_a_clip_shorter_than_a_frame_is_named(tmp_path):
    encoder = load_encoder(speech_model(tmp_path / "m", "hubert"), device="cpu")
    folder_of_sounds(tmp_path / "in", {"a/1.wav": tone(RATE), "a/2.wav": tone(RATE, 0.01)})
    index_folder({"path": str(tmp_path / "in"), "modality": "audio"}, tmp_path / "out")
    with pytest.raises(StrataError, match=r"a/2\.wav: 160 samples.*one frame"):
        extract(encoder, open_dataset(tmp_path / "out"), tmp_path / "acts")


def test_a_model_that_does_not_tell_its_rate_is_named(tmp_path):
    folder = speech_model(tmp_path / "m", "hubert")
    (folder / "preprocessor_config.json").unlink()
    with pytest.raises(StrataError, match=r"m: no preprocessor_config\.json; it names the sample"):
        load_encoder(folder, device="cpu")


def test_a_model_of_waves_with_a_preprocessor_of_spectrograms_is_named(tmp_path):
    folder = speech_model(tmp_path / "m", "hubert")
    transformers.WhisperFeatureExtractor().save_pretrained(folder)
    with pytest.raises(StrataError, match="is for a WhisperFeatureExtractor, the model takes"):
        load_encoder(folder, device="cpu")


def test_a_clip_shorter_than_one_frame_is_refused_and_one_of_a_frame_is_not(tmp_path):
    module = transformers.AutoModel.from_pretrained(speech_model(tmp_path, "wav2vec2"))
    field = frame_geometry(module.config)[1]
    with torch.no_grad():
        assert frames_of(module, [torch.zeros(field)])[0].shape[-1] == 1
    with pytest.raises(StrataError, match=rf"clip of {field - 1} samples is shorter than one"):
        frames_of(module, [torch.zeros(field + 9), torch.zeros(field - 1)])


def test_the_reader_refuses_sounds_too_short_or_too_long_and_no_others():
    class Source:
        def sound(self, length, rate):
            return np.zeros(length, np.float32)

        def place_of(self, sample):
            return "a.wav"

    front_end = FrontEnd.__new__(FrontEnd)
    vars(front_end).update(rate=RATE, shortest=400, longest=800)
    read = sound_reader(front_end, Source(), "m")
    assert [len(read(length)) for length in (400, 800)] == [400, 800]
    for length, message in ((399, r"399 samples .* \(400\)"), (801, "cut it into shorter")):
        with pytest.raises(StrataError, match=message):
            read(length)
