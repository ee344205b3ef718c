"""What a classifier costs at every depth, as measures."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from strata.data.splits import Task, some_rows
from strata.stats import without_interval
from strata.tables import EMBEDDING, check_measures

if TYPE_CHECKING:
    from strata.data.manifest import Dataset
    from strata.models.training.tuning import Training

_EXAMPLES = 32  # samples of which sounds for pricing take their median length


def cost_measures(
    source: str | Path,
    dataset: Dataset,
    task: Task,
    training: Training,
    *,
    seed: int,
    context: str | None = None,
    embedding: bool = False,
    log: Callable[[str], None] = print,
) -> pd.DataFrame:
    """What a classifier for `task` costs when it keeps the layers up to each, for one sample.

    With `embedding` also when it keeps none, as the layer of that name before the others.
    Metrics: parameters, macs, file_bytes, memory_bytes, and of the part before the first layer
    front_end_parameters, front_end_macs (`strata.pruning.price.Cost`). Sounds have the median
    length of the first; `context` is what an encoder that was trained on clips of one length sees.
    """
    from strata.pruning.price import cost
    from strata.pruning.surgery import prune

    rows = []
    full, example = _priced(Path(source), dataset, task, training, context, n=1)
    for depth, place in _depths(full, embedding):
        found = asdict(cost(prune(full, depth).eval(), example))
        del found["latency"]
        place = place | {"n": 1}
        rows += [
            place | {"metric": key} | without_interval(value)._asdict()
            for key, value in found.items()
        ]
        log(f"{depth} layers: {found['macs']:,} multiply-accumulates")
    return _finished_costs(rows, source, dataset, seed)


def timing_measures(
    source: str | Path,
    dataset: Dataset,
    task: Task,
    training: Training,
    *,
    repeats: int,
    warmup: int,
    threads: int,
    steps: int,
    device: str = "cpu",
    seed: int = 0,
    context: str | None = None,
    embedding: bool = False,
    log: Callable[[str], None] = print,
) -> pd.DataFrame:
    """Seconds at every depth, medians with quartiles (`low`, `high`); `embedding` as for cost.

    The quartiles are of the repeats on this machine, as the column `about` says, and are no
    interval of the median.

    Metrics: latency (a forward pass of one sample, over `repeats`) and epoch_seconds (an epoch of
    whole batches, each step as transformers alone would do it: `steps` of them are timed, the front
    end's forward pass included, and multiplied). Sounds have the median length of the first.
    """
    from strata.models.inference import pick_device
    from strata.pruning.price import cost, seconds_of, training_step
    from strata.pruning.surgery import prune

    rows, device = [], pick_device(device)
    full, example = _priced(Path(source), dataset, task, training, context, n=1)
    _, batch = _priced(Path(source), dataset, task, training, context, n=training.batch_size)
    example, batch = ({k: v.to(device) for k, v in each.items()} for each in (example, batch))
    per_epoch = max(1, len(task.rows["train"]) // training.batch_size)
    options = {"warmup": warmup, "threads": threads}
    for depth, place in _depths(full, embedding):
        model = prune(full, depth).eval().to(device)
        latency = cost(model, example, repeats=repeats, **options).latency
        rows.append(place | {"metric": "latency", "n": repeats} | _seconds(latency, 1))
        step = seconds_of(training_step(model.train(), batch), steps, **options)
        rows.append(place | {"metric": "epoch_seconds", "n": steps} | _seconds(step, per_epoch))
        log(f"{depth} layers: {1000 * latency.median:.2f} ms")
    return _finished_costs(rows, source, dataset, seed)


def _priced(
    source: Path, dataset: Dataset, task: Task, training: Training, context: str | None, n: int
):
    """A classifier for `task` and the first n samples as its arguments (sounds of one length)."""
    from strata.models.training.tuning import classifier, raw_example

    classes, _ = task.targets(dataset.manifest[task.target])
    model = classifier(source, classes, training.overrides)
    everything, most = np.arange(len(dataset)), max(n, _EXAMPLES)
    samples = some_rows(everything, most, 0, dataset.manifest).tolist()
    examples = raw_example(source, dataset, model, samples, context)
    return model, {key: value[:n] for key, value in examples.items()}


def _depths(model, embedding: bool) -> Iterator[tuple[int, dict]]:
    """Numbers of layers to keep, each with its place in tables."""
    from strata.models.layers import find_layers

    names = [*([EMBEDDING] if embedding else []), *find_layers(model)]
    for index, name in enumerate(names):
        depth = index if embedding else index + 1
        yield depth, {"layer": name, "layer_index": index, "block": depth}


def _seconds(found, times: int) -> dict:
    seconds = {"value": found.median, "low": found.low, "high": found.high}
    scaled = {key: value * times for key, value in seconds.items()}
    return scaled | {"about": "repeats on this machine (quartiles)"}


def _finished_costs(rows: list[dict], source, dataset: Dataset, seed: int) -> pd.DataFrame:
    name = Path(source).name
    table = pd.DataFrame(rows).assign(model=name, dataset=dataset.info["name"], concept=None)
    return check_measures(table.assign(seed=seed), f"cost of {name}")
