"""Differences between layers and networks: who is compared, and paired intervals."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm

from strata.concepts.differences import concept_differences, independent_difference
from strata.concepts.quadrants import BOTH, NEURONS
from strata.differences import paired_differences, with_deviates
from strata.errors import StrataError
from strata.intervals import deviate_interval
from strata.stats import without_interval
from strata.tables import (
    DEVIATES,
    check_measures,
    finish_measures,
    layer_row,
    read_measures,
    write_measures,
)


def _model(name, values, common, own):
    rows = []
    for layer, value in enumerate(values):
        moved = common + own[layer]
        found = deviate_interval(value, moved)
        rows.append(layer_row(layer, f"block{layer}", "kind", "score", found, 50, deviates=moved))
    rows.append(layer_row(0, "block0", "kind", "chance", without_interval(0.1), 50))
    return finish_measures(rows, name, "things", 0)


def _study():
    draw = np.random.default_rng(0)
    common = draw.normal(0, 0.05, 10)
    own = draw.normal(0, 0.005, (3, 3, 10))
    models = {"net": [0.3, 0.5, 0.4], "net-random": [0.3, 0.3, 0.3], "net-tuned": [0.3, 0.6, 0.7]}
    return {
        name: _model(name, values, common, own[i])
        for i, (name, values) in enumerate(models.items())
    }


def _compare(table):
    named = {"twins": {"net": "net-random"}, "bases": {"net-tuned": "net"}}
    return paired_differences(table, ["score"], **named)


def test_who_is_compared_with_whom():
    found = _compare(pd.concat(_study().values(), ignore_index=True))
    found = found.set_index(["model", "contrast", "layer"]).sort_index()
    assert found.loc[("net", "first", "block1"), ["value", "other"]].tolist() == [
        pytest.approx(0.2),
        "block0",
    ]
    assert found.loc[("net", "best", "block2"), "value"] == pytest.approx(-0.1)
    assert found.loc[("net", "twin", "block1"), ["value", "other"]].tolist() == [
        pytest.approx(0.2),
        "net-random",
    ]
    assert found.loc[("net-tuned", "base", "block2"), "value"] == pytest.approx(0.3)
    assert ("net", "first", "block0") not in found.index
    assert ("net-random", "twin") not in found.index.droplevel(2)
    assert set(found["metric"]) == {"score_difference"}


def test_what_moves_both_alike_cancels():
    table = pd.concat(_study().values(), ignore_index=True)
    alone = table[table["metric"] == "score"]
    paired = _compare(table)
    assert (paired["high"] - paired["low"]).max() < 0.3 * (alone["high"] - alone["low"]).min()
    row = paired[(paired["model"] == "net") & (paired["contrast"] == "twin")].iloc[1]
    held = alone.set_index(["model", "layer"])["deviates"]
    moved = held["net", "block1"] - held["net-random", "block1"]
    assert row["low"] == pytest.approx(deviate_interval(0.2, moved).low)
    assert row["p_value"] < 0.05
    assert np.isfinite(paired["p_value"]).all()


def test_an_interval_and_its_p_value_agree():
    found = _compare(pd.concat(_study().values(), ignore_index=True))
    without_zero = (found["low"] > 0) | (found["high"] < 0)
    assert (without_zero == (found["p_value"] < 0.05)).all()


def test_deviates_come_back_from_their_file(tmp_path):
    tables = _study()
    for name, table in tables.items():
        write_measures(
            table, tmp_path / f"{name}.parquet", tmp_path / "deviates" / f"{name}.parquet"
        )
    measures = read_measures([tmp_path / f"{name}.parquet" for name in tables])
    assert "deviates" not in measures
    files = [tmp_path / "deviates" / f"{name}.parquet" for name in tables]
    deviates = pd.concat(map(pd.read_parquet, files))
    shuffled = deviates.sample(frac=1, random_state=1)
    again = _compare(with_deviates(measures, shuffled))
    pd.testing.assert_frame_equal(again, _compare(pd.concat(tables.values(), ignore_index=True)))
    with pytest.raises(StrataError, match="not those of the measures"):
        with_deviates(measures[measures["model"] == "net"], deviates)


def test_rows_without_deviates_have_a_value_and_no_interval():
    table = pd.concat(_study().values(), ignore_index=True)
    table["deviates"] = np.nan
    found = _compare(table)
    assert np.isfinite(found["value"]).all() and found[["low", "high", "p_value"]].isna().all(None)
    with pytest.raises(StrataError, match="no metric 'speed'"):
        paired_differences(table, ["speed"], twins={}, bases={})


def test_two_scores_without_intervals_have_no_interval_of_their_difference():
    table = pd.concat(_study().values(), ignore_index=True)
    near_one = table.assign(low=np.nan, high=np.nan)
    assert _compare(near_one)[["low", "high", "p_value"]].isna().all(None)
    first = table["layer"].eq("block0")
    mixed = table.assign(low=table["low"].where(first), high=table["high"].where(first))
    assert _compare(mixed).query("contrast == 'first'")["low"].notna().all()


def _counted(model, values, about, spread=2.0):
    rows = [
        {"layer": f"block{i}", "layer_index": i, "concept": None, "metric": "n_concepts_median"}
        | {"value": value, "low": value - 1.96 * spread, "high": value + 1.96 * spread}
        | {"n": 40, "seed": 0, "about": about, "model": model, "dataset": "d"}
        for i, value in enumerate(values)
    ]
    return check_measures(pd.DataFrame(rows))


def _compared(tables):
    pairs = [(table.drop(columns=DEVIATES, errors="ignore"), tidy(table)) for table in tables]
    return concept_differences(pairs, twins={"net": "net-random"}, bases={})


def tidy(table):
    """Deviates as they lie on disk."""
    rows = [
        {"model": row.model, "layer": row.layer, "concept": row.concept, "metric": row.metric}
        | {"split": split, "value": value}
        for row in table.itertuples()
        for split, value in enumerate(getattr(row, DEVIATES, ()))
    ]
    columns = ["model", "layer", "concept", "metric", "split", "value"]
    return pd.DataFrame(rows, columns=columns)


def test_neurons_drawn_independently_add_their_variances():
    found = _compared(
        [
            pd.concat(
                [
                    _counted("net", [9.0, 19.0], NEURONS),
                    _counted("net-random", [8.0, 9.0], NEURONS, 1.5),
                ]
            )
        ]
    )
    row = found[(found["contrast"] == "twin") & (found["layer"] == "block1")].iloc[0]
    assert (row["value"], row["about"], row["other"]) == (10.0, "neurons", "net-random")
    assert row["high"] - row["value"] == pytest.approx(1.95996 * 2.5, rel=1e-3)
    assert row["p_value"] == pytest.approx(2 * norm.sf(10 / 2.5), rel=1e-3)
    gain = found[(found["contrast"] == "first") & (found["model"] == "net")].iloc[0]
    assert gain["high"] - gain["value"] == pytest.approx(1.95996 * np.hypot(2, 2), rel=1e-3)
    assert (found["metric"] == "n_concepts_median_difference").all()


def test_differences_about_pictures_and_neurons_are_paired():
    draw = np.random.default_rng(0)
    common = draw.normal(0, 0.05, 10)
    tables = []
    for model, value in (("net", 0.7), ("net-random", 0.5)):
        table = _counted(model, [value], BOTH).assign(metric="category_share_mean", concept="red")
        tables.append(table.assign(**{DEVIATES: [common + draw.normal(0, 0.002, 10)]}))
    found = _compared([pd.concat(tables, ignore_index=True)])
    assert len(found) == 1 and found["about"].iloc[0] == BOTH
    assert 0 < found["high"].iloc[0] - found["value"].iloc[0] < 0.01  # what moves both cancels


def test_how_well_neurons_tell_is_compared_once():
    table = pd.concat(
        [_counted("net", [0.7, 0.8], NEURONS).assign(metric="mean_best_auc", concept=similarity)
         for similarity in ("cosine", "wpmi")]
    )  # fmt: skip
    found = _compared([table])
    assert len(found) == 2 and set(found["concept"]) == {"cosine"}  # first and best, of one layer


def test_without_an_interval_there_is_none_of_the_difference():
    rows = _counted("net", [0.2, 0.4], NEURONS)
    rows.loc[0, ["low", "high"]] = np.nan
    found, p_value = independent_difference(rows.iloc[1], rows.iloc[0])
    assert found.value == pytest.approx(0.2) and np.isnan([found.low, found.high, p_value]).all()
