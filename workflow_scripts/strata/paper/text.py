"""What the paper says of a study that no section was written for: what was done, and its table.

Numbers stay macros, as in the sections written by hand; what was found is left to the reader.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial

from strata.figures.models import ModelStyle, family_name, of_role
from strata.paper.latex import escape, macro_name

_CAPTIONS = {
    "labels": "Number of concepts above the median score by layer, with \\StrataLevel{} intervals.",
    "alignment": "Agreement with the triplets by layer, with \\StrataLevel{} intervals.",
    "convexity": "Graph convexity by layer, with \\StrataLevel{} intervals.",
    "pruning": "Cutting at the most convex layer. Test accuracy in per cent, mean over seeds with "
    "\\StrataLevel{} intervals; savings are of a classifier that takes one sample, with all that "
    "comes before the first layer.",
}


def listed(words: Iterable[str]) -> str:
    """Words as LaTeX text: "a, b and c"."""
    *first, last = [escape(word) for word in words]
    return f"{', '.join(first)} and {last}" if first else last


def study_text(
    name: str, study: Mapping, styles: Mapping[str, ModelStyle], modality: str = "image"
) -> str:
    """A paragraph on what the study did, and its table as wide as the page allows; `modality` is
    that of its samples."""
    heard = modality == "audio"
    concepts, convexity = partial(_concepts, heard=heard), partial(_convexity, heard=heard)
    write = {"concepts": concepts, "convexity": convexity, "pruning": _pruning}
    lines = [write[study["kind"]](name, study, styles)] if study["kind"] in write else []
    about = study["kind"] if study["kind"] == "pruning" else "labels"
    if study["kind"] == "convexity":
        about = "alignment" if study["triplets"] else "convexity"
    table = f"\\{macro_name('table', name)}"
    lines += [
        "\\begin{table*}[tbp]\\centering\\small",
        f"\\caption{{{_CAPTIONS[about]}}}\\label{{tab:{name}}}",
        f"\\resizebox{{\\ifdim\\width>\\textwidth\\textwidth\\else\\width\\fi}}{{!}}{{{table}}}",
        "\\end{table*}",
    ]
    return "\n".join(lines)


def _data(names: Iterable[str], what: str, split: str = "all") -> str:
    """ "the \\DataPhotosN{} pictures of photos", or those of a split of them."""
    part = "" if split == "all" else f"the split {escape(split)} of "
    sets = (
        f"\\{macro_name('data', name, 'n')}{{}} {what} of \\emph{{{escape(name)}}}"
        for name in names
    )
    return part + "the " + " and the ".join(sets)


def _networks(styles: Mapping[str, ModelStyle]) -> str:
    pretrained = [look.label for look in of_role(styles, "pretrained").values()]
    text = listed(pretrained or [look.label for look in styles.values()])
    beside = {"random": "twins with random weights", "finetuned": "fine-tuned versions"}
    for role, words in beside.items():
        if pretrained and of_role(styles, role):
            text += f", with {words}"
    return text


def _concepts(
    name: str, study: Mapping, styles: Mapping[str, ModelStyle], heard: bool = False
) -> str:
    what = "sounds" if heard else "pictures"

    def its(key):
        return f"\\{macro_name(name, key)}{{}}"

    data = _data(study["probing"], what, study["split"])
    if study.get("concepts") == "annotations":
        text = _by_annotation(study, styles, what, data)
    else:
        text = _by_words(study, styles, what, data, its)
    text += f" Counts by layer are in \\autoref{{tab:{name}}}."
    if study["permutations"]:
        text += (
            f" A label is significant where its score exceeds those of {its('permutations')} "
            f"permutations of the {what}, at a false discovery rate of {its('alpha')}."
        )
    return text


def _by_words(study: Mapping, styles: Mapping, what: str, data: str, its: Callable) -> str:
    text = (
        f"Every neuron of every layer of {_networks(styles)} was labelled with the one of "
        f"{its('concepts')} concepts that describes best what it answers to among {data}: soft "
        f"WPMI takes its {its('top_k')} most activating {what}"
    )
    if study["similarities"][0] != "soft_wpmi":
        first = study["similarities"][0].replace("_", " ")
        text = text.partition(": soft WPMI")[0] + f", by {escape(first)}"
    text += " \\citep{oikarinen2023clipdissect}."
    if what == "sounds":
        text += (
            " What CLIP does for pictures, a CLAP did for sounds: sounds and words in one space."
        )
    return text


def _by_annotation(study: Mapping, styles: Mapping, what: str, data: str) -> str:
    """What is told of a study without a CLIP."""
    deciding = {
        "deviation": "whose rank sum deviates most from chance, in standard deviations",
        "auc": "with the largest area under the ROC curve",
    }
    chosen = study["annotations"]
    either = ", high or low" if chosen["direction"] == "both" else ""
    sources = {
        "label columns": chosen["columns"],
        f"numbers computed of the {what}": chosen["computed"],
    }
    used = listed([words for words, names in sources.items() if names])
    return (
        f"Every neuron of every layer of {_networks(styles)} was labelled by annotation: with the "
        f"concept among {used} that its activations{either} tell best over {data}, the one "
        f"{deciding[chosen['best']]}. No other network was asked."
    )


def _convexity(
    name: str, study: Mapping, styles: Mapping[str, ModelStyle], heard: bool = False
) -> str:
    verb, what = ("heard", "sounds") if heard else ("saw", "pictures")
    text = f"{_networks(styles)} {verb} {_data([study['dataset']], what, study['split'])}."
    if study["families"]:
        pairs = (
            "all pairs" if study["pairs"] == "all" else f"{study['pairs']} pairs of each concept"
        )
        text += (
            f" How convex each {listed(map(family_name, study['families']))} is in a layer was "
            f"measured on the graph that joins each {what.removesuffix('s')} to its "
            f"\\{macro_name(name, 'n_neighbors')}{{}} nearest neighbors, over {pairs} "
            "\\citep{tetkova2025convex}."
        )
        if heard:
            text += " A family that labels pieces of the sounds was measured on these pieces."
    if study["triplets"]:
        sets = " and ".join(
            f"\\emph{{{escape(each)}}} (chance \\{macro_name(name, each, 'chance')}{{}})"
            for each in study["triplets"]
        )
        text += (
            " Alignment is the share of triplets in which a layer keeps together the two items "
            f"that observers keep together: {sets} \\citep{{muttenthaler2023human}}."
        )
    text += _transforms(study.get("transforms"))
    return text + f" \\autoref{{tab:{name}}} has the numbers by layer."


def _transforms(transforms: Mapping | None) -> str:
    """Which transforms were fitted, and whose neighborhoods gLocal kept."""
    if not transforms:
        return ""
    named = {
        "naive": "the naive one \\citep{muttenthaler2023human}",
        "glocal": "gLocal \\citep{muttenthaler2023improving}",
    }
    told = " and ".join(named[method] for method in transforms["methods"])
    text = f" Linear transforms were fitted to the answers: {told}"
    if "glocal" in transforms["methods"]:
        local = transforms.get("local_images")
        kept = "the items that it was fitted to"
        if local:
            kept = _data([local["dataset"]], "samples", local["split"])
            few = local["samples"] != "all"
            kept = f"{'at most ' + str(local['samples']) + ' of ' if few else ''}{kept}"
        text += f"; gLocal kept the neighborhoods of {kept}"
    return f"{text}."


def _pruning(name: str, study: Mapping, styles: Mapping[str, ModelStyle]) -> str:
    tasks = listed(map(family_name, study["tasks"]))
    depths = " Every depth was tried too." if study["every_depth"] else ""
    return (
        f"{_networks(styles)}: each pretrained network was cut behind the layer in which the "
        f"task's labels ({tasks}) are most convex \\citep{{dorszewski2024pruning}}, by other "
        "criteria and not at all, and fine-tuned with "
        f"\\{macro_name(name, 'seeds')}{{}} seeds and \\{macro_name(name, 'epochs')}{{}} epochs at "
        f"most, on {_data([study['dataset']], 'samples')}.{depths} \\autoref{{tab:{name}}} has the "
        "accuracies on samples that took no part in training or in choosing the cut."
    )
