"""Claims are read with care, and decided by intervals alone."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from scipy.stats import norm

from strata import StrataError
from strata.claims.deciding import cases_of, selected, verdicts
from strata.claims.reading import read_claims
from strata.paper.claims import read_verdicts

ROOT = Path(__file__).parents[2]
STUDY = {
    "kind": "concepts",
    "models": ["a", "b", "a-tuned"],
    "comparisons": {
        "pretraining": ["a", "b"],
        "objectives": ["a", "b"],
        "finetuned": {"texture": {"a": "a-tuned"}},
    },
}
CLAIM = {"source": "us", "says": "so", "kinds": ["concepts"], "measure": "shares"}
CLAIM |= {"where": {"metric": "share"}, "models": "pretraining", "expects": {"above": 0}}


def table(**values):
    """Rows of models by layer: {model: [(value, half interval), ...]}."""
    rows = [
        {"model": model, "layer": f"l{i}", "layer_index": i, "block": i + 1, "n": 10}
        | {"value": value, "low": value - half, "high": value + half, "metric": "share"}
        for model, layers in values.items()
        for i, (value, half) in enumerate(layers)
    ]
    return pd.DataFrame(rows).assign(concept="red", family=None)


def claims(tmp_path, **entries):
    path = tmp_path / "claims.yaml"
    path.write_text(yaml.safe_dump(entries))
    return read_claims([path])


def decided(tmp_path, rows, **changes):
    (claim,) = claims(tmp_path, one=CLAIM | changes)
    cases = cases_of(claim, "study", STUDY, rows)
    return cases, verdicts([claim], cases).iloc[0]


def test_the_shipped_claims_are_read_and_name_their_papers():
    found = read_claims([ROOT / "resources/claims.yaml"])
    assert len({claim.source for claim in found}) == 3 and len(found) > 12


@pytest.mark.parametrize(
    ("values", "verdict"),
    [
        ([(0.1, 0.01), (0.5, 0.1)], "supported"),
        ([(0.5, 0.01), (0.1, 0.1)], "refuted"),
        ([(0.1, 0.3), (0.2, 0.3)], "undecided"),
        ([(0.1, np.nan), (0.9, np.nan)], "undecided"),
    ],
)
def test_an_interval_decides_not_the_value(tmp_path, values, verdict):
    cases, found = decided(tmp_path, table(a=values), compare="layers")
    assert list(cases["verdict"]) == [verdict] and found["verdict"] == verdict
    (low, half_low), (high, half_high) = values
    assert cases["value"].iloc[0] == pytest.approx(high - low)
    half = np.hypot(half_low, half_high)
    if not np.isnan(half):
        assert cases["high"].iloc[0] - cases["value"].iloc[0] == pytest.approx(half)
        # The distance that such an interval excludes in four of five draws.
        sure = half / norm.ppf(0.975) * (norm.ppf(0.975) + norm.ppf(0.8))
        assert cases["detectable"].iloc[0] == pytest.approx(sure)


def test_what_refutes_is_shown_not_what_is_unknown(tmp_path):
    unknown = table(a=[(0.5, np.nan)], b=[(-0.5, 0.1)])
    _, found = decided(tmp_path, unknown)
    assert found["verdict"] == "refuted" and found["case"] == "b" and found["value"] == -0.5
    _, found = decided(tmp_path, table(a=[(0.5, np.nan)], b=[(0.5, 0.1)]))
    assert found["verdict"] == "undecided" and found["case"] == "a"


@pytest.mark.parametrize("how", [{"compare": "layers"}, {"layer": "first"}])
def test_the_embedding_is_not_the_first_layer(tmp_path, how):
    rows = table(a=[(0.9, 0.1), (0.1, 0.01), (0.5, 0.1)], b=[(0.2, 0.01), (0.7, 0.1)])
    recorded = rows["model"] == "a"  # of b it was not
    rows.loc[recorded, "block"] -= 1
    rows.loc[recorded & (rows["block"] == 0), "layer"] = "embedding"
    cases, _ = decided(tmp_path, rows, **how)
    without, _ = decided(tmp_path, rows[rows["block"] > 0], **how)
    pd.testing.assert_frame_equal(cases, without)
    assert cases["value"].tolist() == pytest.approx([0.4, 0.5] if "compare" in how else [0.1, 0.2])


def test_rows_in_another_order_decide_the_same(tmp_path):
    rows = table(a=[(0.1, 0.01), (0.3, 0.1), (0.5, 0.1)], b=[(0.2, 0.1), (0.9, 0.1)])
    first, _ = decided(tmp_path, rows, compare="layers")
    second, _ = decided(tmp_path, rows.iloc[::-1], compare="layers")
    order = ["case"]
    left, right = (t.sort_values(order).reset_index(drop=True) for t in (first, second))
    pd.testing.assert_frame_equal(left, right)


def test_more_cases_have_wider_intervals_that_hold_together(tmp_path):
    one, _ = decided(tmp_path, table(a=[(0.3, 0.1)]), layer="last")
    two, _ = decided(tmp_path, table(a=[(0.3, 0.1)], b=[(0.3, 0.1)]), layer="last")
    ratio = norm.ppf(1 - 0.025 / 2) / norm.ppf(0.975)
    assert (two["high"] - two["value"]).to_numpy() == pytest.approx(0.1 * ratio)
    assert one["high"].iloc[0] == pytest.approx(0.4)


@pytest.mark.parametrize(
    ("rule", "verdict"), [("all", "refuted"), ("any", "supported"), ("both", "supported")]
)
def test_cases_come_together_by_the_claims_rule(tmp_path, rule, verdict):
    rows = table(a=[(0.5, 0.1)], b=[(-0.5, 0.1)])
    _, found = decided(tmp_path, rows, layer="last", cases=rule)
    assert found["verdict"] == verdict
    assert found["case"].startswith("b" if rule == "all" else "a")
    assert (found["n_cases"], found["n_supported"], found["n_refuted"]) == (2, 1, 1)


def test_a_tuned_model_is_compared_with_its_base_and_models_with_each_other(tmp_path):
    values = {"a": [(0.1, 0.1), (0.2, 0.1)], "a-tuned": [(0.9, 0.1), (0.8, 0.1)]}
    values |= {"b": [(0.0, 0.1), (0.25, 0.1)]}
    cases, _ = decided(tmp_path, table(**values), models="task:texture", compare="base")
    assert list(cases["case"]) == ["a-tuned"] and cases["value"].iloc[0] == pytest.approx(0.6)
    assert selected(STUDY, "tuned") == ["a-tuned"]
    apart = {"models": "objectives", "compare": "models", "expects": {"apart": 0.5}}
    cases, found = decided(tmp_path, table(**values), **apart)
    assert list(cases["case"]) == ["a - b"] and cases["value"].iloc[0] == pytest.approx(-0.05)
    assert found["verdict"] == "refuted"  # wholly within half a unit


@pytest.mark.parametrize(("down", "verdict"), [(1, "supported"), (3, "refuted"), (2, "undecided")])
def test_of_most_layers_more_than_half_decide(tmp_path, down, verdict):
    values = [(-0.5, 0.1)] * down + [(0.5, 0.1)] * (4 - down)
    cases, found = decided(tmp_path, table(a=values), layer="each", cases="most")
    assert list(cases["case"]) == [f"a, l{i}" for i in range(4)]
    assert found["verdict"] == verdict


def test_the_main_family_is_the_studys_first(tmp_path):
    rows = pd.concat(
        [table(a=[(0.5, 0.1)]).assign(family="object"), table(a=[(-0.5, 0.1)]).assign(family="sky")]
    )
    (claim,) = claims(tmp_path, one=CLAIM | {"layer": "last", "main": "family"})
    cases = cases_of(claim, "study", STUDY | {"families": ["object", "sky"]}, rows)
    assert list(cases["verdict"]) == ["supported"] and len(cases) == 1
    assert cases_of(claim, "study", STUDY | {"families": []}, rows).empty


def test_a_claim_that_no_study_can_decide_is_said_to_be_untested(tmp_path):
    cases, found = decided(tmp_path, table(a=[(0.1, 0.1)]), where={"metric": "other"})
    assert cases.empty and found["verdict"] == "not tested"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"expects": {"over": 0}}, "expects is"),
        ({"expects": {"above": "much"}}, "expects is"),
        ({"expects": {"apart": -1}}, "a distance is not negative"),
        ({"kinds": ["concept"]}, "kinds is 'concept', use one of"),
        ({"models": "pretrainig"}, "models is 'pretrainig', use one of pretraining"),
        ({"layer": "middle"}, "layer is 'middle', use one of first, last"),
        ({"layer": "last", "compare": "base"}, "layer or compare, not both"),
        ({"where": {}}, "where is"),
        ({"threshold": 3}, "no key 'threshold'"),
    ],
)
def test_a_wrong_claim_is_named_with_its_file_and_key(tmp_path, changes, message):
    with pytest.raises(StrataError, match=f"claims.yaml: one: .*{message}"):
        claims(tmp_path, one=CLAIM | changes)


def test_a_file_without_claims_is_refused(tmp_path):
    with pytest.raises(StrataError, match="no such file of claims"):
        read_claims([tmp_path / "none.yaml"])
    (tmp_path / "list.yaml").write_text("- one\n")
    with pytest.raises(StrataError, match="write claims as"):
        read_claims([tmp_path / "list.yaml"])
    (tmp_path / "broken.yaml").write_text("a: [")
    with pytest.raises(StrataError, match="no YAML"):
        read_claims([tmp_path / "broken.yaml"])
    claims(tmp_path, one=CLAIM)
    with pytest.raises(StrataError, match="one stands in"):
        read_claims([tmp_path / "claims.yaml", tmp_path / "claims.yaml"])
    with pytest.raises(StrataError, match="2 rows for one case; say which, they differ in"):
        decided(tmp_path, table(a=[(0.1, 0.1), (0.2, 0.1)]))
    column = {"where": {"colour": "red"}}
    with pytest.raises(StrataError, match="shares has no column 'colour'; it has model"):
        decided(tmp_path, table(a=[(0.1, 0.1)]), **column)


def test_verdicts_are_of_studies_and_models_whatever_their_names(tmp_path):
    told = "claim,source,says,study,verdict,case,value\nc,s,t,1e3,supported,NA,0.5\nd,s,t,,,,\n"
    (tmp_path / "verdicts.csv").write_text(told)
    found = read_verdicts(tmp_path / "verdicts.csv")
    assert found["study"].tolist()[0] == "1e3" and found["case"].tolist()[0] == "NA"
    assert found["study"].isna().tolist() == [False, True] and found["value"].iloc[0] == 0.5
