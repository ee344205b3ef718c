"""Simulated answers of fine-tuned cuts, for the coverage of intervals in studies of pruning.

A training answers a clip rightly where a normal variable is positive: the sum of what is hard in
its speaker, in the clip, in the seed, in the seed with this speaker, and noise (a mixed model with
crossed random effects and a probit link), so that accuracies have a closed form.
"""

from __future__ import annotations

import numpy as np
from scipy.stats import norm

from strata.pruning.crossed import crossed_interval

_CLIP, _SEED, _BOTH = 1.0, 0.15, 0.2  # standard deviations; the noise has 1
_OTHER = 0.15  # by how much the other cut answers better, in these units
_PEOPLE = (2, 6, 10, 40, 200)


def _settings() -> list[dict]:
    found = [
        {"speakers": n, "seeds": seeds, "clips": 10 if n > 50 else 20, "accuracy": accuracy}
        | {"spread": 0.5, "kind": "speakers"}
        for n in _PEOPLE
        for seeds in (3, 5)
        for accuracy in (0.8, 0.95)
    ]
    found += [
        {"speakers": n, "seeds": 3, "clips": 1, "accuracy": 0.8, "spread": 0.0, "kind": "samples"}
        for n in (20, 100, 300)
    ]
    training = {"seeds": 1, "accuracy": 0.8, "spread": 0.5, "kind": "speakers"}
    return found + [training | {"speakers": n, "clips": 20} for n in (6, 10, 40)]


SETTINGS = _settings()


def _name(setting: dict, what: str) -> str:
    many = f"{setting['speakers']} {setting['kind']}"
    seeds = f"{setting['seeds']} seeds" if setting["seeds"] > 1 else "one training"
    return f"{what}, {many}, {seeds}, {setting['accuracy']:.0%} right"


def _deviation(setting: dict, of_speakers: bool = True) -> float:
    seed = _SEED if setting["seeds"] > 1 else 0.0  # the one training is as it is
    both = _BOTH if setting["kind"] == "speakers" else 0.0
    spread = setting["spread"] if of_speakers else 0.0
    return float(np.sqrt(1 + _CLIP**2 + seed**2 + both**2 + spread**2))


def _few(setting: dict) -> tuple[np.ndarray, np.ndarray]:
    """Effects and numbers of clips of the speakers that are the same in all data sets."""
    draw = np.random.default_rng(setting["speakers"])
    effects = setting["spread"] * draw.standard_normal(setting["speakers"])
    return effects, _sizes(setting, draw)


def _sizes(setting: dict, draw: np.random.Generator) -> np.ndarray:
    if setting["clips"] == 1:
        return np.ones(setting["speakers"], dtype=int)
    least, most = setting["clips"] // 2, 3 * setting["clips"] // 2
    return draw.integers(least, most + 1, setting["speakers"])


def _conditional(setting: dict) -> bool:
    return setting["kind"] == "speakers" and setting["speakers"] < 6


def truth(setting: dict) -> dict[str, float]:
    """Accuracies over all samples and seeds, and the difference of two cuts."""
    centre = norm.ppf(setting["accuracy"]) * _deviation(setting)
    if _conditional(setting):
        effects, sizes = _few(setting)
        places, weights = (centre + effects) / _deviation(setting, False), sizes / sizes.sum()
        shift = _OTHER / _deviation(setting, False)
    else:
        places, weights = np.array([centre / _deviation(setting)]), np.ones(1)
        shift = _OTHER / _deviation(setting)
    one, other = (float(weights @ norm.cdf(places + by)) for by in (0, shift))
    return {_name(setting, "accuracy of a cut"): one, _name(setting, "difference"): one - other}


def simulate(setting: dict, draw: np.random.Generator) -> list[tuple[str, float, float, float]]:
    """The intervals of one data set: (name, low, high, value)."""
    n, seeds = setting["speakers"], setting["seeds"]
    effects, sizes = setting["spread"] * draw.standard_normal(n), _sizes(setting, draw)
    if _conditional(setting):
        effects, sizes = _few(setting)
    speakers = np.repeat(np.arange(n), sizes)
    alone = setting["kind"] == "samples"
    # What is hard is so for both cuts.
    clips = effects[speakers] + _CLIP * draw.standard_normal(len(speakers))
    centre = norm.ppf(setting["accuracy"]) * _deviation(setting)

    def answers(better: float) -> np.ndarray:
        """Right or wrong, (seeds, clips), of one cut."""
        of_seeds = _SEED * draw.standard_normal((seeds, 1)) if seeds > 1 else 0.0
        both = 0.0 if alone else _BOTH * draw.standard_normal((seeds, n))[:, speakers]
        noise = draw.standard_normal((seeds, len(speakers)))
        return (centre + better + clips + of_seeds + both + noise > 0).astype(float)

    one, other = answers(0), answers(_OTHER)
    clusters = None if alone else speakers
    found = []
    for what, values in (("accuracy of a cut", one), ("difference", one - other)):
        interval = crossed_interval(values, clusters, share=what != "difference")
        found.append((_name(setting, what), interval.low, interval.high, interval.value))
    return found
