"""Alignment of every layer of a model as measures (`strata.tables`), and the answers it gave.

Further columns of the measures: `family`, the set of triplets that a row is about; `p_value`.

Credits, what a layer gets for each answer, are kept as a table: `family`, the set of triplets,
`answer`, the row among its answers, and a column for each layer in sixths (a credit is 1, 1/2, 1/3
or 0). By them differences between layers and networks are paired on the same answers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np
import pandas as pd

from strata.alignment.accuracy import Answers, by_category, item_means, triplet_credits
from strata.alignment.judgements import Judgements
from strata.differences import paired_differences
from strata.errors import StrataError
from strata.stats import Estimate, without_interval
from strata.tables import finish_measures, layer_row

_KEYS = ["family", "answer"]


def alignment_measures(
    layers: Iterable[tuple[str, np.ndarray]],
    judgements: Sequence[Judgements],
    *,
    model: str,
    dataset: str,
    similarity: str = "cosine",
    seed: int = 0,
    log: Callable[[str], None] = print,
) -> pd.DataFrame:
    """Accuracy of every layer on sets of triplets; an item is the mean of its pictures.

    Metrics: accuracy, accuracy_category (concept = category), and for reference chance,
    noise_ceiling and noise_ceiling_lower, the same in every layer. Intervals speak about new items
    (`strata.alignment.accuracy.Answers`).
    """
    credits = layer_credits(layers, judgements, model=model, similarity=similarity, log=log)
    return credit_measures(credits, judgements, model=model, dataset=dataset, seed=seed)


def layer_credits(
    layers: Iterable[tuple[str, np.ndarray]],
    judgements: Sequence[Judgements],
    *,
    model: str,
    similarity: str = "cosine",
    log: Callable[[str], None] = print,
) -> pd.DataFrame:
    """Credits of every layer for every answer, in sixths. Errors as `triplet_credits`, with the
    place named."""
    triplets = [each.answers[["a", "b", "odd"]].to_numpy() for each in judgements]
    told = {
        "family": np.repeat([each.name for each in judgements], [len(rows) for rows in triplets]),
        "answer": np.concatenate([np.arange(len(rows)) for rows in triplets]),
    }
    for name, features in layers:
        found = []
        for each, rows in zip(judgements, triplets, strict=True):
            means = item_means(features, each.items, each.n_items)
            try:
                found.append(triplet_credits(means, rows, similarity, each.info["task"]))
            except StrataError as error:
                raise StrataError(f"{model}, layer {name}, {each.name}: {error}") from None
        told[name] = np.rint(6 * np.concatenate(found)).astype(np.uint8)
        log(f"{name}: alignment with {', '.join(each.name for each in judgements)}")
    return pd.DataFrame(told)


def credit_measures(
    credits: pd.DataFrame,
    judgements: Sequence[Judgements],
    *,
    model: str,
    dataset: str,
    seed: int = 0,
) -> pd.DataFrame:
    """The measures of `alignment_measures` from `layer_credits`."""
    rows = []
    for each in judgements:
        own = credits[credits["family"] == each.name].sort_values("answer")
        answers = answers_of(each)
        names = own.columns.drop(_KEYS)
        for layer, name in enumerate(names):
            place = (layer, name, each.name)
            found = answers.mean(own[name].to_numpy() / 6)
            rows.append(layer_row(*place, "accuracy", found, answers.n))
            rows += _references(place, each, answers.n)
        for category, part, some in by_category(answers, each.members):
            more = {"concept": category}
            for layer, name in enumerate(names):
                place, value = (layer, name, each.name), some.mean(own[name].to_numpy()[part] / 6)
                rows.append(layer_row(*place, "accuracy_category", value, some.n, **more))
    table = finish_measures(rows, model, dataset, seed)
    return table.sort_values("layer_index", kind="stable").reset_index(drop=True)


def answers_of(judgements: Judgements) -> Answers:
    """A set's answers with how often each was given."""
    given = judgements.answers
    return Answers(given[["a", "b", "odd"]].to_numpy(), given["count"].to_numpy())


def _references(place: tuple, judgements: Judgements, n: int) -> list[dict]:
    """Chance and noise ceiling, where there is one."""
    info = judgements.info
    rows = [layer_row(*place, "chance", without_interval(info["chance"]), n)]
    if info.get("noise_ceiling"):
        for key, metric in (("upper", "noise_ceiling"), ("lower", "noise_ceiling_lower")):
            rows.append(layer_row(*place, metric, Estimate(*info["noise_ceiling"][key]), n))
    return rows


def alignment_differences(
    measures: pd.DataFrame,
    credits: Mapping[str, pd.DataFrame],
    answers: Mapping[str, Answers],
    *,
    twins: Mapping[str, str],
    bases: Mapping[str, str],
) -> pd.DataFrame:
    """Differences of accuracy between layers and networks, paired on the same answers.

    `credits` are `layer_credits` by model, `answers` those of each set of triplets. A table as of
    `strata.differences.paired_differences`, metric accuracy_difference; intervals speak about new
    items.
    """
    parts = {
        (model, family): part.sort_values("answer")
        for model, table in credits.items()
        for family, part in table.groupby("family")
    }

    def paired(own: pd.Series, other: pd.Series) -> tuple[Estimate, float]:
        given = answers[own["family"]]
        for row in (own, other):
            rows = parts[row["model"], row["family"]]["answer"].to_numpy()
            if not np.array_equal(rows, np.arange(len(given.triplets))):
                raise StrataError(
                    f"credits of {row['model']}: {len(rows)} answers of {row['family']}, which has "
                    f"{len(given.triplets)}; they should be each once there"
                )
        first, second = (
            parts[row["model"], row["family"]][row["layer"]].to_numpy() / 6 for row in (own, other)
        )
        return given.difference(first, second), given.p_value(first, second)

    return paired_differences(measures, ["accuracy"], twins=twins, bases=bases, paired=paired)
