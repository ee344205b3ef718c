"""Mistakes in a configuration are told in one line, before anything runs."""

import copy
import re
import shutil
from pathlib import Path

import pytest
import yaml

from strata import StrataError
from strata.config.prepare import prepare_config

ROOT = Path(__file__).parents[2]
DEFAULT = yaml.safe_load((ROOT / "config.yaml").read_text())
# The studies that are run by default, and those of the zoo.
DEFAULT["run"] += yaml.safe_load((ROOT / "studies/zoo.yaml").read_text())["run"]


def changed(path: str, value):
    """The default configuration with `value` at the dotted `path` (... removes the key)."""
    config = copy.deepcopy(DEFAULT)
    *outer, last = path.split("/")
    place = config
    for key in outer:
        place = place[key]
    if value is ...:
        del place[last]
    else:
        place[last] = value
    return config


def test_the_shipped_configurations_are_right():
    prepare_config(DEFAULT, ROOT)
    for study in ("zoo", "published", "photos", "small", "speech", "real"):
        prepare_config(overlaid(study), ROOT)


def test_every_rule_that_needs_something_can_be_given_more():
    rules = "".join(path.read_text() for path in (ROOT / "rules").rglob("*.smk"))
    named = set(re.findall(r'needs\("(\w+)"', rules))
    amounts = {"mem_mb": 3000, "runtime": 30}
    config = changed("resources", DEFAULT["resources"] | dict.fromkeys(named, amounts))
    prepare_config(config, ROOT)
    assert config["resources"]["label_by_annotation"] == amounts


def test_photographs_are_for_the_user_to_bring(tmp_path):
    config = overlaid("real") | overlaid("real-photos", over=overlaid("real"))
    for folder in ("rules", "resources"):
        (tmp_path / folder).symlink_to(ROOT / folder)
    with pytest.raises(StrataError, match=r"probing_photos: no folder .*data/probing_photos"):
        prepare_config(copy.deepcopy(config), tmp_path)
    (tmp_path / "data/probing_photos").mkdir(parents=True)
    (tmp_path / "data/probing_photos/labels.csv").write_text("path,kind,domain,texture\n")
    prepare_config(config, tmp_path)


def overlaid(study: str, over: dict = DEFAULT) -> dict:
    """The default with an overlay, as Snakemake joins them."""
    overlay = yaml.safe_load((ROOT / "studies" / f"{study}.yaml").read_text())
    joined = {k: over[k] | v for k, v in overlay.items() if isinstance(v, dict)}
    return copy.deepcopy(over | overlay | joined)


def test_the_full_study_only_misses_what_its_user_has_to_bring(tmp_path):
    config = overlaid("full")
    shutil.copytree(ROOT / "rules", tmp_path / "rules")
    for folder in ("data/imagenet_val", "data/things/object_images"):
        with pytest.raises(StrataError, match=f"no folder .*{folder}"):
            prepare_config(config, tmp_path)
        (tmp_path / folder).mkdir(parents=True)
    with pytest.raises(StrataError, match=r"no file .*category_mat_manual\.tsv"):
        prepare_config(config, tmp_path)
    (tmp_path / "data/things/category_mat_manual.tsv").touch()
    prepare_config(config, tmp_path)


FOLDER = {"kind": "folder", "path": "nowhere", "modality": "image", "labels": "labels.csv"}
SCENES = DEFAULT["datasets"]["microworld"] | {"world": "scenes"}
ANNOTATED = {"kind": "concepts", "title": "x", "probing": ["microworld"], "models": ["micro-vit"]}
ANNOTATED |= {"concepts": "annotations"}
TUNED = {"source": "zoo", "base": "micro-vit", "modality": "image"}


@pytest.mark.parametrize(
    ("path", "value", "told"),
    [
        ("devise", "cpu", "unknown key 'devise'; did you mean 'device'?"),
        ("device", "gpu", "device: 'gpu' should be one of auto, cpu, cuda"),
        ("seed", -1, "seed"),
        ("run", ["concept"], "unknown study 'concept'; did you mean 'concepts'?"),
        ("studies/concepts/models", ["micro-vti"], "'micro-vti'; did you mean 'micro-vit'?"),
        ("studies/concepts/probing", ["microwrld"], "did you mean 'microworld'?"),
        ("studies/concepts/clip", "clip", "clip: unknown model 'clip'"),
        ("studies/concepts/concept_set", "words", "unknown concept set 'words'"),
        ("studies/concepts/split", "trian", "did you mean 'train'?"),
        ("studies/concepts/similarities", ["softwpmi"], "softwpmi"),
        ("studies/concepts/top_k", 5001, "top_k is 5001, but there are only 5000 images"),
        ("studies/concepts/top_k", 0, "top_k"),
        (
            "studies/concepts/clip",
            ...,
            "clip is missing; or label neurons by concepts: annotations",
        ),
        ("studies/concepts/categories", "none.json", "none.json: no such file of categories"),
        ("studies/concepts/template", "{} {}", "template"),
        ("studies/concepts/comparisons/pretraining", ["vit"], "unknown model of the study 'vit'"),
        ("concept_sets/microworld-words/path", "none.txt", "none.txt: no such concept list"),
        ("datasets/microworld/splits", {"train": 0.5}, "must add up to 1"),
        ("datasets/microworld/kind", "microwrld", "should be one of microworld, microspeech"),
        ("datasets/microworld/n", 1, "datasets: microworld: n"),
        ("datasets/microworld/world", "scene", "should be one of shapes, scenes"),
        ("datasets/microworld/correlation", 0.5, "correlation is for world: scenes"),
        ("datasets/microworld", SCENES | {"size": 24}, "scenes need 32 pixels, not 24"),
        ("datasets/microworld", SCENES | {"correlation": 2}, "microworld: correlation"),
        ("datasets/microworld", FOLDER, "datasets: microworld: no folder"),
        ("datasets/oxford_pets_sample/layout", {"pattern": "("}, "pattern"),
        ("studies/convexity/dataset", "microwrld", "dataset: unknown data set 'microwrld'"),
        ("studies/convexity/dataset", "simulated_observers", "holds neither pictures"),
        ("studies/convexity/families", ["objct"], "unknown label column 'objct'; did you mean 'ob"),
        ("studies/convexity/triplets", ["observers"], "unknown set of triplets 'observers'"),
        ("studies/convexity/triplets", ["material_judgements"], "are about 'material_similarity'"),
        ("studies/convexity/n_neighbors", 1000, "there are only 1000 images"),
        ("studies/convexity/pairs", 0, "studies: convexity: pairs"),
        ("studies/convexity/split", "tset", "did you mean 'test'?"),
        ("datasets/simulated_observers/images", "world", "images: unknown data set 'world'"),
        ("datasets/material_judgements/from", "things", "unknown download 'things'"),
        (
            "studies/concepts/categories",
            {"from": "published_labels", "file": "x.json"},
            "unknown download 'published_labels'; did you mean 'published_neuron_labels'?",
        ),
        ("datasets/simulated_observers/simulated", ..., "needs either simulated, or triplets"),
        ("datasets/simulated_observers/simulated/weights", {"knid": 1}, "column 'knid'"),
        ("datasets/material_judgements/form", ..., "form is missing"),
        (
            "datasets/material_judgements/form",
            "csv",
            "should be one of table, numbers, choices, votes",
        ),
        ("models/micro-vit/id", "micro-vet", "did you mean 'micro-vit'?"),
        ("models/micro-vit/id", ..., "needs an id"),
        ("models/micro-vit/source", "timm", "needs a revision"),
        ("models/micro-vit/context", "full", "context is for models of modality audio"),
        ("models/micro-hubert/context", "own", "'own' should be one of clip, full"),
        ("models/micro-vit-random/base", "vit", "base: unknown model 'vit'"),
        ("models/micro-vit-random/base", "micro-vit-kind", "has a base itself"),
        ("models/micro-vit-random/base", ..., "base goes with weights: random or finetune"),
        ("datasets/microspeech/speakers", 2, "2 speakers do not make 3 splits"),
        ("datasets/microspeech/words", ["yes"], "datasets: microspeech: words"),
        ("studies/pruning/dataset", "simulated_observers", "holds no samples to show"),
        ("studies/pruning/dataset", "microworld", "unknown label column 'word'"),
        ("studies/pruning/families", ["wrod", "speaker"], "column 'wrod'; did you mean 'word'?"),
        ("studies/pruning/tasks", {"speakr": {"splits": "own"}}, "did you mean 'speaker'?"),
        ("studies/pruning/tasks/word/apart", "town", "unknown label column 'town'"),
        ("studies/pruning/tasks/speaker/splits", {"train": 0.5, "test": 0.4}, "must add up to 1"),
        (
            "studies/pruning/tasks/speaker/splits",
            {"train": 0.5, "test": 0.5},
            "learning needs a split 'validation', splits names none",
        ),
        (
            "studies/pruning/models",
            ["micro-vit"],
            "'micro-vit' is a vision model (modality: image)",
        ),
        (
            "models/micro-vit/preprocess",
            "whole",
            "euclidean: heads: 'micro-vit' is read with preprocess: whole, but here pictures are",
        ),
        ("studies/pruning/seeds", 0, "studies: pruning: seeds"),
        ("studies/pruning/training/patience", 0, "studies: pruning: training: patience"),
        ("studies/pruning/models", ["micro-hubert-random"], "comparisons: unknown model"),
        ("studies/materials/triplets", [], "needs families, triplets or both"),
        ("studies/convexity/triplets", [], "compare_concepts needs triplets"),
        (
            "studies/convexity/transforms/local_images",
            "microwrld",
            "transforms: local_images: unknown data set 'microwrld'; did you mean 'microworld'?",
        ),
        (
            "studies/convexity/transforms/local_images",
            "microspeech",
            "local_images: 'microspeech' holds audio, data set 'microworld' image",
        ),
        (
            "studies/convexity/transforms/local_images",
            {"dataset": "microworld"},
            "local_images: 'microworld' holds the judged samples; name others",
        ),
        (
            "studies/convexity/transforms/local_images",
            {"dataset": "microworld-downstream", "split": "tset"},
            "local_images: split: unknown split 'tset'; did you mean 'test'?",
        ),
        (
            "studies/convexity/transforms/local_images",
            {"dataset": "microworld-downstream", "samples": 2},
            "studies: convexity: transforms: local_images: samples",
        ),
        (
            "studies/convexity/transforms/local_images",
            {"dataset": "microworld-downstream", "number": 2},
            "unknown key 'number'",
        ),
        (
            "studies/convexity/transforms",
            {"methods": ["naive"], "grid": [1], "folds": 2, "alpha": 0.1, "temperature": 1}
            | {"local_images": "microworld-downstream"},
            "local_images: only glocal keeps them, which methods does not name",
        ),
        ("datasets/material_judgements/shown", "(a", "datasets: material_judgements: shown: miss"),
        ("datasets/simulated_observers/shown", "a", "'microworld' has no paths to match"),
        ("studies/digits/families", ["wrod", "speaker"], "column 'wrod'; did you mean 'word'?"),
        (
            "models/micro-hubert-word/finetune/apart",
            ...,
            "finetune: apart is None, the task's is 'speaker'",
        ),
        (
            "models/micro-vit-kind",
            TUNED | {"finetune": {"dataset": "microspeech", "target": "word"}},
            "dataset 'microspeech' is of modality audio, the model of image",
        ),
        ("models/micro-vit/size", 112, "models: micro-vit: size goes with preprocess: imagenet"),
        (
            "models/micro-vit-kind",
            TUNED | {"finetune": {"dataset": "microworld", "target": "colour"}},
            "unknown label column 'colour'",
        ),
        (
            "models/micro-vit-kind",
            TUNED | {"finetune": {"dataset": "oxford_pets_sample", "target": "breed"}},
            "learning needs a split 'train', data set 'oxford_pets_sample' has none",
        ),
        ("studies/convexity/models", ["micro-hubert"], "data set 'microworld' holds pictures"),
        ("studies/concepts/probing", ["microspeech"], "'micro-vit' is a vision model"),
        ("studies/concepts/probing", ["microworld", "microspeech"], "are two studies"),
        ("studies/concepts/probing", ["simulated_observers"], "holds neither pictures nor sounds"),
        ("studies/concepts/clip", "micro-hubert", "cannot label; take a CLIP for pictures"),
        (
            "studies/concepts",
            ANNOTATED | {"annotations": {"columns": ["colour"]}},
            "annotations: columns: unknown label column 'colour'",
        ),
        (
            "studies/concepts",
            ANNOTATED | {"probing": ["oxford_pets_sample"], "annotations": {"columns": ["kind"]}},
            "annotations: columns: unknown label column 'kind'",
        ),
        (
            "studies/concepts",
            ANNOTATED | {"annotations": {"computed": ["pitch"]}},
            "annotations: computed: unknown number 'pitch'",
        ),
        (
            "studies/concepts",
            ANNOTATED | {"annotations": {"computed": [], "columns": []}},
            "annotations: needs columns, computed or both",
        ),
        (
            "studies/concepts",
            ANNOTATED | {"clip": "micro-clip"},
            "clip is for concepts: words, not annotations",
        ),
        ("studies/concepts/annotations", {}, "annotations are for concepts: annotations"),
        ("models/micro-vit/samples", "n.csv", "samples means something for source: arrays only"),
        ("models/micro-vit/origin", "a package", "micro-vit: origin says where the files of path"),
    ],
)
def test_a_mistake_is_told_in_one_line(path, value, told):
    with pytest.raises(StrataError, match=re.escape(told)) as caught:
        prepare_config(changed(path, value), ROOT)
    assert "\n" not in str(caught.value)


def test_categories_without_a_word_of_the_concepts_are_told(tmp_path):
    (tmp_path / "foreign.json").write_text('{"farben": ["rot", "blau"]}')
    config = changed("studies/concepts/categories", str(tmp_path / "foreign.json"))
    told = r"foreign\.json has none of the words of .*microworld\.txt"
    with pytest.raises(StrataError, match=told):
        prepare_config(config, ROOT)


MINE = {
    "concepts": {"probing": ["microworld"], "clip": "micro-clip", "categories": "words.json"}
    | {"concept_set": "microworld-words"},
    "convexity": {"dataset": "microworld", "families": ["kind"]},
    "pruning": {"dataset": "microworld-cuts", "families": ["kind"]}
    | {"tasks": {"kind": {"splits": "own"}}, "training": {"epochs": 2}},
}


@pytest.mark.parametrize("kind", MINE)
def test_what_a_study_leaves_out_is_filled_in(kind):
    models = ["micro-mae", "micro-mae-random", "micro-clip", "micro-mae-kind", "micro-vit-random"]
    mine = MINE[kind] | {"kind": kind, "title": "Mine", "models": models}
    if kind == "pruning":  # fine-tuned models have to have the study's own task
        mine["models"] = models = [name for name in models if name != "micro-mae-kind"]
    config = changed("studies/mine", mine)
    prepare_config(config, ROOT)
    filled = config["studies"]["mine"]
    assert filled["halves"] == 10
    assert filled["comparisons"] == {
        "pretraining": ["micro-mae", "micro-clip"],
        "controls": {"micro-mae": "micro-mae-random"},
        "finetuned": {"kind": {"micro-mae": "micro-mae-kind"}} if kind != "pruning" else {},
    }
    if kind == "pruning":
        assert filled["training"]["epochs"] == 2 and filled["training"]["batch_size"] == 32
        assert filled["timing"]["repeats"] == 50
    before = copy.deepcopy(config)
    prepare_config(config, ROOT)
    assert config == before


def test_a_local_image_set_by_name_alone_is_filled_in():
    config = changed("studies/convexity/transforms/local_images", "microworld-downstream")
    prepare_config(config, ROOT)
    found = config["studies"]["convexity"]["transforms"]
    assert found["centre"] == "dimension"
    assert found["local_images"] == {
        "dataset": "microworld-downstream", "split": "all", "samples": 5120, "batch_size": 1024
    }  # fmt: skip


def test_what_a_study_says_itself_stays():
    mine = MINE["convexity"] | {"kind": "convexity", "title": "Mine", "models": ["micro-mae"]}
    own = {"split": "test", "permutations": 0, "comparisons": {"convnets": ["micro-mae"]}}
    config = changed("studies/mine", mine | own)
    prepare_config(config, ROOT)
    assert {key: config["studies"]["mine"][key] for key in own} == own


def test_twins_and_fine_tuned_models_see_what_their_base_sees():
    config = changed("models/micro-hubert/context", "full")
    prepare_config(config, ROOT)
    models = config["models"]
    derived = [name for name, entry in models.items() if entry.get("base") == "micro-hubert"]
    assert derived and all(models[name]["context"] == "full" for name in derived)
    assert "context" not in models["micro-vit-random"]


def test_a_study_of_pruning_needs_something_to_cut():
    mine = MINE["pruning"] | {"kind": "pruning", "title": "Mine", "models": ["micro-mae-random"]}
    with pytest.raises(StrataError, match="none is without a base, so none can be cut"):
        prepare_config(changed("studies/mine", mine), ROOT)


def own_study(tmp_path):
    """A configuration about a folder of the user's own, all of whose files are there."""
    for part in ("rules", "resources"):
        shutil.copytree(ROOT / part, tmp_path / part)
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos/labels.csv").write_text("\ufeffpath,breed\na.png,pug\n", "utf-8")
    (tmp_path / "photos/answers.csv").write_text("a,b,odd\n")
    (tmp_path / "model").mkdir()
    config = changed("datasets/photos", FOLDER | {"path": "photos"})
    answers = {"kind": "triplets", "images": "photos", "column": "breed"}
    config["datasets"]["answers"] = answers | {"triplets": "answers.csv", "form": "table"}
    config["models"]["mine"] = {"source": "timm", "path": "model", "modality": "image"}
    config["studies"]["mine"] = {"kind": "convexity", "title": "Mine", "dataset": "photos"}
    config["studies"]["mine"] |= {"models": ["mine"], "families": ["breed"]}
    config["studies"]["mine"] |= {"triplets": ["answers"]}
    return config | {"run": ["mine"]}


def test_an_own_study_is_right(tmp_path):
    prepare_config(own_study(tmp_path), tmp_path)


@pytest.mark.parametrize(
    ("path", "value", "told"),
    [
        ("datasets/photos/path", "phtos", r"datasets: photos: no folder .*/phtos$"),
        ("datasets/photos/labels", "label.csv", r"photos: labels: no file .*/photos/label\.csv$"),
        (
            "datasets/photos/lists",
            {"test": "t.txt"},
            r"photos: lists: test: no file .*/photos/t\.txt$",
        ),
        ("datasets/answers/triplets", "b.csv", r"answers: triplets: no file .*/photos/b\.csv$"),
        (
            "datasets/answers/column",
            "race",
            r"triplets: column: .*labels\.csv has no column 'race'",
        ),
        ("studies/mine/families", ["bred"], r"labels\.csv has no .*'bred'; did you mean 'breed'\?"),
        ("models/mine/path", "modle", r"models: mine: no folder .*/modle$"),
    ],
)
def test_a_mistake_in_an_own_study_is_told_before_any_job(tmp_path, path, value, told):
    config = own_study(tmp_path)
    *outer, last = path.split("/")
    place = config
    for key in outer:
        place = place[key]
    place[last] = value
    with pytest.raises(StrataError, match=told):
        prepare_config(config, tmp_path)


def test_a_recipe_that_is_not_there_is_told_before_training(tmp_path):
    for part in ("rules", "resources"):
        shutil.copytree(ROOT / part, tmp_path / part)
    config = DEFAULT | {"zoo": "train"}
    prepare_config(config, tmp_path)
    (tmp_path / "resources/zoo/micro-mae/recipe.yaml").unlink()
    with pytest.raises(StrataError, match=r"models: micro-mae.*: no recipe\.yaml"):
        prepare_config(config, tmp_path)


ARRAYS = {"source": "arrays", "path": "features/{dataset}", "modality": "image"}
ARRAYS |= {"samples": "names.csv"}
SPOKEN = {"kind": "convexity", "title": "Spoken", "dataset": "microspeech"}
SPOKEN |= {"families": ["word", "speaker", "phoneme"], "models": ["micro-hubert"]}


def with_arrays(tmp_path):
    """An own study of a model that is arrays, beside a network."""
    config = own_study(tmp_path)
    config["models"]["features"] = dict(ARRAYS)
    config["studies"]["mine"]["models"] = ["mine", "features"]
    folder = tmp_path / "features/photos"
    folder.mkdir(parents=True)
    (folder / "names.csv").write_text("path\na.png\n")
    (folder / "layer.npy").touch()
    return config


def test_arrays_are_a_model_of_a_study_that_runs_no_network(tmp_path):
    config = with_arrays(tmp_path)
    prepare_config(config, tmp_path)
    assert config["studies"]["mine"]["comparisons"]["pretraining"] == ["mine", "features"]


def test_arrays_have_to_be_there_of_every_data_set_that_a_study_needs(tmp_path):
    config = with_arrays(tmp_path)
    local = {"local_images": "microworld", "methods": ["glocal"], "grid": [1.0], "folds": 2}
    config["studies"]["mine"]["transforms"] = local | {"alpha": 0.1, "temperature": 0.1}
    with pytest.raises(StrataError, match=r"models: features: no folder .*features/microworld"):
        prepare_config(config, tmp_path)


def test_a_cut_sees_pictures_by_the_networks_own_preprocessor():
    study = DEFAULT["studies"]["pruning-vision"]
    cut = study["models"][0]
    config = changed(f"models/{cut}/preprocess", "whole")
    config["studies"] = {"pruning-vision": study}
    with pytest.raises(StrataError, match=f"models: '{cut}' is read with preprocess: whole"):
        prepare_config(config | {"run": ["pruning-vision"]}, ROOT)


@pytest.mark.parametrize(
    ("path", "value", "told"),
    [
        ("models/features/path", ..., "models: features: source: arrays needs the key path"),
        ("models/features/samples", ..., "models: features: source: arrays needs the key samples"),
        ("models/features/path", "features", "holds no arrays (.npy, .npz, .safetensors, .parquet"),
        ("models/features/path", "f/{data}", "path: of what is in braces {dataset} is known only"),
        ("models/features/path", "nowhere/{dataset}", "no folder"),
        ("models/features/samples", "n.csv", "samples: no file"),
        ("models/features/preprocess", "own", "preprocess is of no meaning with source: arrays"),
        ("models/features/revision", "abc", "revision is of no meaning with source: arrays"),
        ("models/features/n_prefix_tokens", 1, "n_prefix_tokens goes with pool: mean"),
        ("models/features/modality", "audio", "'features' is a speech model (modality: audio), "),
        (
            "models/twin",
            {"source": "zoo", "base": "features", "weights": "random", "modality": "image"},
            "base 'features' is arrays: they hold activations, and this needs a network",
        ),
        (
            "models/tuned",
            {"source": "zoo", "base": "features", "modality": "image"}
            | {"finetune": {"dataset": "microworld", "target": "kind"}},
            "base 'features' is arrays: they hold activations, and this needs a network",
        ),
        (
            "studies/mine/euclidean",
            {"heads": {"features": "breed"}, "pairs": 5, "points": 2, "pictures": 9},
            "euclidean: heads: 'features' is arrays: they hold activations",
        ),
        (
            "studies/concepts/clip",
            "features",
            "studies: concepts: clip: 'features' is arrays: they hold activations",
        ),
        (
            "studies/pruning-vision/models",
            ["features"],
            "studies: pruning-vision: models: 'features' is arrays: they hold activations",
        ),
    ],
)
def test_what_does_not_fit_arrays_is_told_in_one_line(tmp_path, path, value, told):
    config = with_arrays(tmp_path)
    *outer, last = path.split("/")
    place = config
    for key in outer:
        place = place[key]
    if value is ...:
        del place[last]
    else:
        place[last] = value
    with pytest.raises(StrataError, match=re.escape(told)) as caught:
        prepare_config(config, tmp_path)
    assert "\n" not in str(caught.value)


def test_a_study_of_convexity_takes_sounds_with_their_pieces_and_judgements():
    config = changed("studies/spoken", dict(SPOKEN))
    simulated = {"split": "all", "items": 9, "triplets": 20, "repeats": 2, "weights": {"word": 1}}
    config["datasets"]["heard"] = {"kind": "triplets", "images": "microspeech", "column": "sample"}
    config["datasets"]["heard"]["simulated"] = simulated
    config["studies"]["spoken"]["triplets"] = ["heard"]
    prepare_config(config | {"run": ["spoken"]}, ROOT)


@pytest.mark.parametrize(
    ("key", "value", "told"),
    [
        ("models", ["micro-vit"], "'micro-vit' is a vision model (modality: image), data set"),
        ("split", "tset", "split: unknown split 'tset'; did you mean 'test'?"),
        ("families", ["wrod"], "unknown label column 'wrod'; did you mean 'word'?"),
        ("n_neighbors", 1200, "n_neighbors is 1200, but there are only 1200 sounds"),
        (
            "euclidean",
            {"heads": {"micro-hubert": "word"}, "pairs": 5, "points": 2, "pictures": 9},
            "euclidean: 'micro-hubert' is a speech model: sounds have as many states as frames",
        ),
        ("models", ["heard"], "'phoneme' labels pieces of sounds, and the arrays of 'heard' are"),
        (
            "transforms",
            {"methods": ["naive"], "grid": [1.0], "folds": 2, "alpha": 0.1, "temperature": 0.1},
            "'phoneme' labels pieces of sounds, which transforms are not fitted to",
        ),
    ],
)
def test_what_does_not_fit_sounds_is_told_in_one_line(key, value, told):
    config = changed("studies/spoken", SPOKEN | {key: value})
    config["models"]["heard"] = ARRAYS | {"modality": "audio"}
    with pytest.raises(StrataError, match=re.escape(told)) as caught:
        prepare_config(config, ROOT)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({}, None),
        ({"models": ["features"]}, "'phone' labels pieces of sounds, and the arrays of 'features'"),
        (
            {
                "transforms": {"methods": ["naive"], "grid": [1.0], "folds": 2}
                | {"alpha": 0.1, "temperature": 0.1}
            },
            "'phone' labels pieces of sounds, which transforms are not fitted to",
        ),
    ],
)
def test_pieces_in_a_users_own_table_are_known_before_any_job(tmp_path, change, told):
    config = with_arrays(tmp_path)
    (tmp_path / "photos/segments.csv").write_text("path,start,end,phone\na.wav,0,1,x\n")
    config["datasets"]["photos"] |= {"modality": "audio", "segments": "segments.csv"}
    config["models"]["features"]["modality"] = config["models"]["mine"]["modality"] = "audio"
    config["studies"]["mine"] |= {"models": ["mine"], "families": ["breed", "phone"]} | change
    if told is None:
        return prepare_config(config, tmp_path)
    with pytest.raises(StrataError, match=re.escape(told)):
        prepare_config(config, tmp_path)
