"""Tables of measures of studies that nobody ran: every number is made up, and told by its row."""

from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd

from strata.figures.models import ModelStyle, describe_models

LAYERS = ("embedding", "blocks.0", "blocks.1", "blocks.2")
MODELS = ("vit", "mae", "resnet", "vit-random", "mae-random", "vit-kind", "mae-kind")
COMPARED = {
    "pretraining": ["vit", "mae"],
    "objectives": ["vit", "mae"],
    "convnets": ["resnet"],
    "controls": {"vit": "vit-random", "mae": "mae-random"},
    "finetuned": {"kind": {"vit": "vit-kind", "mae": "mae-kind"}},
}
WORDS = {
    "colors": ["red", "blue"],
    "textures and materials": ["striped"],
    "natural elements and organisms": ["bird"],
    "objects and machines": ["cup", "car"],
}
SIMILARITIES = ["soft_wpmi", "cosine"]
_SHARED = {"title": "Made up & more", "models": list(MODELS), "comparisons": COMPARED}
STUDIES = {
    "concepts": _SHARED | {
        "kind": "concepts", "probing": ["scenes"], "split": "all", "clip": "clip",
        "vocabulary": "words.json", "similarities": SIMILARITIES, "top_k": 100,
        "permutations": 100, "bootstrap": 100, "alpha": 0.05,
    },
    "published_labels": _SHARED | {"kind": "published_labels"},
    "convexity": _SHARED | {
        "kind": "convexity", "dataset": "scenes", "split": "all", "families": ["kind", "texture"],
        "triplets": ["answers"], "score_categories": True, "compare_concepts": True, "pairs": "all",
        "n_neighbors": 5, "permutations": 20, "halves": 2,
        "euclidean": {"heads": {"vit-kind": "kind"}},
        "transforms": {
            "methods": ["naive", "glocal"], "folds": 2, "alpha": 0.1, "temperature": 1.0,
        },
    },
    "pruning": _SHARED | {
        "kind": "pruning", "dataset": "speech", "tasks": ["word"], "seeds": 2, "n_neighbors": 5,
        "halves": 2, "permutations": 0, "similarity_samples": 10, "depth_penalty": 0.1,
        "every_depth": True, "training": {"epochs": 3},
    },
}  # fmt: skip


def looks(names: Iterable[str] = MODELS) -> dict[str, ModelStyle]:
    return describe_models(names, {}, COMPARED)


def grid(metric: str, draw: int = 0, models: Iterable[str] = MODELS, **axes) -> pd.DataFrame:
    """A row for every model, layer and value of every one of `axes` (a value or a list of them):
    in [0.2, 0.8], with an interval around; `draw` is the seed."""
    axes = {"concept": None, "seed": 0} | axes
    lists = {name: each if isinstance(each, list) else [each] for name, each in axes.items()}
    table = pd.MultiIndex.from_product(
        [list(models), range(len(LAYERS)), *lists.values()],
        names=["model", "layer_index", *lists],
    ).to_frame(index=False)
    value = np.random.default_rng(draw).uniform(0.2, 0.8, len(table)).round(3)
    return table.assign(
        dataset="scenes", layer=[LAYERS[i] for i in table["layer_index"]],
        block=table["layer_index"], metric=metric, value=value, low=value - 0.1, high=value + 0.1,
        n=96,
    )  # fmt: skip


def joined(*tables: pd.DataFrame) -> pd.DataFrame:
    return pd.concat(tables, ignore_index=True)


def without_interval(table: pd.DataFrame) -> pd.DataFrame:
    return table.assign(low=np.nan, high=np.nan)


def concepts() -> dict[str, pd.DataFrame]:
    """Of a study of concepts: labels, counts, shares, truth, scoreboard, differences."""
    categories, ways = list(WORDS), ["planted", "annotation", *SIMILARITIES]
    labels = joined(*(
        grid(way, seed, unit=list(range(24))).assign(q_value=0.01, margin=0.1, tied=0.0)
        for seed, way in enumerate(SIMILARITIES)
    ))  # fmt: skip
    words = [word for each in WORDS.values() for word in each]
    labels["concept"] = np.resize(words, len(labels))
    counts = [
        grid(name, 1) for name in ("n_concepts_median", "n_concepts_mean", "n_concepts_significant")
    ]
    for table in counts:
        table[["value", "low", "high"]] = (40 * table[["value", "low", "high"]]).round()
    shares = [grid(f"category_share_{kind}", 2, concept=categories) for kind in ("mean", "median")]
    truth = [
        grid(name, 3, concept=SIMILARITIES)
        for name in ("names_best_factor", "names_any_factor_above", "mean_best_auc")
    ]
    chance = without_interval(grid("chance", 4, concept=SIMILARITIES))
    board = [
        grid("category_share", 5, concept=categories, similarity=ways),
        grid("n_concepts", 6, similarity=ways),
        *(
            grid(name, 7, concept=[*categories, None], similarity=ways[1:])
            for name in ("same_category", "same_factor")
        ),
    ]
    return {
        "labels": labels,
        "counts": joined(*counts, grid("share_significant", 8)),
        "shares": joined(*shares),
        "truth": joined(*truth, chance),
        "scoreboard": joined(*board),
        "differences": joined(
            differences("category_share_mean", concept=categories),
            differences("n_concepts_median"),
            differences("share_significant"),
        ),
    }


def differences(metric: str, **axes) -> pd.DataFrame:
    """Of each pretrained model from its first layer and its twin, of a fine-tuned one's base."""
    name, twinned = f"{metric}_difference", list(COMPARED["controls"])
    tuned = list(COMPARED["finetuned"]["kind"].values())
    axes = {"family": [None]} | axes
    return joined(
        grid(name, 9, twinned, contrast="first", other=LAYERS[1], **axes),
        grid(name, 10, twinned, contrast="twin", other="random", **axes),
        grid(name, 11, tuned, contrast="base", other="base", **axes),
    )


def convexity() -> dict[str, pd.DataFrame]:
    """Of a study of convexity: all its measures."""
    families, answers = ["kind", "texture"], {"family": "answers"}
    concepts = ["dog", "cat", "cup", "car"]
    references = ("chance", "noise_ceiling", "noise_ceiling_lower")
    methods, heads = ["naive", "glocal"], ["vit-kind"]
    changed = [
        grid(f"accuracy_{when}", 12, transform=methods, **answers)
        for when in ("before", "after", "gain")
    ]
    changed += [
        grid(f"graph_convexity_{when}", 13, transform=methods, concept=families, **answers)
        for when in ("before", "after", "gain")
    ]
    head = grid("head_exact", 14, heads, family=["kind"])
    last = head[head["layer_index"] == len(LAYERS) - 1]
    return {
        "convexity": joined(
            grid("graph_convexity", 15, family=families),
            without_interval(grid("chance", 16, family=families)),
            grid("graph_convexity_concept", 17, family=families, concept=concepts),
            grid("concept_chance", 18, family=families, concept=concepts),
        ),
        "alignment": joined(
            grid("accuracy", 19, **answers),
            *(grid(name, 20, **answers).assign(value=0.4 + 0.1 * i)
              for i, name in enumerate(references)),
            grid("accuracy_category", 21, concept=concepts, **answers),
        ),
        "relation": joined(*(
            grid(name, 22, [*MODELS, "all"], family=families, triplets="answers")
            .query("layer_index == 0").assign(layer="all")
            for name in ("correlation", "partial_correlation")
        )),
        "categories": joined(
            grid("graph_convexity_concept", 23, concept=concepts, **answers),
            grid("concept_chance", 24, concept=concepts, **answers),
        ),
        "euclidean": joined(
            grid("euclidean_convexity", 25, heads, family=["kind"]), last,
            grid("euclidean_convexity_gain", 26, heads, family=["kind"], contrast="first"),
        ),
        "transforms": joined(*changed),
        "differences": joined(
            differences("graph_convexity", family=families), differences("accuracy", **answers)
        ),
    }  # fmt: skip


CHOICES = (
    "full", "most_convex", "one_standard_error", "depth_penalised", "every_second", "random",
    "block_influence", "angular_distance", "cka", "oracle", "random_depth",
)  # fmt: skip
_KEPT = {"full": 3, "most_convex": 2, "one_standard_error": 2, "depth_penalised": 1}
_PRUNED = COMPARED["pretraining"]


def pruning() -> dict[str, pd.DataFrame]:
    """Of a study of pruning: all its measures."""
    word = {"family": ["word"]}
    scores = joined(
        grid("graph_convexity", 30, family=["word", "speaker"]),
        without_interval(grid("chance", 31, family=["word", "speaker"])),
    )
    similar = [
        grid(name, 32, _PRUNED, other=list(range(len(LAYERS))))
        for name in ("cka", "angular_distance")
    ]
    prices = {"parameters": 1e6, "macs": 1e7, "file_bytes": 4e6, "memory_bytes": 8e6}
    cost = [
        grid(name, 33, _PRUNED).assign(value=lambda t, p=p: p * (1 + t["layer_index"]))
        for name, p in prices.items()
    ]
    cost += [
        grid(f"front_end_{name}", 34, _PRUNED).assign(value=prices[name] / 2)
        for name in ("parameters", "macs")
    ]
    return {
        "selection": scores,
        "convexity": scores,
        "cuts": _cuts(),
        "trained": _trained(),
        "comparison": _comparison(),
        "similarity": joined(*similar),
        "cost": without_interval(joined(*cost)),
        "timing": joined(*(grid(name, 35, _PRUNED) for name in ("latency", "epoch_seconds"))),
        "differences": differences("graph_convexity", **word),
    }  # fmt: skip


def _chosen(metric: str, names: Iterable[str]) -> pd.DataFrame:
    """A row for each model and choice, with the number of layers that it keeps."""
    table = grid(metric, 36, _PRUNED, family=["word"], concept=list(names)).query(
        "layer_index == 0"
    )
    return table.assign(layers=[float(_KEPT.get(name, 2)) for name in table["concept"]])


def _cuts() -> pd.DataFrame:
    rows = _chosen("", [name for name in CHOICES if name not in ("oracle", "random_depth")])
    kept = rows["layers"].astype(int)
    return rows.assign(
        metric=rows["concept"], concept=None, value=rows["layers"], layer_index=kept, block=kept,
        layer=[LAYERS[i] for i in kept], kept=[" ".join(map(str, range(i))) for i in kept],
    )  # fmt: skip


def _trained() -> pd.DataFrame:
    """Two seeds, of which the second learns for an epoch less; the deepest cut has but one."""
    curves = grid(
        "validation_curve", 37, _PRUNED, family=["word"], seed=[0, 1], epoch=[1, 2, 3]
    ).query("layer_index > 0 and not (seed == 1 and (epoch == 3 or layer_index == 3))")
    tests = curves[curves["epoch"] == 1].assign(epoch=0, metric="test_accuracy")
    table = joined(curves, tests, curves.assign(metric="loss_curve"))
    return table.assign(kept=[" ".join(map(str, range(i))) for i in table["layer_index"]])


def _comparison() -> pd.DataFrame:
    accuracy = _chosen("accuracy", CHOICES)
    depths = grid("depth_accuracy", 38, _PRUNED, family=["word"], concept=["prefix"])
    less = _chosen("difference", [name for name in CHOICES if name != "most_convex"])
    less = less.assign(value=less["value"] - 0.5, low=less["low"] - 0.5, high=less["high"] - 0.5)
    pooled = less[less["model"] == _PRUNED[0]].assign(model="all", family="all", p_adjusted=0.04)
    table = joined(
        accuracy, depths.assign(layers=depths["layer_index"].astype(float)), less, pooled
    )
    table["same"] = np.where(table["concept"] == "one_standard_error", table["n"], 0)
    unknown = (table["metric"] == "difference") & (table["concept"] == "cka")
    table.loc[unknown, ["low", "high"]] = np.nan
    return table.assign(about="samples and seeds", p_value=0.02)


def tables_of(study: Mapping) -> dict[str, pd.DataFrame]:
    """All measures of a study, by name."""
    makers = {"convexity": convexity, "pruning": pruning}
    return makers.get(study["kind"], concepts)()
