"""README.md shows what a run found and what the repository holds, and fetches nothing to do so."""

import re
import sys
import tomllib
from pathlib import Path

import pandas as pd
import pytest
import yaml

from strata.config import prepare_config

sys.path.insert(0, str(Path(__file__).parents[2] / "tools/terminal"))
import estimate
import readme
import stages

ROOT = readme.ROOT
TEXT = readme.README.read_text()


def test_the_table_is_that_of_the_verdicts():
    assert readme.written(TEXT, pd.read_csv(readme.VERDICTS)) == TEXT


def test_minutes_and_stages_are_those_of_the_measured_costs():
    rules = estimate.MEASURED["rules"]
    assert stages.readme(TEXT, rules) == TEXT
    assert stages.page(stages.PAGE.read_text(), rules) == stages.PAGE.read_text()
    twice = {rule: [jobs, 2 * seconds] for rule, (jobs, seconds) in rules.items()}
    told = f"It takes {stages.minutes(twice)} minutes on two cores"
    assert told in stages.readme(TEXT, twice) and told not in TEXT


def test_every_claim_and_no_other_is_in_it():
    claims = yaml.safe_load((ROOT / "resources/claims.yaml").read_text())
    rows = pd.read_csv(readme.VERDICTS).drop_duplicates("claim").set_index("claim")
    assert rows["says"].to_dict() == {name: claim["says"] for name, claim in claims.items()}
    assert rows["source"].to_dict() == {name: claim["source"] for name, claim in claims.items()}


def test_a_verdict_says_what_its_interval_says():
    for row in pd.read_csv(readme.VERDICTS).itertuples():
        side, _, threshold = row.expects.partition(" ")
        if row.verdict != "supported" or side == "apart":
            continue
        assert row.low > float(threshold) if side == "above" else row.high < float(threshold)


def test_a_table_without_its_place_is_told():
    with pytest.raises(SystemExit, match="are gone"):
        readme.written("# Strata", pd.read_csv(readme.VERDICTS))


def test_badges_are_made_of_the_project_and_pictures_are_small():
    for name, badge in readme.badges().items():
        assert (readme.IMAGES / name).read_text() == badge and name in TEXT
    for ground in ("light", "dark"):
        picture = readme.IMAGES / f"result-{ground}.svg"
        assert picture.name in TEXT and picture.stat().st_size < 150_000


def test_links_lead_somewhere_and_pictures_come_from_here():
    links = re.findall(r"\]\(([^)#]+)\)|(?:src|srcset)=\"([^\"]+)\"", TEXT)
    links = [one or other for one, other in links]
    assert all((ROOT / link).exists() for link in links if not link.startswith("https://"))
    assert not re.search(r"!\[[^]]*\]\(http|src(?:set)?=\"http", TEXT)


def test_ones_own_model_in_four_lines_is_a_study():
    block = re.search(r"```yaml\n(.*?)```", TEXT, re.DOTALL)[1]
    assert len(block.splitlines()) == 4
    config = yaml.safe_load((ROOT / "config.yaml").read_text())
    for key, value in yaml.safe_load(block).items():
        config[key] = config[key] | value if isinstance(value, dict) else value
    prepare_config(config, ROOT)
    assert config["run"] == ["mine"] and config["studies"]["mine"]["models"] == ["mine"]


def test_the_citation_is_of_this_version():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert citation["version"] == project["version"]
    required = {"cff-version", "message", "title", "authors"}
    assert required <= set(citation) and citation["license"] == "Apache-2.0"
