"""Intervals of benchmarks/coverage.py in small: they hold the truth about as often as they say."""

import importlib
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.append(str(Path(__file__).parents[2] / "benchmarks" / "simulations"))

# Part, setting, draws; of 100 draws 95 % are hit 88 to 100 times.
QUICK = [
    ("coverage_alignment", lambda s: s.get("items") == 48 and s["triplets"] == 2000, 100),
    ("coverage_alignment", lambda s: s.get("repeats", 1) > 1, 60),
    ("coverage_alignment", lambda s: s.get("models") == 8, 40),
    ("coverage_convexity", lambda s: s["kind"] == "graph" and s["samples"] == 60, 60),
    ("coverage_convexity", lambda s: s["kind"] == "euclidean" and s["samples"] == 60, 100),
    ("coverage_labels", lambda s: s["pictures"] == 300 and s["neurons"] == 64, 40),
    ("coverage_pruning", lambda s: s.get("speakers") == 10 and s["seeds"] == 5, 100),
]


@pytest.mark.parametrize(("part", "wanted", "draws"), QUICK)
def test_an_interval_holds_the_truth(part, wanted, draws, monkeypatch):
    module = importlib.import_module(part)
    for constant in {"_TRUTH", "_DRAWS"} & set(vars(module)):
        monkeypatch.setattr(module, constant, 150)
    setting = next(each for each in module.SETTINGS if wanted(each))
    expected, found = module.truth(setting), {}
    for number in range(draws):
        for name, low, high, _ in module.simulate(setting, np.random.default_rng([7, number])):
            if np.isfinite(low):
                found.setdefault(name, []).append(low <= expected[name] <= high)
    assert found
    for name, held in found.items():
        assert len(held) > 0.5 * draws and np.mean(held) >= 0.88, (name, len(held), np.mean(held))
