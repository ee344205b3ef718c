"""What the models are, for the paper."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from strata.paper.latex import escape, macro_name, percent, table_of


def card_values(cards: Iterable[Mapping]) -> dict[str, object]:
    """Macros of the models' cards: parameters (unknown of arrays) and every score."""
    values: dict[str, object] = {}
    for card in cards:
        many = card["parameters"]
        values[macro_name("card", card["name"], "parameters")] = "--" if many is None else many
        for metric, score in card.get("scores", {}).items():
            shown = percent(score) if "loss" not in metric else score
            values[macro_name("card", card["name"], metric)] = shown
    return values


def cards_table(cards: Iterable[Mapping]) -> str:
    """What the models are: objective, parameters, and accuracies on held-out samples."""
    body = []
    for card in cards:
        scores = ", ".join(
            f"{metric.removesuffix('_accuracy').replace('_', ' ')} {score:.2f}"
            for metric, score in card.get("scores", {}).items()
            if metric.endswith("accuracy")
        )
        made = card.get("objective", "")
        many = "--" if card["parameters"] is None else f"{card['parameters']:,}"
        cells = (card["name"], made, many, scores or "--")
        body.append([escape(str(cell)) for cell in cells])
    header = ["model", "objective", "parameters", "held-out accuracy"]
    return table_of(header, body, "llrl")
