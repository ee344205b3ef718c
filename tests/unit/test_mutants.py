"""The trial of small faults runs where people have their environment: inside of the clone."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))
import mutants


def test_a_fault_meets_the_copy_and_the_environment_in_the_clone():
    root = mutants.ROOT
    packages = str(root / ".venv/lib/python3.11/site-packages")
    own = [str(root), str(root / "workflow_scripts"), str(root / "tests"), str(root / "tests/unit")]
    assert mutants.elsewhere([*own, packages, "/usr/lib/python3"]) == [packages, "/usr/lib/python3"]


def test_what_fails_without_a_fault_ends_the_trial(tmp_path):
    bench = mutants.Bench(tmp_path, {"verdicts": {}, "seconds": {}})
    (tmp_path / "said.txt").write_text("1 failed")
    bench.pytest = lambda tests, limit: ("failed", tests[0], 1.0)
    with pytest.raises(SystemExit, match=r"test_stats.py fails without a fault; mend that first"):
        bench.seconds("test_stats.py")


def test_a_fault_that_no_test_reached_is_no_survivor(capsys):
    faults = [
        {"key": key, "module": "m.py", "start": 0, "line": 1, "text": "x", "old": "1", "new": "2"}
        for key in ("killed", "not tried")
    ]
    verdicts = {"killed": {"killed": "test_a.py"}, "not tried": {"survived": ""}}
    assert mutants.report(faults, {"verdicts": verdicts}, write=False) == 1.0
    assert "1 faults that no test reached" in capsys.readouterr().out
