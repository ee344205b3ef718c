"""Simulated observers of new items: intervals of agreement, of its differences, of the noise
ceiling and of transforms; and correlations over the layers of new models."""

from functools import cache

import numpy as np
import pandas as pd

_LARGE, _TIMES = 4000, 8  # items of a world whose accuracy is the truth, and worlds
_TASKS = {"odd_one_out": 3, "two_alternative": 2}
_PAIRS = np.array([(0, 1, 2), (0, 2, 1), (1, 2, 0)])  # kept together, and the odd one


def _asked(items: int, triplets: int, task: str = "odd_one_out", repeats: int = 1) -> dict:
    told = {"items": items, "triplets": triplets, "task": task, "repeats": repeats}
    return {"kind": "answers", **told}


SETTINGS = [
    _asked(24, 2000),
    _asked(48, 200),
    _asked(48, 2000),
    _asked(48, 400, repeats=5),
    _asked(100, 6000, "two_alternative"),
    _asked(1000, 6000),
    {"kind": "transform", "items": 60, "triplets": 3000, "task": "odd_one_out", "repeats": 1},
    *({"kind": "correlation", "models": n} for n in (4, 8, 16)),
]


def _observed(
    setting: dict, draw: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Two representations of items of four kinds and six hues, and what observers answered."""
    n, m = setting["items"], setting["triplets"]
    kinds, hues = draw.integers(4, size=n), draw.integers(6, size=n)
    marks = np.hstack([2 * np.eye(4)[kinds], np.eye(6)[hues]])
    first, second = (marks + 0.3 + by * draw.normal(size=marks.shape) for by in (0.6, 0.9))
    asked = np.argsort(draw.random((m, n)), axis=1)[:, :3] if n < 200 else _distinct(draw, n, m)
    asked = np.repeat(asked, setting["repeats"], axis=0)
    known = _PAIRS[: _TASKS[setting["task"]]]
    told = np.stack([kinds, hues], axis=1)
    alike = [(told[asked[:, i]] == told[asked[:, j]]) @ np.array([2.0, 1.0]) for i, j, _ in known]
    chosen = (np.stack(alike, axis=1) + draw.gumbel(size=(len(asked), len(known)))).argmax(axis=1)
    return first, second, np.take_along_axis(asked, known[chosen], axis=1)


def _distinct(draw: np.random.Generator, n: int, m: int) -> np.ndarray:
    """Rows of three different items."""
    rows = draw.integers(n, size=(2 * m, 3))
    same = (rows[:, [0, 0, 1]] == rows[:, [1, 2, 2]]).any(axis=1)
    return rows[~same][:m]


def _place(setting: dict) -> str:
    more = f" answered {setting['repeats']} times" if setting["repeats"] > 1 else ""
    return f"{setting['items']} items, {setting['triplets']} triplets{more}, {setting['task']}"


def simulate(setting: dict, draw: np.random.Generator) -> list[tuple[str, float, float, float]]:
    """Each interval of one simulated set: name, low, high and value."""
    if setting["kind"] == "correlation":
        return _correlations(setting["models"], draw)
    from strata.alignment.accuracy import Answers, triplet_credits
    from strata.data.answers import noise_ceiling

    first, second, rows = _observed(setting, draw)
    if setting["kind"] == "transform":
        return _transformed(setting, first, rows)
    answers, place = Answers(rows), _place(setting)
    gained = [triplet_credits(each, rows, task=setting["task"]) for each in (first, second)]
    found = {
        f"odd-one-out accuracy, {place}": answers.mean(gained[0]),
        f"difference of accuracies, {place}": answers.difference(*gained),
    }
    if setting["repeats"] > 1:
        found[f"noise ceiling, {place}"] = noise_ceiling(rows, task=setting["task"]).upper
    return [(name, each.low, each.high, each.value) for name, each in found.items()]


def _transformed(setting: dict, items: np.ndarray, rows: np.ndarray) -> list[tuple]:
    from strata.alignment.accuracy import Answers
    from strata.alignment.transforms import cross_validate

    tested = cross_validate(items, rows, "naive", grid=[0.1], folds=3)
    answers = Answers(rows[tested.triplets])
    found = {
        "accuracy after a transform": answers.mean(tested.credits),
        "gain of a transform": answers.difference(tested.credits, tested.before),
    }
    return [(f"{k}, {_place(setting)}", x.low, x.high, x.value) for k, x in found.items()]


def _correlations(models: int, draw: np.random.Generator) -> list[tuple]:
    from strata.alignment.relation import relation_measures

    convexity, alignment = _layers(models, draw)
    found = relation_measures(convexity, alignment, {"all": list(convexity["model"].unique())})
    return [
        (f"{row.metric} over 6 layers, {models} models", row.low, row.high, row.value)
        for row in found.itertuples()
    ]


def _layers(models: int, draw: np.random.Generator, layers: int = 6) -> tuple:
    """Convexity and accuracy that rise with depth and go together, each model in its own way."""
    depth, tables = np.arange(layers) / (layers - 1), {"graph_convexity": [], "accuracy": []}
    for model in range(models):
        common = 2 * depth + draw.normal(0, 0.5) + draw.normal(0, 0.4, layers).cumsum()
        own = draw.normal(0, 0.5) + draw.normal(0, 0.4, layers).cumsum()
        for metric, values in (("graph_convexity", common), ("accuracy", 0.7 * common + own)):
            table = pd.DataFrame({"layer_index": range(layers), "value": values})
            named = {"model": f"m{model}", "dataset": "d", "family": "f", "metric": metric}
            tables[metric].append(
                table.assign(layer=table["layer_index"].map("l{}".format), **named)
            )
    return tuple(pd.concat(found, ignore_index=True) for found in tables.values())


def truth(setting: dict) -> dict[str, float]:
    """The values of large worlds; of transforms, whose fit depends on how much there is to fit,
    the mean of many sets of the same size."""
    return _truth(tuple(setting.items()))


@cache
def _truth(told: tuple) -> dict[str, float]:
    setting, times = dict(told), _TIMES
    large = setting | {"items": _LARGE, "triplets": 60_000}
    if setting["kind"] == "transform":
        large, times = setting, 100
    if setting["kind"] == "correlation":
        large = setting | {"models": 200}
    found: dict[str, list] = {}
    for number in range(times):
        drawn = simulate(large, np.random.default_rng([1, number]))
        for name, *_, value in drawn:
            found.setdefault(name, []).append(value)
    names = [row[0] for row in simulate(setting, np.random.default_rng(0))]
    return {name: float(np.mean(v)) for name, v in zip(names, found.values(), strict=True)}
