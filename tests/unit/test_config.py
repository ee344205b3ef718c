"""Mistakes in a configuration are told in one line, before anything runs."""

import copy
import re
import shutil
from pathlib import Path

import pytest
import yaml

from strata import StrataError
from strata.config import check_config

ROOT = Path(__file__).parents[2]
DEFAULT = yaml.safe_load((ROOT / "config.yaml").read_text())


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
    check_config(DEFAULT, ROOT)
    for study in ("published", "small", "speech"):
        overlay = yaml.safe_load((ROOT / "studies" / f"{study}.yaml").read_text())
        check_config(DEFAULT | overlay, ROOT)


def test_the_full_study_only_misses_what_its_user_has_to_bring(tmp_path):
    full = yaml.safe_load((ROOT / "studies/full.yaml").read_text())
    config = DEFAULT | {k: v for k, v in full.items() if not isinstance(v, dict)}
    config |= {k: DEFAULT[k] | v for k, v in full.items() if isinstance(v, dict)}
    shutil.copytree(ROOT / "rules", tmp_path / "rules")
    with pytest.raises(StrataError, match=r"words_per_category_curated\.json: no such file"):
        check_config(config, tmp_path)
    words = tmp_path / full["studies"]["concepts-full"]["categories"]
    words.parent.mkdir(parents=True)
    words.write_text('{"colors": ["red"]}')
    for folder in ("data/imagenet_val", "data/things/images"):
        with pytest.raises(StrataError, match=f"no folder .*{folder}"):
            check_config(config, tmp_path)
        (tmp_path / folder).mkdir(parents=True)
    check_config(config, tmp_path)


FOLDER = {"kind": "folder", "path": "nowhere", "modality": "image", "labels": "labels.csv"}
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
        ("studies/concepts/alpha", ..., "key 'alpha' is missing"),
        ("studies/concepts/categories", "none.json", "none.json: no such file of categories"),
        ("studies/concepts/comparisons/pretraining", ["vit"], "unknown model of the study 'vit'"),
        ("concept_sets/microworld-words/path", "none.txt", "none.txt: no such concept list"),
        ("datasets/microworld/splits", {"train": 0.5}, "must add up to 1"),
        ("datasets/microworld/kind", "microwrld", "should be one of microworld, microspeech"),
        ("datasets/microworld/n", 1, "datasets: microworld: n"),
        ("datasets/microworld", FOLDER, "datasets: microworld: no folder"),
        ("datasets/oxford_pets_sample/layout", {"pattern": "("}, "pattern"),
        ("studies/convexity/dataset", "microwrld", "dataset: unknown data set 'microwrld'"),
        ("studies/convexity/dataset", "simulated_observers", "holds no images"),
        ("studies/convexity/families", ["objct"], "unknown label column 'objct'; did you mean 'ob"),
        ("studies/convexity/triplets", ["observers"], "unknown set of triplets 'observers'"),
        ("studies/convexity/triplets", ["material_judgements"], "are about 'material_similarity'"),
        ("studies/convexity/n_neighbors", 1000, "there are only 1000 images"),
        ("studies/convexity/pairs", 0, "studies: convexity: pairs"),
        ("studies/convexity/split", "tset", "did you mean 'test'?"),
        ("datasets/simulated_observers/images", "world", "images: unknown data set 'world'"),
        ("datasets/simulated_observers/simulated", ..., "needs either simulated, or triplets"),
        ("datasets/simulated_observers/simulated/weights", {"knid": 1}, "column 'knid'"),
        ("datasets/material_judgements/form", ..., "form is missing"),
        ("datasets/material_judgements/form", "csv", "should be one of table, numbers, votes"),
        ("models/micro-vit/id", "micro-vet", "did you mean 'micro-vit'?"),
        ("models/micro-vit/id", ..., "needs an id"),
        ("models/micro-vit/source", "timm", "needs a revision"),
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
        ("studies/pruning/models", ["micro-vit"], "'micro-vit' is of modality image"),
        ("studies/pruning/seeds", 0, "studies: pruning: seeds"),
        ("studies/pruning/training/patience", ..., "key 'patience' is missing"),
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
    ],
)
def test_a_mistake_is_told_in_one_line(path, value, told):
    with pytest.raises(StrataError, match=re.escape(told)) as caught:
        check_config(changed(path, value), ROOT)
    assert "\n" not in str(caught.value)


def test_a_recipe_that_is_not_there_is_told_before_training(tmp_path):
    for part in ("rules", "resources"):
        shutil.copytree(ROOT / part, tmp_path / part)
    config = DEFAULT | {"zoo": "train"}
    check_config(config, tmp_path)
    (tmp_path / "resources/zoo/micro-mae/recipe.yaml").unlink()
    with pytest.raises(StrataError, match=r"models: micro-mae.*: no recipe\.yaml"):
        check_config(config, tmp_path)
