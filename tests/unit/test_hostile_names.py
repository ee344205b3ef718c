"""Names that people may write anywhere: taken as they are, or refused; nothing reaches a shell."""

import ast
import copy
import re
from pathlib import Path

import pandas as pd
import pytest
import yaml
from PIL import Image

from strata import StrataError
from strata.config.prepare import prepare_config
from strata.data import open_dataset
from strata.data.folder import index_folder
from strata.figures.style import new_figure, save, styled
from strata.paper.latex import escape

ROOT = Path(__file__).parents[2]
DEFAULT = yaml.safe_load((ROOT / "config.yaml").read_text())

NO_NAMES = ["", " ", "a b", "a\n", "\na", "a/b", "../a", "..", ".", ".a", "-rf", "_a", "#a", "!a"]
NO_NAMES += ["a'b", 'a"b', "a;ls", "$(ls)", "`ls`", "a|b", "a&b", "a>b", "{a}", "a*", "~", "%s"]
NO_NAMES += ["é", "日本", "a\u202eb", "\ufeffa", "\ud800", "a\tb", "a\0b", "a\x1b", "a\\b", "a:b"]
NO_NAMES += ["a" * 101]


@pytest.mark.parametrize("registry", ["datasets", "models", "concept_sets", "studies"])
@pytest.mark.parametrize("name", NO_NAMES, ids=range(len(NO_NAMES)))
def test_names_of_entries_are_plain_words(name, registry):
    config = copy.deepcopy(DEFAULT)
    config[registry][name] = copy.deepcopy(next(iter(config[registry].values())))
    with pytest.raises(StrataError, match=f"^config, {registry}: (name|key) .*") as error:
        prepare_config(config, ROOT)
    assert "\n" not in str(error.value) and len(str(error.value)) < 400


@pytest.mark.parametrize("key", [1, 1.5, True, None, ("a", "b")])
def test_keys_that_yaml_makes_no_text_are_told(key):
    config = copy.deepcopy(DEFAULT)
    config["datasets"][key] = {}
    with pytest.raises(StrataError, match=r"datasets: key .* should be text; put it in quotes"):
        prepare_config(config, ROOT)


def entry(**changes):
    return {"kind": "folder", "path": "data/mine", "modality": "image", **changes}


@pytest.mark.parametrize("key", ["path", "labels", "segments", "family"])
@pytest.mark.parametrize("value", ["a\n", "a\nb", "a\rb", "a\0b", "a\x1b", "a\u202eb", "\ud800"])
def test_places_and_columns_are_one_line_of_what_is_seen(key, value):
    config = copy.deepcopy(DEFAULT)
    config["datasets"]["mine"] = entry(**{key: value})
    told = f"^config, datasets: mine: {key}: .* (has a line break|holds U\\+)"
    with pytest.raises(StrataError, match=told) as error:
        prepare_config(config, ROOT)
    assert "\n" not in str(error.value)


VALUES = [
    ("seed", 0.0, "seed: 0.0 should be a whole number"),
    ("seed", True, "seed: True should be a whole number"),
    ("seed", "0", "seed: '0' should be a whole number"),
    ("seed", float("nan"), "seed: nan should be a finite number"),
    ("seed", 10**30, "seed: 1000000000000000000000000000000 is too large"),
    ("seed", 10**9000, "seed: a number of more than 60 digits is too large"),
    ("shards", 1.5, "shards: 1.5 should be a whole number"),
    ("run", "micro", "run: 'micro' should be a list"),
    ("datasets", [], r"datasets: \[\] should be keys with values"),
    ("datasets", None, "datasets: None should be keys with values"),
    ("zoo_directory", b"x", "zoo_directory: b'x' is a bytes; put it in quotes"),
    ("zoo_directory", yaml.safe_load("2020-01-01"), "is a date; put it in quotes"),
    ("device", "gpu; rm -rf /", "should be one of auto, cpu, cuda"),
]


@pytest.mark.parametrize(("key", "value", "told"), VALUES, ids=range(len(VALUES)))
def test_values_of_another_kind_are_told(key, value, told):
    with pytest.raises(StrataError, match=told):
        prepare_config(copy.deepcopy(DEFAULT) | {key: value}, ROOT)


@pytest.mark.parametrize("share", [float("nan"), float("inf"), -1.0, 0, 2, "0.5", None, True])
def test_shares_that_are_none_are_told(share):
    config = copy.deepcopy(DEFAULT)
    config["datasets"]["mine"] = entry(splits={"train": share, "test": 0.5})
    with pytest.raises(StrataError, match=r"^config, datasets: mine: splits"):
        prepare_config(config, ROOT)


def test_a_configuration_that_leads_into_itself_is_told():
    config = copy.deepcopy(DEFAULT)
    config["datasets"]["mine"] = config["datasets"]
    with pytest.raises(StrataError, match="leads back into itself"):
        prepare_config(config, ROOT)


@pytest.mark.parametrize(
    "pattern", ["(", "[", "(?P<a", "a{99999999999}", "(" * 20000, "*", "(?P<1>a)"]
)
@pytest.mark.parametrize("after", [False, True])
def test_patterns_that_are_none_are_told_whatever_the_order(pattern, after):
    config = copy.deepcopy(DEFAULT)
    judged = {"kind": "triplets", "images": "mine", "column": "x", "triplets": "t", "form": "table"}
    added = {"judged": judged, "mine": entry(pattern=pattern)}
    config["datasets"] |= added if after else dict(reversed(added.items()))
    with pytest.raises(StrataError, match=r"^config, datasets: mine: pattern: "):
        prepare_config(config, ROOT)


@pytest.mark.parametrize(
    "files",
    [
        [("http://h/a/x.zip", None), ("http://h/b/x.zip", None)],
        [("http://h/a", "x"), ("http://h/b", "./x")],
        [("http://h/a", "../x")],
        [("http://h/a", "/etc/x")],
        [("http://h/..", None)],
    ],
)
def test_downloads_have_names_of_their_own_inside_of_their_folder(files):
    config = copy.deepcopy(DEFAULT)
    listed = [
        {"url": url, "sha256": "0" * 64, **({"name": name} if name else {})} for url, name in files
    ]
    made = {"kind": "download", "modality": "table", "licence": "x", "source": "x", "files": listed}
    config["datasets"]["mine"] = made
    with pytest.raises(StrataError, match=r"datasets: mine: files: .*(two files|stay inside)"):
        prepare_config(config, ROOT)


WORDS = ["a b", "a'b", 'a"b', "$(touch x)", "`touch x`", "a;b", "a|b", "a&b", "a>b", "{a}", "%s"]
WORDS += [
    "-rf",
    "~",
    "#a",
    "é",
    "日本",
    "😀",
    "a\\b",
    "*",
    "a,b",
    "a=b",
    "NA",
    "\\input{x}",
    "a_b^c&d",
]


@pytest.mark.parametrize("word", WORDS)
def test_folders_and_classes_of_any_name_are_what_they_say(word, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in (word, "other"):
        folder = tmp_path / f"in {word}" / name
        folder.mkdir(parents=True)
        Image.new("RGB", (4, 4)).save(folder / f"{word}.png")
    spec = {"path": f"in {word}", "modality": "image"}
    index_folder(spec, tmp_path / "out", base=tmp_path, log=lambda line: None)
    made = open_dataset(tmp_path / "out")
    assert sorted(made.manifest["class"]) == sorted([word, "other"])
    assert made.image(0).size == (4, 4)
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize("word", WORDS)
def test_words_are_no_commands_of_latex(word):
    # All that LaTeX reads as a command or a mark has a backslash before it.
    left = re.sub(r"\\[a-zA-Z]+\{\}|\\[#$%&_{}^~]", "", escape(word))
    assert not re.search(r"[#$%&_{}~^\\]", left.replace("{}", "")), escape(word)


@styled
def drawn(words):
    figure = new_figure(3, 2)
    axes = figure.subplots()
    for place, word in enumerate(words):
        axes.text(0, place, word)
    return figure, axes


def test_words_are_no_mathematics_in_figures(tmp_path):
    words = [word for word in WORDS if word not in ("日本", "😀")]
    words += ["$", "$$", "$x$ and $y$", "\\frac", "$\\frac$"]
    figure, axes = drawn(words)
    save(figure, pd.DataFrame({"word": words}), tmp_path / "figure")
    assert [text.get_text() for text in axes.texts] == words
    assert not any(text.get_parse_math() for text in axes.texts)


def calls_of_processes():
    """Every call of another program in the code, with the file that it is in."""
    folders = [ROOT / "workflow_scripts", ROOT / "tools"]
    for path in (path for folder in folders for path in folder.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call):
                name = ast.unparse(node.func)
                if name.startswith(("subprocess.", "os.system", "os.popen", "os.exec", "os.spawn")):
                    yield path, name, node


def test_no_shell_is_called_anywhere():
    found = list(calls_of_processes())
    assert found
    for path, name, node in found:
        if name == "os.execv":  # of a list, and there is no shell in it
            continue
        assert name.startswith("subprocess."), f"{path}: {name}"
        assert "shell" not in {each.arg for each in node.keywords}, f"{path}: {name}"
        assert not isinstance(node.args[0], ast.Constant | ast.JoinedStr), f"{path}: {name}"
    for rules in [ROOT / "Snakefile", *(ROOT / "rules").glob("*.smk")]:
        assert not re.search(r"^\s*shell\s*[:(]", rules.read_text(), re.MULTILINE), rules
