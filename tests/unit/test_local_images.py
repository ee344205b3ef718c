"""gLocal's local term on pictures that were not judged, and items as people saw them."""

import numpy as np
import pandas as pd
import pytest
from scipy.special import log_softmax, softmax

from strata import StrataError
from strata.activations.cache import ActivationCache
from strata.activations.probing import ProbingSet
from strata.alignment.judgements import Judgements, open_judgements
from strata.alignment.local import local_batches, local_layers
from strata.alignment.optimised import transform_measures
from strata.alignment.transforms import cross_validate, fit_transform
from strata.data.manifest import Dataset
from strata.data.triplets import collected_triplets

OPTIONS = {"alpha": 0.3, "temperature": 0.2, "regularisation": 1e-2}


@pytest.fixture(scope="module")
def judged():
    """Embeddings of 24 items, one of which is never judged, answers by their first two dimensions
    with counts, and two batches of local pictures that vary in the others."""
    draw = np.random.default_rng(0)
    items = draw.normal(2, 3, size=(24, 5))
    rows = np.array([draw.choice(23, 3, replace=False) for _ in range(300)])
    a, b, c = ((items[rows[:, i]] - 2)[:, :2] for i in range(3))
    similar = np.stack([(a * b).sum(1), (a * c).sum(1), (b * c).sum(1)], axis=1)
    orders = np.array([[0, 1, 2], [0, 2, 1], [1, 2, 0]])[similar.argmax(axis=1)]
    local = [draw.normal(2, [0.3, 0.3, 3, 3, 3], size=(n, 5)) for n in (12, 9)]
    return items, np.take_along_axis(rows, orders, axis=1), draw.integers(1, 4, size=300), local


def glocal(weights, bias, standard, rows, counts, local):
    """The objective of Muttenthaler et al. (2023), term by term in NumPy."""
    x = standard @ weights + bias
    a, b, c = (x[rows[:, i]] for i in range(3))
    similar = np.stack([(a * b).sum(1), (a * c).sum(1), (b * c).sum(1)], axis=1)
    answers = -np.average(log_softmax(similar, axis=1)[:, 0], weights=counts)
    terms = []
    for batch in local:
        before, after = (
            v / np.linalg.norm(v, axis=1, keepdims=True) for v in (batch, batch @ weights + bias)
        )
        for i in range(len(batch)):
            others = np.arange(len(batch)) != i
            p = softmax(before[others] @ before[i] / OPTIONS["temperature"])
            q = log_softmax(after[others] @ after[i] / OPTIONS["temperature"])
            terms.append(-(p * q).sum())
    target = np.eye(5) * np.diag(weights).mean()
    alpha, lam = OPTIONS["alpha"], OPTIONS["regularisation"]
    penalty = lam * ((weights - target) ** 2).sum()
    return (1 - alpha) * answers + alpha * np.mean(terms) + penalty


@pytest.mark.parametrize("centre", ["dimension", "global"])
def test_the_fit_is_a_minimum_of_the_objective_written_out(judged, centre):
    embeddings, rows, counts, local = judged
    given = {"counts": counts, "local": local, "centre": centre, "iterations": 2000}
    fitted = fit_transform(embeddings, rows, "glocal", **given, **OPTIONS)
    used = embeddings[:23]
    mean = used.mean(axis=0) if centre == "dimension" else np.full(5, used.mean())
    np.testing.assert_allclose(fitted.mean, mean)
    assert fitted.scale == used.std()
    standard = (embeddings - mean) / used.std()
    batches = [(batch - mean) / used.std() for batch in local]

    def loss(weights, bias):
        return glocal(weights, bias, standard, rows, counts, batches)

    best, draw = loss(fitted.weights, fitted.bias), np.random.default_rng(1)
    for size in (1e-2, 1e-1):
        for _ in range(20):
            step = size * draw.normal(size=(5, 5)), size * draw.normal(size=5)
            assert loss(fitted.weights + step[0], fitted.bias + step[1]) > best
    # A minimum of this objective, not of the one that the judged items' neighborhoods make.
    other = fit_transform(embeddings, rows, "glocal", **given | {"local": None}, **OPTIONS)
    assert loss(other.weights, other.bias) > best + 1e-4


def test_local_images_that_are_the_judged_items_change_nothing(judged):
    embeddings, rows, counts, _ = judged
    alone = fit_transform(embeddings, rows, "glocal", counts=counts, **OPTIONS)
    same = fit_transform(
        embeddings, rows, "glocal", counts=counts, local=[embeddings[:23]], **OPTIONS
    )
    np.testing.assert_allclose(same.weights, alone.weights, atol=1e-6)
    np.testing.assert_allclose(same.bias, alone.bias, atol=1e-6)


def test_the_naive_transform_has_no_local_term(judged):
    embeddings, rows, _, local = judged
    both = [fit_transform(embeddings, rows, local=each) for each in (None, local)]
    np.testing.assert_array_equal(both[0].weights, both[1].weights)


def test_local_images_are_drawn_by_name_whatever_their_order():
    names = np.array([f"{n:04d}.jpg" for n in range(1000)])
    order = np.random.default_rng(3).permutation(1000)
    straight, mixed = (local_batches(each, 400, 150, seed=5) for each in (names, names[order]))
    assert [len(batch) for batch in straight] == [134, 133, 133]
    for here, there in zip(straight, mixed, strict=True):
        assert names[here].tolist() == names[order][there].tolist()
    assert len(set(np.concatenate(straight).tolist())) == 400
    assert set(np.concatenate(straight)) != set(np.concatenate(local_batches(names, 400, 150, 6)))
    everything = np.concatenate(local_batches(names, "all", 150))
    assert sorted(everything.tolist()) == list(range(1000))
    assert [len(batch) for batch in local_batches(names[:10], 5120, 3)] == [4, 3, 3]


def test_what_cannot_be_a_local_image_is_told(judged):
    embeddings, rows, _, local = judged
    for wrong, told in (
        ([], "there are none"),
        ([local[0][:2]], "three rows or more of 5 dimensions, not the shape"),
        ([local[0][:, :4]], r"not the shape \(12, 4\)"),
        ([np.full((4, 5), np.nan)], "hold NaN"),
    ):
        with pytest.raises(StrataError, match=told):
            fit_transform(embeddings, rows, "glocal", local=wrong)
    with pytest.raises(StrataError, match="2 pictures have no neighborhoods"):
        local_batches(["a", "b"])
    with pytest.raises(StrataError, match="centre 'mean' is unknown"):
        fit_transform(embeddings, rows, centre="mean")


def cached(folder, names, layers):
    """A data set's manifest and activations of two layers, as the workflow leaves them."""
    folder.mkdir()
    table = pd.DataFrame({"sample": range(len(names)), "split": "all", "path": names})
    table.to_parquet(folder / "manifest.parquet")
    with ActivationCache.create(folder / "m", len(names), {"layers": list(layers)}) as writer:
        writer.append(list(layers.values()))
    return ProbingSet.open([str(folder / "manifest.parquet")], [str(folder / "m")])


def test_transforms_of_a_study_keep_the_neighborhoods_of_the_local_images(tmp_path, judged):
    embeddings, rows, counts, _ = judged
    draw = np.random.default_rng(4)
    shown = {name: draw.normal(size=(30, 5)).astype(np.float32) for name in ("one", "two")}
    names = [f"{n:02d}.png" for n in range(30)]
    order = draw.permutation(30)
    sets = [
        cached(tmp_path / "straight", names, shown),
        cached(
            tmp_path / "mixed",
            [names[i] for i in order],
            {name: features[order] for name, features in shown.items()},
        ),
    ]
    answers = pd.DataFrame(rows, columns=["a", "b", "odd"]).assign(count=counts)
    answers = answers.groupby(["a", "b", "odd"], as_index=False)["count"].sum()
    items = pd.DataFrame({"item": [f"i{n}" for n in range(24)], "split": "all"})
    items = items.assign(sample=range(24), index=range(24))
    told = {"name": "t", "images": "d", "task": "odd_one_out"}
    each = Judgements.of(items, answers, told, items["item"])
    layers = [("one", embeddings), ("two", embeddings[::-1].copy())]
    options = {"methods": ["naive", "glocal"], "grid": [0.1], "folds": 2, "alpha": 0.5}
    options |= {"halves": 0, "model": "m", "dataset": "d", "log": lambda line: None}
    nothing = pd.DataFrame(index=range(24))
    found = [
        transform_measures(
            layers, nothing, [each], local=local_layers(pictures, 20, 8, seed=2), **options
        )
        for pictures in sets
    ]
    pd.testing.assert_frame_equal(*found)
    table = found[0].set_index(["layer", "transform", "metric"])["value"]
    batches = local_batches(names, 20, 8, seed=2)
    repeats = answers["count"].to_numpy()
    for layer, features in layers:
        by_hand = cross_validate(
            features,
            answers[["a", "b", "odd"]].to_numpy(),
            "glocal",
            counts=repeats,
            names=list(items["item"]),
            grid=[0.1],
            folds=2,
            alpha=0.5,
            local=[shown[layer][batch] for batch in batches],
        )
        expected = np.average(by_hand.credits, weights=repeats[by_hand.triplets])
        assert table[layer, "glocal", "accuracy_after"] == pytest.approx(expected, abs=1e-12)
    without = transform_measures(layers, nothing, [each], **options)
    naive = [t[t["transform"] == "naive"].reset_index(drop=True) for t in (found[0], without)]
    pd.testing.assert_frame_equal(*naive)
    for wrong in (layers[:1], [*layers, layers[0]], layers[::-1]):
        with pytest.raises(StrataError, match=r"m: the judged pictures have layer '.*' where"):
            transform_measures(wrong, nothing, [each], local=local_layers(sets[0]), **options)


def test_an_item_is_the_pictures_that_people_saw(tmp_path, capsys):
    """As of THINGS: the first picture of an object, where its name ends in b; else all of it."""
    paths = ["ant/ant_01b.jpg", "ant/ant_02s.jpg", "bee/bee_01b.jpg", "bee/bee_02s.jpg"]
    paths += ["cat/cat_01s.jpg", "cat/cat_02s.jpg"]
    table = pd.DataFrame({"path": paths, "thing": [path[:3] for path in paths]})
    pictures = Dataset(tmp_path, {"root": ".", "source": "s", "licence": "l"}, table)
    (tmp_path / "t.csv").write_text("a,b,odd\nant,bee,cat\n")
    spec = {"column": "thing", "triplets": "t.csv", "form": "table", "images": "things"}
    spec["shown"] = ".+_01b[.]jpg"
    collected_triplets(spec, pictures, tmp_path / "t")
    (each,) = open_judgements([str(tmp_path / "t/triplets.parquet")], {"t": "thing"}, table)
    assert each.items.tolist() == [0, -1, 1, -1, 2, 2]
    assert "a picture of 2 of 3 items" in capsys.readouterr().out
    collected_triplets({**spec, "shown": ".+"}, pictures, tmp_path / "t")
    (each,) = open_judgements([str(tmp_path / "t/triplets.parquet")], {"t": "thing"}, table)
    assert each.items.tolist() == [0, 0, 1, 1, 2, 2]
    with pytest.raises(StrataError, match=r"matches no picture of things, .* like 'ant/ant_01b"):
        collected_triplets({**spec, "shown": "ant"}, pictures, tmp_path / "t")
