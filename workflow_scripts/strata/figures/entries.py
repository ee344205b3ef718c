"""The figures that a study may have: what each draws, of which models, and its caption."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Entry:
    """A figure: the measure it draws (or several, joined by "+"), the function that draws it (in
    `strata.figures`), the models in it, what the study must have (`needs`), the kinds of study
    that have it, and whether the paper has it too."""

    measure: str
    function: str
    models: str
    caption: str
    options: Mapping[str, Any] = field(default_factory=dict)
    needs: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ("concepts", "published_labels")
    printed: bool = True


_CONVEXITY = ("convexity",)
_PRUNING = ("pruning",)

FIGURES = {
    "mean_shares": Entry(
        "shares",
        "concepts.mean_category_shares",
        "pretraining",
        "Share of labelled neurons in each category by depth, mean over models. The band is the "
        "range over models.",
    ),
    "counts": Entry(
        "counts",
        "concepts.counts_by_layer",
        "pretraining",
        "Number of distinct concepts among the neurons above their layer's median score. Bands are "
        "{level} intervals over neurons, given these samples.",
    ),
    "categories": Entry(
        "shares",
        "concepts.category_panels",
        "pretraining",
        "Share of the neurons above their layer's mean score whose label is in a category. Bands "
        "are {level} intervals: over pictures and neurons where a label is a neuron's own, else "
        "over neurons, given these samples.",
    ),
    "areas": Entry(
        "shares",
        "concepts.category_areas",
        "pretrained",
        "The same shares stacked: what each layer is about. Grey: labels in none of these "
        "categories.",
    ),
    "convnets": Entry(
        "shares",
        "concepts.category_panels",
        "convnets",
        "Category shares in the convolutional network, stem and stages.",
    ),
    "finetuned_shares": Entry(
        "shares",
        "finetuned.finetuned_shares",
        "finetuned",
        "Category shares before and after fine-tuning, mean over models. The band is the range "
        "over models.",
    ),
    "finetuned_counts": Entry(
        "counts",
        "finetuned.finetuned_counts",
        "finetuned",
        "Number of concepts before and after fine-tuning. Bands are {level} intervals "
        "over neurons, given these samples.",
    ),
    "twin_shares": Entry(
        "differences",
        "differences.over_twins",
        "twinned",
        "Category shares of each model less those of its random twin in the same layer. Bands are "
        "{level} intervals of the difference (column `about`: over pictures and neurons, or "
        "neurons alone).",
        {"metric": "category_share_mean_difference"},
    ),
    "heatmap": Entry(
        "labels",
        "labels.concept_heatmap",
        "pretrained",
        "The most frequent concepts of each model by layer, ordered by their mean depth.",
    ),
    "significance": Entry(
        "counts",
        "concepts.significance_by_layer",
        "with_twins",
        "Share of neurons whose best score exceeds that of shuffled samples, at the study's "
        "false discovery rate, for trained models and their random twins.",
        needs=("permutations",),
    ),
    "counts_significant": Entry(
        "counts",
        "concepts.counts_by_layer",
        "with_twins",
        "Number of distinct concepts among the significantly labelled neurons, for trained models "
        "and their random twins.",
        {"metric": "n_concepts_significant"},
        needs=("permutations",),
    ),
    "truth": Entry(
        "truth",
        "truth.truth_by_layer",
        "with_twins",
        "Share of neurons whose label names the planted factor that they tell best, by similarity "
        "function. Bands are {level} intervals over neurons, given these samples (none for soft "
        "WPMI and WPMI, by which neurons compete for concepts); chance deals out the layer's "
        "labels at random.",
        needs=("vocabulary",),
    ),
    "best_auc": Entry(
        "truth",
        "truth.best_auc_by_layer",
        "with_twins",
        "How well neurons tell their best planted factor: mean area under the ROC curve.",
        needs=("vocabulary",),
    ),
    "passage": Entry(
        "scoreboard",
        "scoreboard.passage",
        "with_first_twin",
        "What is in each layer, above what its labels say: share of neurons by the category of the "
        "planted factor that each tells best (first row; exact, by annotation), and by the "
        "category of its label by each similarity function.",
        needs=("vocabulary",),
    ),
    "passage_objectives": Entry(
        "scoreboard",
        "scoreboard.passage",
        "objectives_and_convnets",
        "Networks of one shape that differ in their pretraining alone, and a residual network: "
        "share of neurons by the category of the planted factor that each tells best (first row), "
        "and by the category of its label by each function.",
        needs=("vocabulary",),
    ),
    "passage_finetuned": Entry(
        "scoreboard",
        "scoreboard.passage",
        "first_finetuned",
        "Before and after fine-tuning: share of neurons by the category of the planted factor that "
        "each tells best (first row), and by the category of its label by each function.",
        needs=("vocabulary",),
    ),
    "truth_counts": Entry(
        "scoreboard",
        "scoreboard.concepts_by_truth",
        "with_first_twin",
        "Number of different planted factors that a layer's neurons tell best, and of different "
        "labels by each similarity function. Bands are {level} intervals over neurons, given these "
        "samples.",
        needs=("vocabulary",),
    ),
    "scoreboard": Entry(
        "scoreboard",
        "scoreboard.agreement",
        "pretrained",
        "Share of neurons whose label is of the right category, by the category of the planted "
        "factor that each tells best, for each way of labelling. Annotation is the best factor on "
        "half of the pictures against that on the other half. Bands are {level} intervals over "
        "neurons, given these samples (none for soft WPMI and WPMI, by which neurons compete for "
        "concepts); no point where fewer than five neurons are of a category.",
        needs=("vocabulary",),
    ),
    "scoreboard_factors": Entry(
        "scoreboard",
        "scoreboard.agreement",
        "pretrained",
        "The same for the factor itself: share of neurons whose label names it.",
        {"metric": "same_factor"},
        needs=("vocabulary",),
    ),
    "convexity": Entry(
        "convexity",
        "convexity.convexity_by_layer",
        "with_twins",
        "Graph convexity of each concept family by depth, over all pairs of samples, for trained "
        "models and their random twins (dashed). Bands are {level} intervals over new "
        "samples; dotted, what random labels would score, mean over models.",
        needs=("families",),
        kinds=_CONVEXITY,
    ),
    "alignment": Entry(
        "alignment",
        "convexity.alignment_by_layer",
        "with_twins",
        "Share of triplets on which a layer agrees, for trained models and their random twins "
        "(dashed). Bands are {level} intervals over new items; dotted, chance and the "
        "noise ceiling.",
        needs=("triplets",),
        kinds=_CONVEXITY,
    ),
    "twin_convexity": Entry(
        "differences",
        "differences.over_twins",
        "twinned",
        "Graph convexity of each model less that of its random twin in the same layer. Bands are "
        "{level} intervals of the difference, paired on the same samples.",
        {"metric": "graph_convexity_difference"},
        needs=("families",),
        kinds=_CONVEXITY,
    ),
    "twin_alignment": Entry(
        "differences",
        "differences.over_twins",
        "twinned",
        "Agreement with the triplets of each model less that of its random twin in the same layer. "
        "Bands are {level} intervals of the difference, paired on the same triplets.",
        {"metric": "accuracy_difference"},
        needs=("triplets",),
        kinds=_CONVEXITY,
    ),
    "relation": Entry(
        "convexity+alignment+relation",
        "convexity.relation",
        "every",
        "Convexity against alignment, a point per layer of each model, with Spearman's "
        "correlation and the same given relative depth ({level} intervals, models resampled).",
        needs=("families", "triplets"),
        kinds=_CONVEXITY,
    ),
    "finetuned_convexity": Entry(
        "convexity",
        "convexity.finetuned_convexity",
        "finetuned",
        "Graph convexity before and after fine-tuning. Bands are {level} intervals over new "
        "samples.",
        needs=("families",),
        kinds=("convexity", "pruning"),
    ),
    "finetuned_alignment": Entry(
        "alignment",
        "convexity.finetuned_alignment",
        "finetuned",
        "Alignment before and after fine-tuning. Bands are {level} intervals over new items.",
        needs=("triplets",),
        kinds=_CONVEXITY,
    ),
    "euclidean": Entry(
        "euclidean",
        "convexity.euclidean_by_layer",
        "heads",
        "Euclidean convexity of classifiers' own classes: share of points between two samples of a "
        "class, behind a layer, that the rest of the network gives the same class. Bands are "
        "{level} intervals over new samples; crosses, the exact share for the last linear "
        "layer.",
        kinds=_CONVEXITY,
    ),
    "transforms": Entry(
        "transforms",
        "convexity.transforms",
        "pretrained",
        "Before and after linear transforms fitted to the triplets: alignment on triplets of items "
        "that took no part in the fit, and graph convexity of each family. Bands are {level} "
        "intervals over new items; of convexity over new samples, the transform as it is.",
        needs=("transforms",),
        kinds=_CONVEXITY,
    ),
    "concepts": Entry(
        "convexity+categories+alignment",
        "convexity.by_concept",
        "pretrained",
        "Convexity of single concepts, less their chance level, against alignment on the triplets "
        "in which they take part, in each model's most aligned layer.",
        needs=("compare_concepts",),
        kinds=_CONVEXITY,
    ),
}

FIGURES |= {
    "cuts": Entry(
        "selection+cuts",
        "pruning.convexity_with_cuts",
        "with_twins",
        "Graph convexity by depth on the samples that tasks train on, for pretrained models and "
        "their random twins (dashed), with the layers where the cuts fall. Bands are {level} "
        "intervals over new samples.",
        kinds=_PRUNING,
    ),
    "tradeoff": Entry(
        "comparison+cost",
        "pruning.tradeoff",
        "pretraining",
        "Accuracy on unseen samples against compute, mean over seeds; grey, the first layers at "
        "every depth with {level} intervals about new speakers (samples, where any may be tested) "
        "and new seeds; of fewer than six speakers, about new samples of these. Grey area: what "
        "comes before the first layer and cannot be cut. Choices that coincide stand side by side.",
        kinds=_PRUNING,
    ),
    "curves": Entry(
        "trained+cuts",
        "pruning.curves",
        "pretraining",
        "Validation accuracy by epoch of fine-tuning, mean over seeds. Bands are {level} intervals "
        "over seeds, of these samples, for all layers and for the convexity cut; a training that "
        "stopped early keeps its last value.",
        kinds=_PRUNING,
    ),
    "differences": Entry(
        "comparison",
        "pruning.differences",
        "pretraining",
        "Accuracy of the convexity cut less that of other choices of layers, paired by seed and "
        "sample, with {level} intervals about new speakers (samples, where any may be tested) and "
        "new seeds; of fewer than six speakers, about new samples of these. All, over models and "
        "tasks; hollow, without an interval. Criteria from every second to CKA keep as many layers "
        "as the convexity cut.",
        kinds=_PRUNING,
    ),
    "layers": Entry(
        "similarity",
        "pruning.layer_similarity",
        "pretraining",
        "How alike the states between layers are: linear CKA of samples and mean angle over tokens "
        "as a share of a half turn.",
        kinds=_PRUNING,
    ),
    "cost": Entry(
        "cost",
        "pruning.cost",
        "pretraining",
        "What a classifier costs at every depth. Dashed: what comes before the first layer.",
        kinds=_PRUNING,
    ),
    # Seconds differ from run to run, and the paper is the same from the same commit.
    "seconds": Entry(
        "timing",
        "pruning.seconds",
        "pretraining",
        "How long a classifier takes at every depth, the front end included: medians with "
        "quartiles of repeats, on this machine.",
        kinds=_PRUNING,
        printed=False,
    ),
}
