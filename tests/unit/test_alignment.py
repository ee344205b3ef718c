"""Alignment: by hand, against slow references, on THINGS, and with planted transforms."""

import itertools
import json
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strata import StrataError
from strata.alignment.accuracy import (
    SIMILARITIES,
    Answers,
    category_credits,
    item_means,
    mean_credit,
    odd_one_out_accuracy,
    triplet_credits,
)
from strata.alignment.transforms import METHODS, cross_validate, fit_transform, item_folds
from strata.data.answers import FEWEST_ITEMS, noise_ceiling
from strata.data.manifest import Dataset
from strata.data.triplets import collected_triplets, read_items, read_triplets, simulate_answers

ROOT = Path(__file__).parents[2]
THINGS = Path(os.environ.get("STRATA_MIRROR", ROOT.parent / "shared" / "data")) / "things_ooo"


def slow_credit(vectors, row, similarity, pairs=3):
    def similar(i, j):
        x, y = vectors[i], vectors[j]
        if similarity == "euclidean":
            return -np.sqrt(((x - y) ** 2).sum())
        scale = np.sqrt((x @ x) * (y @ y)) if similarity == "cosine" else 1
        return x @ y / scale

    a, b, c = row
    values = np.array([similar(a, b), similar(a, c), similar(b, c)][:pairs])
    best = np.isclose(values, values.max(), rtol=0, atol=1e-9)
    return best[0] / best.sum()


@settings(max_examples=50)
@given(st.integers(0, 10**6), st.sampled_from(SIMILARITIES), st.booleans())
def test_credits_equal_a_slow_reference_ties_included(seed, similarity, anchored):
    draw = np.random.default_rng(seed)
    vectors = draw.integers(1, 4, size=(8, 2)).astype(float)  # many ties
    rows = np.array([draw.choice(8, 3, replace=False) for _ in range(40)])
    task = "two_alternative" if anchored else "odd_one_out"
    found = triplet_credits(vectors, rows, similarity, task)
    expected = [slow_credit(vectors, row, similarity, 2 if anchored else 3) for row in rows]
    np.testing.assert_allclose(found, expected)


def test_large_sets_of_items_need_no_matrix(monkeypatch):
    draw = np.random.default_rng(0)
    vectors, rows = (
        draw.normal(size=(30, 4)),
        draw.permuted(np.tile(np.arange(30), (50, 1)), axis=1),
    )
    rows = rows[:, :3]
    for similarity in SIMILARITIES:
        dense = triplet_credits(vectors, rows, similarity)
        with monkeypatch.context() as patched:
            patched.setattr("strata.alignment.accuracy._MATRIX_BYTES", 0)
            assert (triplet_credits(vectors, rows, similarity) == dense).all()


def test_chance_is_a_third_and_identical_items_get_it_exactly():
    rows = np.array(list(itertools.permutations(range(6), 3)))
    assert odd_one_out_accuracy(np.ones((6, 3)), rows) == pytest.approx(1 / 3, abs=1e-12)
    noise = np.random.default_rng(0).normal(size=(6, 3))
    assert odd_one_out_accuracy(noise, rows) == pytest.approx(1 / 3, abs=1e-12)  # all orders


@pytest.mark.skipif(not THINGS.is_dir(), reason="needs the data mirror")
def test_vice_on_things_scores_as_published():
    rows = np.loadtxt(THINGS / "triplets_0based_odd_last.txt", dtype=int)
    vice = np.load(THINGS / "vice_things_embedding_42d.npy")
    assert odd_one_out_accuracy(vice, rows) == pytest.approx(0.636, abs=0.003)
    ceiling = noise_ceiling(rows)
    assert ceiling.upper.value == pytest.approx(0.672, abs=0.01)
    assert ceiling.lower.value < ceiling.upper.value
    assert (ceiling.n_triplets, ceiling.n_responses) == (703, 14094)


@pytest.mark.skipif(not THINGS.is_dir(), reason="needs the data mirror")
def test_things_becomes_a_set_of_triplets_with_27_categories(tmp_path):
    spec = {"path": str(THINGS), "items": "item_names.tsv", "item_column": "uniqueID"}
    spec |= {"triplets": "triplets_0based_odd_last.txt", "form": "numbers"}
    spec |= {"categories": "category_mat_manual.tsv", "images": "things", "column": "object"}
    pictures = Dataset(tmp_path, {}, pd.DataFrame())
    collected_triplets(spec, pictures, tmp_path / "things")
    info = json.loads((tmp_path / "things/dataset.json").read_text())
    items = pd.read_parquet(tmp_path / "things/manifest.parquet")
    assert info["n"] == 1854 and info["n_triplets"] == 703 and info["n_answers"] == 14094
    assert items.select_dtypes(bool).shape[1] == 27
    assert info["noise_ceiling"]["upper"][0] == pytest.approx(0.675, abs=0.001)


def _answers(n_items=60, n=400, seed=0):
    draw = np.random.default_rng(seed)
    rows = np.array([draw.choice(n_items, 3, replace=False) for _ in range(n)])
    ease = draw.normal(0, 0.8, n_items)
    return rows, (draw.normal(0.3, 1, n) + ease[rows].sum(axis=1) > 0).astype(float)


def test_repeats_of_an_answer_say_nothing_new():
    rows, credits = _answers()
    once = mean_credit(credits, rows)
    nine = mean_credit(np.repeat(credits, 9), np.repeat(rows, 9, axis=0))
    counted = mean_credit(credits, rows, np.full(len(rows), 9))
    assert nine == pytest.approx(once) and counted == pytest.approx(once)
    # Items that are hard for all make triplets alike: wider than for independent ones.
    independent = 2 * 1.96 * credits.std() / 20
    assert once.high - once.low > 1.5 * independent


def test_few_items_have_no_interval():
    rows, credits = _answers(n_items=FEWEST_ITEMS - 1)
    found = mean_credit(credits, rows)
    assert np.isfinite(found.value) and np.isnan(found.low)
    assert np.isfinite(mean_credit(*reversed(_answers(n_items=FEWEST_ITEMS))).low)


def test_differences_are_paired_on_the_answers():
    rows, credits = _answers()
    answers = Answers(rows)
    other = credits.copy()
    other[::40] = 1 - other[::40]
    found, alone = answers.difference(credits, other), answers.mean(credits)
    assert found.value == pytest.approx(credits.mean() - other.mean())
    assert found.high - found.low < 0.5 * (alone.high - alone.low)
    assert (found.low <= 0 <= found.high) == (answers.p_value(credits, other) >= 0.05)
    same = answers.difference(credits, credits)
    assert same.value == 0 and np.isnan(same.low) and np.isnan(answers.p_value(credits, credits))


def test_noise_ceilings_by_hand():
    rows = [[0, 1, 2]] * 3 + [[1, 2, 0]] + [[3, 4, 5]] * 2
    found = noise_ceiling(rows)
    assert found.upper.value == pytest.approx((3 / 4 + 1) / 2)
    # the three: the others prefer the same (2 to 1); the one: the others say otherwise
    assert found.lower.value == pytest.approx((3 / 4 + 1) / 2)
    assert (found.n_triplets, found.n_responses) == (2, 6)
    same = noise_ceiling([[0, 1, 2], [1, 2, 0], [3, 4, 5]], counts=[3, 1, 2])
    assert same.upper == found.upper
    # with a reference, (0 | 1, 2) and (1 | 0, 2) are two questions
    anchored = noise_ceiling([[0, 1, 2], [1, 0, 2]], counts=[2, 2], task="two_alternative")
    assert anchored.n_triplets == 2 and anchored.upper.value == 1
    with pytest.raises(StrataError, match="no triplet was answered 2 times, but 1 at most"):
        noise_ceiling([[0, 1, 2], [0, 1, 3]])


def test_triplets_that_meet_by_chance_do_not_raise_the_ceiling():
    """Ten triplets answered twenty times, fourteen alike; a hundred that two people met, of which
    half agreed: their share of the most frequent answer is 0.75 for what is a coin's agreement."""
    draw = np.random.default_rng(0)
    rows = [[3 * n, 3 * n + 1, 3 * n + 2] for n in range(10)] * 14
    rows += [[3 * n, 3 * n + 2, 3 * n + 1] for n in range(10)] * 6
    asked = draw.permutation(np.arange(30, 330)).reshape(100, 3)
    rows += [*asked.tolist(), *asked[:50].tolist(), *asked[50:, [0, 2, 1]].tolist()]
    assert noise_ceiling(rows).upper.value == pytest.approx((10 * 0.7 + 100 * 0.75) / 110)
    alone = noise_ceiling(rows, at_least=10)
    assert alone.upper.value == pytest.approx(0.7) and alone.n_triplets == 10
    with pytest.raises(StrataError, match="answered 21 times, but 20 at most"):
        noise_ceiling(rows, at_least=21)


def test_categories_count_triplets_in_which_they_take_part():
    rows = np.array([[0, 1, 2], [3, 4, 5], [0, 3, 5]])
    members = pd.DataFrame({"x": [1, 0, 0, 0, 0, 0], "y": [0, 0, 0, 0, 1, 0], "z": 0}).astype(bool)
    found = category_credits(np.array([1.0, 0.0, 0.5]), rows, members).set_index("category")
    assert found["value"].to_dict() == {"x": 0.75, "y": 0.0}
    assert found["n"].to_dict() == {"x": 2, "y": 1}


def test_an_item_is_the_mean_of_its_pictures():
    features = np.array([[1.0], [3.0], [10.0], [99.0]])
    assert item_means(features, [1, 1, 0, -1], 2).tolist() == [[10.0], [2.0]]
    with pytest.raises(StrataError, match="item 2 has no sample"):
        item_means(features, [1, 1, 0, -1], 3)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"triplets": [[0, 1, 9]]}, r"triplet 0 \[0, 1, 9\] names an unknown item: there are 4"),
        ({"triplets": [[0, 1, 2], [3, 1, 3]]}, r"triplet 1 \[3, 1, 3\] names an item twice"),
        ({"triplets": np.empty((0, 3), int)}, "rows of three items"),
        ({"triplets": [[0.5, 1, 2]]}, "item numbers, not float64"),
        ({"embeddings": np.full((4, 2), np.nan)}, "item 0 is NaN"),
        ({"embeddings": np.zeros((4, 2))}, "item 0 is zero: no cosine"),
        ({"similarity": "manhattan"}, "'manhattan' is unknown"),
        ({"task": "two"}, "'two' is unknown"),
    ],
)
def test_bad_input_is_named(change, message):
    arguments = {"embeddings": np.eye(4), "triplets": [[0, 1, 2]]}
    with pytest.raises(StrataError, match=message):
        triplet_credits(**arguments | change)


# --- reading ------------------------------------------------------------------------------------


def test_answers_one_by_one_keep_the_two_that_were_not_chosen(tmp_path):
    lines = ["subject\timage1\timage3\timage2\tchoice", "x\t1\t3\t2\t1", "x\t1\t3\t2\t2"]
    lines += ["x\t2\t3\t1\t1", "y\t4\t1\t2\t3"]
    (tmp_path / "t.tsv").write_text("\n".join(lines))
    found = read_triplets(tmp_path / "t.tsv", "choices", list("abcd"))
    assert found.to_numpy().tolist() == [[0, 2, 1, 2], [1, 2, 0, 1], [1, 3, 0, 1]]
    (tmp_path / "t.tsv").write_text("\n".join([lines[0], "x\t1\t3\t2\t4"]))
    with pytest.raises(StrataError, match="line 2: choice should be 1, 2 or 3"):
        read_triplets(tmp_path / "t.tsv", "choices", list("abcd"))
    (tmp_path / "t.tsv").write_text("image1\timage2\timage3\n1\t2\t3\n")
    with pytest.raises(StrataError, match="no column 'choice'; it has image1, image2, image3"):
        read_triplets(tmp_path / "t.tsv", "choices", list("abcd"))


def test_files_of_triplets_come_from_a_folder_or_else_from_a_download(tmp_path):
    pictures = Dataset(tmp_path, {"root": "."}, pd.DataFrame({"thing": list("abc")}))
    for name, content in (("download/t.txt", "0 1 2\n"), ("download/items.txt", "a\nb\nc\n")):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(content)
    for folder in ("mine", "d"):
        (tmp_path / folder).mkdir()
    (tmp_path / "mine/kinds.tsv").write_text("animal\ttool\n1\t0\n1\t0\n0\t1\n")
    spec = {"column": "thing", "triplets": "t.txt", "form": "numbers", "items": "items.txt"}
    spec |= {"categories": "kinds.tsv", "images": "p", "path": "mine"}
    files = Dataset(tmp_path / "d", {"root": "../download"}, pd.DataFrame())
    given = {"base": tmp_path, "download": files}
    collected_triplets(spec, pictures, tmp_path / "out", **given)
    made = pd.read_parquet(tmp_path / "out/manifest.parquet")
    assert made["animal"].tolist() == [True, True, False]
    with pytest.raises(StrataError, match=r"mine/lost\.tsv: no such file of triplets"):
        collected_triplets(spec | {"triplets": "lost.tsv"}, pictures, tmp_path / "x", **given)


def test_triplets_by_name(tmp_path):
    (tmp_path / "items.txt").write_text("ant\nbee\ncat\ndog\n")
    items = read_items(tmp_path / "items.txt")
    (tmp_path / "t.csv").write_text("a,b,odd\nant,bee,cat\nant,bee,cat\ncat,dog,ant\n")
    found = read_triplets(tmp_path / "t.csv", "table", items)
    assert found.to_numpy().tolist() == [[0, 1, 2, 2], [2, 3, 0, 1]]
    for text, message in (
        ("a,b,odd\nant,bee,cow\n", "line 2: unknown item 'cow'; items are named like"),
        ("a,b,odd\nant,ant,cat\n", r"t\.csv: triplet 0 .* names an item twice"),
        ("a,b\nant,bee\n", "no column 'odd'"),
    ):
        (tmp_path / "t.csv").write_text(text)
        with pytest.raises(StrataError, match=message):
            read_triplets(tmp_path / "t.csv", "table", items)
    (tmp_path / "items.txt").write_text("ant\nant\n")
    with pytest.raises(StrataError, match="'ant' is there twice"):
        read_items(tmp_path / "items.txt")


def test_items_take_the_labels_that_their_pictures_share(tmp_path):
    table = {"thing": list("aabbcc"), "kind": list("xxxxyy"), "view": list("123456")}
    pictures = Dataset(tmp_path, {"source": "s", "root": "."}, pd.DataFrame(table))
    (tmp_path / "t.csv").write_text("a,b,odd\na,b,c\n")
    spec = {"column": "thing", "triplets": "t.csv", "form": "table", "images": "p"}
    collected_triplets(spec, pictures, tmp_path / "out")
    items = pd.read_parquet(tmp_path / "out/manifest.parquet")
    assert items["item"].tolist() == list("abc") and items["kind"].tolist() == list("xxy")
    assert "view" not in items and "thing" not in items


def test_the_ceiling_is_of_triplets_answered_often_enough(tmp_path):
    pictures = Dataset(
        tmp_path, {"root": ".", "source": "s"}, pd.DataFrame({"thing": list("abcd")})
    )
    lines = ["a,b,odd,count", "a,b,c,7", "a,c,b,3", "b,c,d,2"]
    (tmp_path / "t.csv").write_text("\n".join(lines) + "\n")
    spec = {"column": "thing", "triplets": "t.csv", "form": "table", "images": "p"}
    for more, upper in (({}, 0.85), ({"ceiling_answers": 10}, 0.7)):
        collected_triplets(spec | more, pictures, tmp_path / "out")
        told = json.loads((tmp_path / "out/dataset.json").read_text())
        assert told["noise_ceiling"]["upper"][0] == pytest.approx(upper)
    with pytest.raises(StrataError, match=r"answered 11 times, but 10 at most \(ceiling_answers\)"):
        collected_triplets(spec | {"ceiling_answers": 11}, pictures, tmp_path / "out")


def test_votes_are_answers_with_counts(tmp_path):
    content = {"answers": [[0, 1, 2], [0, 2, 3]], "agreement": [[3, 1], [0, 2]]}
    (tmp_path / "v.json").write_text(json.dumps(content))
    found = read_triplets(tmp_path / "v.json", "votes", list("abcd"))
    assert found.to_numpy().tolist() == [[0, 1, 2, 3], [0, 2, 1, 1], [0, 3, 2, 2]]


def test_simulated_observers_reach_their_known_ceiling():
    draw = np.random.default_rng(0)
    factors = pd.DataFrame(
        {"kind": draw.choice(list("xyz"), 40), "hue": draw.choice(list("rgb"), 40)}
    )
    answers, ceiling = simulate_answers(factors, {"kind": 3.0, "hue": 1.0}, 4000, 5, seed=1)
    assert answers["count"].sum() == 20_000
    planted = pd.get_dummies(factors).to_numpy(float) * [np.sqrt(w) for w in (3, 3, 3, 1, 1, 1)]
    rows = np.repeat(answers[["a", "b", "odd"]].to_numpy(), answers["count"], axis=0)
    assert odd_one_out_accuracy(planted, rows, "dot") == pytest.approx(ceiling, abs=0.01)
    with pytest.raises(StrataError, match="no factor 'size'"):
        simulate_answers(factors, {"size": 1.0}, 10, 1, seed=0)


# --- transforms ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def planted():
    """Items whose similarity is in 3 of 12 directions, hidden by a rotation, and clean answers."""
    draw = np.random.default_rng(0)
    inner = np.concatenate([draw.normal(size=(60, 3)), 2 * draw.normal(size=(60, 9))], axis=1)
    rows = np.array([draw.choice(60, 3, replace=False) for _ in range(4000)])
    orders = np.array([[0, 1, 2], [0, 2, 1], [1, 2, 0]])
    a, b, c = (inner[rows[:, i], :3] for i in range(3))
    similar = np.stack([(a * b).sum(1), (a * c).sum(1), (b * c).sum(1)], axis=1)
    rows = np.take_along_axis(rows, orders[similar.argmax(axis=1)], axis=1)
    return inner @ np.linalg.qr(draw.normal(size=(12, 12)))[0], rows


@pytest.mark.parametrize("method", METHODS)
def test_a_transform_finds_planted_directions_on_items_it_has_not_seen(planted, method):
    embeddings, rows = planted
    found = cross_validate(embeddings, rows, method, grid=[1e-3, 1e-1], similarity="dot")
    assert found.credits.mean() > found.before.mean() + 0.2
    folds = item_folds(60, 3, 0)
    for row in rows[found.triplets]:
        assert len(set(folds[row])) == 1
    assert len(found.chosen) == 3 and set(found.chosen) <= {1e-3, 1e-1}


def test_the_naive_gradient_leads_to_a_minimum(planted):
    embeddings, rows = planted
    fitted = fit_transform(embeddings, rows, regularisation=1e-2)

    def loss(weights):
        standard = (embeddings - fitted.mean) / fitted.scale
        vectors = standard @ weights
        a, b, c = rows.T
        pairs = [(a, b), (a, c), (b, c)]
        logits = np.stack([(vectors[i] * vectors[j]).sum(axis=1) for i, j in pairs], axis=1)
        answers = np.log(np.exp(logits - logits[:, :1]).sum(axis=1)).mean()
        return answers + 1e-2 * (weights**2).sum()

    best, draw = loss(fitted.weights), np.random.default_rng(0)
    for _ in range(20):
        assert loss(fitted.weights + 0.02 * draw.normal(size=(12, 12))) > best


def test_fewer_items_than_dimensions_are_fitted_where_they_lie():
    """W leads nowhere that no item is, and no step of any size away from it lowers the loss."""
    draw = np.random.default_rng(1)
    embeddings = draw.normal(size=(20, 50))
    rows = np.array([draw.choice(20, 3, replace=False) for _ in range(300)])
    fitted = fit_transform(embeddings, rows, regularisation=1e-2, iterations=2000)
    standard = (embeddings - fitted.mean) / fitted.scale
    outside = np.eye(50) - np.linalg.pinv(standard) @ standard
    assert np.abs(outside @ fitted.weights).max() < 1e-8
    assert np.abs(fitted.weights @ outside).max() < 1e-8

    def loss(weights):
        vectors = standard @ weights
        similar = vectors @ vectors.T
        a, b, c = rows.T
        logits = np.stack([similar[a, b], similar[a, c], similar[b, c]], axis=1)
        answers = np.log(np.exp(logits - logits[:, :1]).sum(axis=1)).mean()
        return answers + 1e-2 * (weights**2).sum()

    best = loss(fitted.weights)
    for size in (1e-3, 1e-2, 1e-1):
        for _ in range(10):
            assert loss(fitted.weights + size * draw.normal(size=(50, 50))) > best


def test_strong_glocal_regularisation_leaves_a_multiple_of_the_representation(planted):
    embeddings, rows = planted
    fitted = fit_transform(embeddings, rows, "glocal", regularisation=1e4)
    off = fitted.weights - np.diag(np.diag(fitted.weights))
    assert np.abs(off).max() < 1e-3 * np.abs(np.diag(fitted.weights)).mean()


def test_transforms_refuse_what_cannot_work(planted):
    embeddings, rows = planted
    for change, message in (
        ({"method": "global"}, "'global' is unknown"),
        ({"regularisation": -1}, "must not be negative"),
        ({"embeddings": np.ones((60, 3))}, "all items are the same"),
    ):
        with pytest.raises(StrataError, match=message):
            fit_transform(**{"embeddings": embeddings, "triplets": rows} | change)
    with pytest.raises(StrataError, match="a fold needs three items"):
        cross_validate(embeddings[:6], [[0, 1, 2]], "naive", grid=[1], folds=3)
    with pytest.raises(StrataError, match="has no triplets"):
        cross_validate(embeddings, rows[:2], "naive", grid=[1])
