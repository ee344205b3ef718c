"""docs/promises.md names what is there."""

import importlib
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs/promises.md").read_text()
RULES = "".join(path.read_text() for path in (ROOT / "rules").rglob("*.smk"))


def found(dotted: str) -> bool:
    parts = dotted.split(".")
    for end in range(len(parts), 0, -1):
        try:
            one = importlib.import_module(".".join(parts[:end]))
        except ImportError:
            continue
        for name in parts[end:]:
            one = getattr(one, name, None)
        return one is not None
    return False


def test_who_checks_a_promise_exists():
    named = set(re.findall(r"`(strata\.[\w.]+)`", TEXT))
    assert len(named) > 20 and not [name for name in sorted(named) if not found(name)]


def test_the_tests_that_hold_a_promise_exist():
    named = set(re.findall(r"`(test_\w+\.py)`", TEXT))
    there = {path.name for path in (ROOT / "tests").rglob("test_*.py")}
    assert len(named) > 10 and not named - there


def test_the_files_that_promise_something_are_made_by_rules():
    folders = set(re.findall(r"`results/(\w+)/", TEXT))
    assert len(folders) > 4 and not [name for name in folders if f"results/{name}/" not in RULES]
