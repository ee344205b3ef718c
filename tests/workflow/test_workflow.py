"""The workflow as its users call it: whole, again, changed, and with mistakes."""

import hashlib
import json
import re

import numpy as np
import pandas as pd
import pytest

from running import find_mirror, planned
from strata.activations import ActivationCache
from strata.tables import MEASURE_COLUMNS

TINY = ("--configfile", "tests/workflow/tiny.yaml")


def sha256(path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_one_command_goes_from_nothing_to_the_paper(workflow):
    assert workflow.path("results/paper/strata.pdf").read_bytes().startswith(b"%PDF")


def test_every_figure_comes_with_its_source_data(workflow):
    figures = sorted(workflow.path("results/figures").glob("*.pdf"))
    assert len(figures) > 10
    for figure in figures:
        assert figure.with_suffix(".svg").read_text().lstrip().startswith("<?xml")
        assert len(pd.read_csv(figure.with_suffix(".csv"))) > 0


def test_every_measure_is_a_table_of_the_same_columns(workflow):
    tables = [
        path
        for path in workflow.path("results/measures").rglob("*.parquet")
        if path.parent.name
        not in ("truth_neurons", "half_labels", "histograms", "credits", "answers")
        and "deviates" not in path.parts
    ]
    assert len(tables) >= 16
    for path in tables:
        table = pd.read_parquet(path)
        assert list(table.columns)[: len(MEASURE_COLUMNS)] == list(MEASURE_COLUMNS), path
        seeds = {0, 1} if path.parent.name in ("cuts", "trained") else {0}
        assert len(table) and set(table["seed"]) <= seeds


def test_a_trained_network_is_more_convex_than_its_random_twin(workflow):
    folder = workflow.path("results/measures/tinyconvexity/convexity")
    highest = {}
    for model in ("micro-vit", "micro-vit-random"):
        table = pd.read_parquet(folder / f"{model}.parquet")
        rows = table[(table["metric"] == "graph_convexity") & (table["family"] == "kind")]
        highest[model] = rows["value"].max()
    assert highest["micro-vit"] > highest["micro-vit-random"] + 0.2


def test_the_state_before_the_first_block_is_a_layer_of_every_measure(workflow):
    folder = workflow.path("results/measures")
    names = json.loads(
        workflow.path("results/activations/tinyspeech/micro-hubert/index.json").read_text()
    )["layers"]
    tables = ("selection/micro-hubert", "convexity/tiny-word", "cost/micro-hubert")
    for table in (*(f"tinypruning/{name}" for name in tables), "tinyconvexity/alignment/micro-vit"):
        rows = pd.read_parquet(folder / f"{table}.parquet").drop_duplicates("layer")
        assert rows["layer"].iloc[0] == "embedding"
        assert rows["block"].tolist() == rows["layer_index"].tolist() == [*range(len(rows))]
    cuts = pd.read_parquet(folder / "tinypruning/cuts/micro-hubert.parquet")
    depths = cuts.loc[cuts["metric"] == "prefix"]
    assert depths["kept"].iloc[0] == "none" and depths["value"].tolist() == [*range(len(names))]
    assert depths["layer"].tolist() == names
    resnet = pd.read_parquet(folder / "tinyconvexity/convexity/micro-resnet.parquet")
    assert (resnet["block"] == resnet["layer_index"] + 1).all()
    drawn = pd.read_csv(workflow.path("results/figures/tinyconvexity_convexity.csv"))
    least = drawn.groupby("model")["layer_number"].min().to_dict()
    assert least == {"micro-vit": 0, "micro-vit-random": 0, "micro-resnet": 1}


def test_every_cut_is_trained_and_compared(workflow):
    folder = workflow.path("results/measures/tinypruning")
    cuts = pd.read_parquet(folder / "cuts/micro-hubert.parquet")
    trained_by_seed = pd.read_parquet(folder / "trained/micro-hubert.word.0-1.parquet")
    assert set(trained_by_seed["seed"]) == {0, 1}
    for seed, trained in trained_by_seed.groupby("seed"):
        drawn = (cuts["metric"] != "random") | (cuts["seed"] == seed)
        assert set(trained["kept"]) == set(cuts.loc[drawn, "kept"])
    compared = pd.read_parquet(folder / "comparison/all.parquet")
    assert {"most_convex", "full", "oracle", "random_depth", "cka"} <= set(compared["concept"])
    assert not list(workflow.path("results/checkpoints").rglob("*.*"))


def test_phonemes_are_measured_on_their_own_pieces(workflow):
    segments = pd.read_parquet(workflow.path("results/data/tinyspeech/segments.parquet"))
    manifest = pd.read_parquet(workflow.path("results/data/tinyspeech/manifest.parquet"))
    folder = workflow.path("results/measures/tinypruning")
    for measure, part in (("selection", "train"), ("convexity", "test")):
        table = pd.read_parquet(folder / measure / "micro-hubert.parquet")
        rows = table[(table["metric"] == "graph_convexity") & (table["family"] == "phoneme")]
        heard = segments["sample"].isin(manifest.index[manifest["split"] == part])
        counts = segments.loc[heard, "phoneme"].value_counts()
        assert rows["n"].eq((counts * (counts - 1)).sum()).all()


def test_no_activation_shard_is_left_behind(workflow):
    kept = {p.name for p in workflow.path("results/activations/tiny").iterdir()}
    assert {"micro-vit", "micro-resnet", "micro-vit-random", "tiny-kind"} <= kept
    assert not list(workflow.path("results/activations/tiny").glob(".*/*-of-*"))


def test_a_second_run_has_nothing_to_do(workflow):
    assert "Nothing to be done" in workflow(*TINY)


def test_a_changed_parameter_runs_again_what_depends_on_it_and_nothing_else(workflow, tmp_path):
    change = tmp_path / "change.yaml"
    change.write_text("studies: {tiny: {bootstrap: 120}}")
    rules = planned(workflow("--dry-run", *TINY, str(change)))
    assert {"count_concepts", "score_truth", "plot_measure", "write_numbers", "paper"} <= rules
    untouched = {"microworld", "finetune", "extract_shard", "merge_shards", "embed_images"}
    untouched |= {"triplets_dataset", "score_convexity", "score_alignment", "relate"}
    untouched |= {"microspeech", "score_task_convexity", "finetune_cuts", "time_cuts"}
    assert not rules & (untouched | {"embed_concepts", "label_neurons"})


def test_another_seed_of_the_pictures_runs_everything_that_saw_them(workflow, tmp_path):
    change = tmp_path / "change.yaml"
    change.write_text("datasets: {tiny: {seed: 6}}")
    rules = planned(workflow("--dry-run", *TINY, str(change)))
    assert {"microworld", "finetune", "extract_shard", "label_neurons", "paper"} <= rules
    assert not rules & {"bundled_model", "random_twin", "embed_concepts"}


def test_the_same_inputs_give_the_same_bytes(workflow):
    """One network of each kind through every stage again, by `snakemake` alone: each script in an
    interpreter of its own, where it was in a fork before (tools/warm). tests/torture.py compares
    whole studies, with their paper."""
    kept = [
        "results/figures/tiny_neurons_micro-vit.svg",
        "results/figures/tinypruning_layers.pdf",
        "results/measures/tinyconvexity/convexity/micro-vit.parquet",
        "results/measures/tinyconvexity/transforms/micro-vit.parquet",
        "results/models/tiny-kind/model.safetensors",
        "results/measures/tinypruning/trained/micro-hubert.word.0-1.parquet",
        "results/measures/tinypruning/similarity/micro-hubert.parquet",
    ]
    before = [sha256(workflow.path(name)) for name in kept]
    rules = ("finetune", "extract_shard", "label_neurons", "plot_measure", "plot_neurons")
    rules += ("triplets_dataset", "score_convexity", "transform_layers")
    # Not the sounds themselves: seconds would be measured again, and those differ.
    rules += ("finetune_cuts", "compare_layers")
    workflow.shell(
        " ".join(["python -m snakemake --cores 2", *TINY, "--forcerun", *rules, "--", *kept])
    )
    made = [workflow.path(name).stat().st_mtime for name in kept]
    assert min(made) > workflow.path("results/paper/strata.pdf").stat().st_mtime
    assert [sha256(workflow.path(name)) for name in kept] == before
    workflow(*TINY, "--touch")  # what was made of these same bytes is newer than they again
    assert "Nothing to be done" in workflow(*TINY, "--dry-run")


def test_one_pass_serves_all_models_that_read_a_network(fresh, tmp_path):
    change = tmp_path / "change.yaml"
    change.write_text(
        "models: {patches: {source: zoo, id: micro-vit, modality: image, embedding: true, "
        "label: patches, pool: mean}}\n"
        "studies: {tiny: {models: [micro-vit, patches, micro-resnet, micro-vit-random, tiny-kind]}}"
    )
    folder = "results/activations/tiny"
    wanted = [f"{folder}/{model}" for model in ("patches", "micro-vit", "micro-resnet")]
    told = fresh(*TINY, str(change), "--", *wanted)
    table = told.partition("Job stats:")[2]
    assert re.search(r"^extract_shard +2$", table, re.M)  # the other is the residual network's
    assert re.search(r"^merge_shards +3$", table, re.M)
    caches = {model: ActivationCache(fresh.path(f"{folder}/{model}")) for model in
              ("patches", "micro-vit")}  # fmt: skip
    assert caches["patches"].index["pooling"] == "mean"
    assert caches["micro-vit"].index["pooling"] == "auto"
    class_token, mean = (caches[model].layer(3) for model in ("micro-vit", "patches"))
    assert class_token.shape == mean.shape and not np.isclose(class_token, mean).all()
    # A pass that was made again for one of them does not pass for the other's.
    change.write_text(change.read_text().replace("pool: mean", "pool: spatial_mean"))
    fresh(*TINY, str(change), "--", wanted[1])
    assert "merge_shards" in planned(fresh("--dry-run", *TINY, str(change), "--", wanted[0]))


def test_a_typo_is_named_before_any_job_runs(fresh):
    output = fresh("--config", "devise=cuda", expect=1)
    assert "devise" in output and "device" in output
    assert not fresh.path("results").exists()


def test_a_study_of_an_unknown_model_is_named_before_any_job_runs(fresh, tmp_path):
    change = tmp_path / "change.yaml"
    change.write_text("studies: {tiny: {models: [micro-vti]}}")
    output = fresh(*TINY, str(change), expect=1)
    assert "micro-vti" in output and "micro-vit" in output


def test_the_smallest_zoo_model_can_be_made_from_nothing(fresh):
    """By its recipe with fewer pictures and steps: it knows the objects all the same."""
    recipe = fresh.path("resources/zoo/micro-resnet/recipe.yaml")
    shipped = recipe.read_text()
    shorter = shipped.replace("n: 20000", "n: 8000").replace("steps: 1200", "steps: 250")
    recipe.write_text(shorter)
    card = "results/models/micro-resnet/card.json"
    fresh(card, "--config", "zoo=train")
    made = json.loads(fresh.path(card).read_text())
    assert made["scores"]["object_accuracy"] >= 0.95 and "object_accuracy: 0.95" in shipped
    assert (made["training"]["pictures"], made["training"]["steps"]) == (8000, 250)


@pytest.mark.skipif(find_mirror() is None, reason="needs the data mirror")
def test_the_released_labels_go_through_to_the_papers_figures(fresh):
    fresh("figures", "--configfile", "studies/published.yaml")
    drawn = pd.read_csv(fresh.path("results/figures/published_counts.csv"))
    vit = drawn[drawn["model"] == "vit"].sort_values("layer_number")["value"]
    assert vit.tolist() == [46, 77, 93, 113, 114, 115, 136, 142, 161, 183, 191, 172]
    fresh.variables["STRATA_MIRROR"] = "elsewhere"  # what is there was checked when it came
    again = fresh("--dry-run", "figures", "--configfile", "studies/published.yaml")
    assert "Nothing to be done" in again


@pytest.mark.skipif(find_mirror() is None, reason="needs the data mirror")
def test_photographs_go_from_jpeg_to_figure(fresh):
    figure = "results/figures/pets_neurons_micro-resnet.pdf"
    fresh(figure, "--configfile", "studies/photos.yaml")
    assert fresh.path(figure).stat().st_size > 10_000


@pytest.mark.skipif(find_mirror() is None, reason="needs the data mirror")
def test_spoken_digits_go_from_wav_to_the_comparison_of_cuts(fresh):
    overlay = ("--configfile", "studies/speech.yaml", "tests/workflow/fsdd.yaml")
    figure = "results/figures/digits_tradeoff.csv"
    fresh(figure, "results/measures/digits/comparison/all.parquet", *overlay)
    manifest = pd.read_parquet(fresh.path("results/data/fsdd/manifest.parquet"))
    assert len(manifest) == 6 * 10 * 3 and manifest["speaker"].nunique() == 6
    compared = pd.read_parquet(fresh.path("results/measures/digits/comparison/all.parquet"))
    full = compared[(compared["metric"] == "accuracy") & (compared["concept"] == "full")]
    assert set(zip(full["model"], full["family"], strict=True)) == {
        (model, task)
        for model in ("micro-hubert", "micro-wav2vec2")
        for task in ("word", "speaker")
    }
    trained = pd.read_parquet(
        fresh.path("results/measures/digits/trained/micro-hubert.word.0.parquet")
    )
    tests = trained[trained["metric"] == "test_accuracy"]
    assert tests["n"].eq(60).all()  # two speakers that were not heard
    assert len(pd.read_csv(fresh.path(figure)))
