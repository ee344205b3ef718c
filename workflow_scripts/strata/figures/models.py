"""How each model is called and drawn: the same name, colour and line in every figure and table."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

# Okabe and Ito's colour-blind-safe palette, one colour a family. The order is the order in which
# a name is searched, so that `vit-mae` is an MAE and `clip-vit` a CLIP.
FAMILY_COLORS = {
    "mae": "#CC79A7",
    "dinov2": "#009E73",
    "clip": "#D55E00",
    "resnet": "#4D4D4D",
    "beit": "#E69F00",
    "data2vec": "#56B4E9",
    "vit": "#0072B2",
}
# Speech models never stand beside vision models, so they may share the palette.
SPEECH_COLORS = {
    "ccc": "#CC79A7",
    "wav2vec2": "#0072B2",
    "hubert": "#D55E00",
    "wavlm": "#009E73",
}
_KNOWN_COLORS = FAMILY_COLORS | SPEECH_COLORS
SPARE_COLORS = ("#8C510A", "#5E3C99", "#7A9A01", "#B2182B", "#01665E")
_NAMES = {
    "mae": "MAE",
    "dinov2": "DINOv2",
    "clip": "CLIP",
    "resnet": "ResNet",
    "beit": "BEiT",
    "data2vec": "data2vec",
    "vit": "ViT",
    "hubert": "HuBERT",
    "wavlm": "WavLM",
    "cub": "CUB",
    "bloodmnist": "BloodMNIST",
}
# Line and marker of the pretrained model, its random twin, and its fine-tuned versions in turn.
_PRETRAINED = ("-", "o")
_RANDOM = ((0, (4, 2)), "o")
_FINETUNED = (
    ((0, (6, 1.2, 1.2, 1.2)), "s"),
    ((0, (1.2, 1.2)), "^"),
    ((0, (8, 2)), "D"),
    ((0, (4, 1, 1, 1, 1, 1)), "v"),
)


@dataclass(frozen=True)
class ModelStyle:
    """A model's display name, role and look.

    `role` is "pretrained", "random" (untrained twin of `base`) or "finetuned" (`base` after
    `task`).
    """

    name: str
    label: str
    role: str
    base: str
    task: str
    color: str
    linestyle: Any
    marker: str


def display_name(name: str) -> str:
    """Readable form of a model or task name: "micro-vit" becomes "micro ViT"."""
    return " ".join(_NAMES.get(token, token) for token in re.split(r"[-_ ]+", name))


def lighten(color: str, amount: float = 0.45) -> str:
    """Mix a "#rrggbb" colour with white; `amount` 0 leaves it, 1 gives white."""
    channels = (int(color[i : i + 2], 16) for i in (1, 3, 5))
    return "#" + "".join(f"{round(c + (255 - c) * amount):02x}" for c in channels)


def _role(name: str, names: set[str], entry: Mapping[str, Any]) -> tuple[str, str, str]:
    """(role, base, task) from the registry entry, else from a name like base-task or base_task."""
    stems = [stem for stem in names if re.match(re.escape(stem) + r"[-_]\w", name)]
    base = entry.get("base") or max(stems, key=len, default=name)
    suffix = name[len(base) + 1 :] if name.startswith(base) and name != base else ""
    if entry.get("weights") == "random" or suffix == "random":
        return "random", base, ""
    if finetune := entry.get("finetune"):
        return "finetuned", base, str(finetune.get("target") or suffix)
    return ("finetuned", base, suffix) if suffix else ("pretrained", name, "")


def _compared(comparisons: Mapping[str, Any]) -> dict[str, tuple[str, str, str]]:
    """(role, base, task) of the models that a study's `comparisons` name as twins or fine-tuned."""
    roles = {twin: ("random", base, "") for base, twin in comparisons.get("controls", {}).items()}
    for task, pairs in comparisons.get("finetuned", {}).items():
        roles |= {tuned: ("finetuned", base, task) for base, tuned in pairs.items()}
    return roles


def _family(name: str) -> str | None:
    tokens = re.split(r"[-_/.]", name.lower())
    return next((family for family in _KNOWN_COLORS if family in tokens), None)


def _colors(bases: Iterable[str]) -> dict[str, str]:
    """Colour of each base model: its family's, or the next unused one where that is taken."""
    colors: dict[str, str] = {}
    # Last come the families' own colours, so that many unknown names still get distinct ones.
    spare = [*SPARE_COLORS, *FAMILY_COLORS.values()]
    for base in bases:
        color = _KNOWN_COLORS.get(_family(base) or "")
        if color is None or color in colors.values():
            color = next((c for c in spare if c not in colors.values()), SPARE_COLORS[0])
        colors[base] = color
    return colors


def describe_models(
    names: Iterable[str],
    registry: Mapping[str, Mapping[str, Any]] | None = None,
    comparisons: Mapping[str, Any] | None = None,
) -> dict[str, ModelStyle]:
    """Styles of a study's models, in the study's order.

    Parameters
    ----------
    names
        Model names. Twins and fine-tuned versions are recognised by `comparisons`, else by
        `registry`, else by names such as vit-random and vit_cub.
    registry
        The configuration's `models` (keys `label`, `weights: random`, `base`,
        `finetune: {target}`); entries of other models are ignored.
    comparisons
        A study's `comparisons`: `controls: {model: twin}`, `finetuned: {task: {model: tuned}}`.
    """
    names = list(dict.fromkeys(names))
    registry = registry or {}
    roles = {name: _role(name, set(names) - {name}, registry.get(name, {})) for name in names}
    roles |= {name: role for name, role in _compared(comparisons or {}).items() if name in roles}
    colors = _colors(dict.fromkeys(role[1] for role in roles.values()))
    tasks = list(dict.fromkeys(task for _, _, task in roles.values() if task))
    styles = {}
    for name, (role, base, task) in roles.items():
        label = registry.get(name, {}).get("label")
        stem = registry.get(base, {}).get("label") or display_name(base)
        if role == "random":
            look, label = _RANDOM, label or f"{stem} (random)"
        elif role == "finetuned":
            look = _FINETUNED[tasks.index(task) % len(_FINETUNED)]
            label = label or f"{stem}, {display_name(task)}"
        else:
            look, label = _PRETRAINED, label or stem
        color = lighten(colors[base]) if role == "random" else colors[base]
        styles[name] = ModelStyle(name, label, role, base, task, color, *look)
    return styles


def of_role(styles: Mapping[str, ModelStyle], *roles: str) -> dict[str, ModelStyle]:
    """The models of the given roles, in order."""
    return {name: style for name, style in styles.items() if style.role in roles}


def finetuned_groups(
    styles: Mapping[str, ModelStyle], bases: Iterable[str] | None = None
) -> dict[str, dict[str, str]]:
    """{"" : {base: base}, task: {base: fine-tuned model}, ...} over bases that have every task.

    `bases` restricts the comparison to these models. Empty when nothing is fine-tuned.
    """
    tuned = of_role(styles, "finetuned").values()
    tasks = list(dict.fromkeys(style.task for style in tuned))
    found = {(style.base, style.task): style.name for style in tuned}
    wanted = styles if bases is None else bases
    complete = [b for b in wanted if b in styles and all((b, task) in found for task in tasks)]
    complete = [b for b in complete if styles[b].role == "pretrained"]
    if not tasks or not complete:
        return {}
    return {"": {b: b for b in complete}} | {t: {b: found[b, t] for b in complete} for t in tasks}


def family_name(family: str) -> str:
    """Readable name of a concept family or set of triplets."""
    return family.replace("_", " ").replace("-", " ")
