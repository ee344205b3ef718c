"""Results know the code, the packages and the files that made them: what changed is run again."""

import re

import pandas as pd
import pytest
from PIL import Image

from running import Workflow, planned

TINY = ("--configfile", "tests/workflow/tiny.yaml")
LIBRARY = "workflow_scripts/strata"
NEW_LINE = "import numpy as np\n\n_NEW = 1\n"
# What leads from any measure to the paper.
TELLS = {"decide_claims", "write_numbers", "paper", "all"}


@pytest.fixture
def edited(workflow):
    """Replace text in a file of the workflow; all edits are taken back at the end."""
    before = {}

    def edit(name: str, old: str, new: str) -> None:
        path = workflow.path(name)
        before.setdefault(path, path.read_text())
        assert old in path.read_text()
        path.write_text(path.read_text().replace(old, new, 1))

    yield edit
    for path, text in before.items():
        path.write_text(text)


def test_a_comment_or_a_docstring_runs_nothing_again(workflow, edited):
    edited(f"{LIBRARY}/convexity/scores.py", "\n\ndef ", "\n\n# Said more clearly.\ndef ")
    edited(f"{LIBRARY}/stats.py", '"""Intervals', '"""All intervals')
    assert "Nothing to be done" in workflow("--dry-run", *TINY)


def test_a_line_of_a_convexity_module_runs_its_users_and_not_the_concepts(workflow, edited):
    edited(f"{LIBRARY}/convexity/scores.py", "import numpy as np\n", NEW_LINE)
    rules = planned(workflow("--dry-run", *TINY))
    assert {"score_convexity", "score_task_convexity", "transform_layers"} <= rules
    unconcerned = {"label_neurons", "count_concepts", "score_truth", "embed_images"}
    unconcerned |= {"microworld", "extract_shard", "finetune", "score_alignment"}
    unconcerned |= {"compare_layers", "count_cost", "time_cuts"}
    assert not rules & unconcerned


def test_a_line_of_the_transforms_runs_them_alone(workflow, edited):
    edited(f"{LIBRARY}/alignment/transforms.py", "import numpy as np\n", NEW_LINE)
    rules = planned(workflow("--dry-run", *TINY))
    assert rules == {"transform_layers", "plot_measure", *TELLS}


def test_a_line_of_stats_runs_its_users(workflow, edited):
    edited(f"{LIBRARY}/stats.py", "LEVEL = 0.95", "LEVEL = 0.9")
    rules = planned(workflow("--dry-run", *TINY))
    assert {"label_neurons", "count_concepts", "score_truth", "score_convexity"} <= rules
    assert {"score_alignment", "relate", "transform_layers", "compare_cuts"} <= rules
    unconcerned = {"microworld", "microspeech", "random_twin", "finetune", "extract_shard"}
    assert not rules & (unconcerned | {"merge_shards", "embed_images", "embed_concepts"})


def test_a_figures_module_runs_its_own_figures_alone(workflow, edited):
    edited(
        f"{LIBRARY}/figures/scoreboard.py",
        "import pandas as pd\n",
        "import pandas as pd\n\n_NEW = 1\n",
    )
    output = workflow("--dry-run", *TINY)
    assert planned(output) == {"plot_measure", "paper", "all"}
    drawn = re.findall(r"^    output: results/figures/(\w+)\.pdf", output, flags=re.MULTILINE)
    figures = ("passage", "passage_finetuned", "truth_counts", "scoreboard", "scoreboard_factors")
    assert set(drawn) == {f"tiny_{figure}" for figure in figures}


def test_another_version_of_a_package_runs_what_uses_it(workflow, edited):
    edited("envs/figures.yaml", "matplotlib==", "matplotlib==1")
    rules = planned(workflow("--dry-run", *TINY))
    drawn = {"plot_measure", "plot_scores", "plot_neurons", "plot_specimen"}
    assert rules == drawn | {"atlas_study", "atlas", "paper", "all"}


def test_new_removed_and_changed_files_of_a_users_folder_are_noticed(tmp_path):
    workflow = Workflow(tmp_path / "workflow")
    photos = tmp_path / "photos"
    for number in range(4):
        path = photos / f"class{number % 2}" / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8), (50 * number, 9, 9)).save(path)
    overlay = tmp_path / "mine.yaml"
    overlay.write_text(f"datasets: {{mine: {{kind: folder, path: {photos}, modality: image}}}}\n")
    wanted = ("results/data/mine/manifest.parquet", "--configfile", str(overlay))

    def planned_again() -> bool:
        return "folder_dataset" in planned(workflow("--dry-run", *wanted))

    workflow(*wanted)
    manifest = workflow.path("results/data/mine/manifest.parquet")
    first = manifest.read_bytes()
    assert not planned_again()

    Image.new("RGB", (8, 8), (1, 2, 3)).save(photos / "class0/0.png")
    assert planned_again()
    workflow(*wanted)
    assert manifest.read_bytes() != first  # so that what saw the picture runs again, too

    Image.new("RGB", (8, 8)).save(photos / "class1/new.png")
    assert planned_again()
    workflow(*wanted)
    assert len(pd.read_parquet(manifest)) == 5

    (photos / "class1/new.png").unlink()
    assert planned_again()


def test_an_adapter_ships_and_is_learned_anew_where_it_was_learned_otherwise(workflow, tmp_path):
    for name in ("object", "texture"):
        card = f"results/models/dinov2-small-{name}/card.json"
        assert {"bundled_adapter", "fetch_model"} == planned(workflow("--dry-run", card))
    overlay = tmp_path / "longer.yaml"
    overlay.write_text("models: {dinov2-small-texture: {finetune: {epochs: 4}}}\n")
    rules = planned(workflow("--dry-run", card, "--configfile", str(overlay)))
    assert "finetune" in rules and "bundled_adapter" not in rules
    assert "finetune" in planned(workflow("--dry-run", card, "--config", "zoo=train"))
