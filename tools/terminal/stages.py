"""What the embedded study takes, in docs/scaling.md and README.md, from costs.json.

usage: stages.py    both texts anew, after measure_costs.py
"""

import re

from estimate import MEASURED, ROOT

PAGE, README = ROOT / "docs/scaling.md", ROOT / "README.md"
START, END = "<!-- stages: tools/terminal/stages.py -->\n", "<!-- end of stages -->\n"
# Rules of each stage of the table, and what most of its time goes to.
STAGES = {
    "activations, labeller's pictures": (
        ("extract_shard", "embed_images"),
        "DINOv2-small: 2,000 scenes five times (itself, twin, two tuned, labeller)",
    ),
    "graph convexity": (
        ("score_convexity", "score_task_convexity", "compare_convexity"),
        "random halves; nine families, four networks of twelve layers",
    ),
    "fine-tuning of cuts": (
        ("finetune_cuts",),
        "Whisper's layers: 600 digits, three seeds, every depth and five other choices",
    ),
    "labels and their truth": (
        ("label_neurons", "score_truth"),
        "five similarity functions, 1,000 permutations of soft WPMI",
    ),
    "transforms": (("transform_layers",), "twelve layers, three folds; convexity after"),
    "figures": (
        ("plot_measure", "plot_neurons", "plot_scores", "plot_specimen"),
        "drawing",
    ),
}
OTHERS = "all else", "measured seconds and rendered scenes, a third of it"


def table(rules: dict[str, list]) -> str:
    """Jobs and core seconds of each stage."""
    left, lines = dict(rules), ["| stage | jobs | core seconds | most of it |", "|---|---|---|---|"]
    for stage, (names, told) in STAGES.items():
        lines.append(_line(stage, [left.pop(name) for name in names], told))
    return "\n".join([*lines, _line(OTHERS[0], list(left.values()), OTHERS[1])]) + "\n"


def _line(stage: str, entries: list[list], told: str) -> str:
    jobs, seconds = map(sum, zip(*entries, strict=True))
    return f"| {stage} | {jobs} | {seconds:.0f} | {told} |"


def minutes(rules: dict[str, list], cores: int = 2) -> int:
    """How long the study takes on so many cores, when they are never idle."""
    return round(sum(seconds for _, seconds in rules.values()) / cores / 60)


def page(text: str, rules: dict[str, list]) -> str:
    """docs/scaling.md with the table between its marks, and its minutes."""
    before, _, rest = text.partition(START)
    _, _, after = rest.partition(END)
    told = f"{minutes(rules)} minutes on \\1 cores ({minutes(rules, 1)} minutes of a core"
    before = re.sub(r"\d+ minutes on (2|two) cores \(\d+ minutes of a core", told, before)
    return f"{before}{START}{table(rules)}{END}{after}"


def readme(text: str, rules: dict[str, list]) -> str:
    """README.md with these minutes."""
    told = f"It takes {minutes(rules)} minutes on two cores"
    return re.sub(r"It takes \d+ minutes on two cores", told, text)


if __name__ == "__main__":
    for path, anew in {PAGE: page, README: readme}.items():
        path.write_text(anew(path.read_text(), MEASURED["rules"]))
