"""docs/your-own-study.md, run as it is written, in a fresh copy of the workflow."""

import json
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pytest
import torch
from safetensors.torch import save_file

from running import ROOT, Workflow
from strata.compat import prepare_imports

PAGE = (ROOT / "docs/your-own-study.md").read_text()
MISTAKES = "Mistakes"


@dataclass(frozen=True)
class Block:
    """A fenced block: what it is to be saved as, its language, its text, and its section."""

    file: str | None
    language: str
    text: str
    section: str


def blocks() -> list[Block]:
    found = []
    for section in re.split(r"^## ", PAGE, flags=re.MULTILINE):
        fences = re.finditer(r"^```(\w+)\n(.*?)^```$", section, flags=re.MULTILINE | re.DOTALL)
        for fence in fences:
            before = section[: fence.start()].rstrip().rpartition("\n")[2]
            saved = re.search(r"ave this as `([^`]+)`:$", before)
            name = saved.group(1) if saved else None
            found.append(Block(name, fence.group(1), fence.group(2), section.partition("\n")[0]))
    return found


def make_hub(mirror: Path) -> None:
    """The page's models in little, where a mirror has them: random weights, the right classes."""
    prepare_imports()
    import timm
    from transformers import BitImageProcessor, Dinov2Config, Dinov2Model

    models = mirror / "models"
    for name, shipped in (
        ("openai/clip-vit-base-patch16", "micro-clip"),
        ("facebook/wav2vec2-base", "micro-wav2vec2"),
    ):
        shutil.copytree(ROOT / "resources/zoo" / shipped, models / name)
    torch.manual_seed(0)
    sizes = {"hidden_size": 32, "num_hidden_layers": 4, "num_attention_heads": 2}
    small = Dinov2Config(image_size=28, patch_size=7, **sizes)
    Dinov2Model(small).save_pretrained(models / "facebook/dinov2-base")
    square = {"size": {"shortest_edge": 32}, "crop_size": {"height": 28, "width": 28}}
    BitImageProcessor(**square).save_pretrained(models / "facebook/dinov2-base")
    folder = models / "timm/vit_small_patch16_224.augreg_in21k_ft_in1k"
    folder.mkdir(parents=True)
    options = {"img_size": 32, "embed_dim": 32, "depth": 4, "num_heads": 2}
    config = {"architecture": "vit_small_patch16_224", "num_classes": 0, "model_args": options}
    config["pretrained_cfg"] = {"input_size": [3, 32, 32]}
    module = timm.create_model(config["architecture"], num_classes=0, **options)
    save_file(module.state_dict(), folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps(config))


@pytest.fixture(scope="module")
def followed(tmp_path_factory) -> tuple[Workflow, list[tuple[str, str]]]:
    """A copy in which the page was followed, and (what should be printed, what was) of its
    mistakes."""
    copy = Workflow(tmp_path_factory.mktemp("own"))
    mirror = tmp_path_factory.mktemp("hub")
    make_hub(mirror)
    told, output = [], ""
    for block in blocks():
        if block.file:
            copy.path(block.file).parent.mkdir(parents=True, exist_ok=True)
            copy.path(block.file).write_text(block.text)
        elif block.language == "sh":
            failing = int(block.section == MISTAKES)
            output = copy.shell(block.text, expect=failing, STRATA_MIRROR=str(mirror))
        else:
            told.append((block.text.strip(), output))
    return copy, told


def test_the_page_has_blocks_of_all_kinds():
    languages = [block.language for block in blocks() if not block.file]
    assert languages.count("sh") >= 10 and languages.count("text") == 7
    assert set(languages) == {"sh", "text"}
    assert len([block for block in blocks() if block.file]) >= 10


def test_every_file_that_the_page_promises_is_there(followed):
    copy, _ = followed
    promised = re.findall(r"`(results/[^`]+)`", PAGE)
    assert len(promised) > 10
    missing = [name for name in promised if not copy.path(name).is_file()]
    assert not missing


def test_mistakes_are_told_as_the_page_says(followed):
    copy, told = followed
    assert len(told) == 7
    for expected, printed in told:
        line = expected.replace("/home/you/strata", str(copy.directory))
        assert line in printed.splitlines(), printed[-3000:]


def test_models_of_all_forms_were_labelled(followed):
    copy, _ = followed
    cards = {name: json.loads(copy.path(f"results/models/{name}/card.json").read_text())
             for name in ("dinov2", "vit", "clip", "my-clip")}  # fmt: skip
    assert cards["dinov2"]["revision"] in PAGE and cards["dinov2"]["source"] in PAGE
    assert cards["my-clip"]["source"] == "resources/zoo/micro-clip"
    for name in cards:
        labels = pd.read_parquet(copy.path(f"results/measures/mine/labels/{name}.parquet"))
        words = set(copy.path("data/mine/words.txt").read_text().split())
        assert set(labels["concept"].dropna()) <= words and labels["layer"].nunique() >= 4


def test_a_model_that_saw_the_things_is_more_convex_than_its_random_rival(followed):
    copy, _ = followed
    drawn = pd.read_csv(copy.path("results/figures/similar_convexity.csv"))
    drawn = drawn[drawn["metric"] == "graph_convexity"].groupby("model")["value"].max()
    assert set(drawn.index) == {"my-clip", "my-mae", "my-mae-random"}
    assert drawn["my-clip"] > drawn["my-mae-random"] + 0.2


def test_the_paper_describes_the_study(followed):
    copy, _ = followed
    text = copy.path("results/paper/generated/studies.tex").read_text()
    assert "\n\\section{My sounds}" in text and "\\DataSoundsN{} samples" in text
    numbers = copy.path("results/paper/generated/numbers.tex").read_text()
    for macro in re.findall(r"\\((?:Cut|Data)\w+)", text):
        assert f"\\newcommand{{\\{macro}}}" in numbers
    assert copy.path("results/paper/strata.pdf").read_bytes().startswith(b"%PDF")
