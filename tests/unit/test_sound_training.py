"""Sound encoders of every kind through activations, similarities, heads, cuts and cost."""

import numpy as np
import pandas as pd
import pytest
import soundfile
import torch

import sound_models
from sound_models import LAYERS, RATE, SECONDS, WIDTH
from strata import StrataError
from strata.activations.cache import SEGMENTS, ActivationCache
from strata.activations.extraction import extract
from strata.compat import prepare_imports
from strata.data import open_dataset
from strata.data.folder import index_folder
from strata.data.splits import Task
from strata.models.encoder import load_encoder
from strata.models.layers import encoder_of
from strata.models.training.finetune import finetune
from strata.models.training.tuning import (
    Training,
    classifier,
    head_parameters,
    inputs_of,
    logits_of,
    raw_example,
)
from strata.pruning import cost, layer_similarities, n_layers, prune
from strata.pruning.costs import cost_measures, timing_measures
from strata.pruning.tuning import finetune_cuts

prepare_imports()
import transformers  # noqa: E402

AST = "audio-spectrogram-transformer"
CLASSIFIED = ("whisper", AST, "wav2vec2-bert", "data2vec-audio", "sew-d", "wav2vec2-conformer")
SHARES = {"train": 0.5, "validation": 0.25, "test": 0.25}
TRAINING = Training(epochs=2, batch_size=4, learning_rate=1e-3, patience=2, head_factor=10)


def quiet(line):
    pass


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    """Clips of unlike lengths, two pitches, with labelled pieces."""
    root = tmp_path_factory.mktemp("clips")
    draw, pieces = np.random.default_rng(0), []
    for number in range(16):
        pitch, samples = ("low", "high")[number % 2], int(draw.integers(6000, 20000))
        times = np.arange(samples) / RATE
        wave = 0.3 * np.sin(2 * np.pi * {"low": 300, "high": 2500}[pitch] * times)
        path = root / "in" / pitch / f"{number}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, wave + 0.05 * draw.standard_normal(samples), RATE)
        for start in (0.05, 0.2):
            row = (f"{pitch}/{number}.wav", start, start + 0.13, pitch)
            pieces.append(",".join(map(str, row)))
    (root / "in" / "pieces.csv").write_text("path,start,end,part\n" + "\n".join(pieces) + "\n")
    spec = {"path": str(root / "in"), "modality": "audio", "segments": "pieces.csv"}
    index_folder(spec, root / "out")
    return open_dataset(root / "out")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("models")

    def found(name):
        place = root / name
        return place if place.is_dir() else sound_models.save(name, place)

    return found


# --- activations ----------------------------------------------------------------------------------


@pytest.mark.parametrize("context", [None, "full"])
@pytest.mark.parametrize("name", ["whisper", AST, "data2vec-audio", "speech_to_text"])
def test_rows_of_clips_and_pieces_do_not_depend_on_the_batch(
    name, context, dataset, folder, tmp_path
):
    if context and name not in ("whisper", AST):
        return
    encoder = load_encoder(folder(name), device="cpu", context=context)
    for size in (1, 7):
        extract(encoder, dataset, tmp_path / str(size), pool="mean", batch_size=size, log=quiet)
    for inner in (".", SEGMENTS):
        one, other = (ActivationCache(tmp_path / size / inner) for size in ("1", "7"))
        assert len(one) == (16 if inner == "." else 32)
        for layer in range(LAYERS):
            np.testing.assert_allclose(one.layer(layer), other.layer(layer), atol=2e-5)
    # One clip and its second piece by hand.
    place, front_end = 5, encoder.front_end
    clip = encoder.preprocess([dataset.sound(place, RATE)])
    (count,) = front_end.frame_counts(clip)
    kept = []
    encoder.layers[encoder.layer_names[1]].register_forward_hook(
        lambda m, i, out: kept.append(out if hasattr(out, "ndim") else out[0])
    )
    with torch.inference_mode():
        encoder.forward(clip)
    frames = front_end.frames(kept[0])[0, :count].numpy()
    row = int(np.flatnonzero(dataset.segments["sample"] == place)[1])
    start, end = dataset.segments.loc[row, ["start", "end"]]
    centres = (front_end.centre + front_end.hop * np.arange(count)) / RATE
    inside = np.flatnonzero((centres >= start) & (centres < end))
    if not len(inside):
        inside = [int(np.abs(centres - (start + end) / 2).argmin())]
    whole, pieces = (ActivationCache(tmp_path / "7" / inner).layer(1) for inner in (".", SEGMENTS))
    np.testing.assert_allclose(whole[place], frames.mean(axis=0), atol=2e-5)
    np.testing.assert_allclose(pieces[row], frames[inside].mean(axis=0), atol=2e-5)


def test_a_clip_longer_than_the_positions_is_named(dataset, folder, tmp_path):
    long = tmp_path / "in" / "a" / "long.wav"
    long.parent.mkdir(parents=True)
    wave = 0.1 * np.random.default_rng(0).standard_normal(SECONDS * RATE + RATE // 5)
    soundfile.write(long, wave, RATE)
    index_folder({"path": str(tmp_path / "in"), "modality": "audio"}, tmp_path / "out")
    told = r"a/long\.wav: 2\.2 s are more than {} reads \(2\.0 s\); cut it"
    for name in ("whisper", AST):
        encoder = load_encoder(folder(name), device="cpu")
        with pytest.raises(StrataError, match=told.format(name)):
            extract(encoder, open_dataset(tmp_path / "out"), tmp_path / "acts", log=quiet)


@pytest.mark.parametrize("context", ["clip", "full"])
@pytest.mark.parametrize("name", ["whisper", AST])
def test_similarities_are_those_of_the_clips_own_tokens(name, context, dataset, folder):
    encoder = load_encoder(folder(name), device="cpu", context=context)
    found = layer_similarities(encoder, dataset, range(16), batch_size=5, log=quiet)
    cosines = []
    layers = list(encoder.layers.values())
    seen = {}
    layers[0].register_forward_pre_hook(lambda m, i: seen.__setitem__("in", i[0]))
    layers[-1].register_forward_hook(
        lambda m, i, out: seen.__setitem__("out", out if hasattr(out, "ndim") else out[0])
    )
    for sample in range(16):
        clip = encoder.preprocess([dataset.sound(sample, RATE)])
        (count,) = encoder.front_end.frame_counts(clip)
        with torch.inference_mode():
            encoder.forward(clip)
        tokens = list(range(count))
        if name == AST:
            times = (seen["in"].shape[1] - 2) // 3
            tokens = [0, 1, *(2 + times * p + t for p in range(3) for t in range(count))]
        pair = (seen[key][0, tokens].double() for key in ("in", "out"))
        cosines.append(torch.nn.functional.cosine_similarity(*pair, dim=-1))
    angle = torch.cat(cosines).clamp(-1, 1).arccos().mean() / np.pi
    assert found.angular_distance[0, LAYERS] == pytest.approx(float(angle), abs=1e-5)


# --- heads ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", CLASSIFIED)
def test_what_is_said_of_a_clip_does_not_depend_on_its_batch(name, dataset, folder):
    model = classifier(folder(name), ["high", "low"]).eval()
    inputs = inputs_of(folder(name), dataset, model)
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm1d):
            module.train()  # as a training would have it
    rows = np.array([3, 11, 6, 0, 9])
    with torch.inference_mode(), inputs.feeding(model):
        together = logits_of(model, inputs.passes(rows))
        alone = [logits_of(model, inputs.passes(rows[i : i + 1])) for i in range(5)]
    torch.testing.assert_close(together, torch.cat(alone), atol=1e-5, rtol=1e-4)
    assert (together - together.mean(dim=0)).abs().max() > 1e-5


def test_whispers_head_sees_the_mean_of_a_clips_own_frames(dataset, folder):
    source = folder("whisper")
    model = classifier(source, ["high", "low"]).eval()
    inputs = inputs_of(source, dataset, model)
    encoder = load_encoder(source, device="cpu")
    rows = np.array([2, 7, 4])
    with torch.inference_mode():
        ours = logits_of(model, inputs.passes(rows))
        for row, found in zip(rows, ours, strict=True):
            clip = encoder.preprocess([dataset.sound(row, RATE)])
            states = encoder.forward(clip).last_hidden_state[0]
            assert len(states) == encoder.front_end.frame_counts(clip)[0]
            expected = model.classifier(model.projector(states).mean(dim=0))
            torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("name", ["whisper", AST])
def test_padded_a_cut_classifier_is_what_transformers_alone_runs(name, dataset, folder, tmp_path):
    source = folder(name)
    model = prune(classifier(source, ["high", "low"]).eval(), 2)
    inputs = inputs_of(source, dataset, model, context="full")
    model.save_pretrained(tmp_path)
    again = transformers.AutoModelForAudioClassification.from_pretrained(tmp_path).eval()
    assert n_layers(again) == 2
    extractor = transformers.AutoFeatureExtractor.from_pretrained(source)
    sounds = [dataset.sound(i, RATE) for i in range(3)]
    with torch.inference_mode():
        theirs = again(**extractor(sounds, sampling_rate=RATE, return_tensors="pt")).logits
        ours = logits_of(model, inputs.passes(np.arange(3)))
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("name", CLASSIFIED)
def test_a_classifier_is_trained_cut_saved_and_read_again(name, dataset, folder, tmp_path):
    source = folder(name)
    model = classifier(source, ["high", "low"])
    head = sum(p.numel() for p in head_parameters(model))
    encoder = sum(p.numel() for p in encoder_of(model).parameters())
    assert head and head + encoder == sum(p.numel() for p in model.parameters())
    finetune(source, dataset, "class", tmp_path, TRAINING, splits=SHARES, log=quiet)
    tuned, base = (load_encoder(place, device="cpu") for place in (tmp_path, source))
    assert tuned.layer_names == base.layer_names
    clips = tuned.preprocess([dataset.sound(0, RATE)])
    states = []
    for each in (tuned, base):
        kept = []
        each.layers[each.layer_names[-1]].register_forward_hook(
            lambda m, i, out, kept=kept: kept.append(out if hasattr(out, "ndim") else out[0])
        )
        with torch.inference_mode():
            each.forward(clips)
        states += kept
    assert states[0].shape == states[1].shape and not torch.allclose(*states)
    again = transformers.AutoModelForAudioClassification.from_pretrained(tmp_path)
    for keep in (1, (0, 2)):
        smaller = prune(again, keep)
        smaller.save_pretrained(tmp_path / "cut")
        loaded, report = type(again).from_pretrained(tmp_path / "cut", output_loading_info=True)
        assert not report["missing_keys"] and not report["unexpected_keys"]
        assert n_layers(loaded) == np.size(keep)


def test_pitches_are_learned_by_what_is_left_of_whisper(dataset, folder, tmp_path):
    spec = {"splits": SHARES}
    task = Task.of(dataset.manifest, "class", spec, 0, "out")
    training = Training(epochs=12, batch_size=4, learning_rate=1e-3, patience=12, head_factor=10)
    tuned = finetune_cuts(
        folder("whisper"), dataset, task, [(0,)], training, seed=0, checkpoints=tmp_path, log=quiet
    )
    table = tuned.measures
    assert table.loc[table["metric"] == "test_accuracy", "value"].item() > 0.7
    finetune_cuts(
        folder("whisper"),
        dataset,
        task,
        [(0,)],
        TRAINING,
        seed=0,
        checkpoints=tmp_path,
        context="full",
        log=quiet,
    )
    assert len(list(tmp_path.iterdir())) == 2  # another context is another result


def test_what_cannot_be_a_classifier_is_told(folder, tmp_path, dataset):
    with pytest.raises(StrataError, match="no classifier around a moonshine encoder"):
        classifier(folder("moonshine"), ["a", "b"])
    with pytest.raises(StrataError, match="use_weighted_layer_sum mixes layers"):
        classifier(folder("whisper"), ["a", "b"], {"use_weighted_layer_sum": True})
    with pytest.raises(StrataError, match="interpolate needs a batch in one pass"):
        finetune(
            folder(AST),
            dataset,
            "class",
            tmp_path,
            TRAINING,
            splits=SHARES,
            interpolate=True,
            log=quiet,
        )


def test_a_half_precision_checkpoint_is_trained_in_float32(folder, tmp_path):
    half = transformers.WhisperModel.from_pretrained(folder("whisper"), dtype=torch.float16)
    half.save_pretrained(tmp_path)
    model = classifier(tmp_path, ["a", "b"])
    assert {p.dtype for p in model.parameters()} == {torch.float32}


# --- cost -----------------------------------------------------------------------------------------


def test_cost_of_whisper_by_hand(dataset, folder):
    """A clip of n log-mel frames costs what its own frames cost, a padded one what all cost."""
    source = folder("whisper")
    median = int(np.median([len(dataset.sound(i, RATE)) for i in range(16)]))
    for context, mel in (("clip", median // 160), ("full", 100 * SECONDS)):
        model = classifier(source, ["high", "low"]).eval()
        example = raw_example(source, dataset, model, range(16), context)
        one = {key: value[:1] for key, value in example.items()}
        assert one["input_features"].shape == (1, 20, mel)
        frames, inner = (mel + 1) // 2, 48
        front = mel * 3 * 20 * WIDTH + frames * 3 * WIDTH * WIDTH
        layer = frames * (4 * WIDTH * WIDTH + 2 * WIDTH * inner) + 2 * frames * frames * WIDTH
        head = frames * WIDTH * 256 + 256 * 2
        for depth in (1, 2):
            found = cost(prune(model, depth).eval(), one)
            assert found.front_end_macs == front
            assert found.macs == front + depth * layer + head


@pytest.mark.parametrize("name", ["whisper", AST, "wav2vec2-bert"])
def test_prices_of_every_depth(name, dataset, folder):
    task = Task.of(dataset.manifest, "class", {"splits": SHARES}, 0, "out")
    table = cost_measures(folder(name), dataset, task, TRAINING, seed=0, log=quiet)
    macs = table[table["metric"] == "macs"].sort_values("layer_index")["value"]
    assert len(macs) == LAYERS and np.ptp(np.diff(macs)) == 0 and macs.iloc[0] > 0
    options = {"repeats": 2, "warmup": 0, "threads": 1, "steps": 1, "log": quiet}
    seconds = timing_measures(folder(name), dataset, task, TRAINING, **options)
    assert isinstance(seconds, pd.DataFrame) and (seconds["value"] > 0).all()
