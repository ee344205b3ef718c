"""The environments of the rules, as they are written down; test_conda.py runs the rules in them."""

import re
import tomllib
from importlib.metadata import metadata

import pytest
import yaml
from packaging.specifiers import SpecifierSet

from running import ROOT, rule_bodies, rules_with_environment

FILES = sorted((ROOT / "envs").iterdir())


def lock() -> dict[str, str]:
    return dict(re.findall(r"^(\S+)==(\S+) \\$", (ROOT / "requirements.txt").read_text(), re.M))


def test_every_file_of_the_lock_has_a_checksum():
    blocks = re.split(r"\n(?=\S)", (ROOT / "requirements.txt").read_text().strip())
    assert blocks[0].startswith("# ") and len(blocks) == len(lock()) + 1 > 150
    for block in blocks[1:]:
        first, *others = block.split(" \\\n")
        assert re.fullmatch(r"[a-z0-9._-]+==[0-9][\w.!]*", first), first
        assert others and all(re.fullmatch(r" +--hash=sha256:[0-9a-f]{64}", o) for o in others)


def test_the_lock_holds_for_the_oldest_python_that_is_promised():
    """The Python that runs the tests may be newer than the one that a user's Debian has."""
    oldest = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["requires-python"]
    assert oldest == ">=3.11"
    for name, version in lock().items():
        needs = metadata(name)["Requires-Python"] or ">=3"
        assert SpecifierSet(needs).contains("3.11.0"), f"{name}=={version} needs Python {needs}"


def test_every_rule_has_an_environment_and_every_environment_a_rule():
    scripts = "".join(path.read_text() for path in (ROOT / "rules").rglob("*.smk"))
    run = re.findall(r"^ *(?:script|notebook):$", scripts, re.MULTILINE)
    assert len(rules_with_environment()) == len(run)
    assert set(rules_with_environment().values()) == {file.stem for file in FILES}


def test_every_rule_asks_for_its_own_resources():
    asked = {rule: re.findall(r'needs\("(\w+)"', body) for rule, body in rule_bodies().items()}
    assert sum(map(bool, asked.values())) > 20
    assert all(names in ([], [rule]) for rule, names in asked.items())


def test_every_rule_with_a_script_knows_its_code_and_its_packages():
    for rule, body in rule_bodies().items():
        script = re.findall(r'(?:script|notebook):\n *"\.\./workflow_scripts/(.+)"', body)
        script = [name.replace("{params.kind}", "{kind}") for name in script]
        environment = re.findall(r'"\.\./envs/(\w+)\.yaml"', body)
        known = re.findall(r'code=code\(\s*"(.+?)",\s*"(\w+)"', body)
        assert known == list(zip(script, environment, strict=True)), rule


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_an_environment_holds_python_and_versions_of_the_lock(file):
    environment = yaml.safe_load(file.read_text())
    assert environment["name"] == f"strata-{file.stem}"
    assert environment["channels"] == ["conda-forge", "nodefaults"]
    *conda, last = environment["dependencies"]
    assert conda == ["python=3.11", "pip"]
    pins = [pin.split("==") for pin in last["pip"]]  # anything but name==version does not unpack
    assert len(pins) == len({name for name, _ in pins})
    assert {name: lock()[name] for name, _ in pins} == dict(pins)
