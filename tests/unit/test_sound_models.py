"""Every family of sound encoders is read right, or refused in one line."""

import json
import os
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch

import sound_models
from sound_models import LAYERS, RATE, READ, REFUSED, SECONDS, WIDTH
from strata import StrataError
from strata.activations.checks import check_encoder
from strata.compat import prepare_imports
from strata.models.encoder import load_encoder
from strata.models.fetching import fetch
from strata.models.sound_families import FAMILIES, family_of
from strata.models.twins import random_twin

prepare_imports()
import transformers  # noqa: E402

LENGTHS = (16000, 5000, 9000, 16000)
DOCS = Path(__file__).parents[2] / "docs" / "models.md"
BEGIN, END = "<!-- sounds: begin -->", "<!-- sounds: end -->"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The folder of a family's small model, saved once."""
    root = tmp_path_factory.mktemp("sounds")

    @cache
    def found(name):
        return sound_models.save(name, root / name.replace(" ", "-"))

    return found


def sounds(lengths=LENGTHS, seed=0):
    draw = np.random.default_rng(seed)
    return [0.1 * draw.standard_normal(n).astype(np.float32) for n in lengths]


def states_of(encoder, clips):
    """Each layer's frames of clips that go together: (clips, frames, features)."""
    found = []
    handles = [
        layer.register_forward_hook(
            lambda m, i, out: found.append(out if hasattr(out, "ndim") else out[0])
        )
        for layer in encoder.layers.values()
    ]
    with torch.inference_mode():
        encoder.forward(clips)
    for handle in handles:
        handle.remove()
    return [encoder.front_end.frames(states) for states in found]


@pytest.mark.parametrize("context", [None, "full"])
@pytest.mark.parametrize("name", READ)
def test_layers_width_and_frames_are_the_models_own_whatever_stands_beside(name, context, folder):
    padded = family_of(transformers.AutoConfig.from_pretrained(folder(name))).front_end
    if context and padded not in ("whisper", "spectrogram"):
        with pytest.raises(StrataError, match="context: full, but it takes sounds of any length"):
            load_encoder(folder(name), device="cpu", context=context)
        return
    encoder = load_encoder(folder(name), device="cpu", context=context)
    check_encoder(encoder)
    front_end = encoder.front_end
    assert len(encoder.layers) == LAYERS and encoder.rate == front_end.rate == RATE
    clips = encoder.preprocess(sounds())
    counts, alone = front_end.frame_counts(clips), [states_of(encoder, [clip]) for clip in clips]
    means = []
    for count, states in zip(counts, alone, strict=True):
        assert len(states) == LAYERS
        for layer in states:
            assert layer.shape[1] == count if context is None else layer.shape[1] > count
            assert layer.shape[2] == WIDTH
        means.append(torch.stack([layer[0, :count].mean(dim=0) for layer in states]))
    # Unlike clips have unlike states, in every layer.
    for i in range(len(clips)):
        for j in range(i):
            assert (means[i] - means[j]).abs().amax(dim=1).min() > 1e-4
    # Clips that go together have the states that they have alone.
    groups = front_end.groups(clips)
    assert sorted(place for group in groups for place in group) == list(range(len(clips)))
    for group in groups:
        for layer, states in enumerate(states_of(encoder, [clips[place] for place in group])):
            for row, place in enumerate(group):
                torch.testing.assert_close(
                    states[row, : counts[place]],
                    alone[place][layer][0, : counts[place]],
                    atol=2e-5,
                    rtol=1e-4,
                )


def test_clips_of_whisper_go_with_clips_of_about_their_length(folder):
    front_end = load_encoder(folder("whisper"), device="cpu").front_end
    clips = [torch.zeros(80, length) for length in (40, 200, 100, 50, 190, 75, 160, 34)]
    groups = [[clips[place].shape[1] for place in group] for group in front_end.groups(clips)]
    assert groups == [[200, 190, 160], [100, 75], [50, 40], [34]]


def library(folder, name):
    """The encoder as transformers alone loads it, and its feature extractor."""
    config = transformers.AutoConfig.from_pretrained(folder)
    named = config.architectures[0]
    kind = getattr(transformers, named, None)
    if name == "whisper (encoder alone)":
        kind = transformers.models.whisper.modeling_whisper.WhisperEncoder
    model = kind.from_pretrained(folder).eval()
    paths = ("model.encoder", "model.audio_tower", "speecht5.encoder", "speech_encoder")
    nested = {path for path, _ in model.named_modules()}
    inside = [path for path in paths if path in nested]
    if name == "parakeet_ctc":
        inside = ["encoder"]
    module = model.get_submodule(inside[0]) if inside else model.base_model
    return module, transformers.AutoFeatureExtractor.from_pretrained(folder)


def given(extractor, sound):
    """A sound as transformers alone prepares it, padded as it likes."""
    options = {"return_tensors": "pt", "sampling_rate": RATE}
    return extractor(sound, **options)


@pytest.mark.parametrize("name", READ)
def test_states_are_those_that_the_library_alone_gives(name, folder):
    """A clip by itself; networks of fixed length on the padded clip."""
    kind = family_of(transformers.AutoConfig.from_pretrained(folder(name))).front_end
    context = "full" if kind in ("whisper", "spectrogram") else None
    encoder = load_encoder(folder(name), device="cpu", context=context)
    module, extractor = library(folder(name), name)
    (sound,) = sounds([9000])
    arguments = given(extractor, sound)
    if "glmasr" in name:
        arguments = {"input_features": arguments["input_features"][:, :, : 9000 // 160]}
    (clip,) = encoder.preprocess([sound])
    ours, count = states_of(encoder, [clip]), encoder.front_end.frame_counts([clip])[0]
    with torch.inference_mode():
        theirs = module(**arguments, output_hidden_states=True).hidden_states
    assert len(theirs) == LAYERS + 1
    for layer in range(LAYERS - 1):  # the last is given behind the norm that follows
        expected = encoder.front_end.frames(theirs[layer + 1])[:, :count]
        torch.testing.assert_close(ours[layer][:, :count], expected, atol=2e-5, rtol=1e-4)


@pytest.mark.parametrize("name", READ)
def test_a_frame_is_centred_where_its_front_end_says(name, folder):
    """A click that is moved changes most the frames that it was next to."""
    encoder = load_encoder(folder(name), device="cpu")
    front_end = encoder.front_end
    (noise,) = sounds([30000])
    entering = []

    def clicking(place):
        clicks = noise.copy()
        clicks[place - 8 : place + 8] += 0.9 * np.array([1, -1] * 8, dtype=np.float32)
        return encoder.preprocess([clicks])

    first = next(iter(encoder.layers.values()))
    first.register_forward_pre_hook(
        lambda module, args, named: entering.append(args[0] if args else named["hidden_states"]),
        with_kwargs=True,
    )
    for place in (6100, 12000, 17300):
        entering.clear()
        with torch.inference_mode():
            for clips in (clicking(27000), clicking(place)):
                encoder.forward(clips)
        before, after = (front_end.frames(states)[0] for states in entering)
        changed = (after - before).norm(dim=-1)[: int(23000 / front_end.hop)]
        expected = (place - front_end.centre) / front_end.hop
        near = changed * (changed > changed.max() / 3)
        found = float((near * torch.arange(len(near))).sum() / near.sum())
        assert abs(found - expected) < 1


# --- Whisper and AST on a clip's own frames -------------------------------------------------------


def test_whisper_computes_on_a_clips_own_frames_alone(folder):
    """As the library would, were its table of positions as long as the clip."""
    encoder = load_encoder(folder("whisper"), device="cpu")
    (sound,) = sounds([9600])  # 60 log-mel frames, 30 behind the convolutions
    (clip,) = encoder.preprocess([sound])
    assert clip.shape == (20, 60) and encoder.front_end.frame_counts([clip]) == [30]
    module, _ = library(folder("whisper"), "whisper")
    short = transformers.WhisperFeatureExtractor(feature_size=20, chunk_length=1)
    assert short.nb_max_frames == 100
    alone = short(sound, sampling_rate=RATE, padding="longest", return_tensors="pt")
    torch.testing.assert_close(clip, alone["input_features"][0])
    table = module.embed_positions.weight[:30].clone()
    module.config.max_source_positions = 30
    module.embed_positions = torch.nn.Embedding.from_pretrained(table)
    with torch.inference_mode():
        expected = module(clip[None], output_hidden_states=True).hidden_states
    for ours, theirs in zip(states_of(encoder, [clip])[:-1], expected[1:], strict=False):
        torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize("samples", [201, 320, 9761, 9760, 31999, 32000])
def test_whisper_has_a_frame_for_every_two_of_log_mel(samples, folder):
    for context in ("clip", "full"):
        encoder = load_encoder(folder("whisper"), device="cpu", context=context)
        (clip,) = encoder.preprocess(sounds([samples]))
        assert encoder.front_end.frame_counts([clip]) == [-(-(samples // 160) // 2)]
        frames = states_of(encoder, [clip])[0].shape[1]
        assert frames == (-(-(samples // 160) // 2) if context == "clip" else 50 * SECONDS)


def test_ast_computes_on_the_patches_of_a_clip_alone(folder):
    """As the library would, were its table of positions as long as the clip."""
    name = "audio-spectrogram-transformer"
    encoder = load_encoder(folder(name), device="cpu")
    (clip,) = encoder.preprocess(sounds([9600]))
    assert clip.shape == (58, 36) and encoder.front_end.frame_counts([clip]) == [5]
    module, _ = library(folder(name), name)
    pitches, times = module.embeddings.get_shape(module.config)
    assert (pitches, times) == (3, 19)
    kept = [0, 1, *(2 + 19 * pitch + time for pitch in range(3) for time in range(5))]
    table = module.embeddings.position_embeddings
    module.embeddings.position_embeddings = torch.nn.Parameter(table[:, kept])
    with torch.inference_mode():
        expected = module(clip[None], output_hidden_states=True).hidden_states[1]
    torch.testing.assert_close(
        states_of(encoder, [clip])[0], expected[:, 2:].reshape(1, 3, 5, WIDTH).mean(dim=1)
    )
    kept = encoder.front_end.own_tokens(torch.zeros(1, 2 + 3 * 19, 4), [5])
    assert kept.sum() == 2 + 3 * 5 and kept[0, 2 + 19 + 4] and not kept[0, 2 + 19 + 5]


def test_a_preprocessor_of_another_length_is_told(folder, tmp_path):
    for name, message in (
        ("whisper", r"pads to 3000 frames \(chunk_length\), config.json wants 200"),
        ("audio-spectrogram-transformer", "pads to 1024 frames, config.json wants 200"),
        ("wav2vec2-bert", "makes 160 features a frame, config.json wants"),
    ):
        place = tmp_path / name
        place.mkdir()
        for file in ("config.json", "model.safetensors"):
            (place / file).symlink_to(folder(name) / file)
        kinds = {"whisper": "Whisper", "wav2vec2-bert": "SeamlessM4T"}
        kind = getattr(transformers, f"{kinds.get(name, 'AST')}FeatureExtractor")
        kind().save_pretrained(place)
        with pytest.raises(StrataError, match=message):
            load_encoder(place, device="cpu")
        transformers.EncodecFeatureExtractor().save_pretrained(place)
        with pytest.raises(StrataError, match="is for a EncodecFeatureExtractor, the model takes"):
            load_encoder(place, device="cpu")


def test_a_model_saved_with_its_whole_processor_is_fetched(folder, tmp_path):
    place = tmp_path / "in"
    place.mkdir()
    for file in ("config.json", "model.safetensors"):
        (place / file).symlink_to(folder("whisper") / file)
    alone = json.loads((folder("whisper") / "preprocessor_config.json").read_text())
    whole = {"processor_class": "WhisperProcessor", "feature_extractor": alone}
    (place / "processor_config.json").write_text(json.dumps(whole))
    fetch({"path": str(place), "context": "full"}, tmp_path / "out", log=lambda line: None)
    encoder, base = (load_encoder(d, device="cpu") for d in (tmp_path / "out", folder("whisper")))
    clips = base.preprocess(sounds([8000]))
    assert torch.equal(encoder.preprocess(sounds([8000]))[0], clips[0])
    assert torch.equal(states_of(encoder, clips)[-1], states_of(base, clips)[-1])
    (tmp_path / "out" / "processor_config.json").unlink()
    (tmp_path / "out" / "preprocessor_config.json").write_text("{")
    with pytest.raises(StrataError, match=r"out: preprocessor_config\.json makes no feature ext"):
        load_encoder(tmp_path / "out", device="cpu")


def test_a_half_precision_whisper_computes_in_float32(folder, tmp_path):
    half = transformers.WhisperForConditionalGeneration.from_pretrained(
        folder("whisper"), dtype=torch.float16
    )
    half.save_pretrained(tmp_path / "half")
    preprocessor = transformers.AutoFeatureExtractor.from_pretrained(folder("whisper"))
    preprocessor.save_pretrained(tmp_path / "half")
    random_twin(tmp_path / "half", tmp_path / "twin", seed=5)
    for name in ("half", "twin"):
        encoder = load_encoder(tmp_path / name, device="cpu")
        assert {p.dtype for p in encoder.module.parameters()} == {torch.float32}
        check_encoder(encoder)


def test_a_twin_of_whisper_is_another_whisper(folder, tmp_path):
    for number, name in enumerate(("whisper", "whisper (encoder alone)", "speecht5")):
        base = load_encoder(folder(name), device="cpu")
        random_twin(folder(name), tmp_path / str(number), seed=5)
        twin = load_encoder(tmp_path / str(number), device="cpu")
        clips = base.preprocess(sounds([8000]))
        one, other = (states_of(encoder, clips)[-1] for encoder in (base, twin))
        assert one.shape == other.shape and not torch.allclose(one, other)


# --- what is not read -----------------------------------------------------------------------------


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_read_is_refused_in_one_line(name, tmp_path):
    make, message = REFUSED[name]
    make().save_pretrained(tmp_path / "m")
    transformers.Wav2Vec2FeatureExtractor().save_pretrained(tmp_path / "m")
    with pytest.raises(StrataError, match=f"^m: .*{message}") as told:
        load_encoder(tmp_path / "m", device="cpu")
    assert "\n" not in str(told.value)


def test_an_unknown_context_is_told(folder):
    with pytest.raises(StrataError, match="context: 'own' is unknown; use clip or full"):
        load_encoder(folder("whisper"), device="cpu", context="own")


def test_layers_that_put_out_no_frames_are_told(folder):
    from strata.activations.pooling import Recorder

    encoder = load_encoder(
        folder("wav2vec2"), device="cpu", layers=["feature_extractor.conv_layers.3"]
    )
    told = pytest.raises(StrataError, match=r"layer feature_extractor\.conv_layers\.3 puts out")
    with told, Recorder(encoder, "mean") as recorder:
        recorder.record(encoder.preprocess(sounds([9000])))


# --- the table in the documentation ---------------------------------------------------------------


def table(folder) -> str:
    """What is read and what is refused, as docs/models.md has it."""
    lines = [
        "| family | blocks | depth, found and expected | width | frames a second | clips of unlike "
        "length | `context` |",
        "|---|---|---|---|---|---|---|",
    ]
    for name in READ:
        encoder = load_encoder(folder(name), device="cpu")
        front_end = encoder.front_end
        path = next(iter(encoder.layers)).rpartition(".")[0]
        clips = encoder.preprocess(sounds([9000]))
        width = states_of(encoder, clips)[-1].shape[-1]
        beside = "one pass, masked" if front_end.together else "one after the other"
        lines.append(
            f"| {name} | `{path}` | {len(encoder.layers)} and {LAYERS} | {width} and {WIDTH} | "
            f"{RATE / front_end.hop:.4g} | {beside} | {'clip, full' if front_end.context else ''} |"
        )
    lines += ["", "| refused | what is told |", "|---|---|"]
    for name, (make, _) in REFUSED.items():
        place = folder("wav2vec2").parent / f"refused-{name.replace(' ', '-')}"
        make().save_pretrained(place)
        with pytest.raises(StrataError) as told:
            load_encoder(place, device="cpu")
        lines.append(f"| {name} | {str(told.value).partition(': ')[2]} |")
    return "\n".join(lines)


def test_the_documentation_has_the_table_of_families(folder):
    text = DOCS.read_text()
    assert text.count(BEGIN) == text.count(END) == 1
    before, _, rest = text.partition(BEGIN)
    written, _, after = rest.partition(END)
    made = table(folder)
    if os.environ.get("STRATA_WRITE_DOCS"):
        DOCS.write_text(f"{before}{BEGIN}\n{made}\n{END}{after}")
    else:
        assert written.strip() == made, "make it anew with STRATA_WRITE_DOCS=1"
    assert {name.partition(" ")[0] for name in READ} | {"glmasr"} >= {
        name.removesuffix("_encoder") for name in FAMILIES if name != "parakeet_encoder"
    }
