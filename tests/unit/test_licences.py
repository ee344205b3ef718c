"""docs/licences.md lists everything that Strata rests on."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "tools/terminal"))
import licences

ROOT = licences.ROOT


def test_the_page_is_what_its_script_makes_of_the_lock_the_data_and_the_networks():
    assert licences.PAGE.read_text() == licences.page()


def test_every_package_and_all_that_ships_with_strata_states_a_licence():
    rows = [line for line in licences.PAGE.read_text().splitlines() if line.startswith("| ")]
    names = {line.split(" | ")[0].removeprefix("| ") for line in rows}
    assert {*licences.locked()} <= names
    assert {path.name for path in (ROOT / "resources/zoo").iterdir()} <= names
    shipped = [line for line in rows if "resources/" in line]
    assert len(shipped) > 5 and not [line for line in shipped if "none stated" in line]
