"""Splits that do not leak, trainings that can be killed, and cuts that are fine-tuned."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from strata import StrataError
from strata.compat import prepare_imports
from strata.data import open_dataset
from strata.data.manifest import write_dataset
from strata.data.microspeech import RATE, make_microspeech
from strata.data.splits import Task, shared_rows, task_rows
from strata.models.front_end import write_sound_processor
from strata.models.training import finetune, loop
from strata.models.training.loop import Watch, fit
from strata.models.training.recipe import Schedule
from strata.models.training.tuning import (
    SoundInputs,
    Training,
    classifier,
    head_parameters,
    logits_of,
)
from strata.pruning.convexity import task_convexity
from strata.pruning.costs import cost_measures, timing_measures
from strata.pruning.price import Seconds
from strata.pruning.surgery import n_layers
from strata.pruning.tuning import finetune_cuts

prepare_imports()
import transformers  # noqa: E402

SHARES = {"train": 0.5, "validation": 0.25, "test": 0.25}
LATER = {"train": 0.25, "validation": 0.25, "test": 0.5}


def manifest(speakers=8, words=3, takes=2):
    rows = [
        {"speaker": f"s{s}", "word": f"w{w}", "split": ("train", "validation", "test")[s % 3]}
        for s in range(speakers)
        for w in range(words)
        for _ in range(takes)
    ]
    return pd.DataFrame(rows)


# --- splits ---------------------------------------------------------------------------------------


def test_words_are_tested_on_speakers_that_were_not_heard():
    table = manifest()
    for splits in ("own", SHARES):
        rows = task_rows(table, "word", splits, apart="speaker")
        heard = [set(table["speaker"].iloc[part]) for part in rows.values()]
        assert not heard[0] & heard[1] and not heard[0] & heard[2] and not heard[1] & heard[2]
        assert sorted(np.concatenate(list(rows.values()))) == list(range(len(table)))


def test_speakers_are_tested_on_utterances_that_were_not_heard():
    table = manifest()
    rows = task_rows(table, "speaker", SHARES, seed=1)
    assert sorted(np.concatenate(list(rows.values()))) == list(range(len(table)))
    for part in rows.values():
        assert set(table["speaker"].iloc[part]) == set(table["speaker"])
    again = task_rows(table, "speaker", SHARES, seed=1)
    assert all(np.array_equal(rows[split], again[split]) for split in rows)
    assert not np.array_equal(rows["train"], task_rows(table, "speaker", SHARES, seed=2)["train"])


@pytest.mark.parametrize(
    ("change", "arguments", "message"),
    [
        (None, {"target": "accent"}, "no column 'accent'"),
        (None, {"target": "word", "apart": "town"}, "no column 'town'"),
        ("alone", {"target": "speaker", "splits": SHARES}, "speaker 'lone' has 1 sample; each"),
        ("leak", {"target": "word", "apart": "speaker"}, "speaker 's0' is in the splits"),
        ("one", {"target": "word"}, "only one class"),
        ("unheard", {"target": "word"}, "word 'new' is in the test split, but not in train"),
        ("untested", {"target": "word"}, "needs a 'test' split"),
        (None, {"target": "word", "apart": "word", "splits": SHARES | {"more": 0.1}}, "too few"),
    ],
)
def test_a_task_that_cannot_be_learned_honestly_is_told(change, arguments, message):
    table = manifest()
    if change == "alone":
        table.loc[len(table)] = {"speaker": "lone", "word": "w0", "split": "train"}
    elif change == "leak":
        table.loc[0, "split"] = "test"
    elif change == "one":
        table["word"] = "w0"
    elif change == "unheard":
        table.loc[table.index[table["split"] == "test"][0], "word"] = "new"
    elif change == "untested":
        table["split"] = "train"
    with pytest.raises(StrataError, match=message):
        task_rows(table, **arguments)


def test_rare_classes_can_be_left_out():
    table = manifest()
    table.loc[len(table)] = {"speaker": "lone", "word": "w0", "split": "train"}
    rows = task_rows(table, "speaker", SHARES, at_least=3)
    assert sorted(np.concatenate(list(rows.values()))) == list(range(len(table) - 1))
    classes, targets = Task("speaker", rows).targets(table["speaker"])
    assert "lone" not in classes and targets[-1] == -1
    assert [classes[t] for t in targets[:-1]] == table["speaker"].tolist()[:-1]


# --- the loop -------------------------------------------------------------------------------------


def problem():
    """A small network with dropout, and its loss."""
    torch.manual_seed(3)
    module = nn.Sequential(nn.Linear(6, 16), nn.Dropout(0.3), nn.GELU(), nn.Linear(16, 3))
    x = torch.randn(60, 6, generator=torch.Generator().manual_seed(4))
    y = (x[:, :3]).argmax(dim=1)

    def loss_of(rows, draw):
        noise = 0.1 * torch.randn(len(rows), 6, generator=draw)
        return nn.functional.cross_entropy(module(x[rows] + noise), y[rows])

    def score():
        with torch.no_grad():
            return float((module(x).argmax(dim=1) == y).float().mean())

    return module, loss_of, score


class Killed(Exception):
    pass


@pytest.mark.parametrize("when", [7, 16, 23])
def test_a_killed_training_ends_as_if_it_had_not_been(when, tmp_path, monkeypatch):
    monkeypatch.setattr(loop, "_SECONDS_BETWEEN_CHECKPOINTS", 0)
    schedule = Schedule(steps=40, batch_size=16, learning_rate=0.01, seed=5)
    module, loss_of, score = problem()
    whole = fit(module, loss_of, 60, schedule, print, watch=Watch(score, 5, 100))
    expected = [p.clone() for p in module.parameters()]

    checkpoint = tmp_path / "state.pt"
    module, loss_of, score = problem()
    seen = 0

    def until_killed(rows, draw):
        nonlocal seen
        seen += 1
        if seen == when:
            raise Killed
        return loss_of(rows, draw)

    watch = Watch(score, 5, 100)
    with pytest.raises(Killed):
        fit(module, until_killed, 60, schedule, print, watch=watch, checkpoint=checkpoint)
    torch.manual_seed(99)  # the next process starts from another state
    module, loss_of, score = problem()
    again = Watch(score, 5, 100)
    history = fit(module, loss_of, 60, schedule, print, watch=again, checkpoint=checkpoint)
    assert history == whole
    assert all(torch.equal(a, b) for a, b in zip(module.parameters(), expected, strict=True))


@pytest.mark.parametrize(("seconds", "written"), [(0, True), (1e9, False)])
def test_a_short_training_writes_no_checkpoint(seconds, written, tmp_path, monkeypatch):
    monkeypatch.setattr(loop, "_SECONDS_BETWEEN_CHECKPOINTS", seconds)
    module, loss_of, score = problem()
    schedule, watch = Schedule(steps=10, batch_size=16), Watch(score, 5, 100)
    fit(module, loss_of, 60, schedule, print, watch=watch, checkpoint=tmp_path / "state.pt")
    assert (tmp_path / "state.pt").exists() == written


def test_a_damaged_checkpoint_is_left_aside(tmp_path):
    checkpoint = tmp_path / "state.pt"
    checkpoint.write_bytes(b"PK damaged")
    schedule = Schedule(steps=10, batch_size=16, learning_rate=0.01, seed=5)
    module, loss_of, score = problem()
    whole = fit(module, loss_of, 60, schedule, print, watch=Watch(score, 5, 100))
    module, loss_of, score = problem()
    watch = Watch(score, 5, 100)
    found = fit(module, loss_of, 60, schedule, print, watch=watch, checkpoint=checkpoint)
    assert found == whole


def test_training_stops_when_nothing_gets_better_and_keeps_the_best():
    module, loss_of, _ = problem()
    scores = iter([0.2, 0.5, 0.4, 0.4, 0.3, 0.9])
    kept = []

    def score():
        kept.append([p.clone() for p in module.parameters()])
        return next(scores)

    schedule = Schedule(steps=100, batch_size=16, learning_rate=0.01)
    history = fit(module, loss_of, 60, schedule, print, watch=Watch(score, 3, 3))
    assert history.scores == [0.2, 0.5, 0.4, 0.4, 0.3] and history.best == 1
    assert len(history.losses) == 15
    assert all(torch.equal(a, b) for a, b in zip(module.parameters(), kept[1], strict=True))


def test_a_head_can_learn_faster():
    module, loss_of, _ = problem()
    before = [p.detach().clone() for p in module.parameters()]
    schedule = Schedule(steps=1, batch_size=16, learning_rate=1e-3, weight_decay=0.0)
    fit(module, loss_of, 60, schedule, print, head=list(module[3].parameters()), head_factor=20)
    moved = [
        float((p.detach() - q).abs().max())
        for p, q in zip(module.parameters(), before, strict=True)
    ]
    assert max(moved[2:]) > 10 * max(moved[:2])


# --- cuts -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def spoken(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data") / "spoken"
    folder.mkdir()
    sounds, table, segments = make_microspeech(8, 4, 5, SHARES, words=("yes", "no", "six"))
    np.save(folder / "sounds.npy", sounds)
    info = {"name": "spoken", "modality": "audio", "root": ".", "rate": RATE}
    write_dataset(folder, table, info | {"storage": "sounds.npy"}, segments)
    return open_dataset(folder)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models") / "tiny"
    torch.manual_seed(0)
    config = transformers.HubertConfig(
        hidden_size=32,
        num_hidden_layers=3,
        num_attention_heads=2,
        intermediate_size=48,
        conv_dim=(16, 16, 16, 16),
        conv_kernel=(10, 8, 4, 4),
        conv_stride=(5, 4, 4, 4),
        num_feat_extract_layers=4,
        num_conv_pos_embeddings=8,
        num_conv_pos_embedding_groups=4,
        classifier_proj_size=16,
        vocab_size=4,
    )
    transformers.HubertModel(config).save_pretrained(folder)
    write_sound_processor(folder, RATE)
    return folder


TRAINING = Training(
    epochs=3,
    batch_size=8,
    learning_rate=1e-3,
    patience=3,
    head_factor=10,
    overrides={"layerdrop": 0.0},
)


def task_of(dataset, target="word", shares=SHARES):
    spec = {"splits": "own", "apart": "speaker"} if target == "word" else {"splits": shares}
    return Task.of(dataset.manifest, target, spec, 0, "spoken")


def run_cuts(model, spoken, folder, **more):
    options = {"seed": 1, "checkpoints": folder, "log": lambda line: None} | more
    return finetune_cuts(model, spoken, task_of(spoken), [(0,), (0, 2)], TRAINING, **options)


def test_cuts_are_trained_and_scored_on_what_they_have_not_heard(model, spoken, tmp_path):
    table, answers = run_cuts(model, spoken, tmp_path)
    test = table[table["metric"] == "test_accuracy"]
    assert test["kept"].tolist() == ["0", "0 2"]
    assert test["n"].eq(len(task_of(spoken).rows["test"])).all()
    assert ((test["low"] <= test["value"]) & (test["value"] <= test["high"])).all()
    curve = table[(table["metric"] == "validation_curve") & (table["kept"] == "0 2")]
    assert curve["epoch"].tolist() == [1, 2, 3]
    best = table[(table["metric"] == "validation_accuracy") & (table["kept"] == "0 2")]
    assert best["value"].item() == pytest.approx(curve["value"].max())
    assert test["about"].eq("samples, of this training").all()
    for kept, value in zip(test["kept"], test["value"], strict=True):
        mine = answers[answers["kept"] == kept]
        assert mine["sample"].tolist() == task_of(spoken).rows["test"].tolist()
        assert mine["right"].mean() == value
    assert answers["cluster"].tolist() == answers["sample"].astype(str).tolist()


def test_clips_of_one_speaker_are_answered_together(model, spoken, tmp_path):
    table, answers = run_cuts(model, spoken, tmp_path, apart="speaker")
    speakers = spoken.manifest["speaker"].iloc[answers["sample"]]
    assert answers["cluster"].tolist() == speakers.tolist()
    test = table[table["metric"] == "test_accuracy"]
    assert set(test["about"]) == {"samples, of this training and of these speakers"}  # two of them


def test_seeds_that_share_what_was_read_find_the_same(model, spoken, tmp_path):
    shared = {}
    for seed in (1, 2):
        alone = run_cuts(model, spoken, tmp_path / f"alone{seed}", seed=seed)
        together = run_cuts(model, spoken, tmp_path / f"shared{seed}", seed=seed, shared=shared)
        for one, other in zip(together, alone, strict=True):
            pd.testing.assert_frame_equal(one, other)
    assert len(shared["inputs"].frames) == len(spoken)


def test_a_killed_run_takes_up_what_it_has_finished(model, spoken, tmp_path, monkeypatch):
    whole = run_cuts(model, spoken, tmp_path / "one")
    finished = []

    def log(line):
        if line.startswith("layers"):
            finished.append(line)
            raise Killed

    with pytest.raises(Killed):
        run_cuts(model, spoken, tmp_path / "two", log=log)
    again = run_cuts(model, spoken, tmp_path / "two")
    for one, other in zip(again, whole, strict=True):
        pd.testing.assert_frame_equal(one, other)


def test_other_settings_do_not_take_up_old_checkpoints(model, spoken, tmp_path):
    run_cuts(model, spoken, tmp_path)
    run_cuts(model, spoken, tmp_path, seed=2)
    assert len(list(tmp_path.iterdir())) == 2


def test_frames_for_training_do_not_depend_on_what_stands_beside_a_clip(model, spoken):
    whole = classifier(model, ["a", "b"]).eval()
    inputs = SoundInputs(model, spoken, whole)
    ((_, alone),) = inputs.passes(np.array([3]))
    ((places, pair),) = inputs.passes(np.array([5, 3]))
    frames = alone["input_values"]
    assert frames.shape[1] == 16 and pair["attention_mask"] is None and places == [0, 1]
    torch.testing.assert_close(frames[0], pair["input_values"][1])
    with torch.inference_mode():
        raw = whole.hubert.feature_extractor
        clip = inputs.front_end.prepare([spoken.sound(3, RATE)])[0]
        torch.testing.assert_close(raw(clip[None])[0], frames[0])
        expected = whole(clip[None]).logits
        with inputs.feeding(whole):
            torch.testing.assert_close(logits_of(whole, inputs.passes(np.array([3]))), expected)


def test_the_head_is_what_the_encoder_does_not_hold():
    small = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    small |= {"intermediate_size": 16}
    vision = small | {"image_size": 16, "patch_size": 8}
    clip = transformers.CLIPConfig(vision_config=vision, text_config=small, num_labels=3)
    vit = transformers.ViTConfig(**vision, num_labels=3)
    for model in (
        transformers.CLIPForImageClassification(clip),
        transformers.ViTForImageClassification(vit),
    ):
        assert [tuple(p.shape) for p in head_parameters(model)] == [(3, 16), (3,)]


def test_a_setting_that_a_model_does_not_have_is_told(model):
    with pytest.raises(StrataError, match="'droput' is no setting of tiny"):
        classifier(model, ["a", "b"], {"droput": 0.0})


def test_a_speech_model_is_fine_tuned_into_a_classifier_of_its_kind(model, spoken, tmp_path):
    card = finetune(
        model, spoken, "speaker", tmp_path / "tuned", TRAINING, splits=SHARES, log=lambda line: None
    )
    assert card["classes"] == sorted(set(spoken.manifest["speaker"]))
    again = transformers.AutoModelForAudioClassification.from_pretrained(tmp_path / "tuned")
    assert n_layers(again) == 3 and again.config.num_labels == 8
    frozen, learned = (
        {n: p for n, p in m.named_parameters() if "feature_extractor" in n}
        for m in (again, classifier(model, ["a", "b"]))
    )
    assert all(torch.equal(frozen[name], learned[name]) for name in learned)


def test_a_cut_is_chosen_on_rows_that_it_is_not_tested_on(model, spoken, tmp_path):
    from strata.activations.extraction import extract
    from strata.models.encoder import load_encoder

    extract(load_encoder(model, device="cpu"), spoken, tmp_path / "acts", log=lambda line: None)
    tasks = {"word": task_of(spoken), "speaker": task_of(spoken, "speaker", LATER)}
    options = {"model": "tiny", "n_neighbors": 3, "halves": 2, "log": lambda line: None}
    families = ["word", "speaker", "phoneme"]
    tables = {
        part: task_convexity(tmp_path / "acts", spoken, families, tasks, part, **options)
        for part in ("train", "test")
    }
    pairs = {
        (part, family): table[(table["metric"] == "graph_convexity") & (table["family"] == family)]
        for part, table in tables.items()
        for family in families
    }
    unheard = shared_rows(tasks, "test")
    for family, task in tasks.items():
        for part, rows in (("train", task.rows["train"]), ("test", unheard)):
            counts = spoken.manifest[family].iloc[rows].value_counts()
            assert pairs[part, family]["n"].eq((counts * (counts - 1)).sum()).all()
    assert not set(unheard) & {*tasks["word"].rows["train"], *tasks["speaker"].rows["train"]}
    heard = spoken.segments["sample"].isin(unheard)
    counts = spoken.segments.loc[heard, "phoneme"].value_counts()
    assert pairs["test", "phoneme"]["n"].eq((counts * (counts - 1)).sum()).all()
    assert tables["test"]["about"].eq("samples").all()
    told = task_convexity(
        tmp_path / "acts", spoken, ["word"], tasks, "test", apart=["speaker"], **options
    )
    assert told["about"].eq("samples, of these speakers").all()
    with pytest.raises(StrataError, match="no label column 'accent'"):
        task_convexity(tmp_path / "acts", spoken, ["accent"], {}, "train", **options)


def test_prices_of_every_depth(model, spoken):
    table = cost_measures(model, spoken, task_of(spoken), TRAINING, seed=0, log=lambda line: None)
    macs = table[table["metric"] == "macs"].sort_values("layer_index")["value"]
    assert len(macs) == 3 and (np.diff(macs) > 0).all()
    options = {"repeats": 3, "warmup": 1, "threads": 1, "steps": 2, "log": lambda line: None}
    seconds = timing_measures(model, spoken, task_of(spoken), TRAINING, **options)
    assert set(seconds["metric"]) == {"latency", "epoch_seconds"} and (seconds["value"] > 0).all()


def test_an_epoch_takes_the_time_of_its_whole_batches_or_of_one(model, spoken, monkeypatch):
    monkeypatch.setattr("strata.pruning.price.seconds_of", lambda *a, **k: Seconds(0.5, 0.25, 2.0))
    task = task_of(spoken)
    options = {"repeats": 1, "warmup": 0, "threads": 1, "steps": 1, "log": lambda line: None}
    n = len(task.rows["train"])
    for batch_size, steps in ((n // 3 - 1, 3), (2 * n, 1)):
        training = replace(TRAINING, batch_size=batch_size)
        table = timing_measures(model, spoken, task, training, **options)
        epochs = table.loc[table["metric"] == "epoch_seconds", ["value", "low", "high"]]
        assert len(epochs) == 3 and (epochs == [0.5 * steps, 0.25 * steps, 2.0 * steps]).all(None)
