"""The atlas of a study that has run, used in a browser as a reader would: from the disk alone."""

import html
import importlib.util
import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from running import cannot_run

AXE = Path(importlib.util.find_spec("axe_core_python").origin).with_name("axe.min.js")
DRIVE = Path(__file__).with_name("drive.js")
NAMES = ("chromium", "chromium-browser", "google-chrome")
BEFORE = """<script>
window.errors = [];
addEventListener("error", (event) => errors.push(event.message || `no ${event.target.src}`), true);
addEventListener("unhandledrejection", (event) => errors.push(String(event.reason)));
console.error = console.warn = (...told) => errors.push(told.join(" "));
</script>"""


@pytest.fixture(scope="module")
def browser() -> str:
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        cannot_run("no Chromium on the PATH; tools/install-chromium says what to do")
    return found


@pytest.fixture(scope="module")
def use(workflow, browser, tmp_path_factory):
    """Opens the atlas at an address, takes the named steps and returns what was there."""
    folder = tmp_path_factory.mktemp("atlas") / "an atlas"
    shutil.copytree(workflow.path("results/atlas"), folder)
    shutil.copy(AXE, folder / "axe.js")
    shutil.copy(DRIVE, folder / "drive.js")
    page = (folder / "index.html").read_text()

    def opened(steps: str, address: str, *options: str) -> dict:
        behind = f'<script>steps = "{steps}"</script><script src="drive.js"></script></body>'
        changed = page.replace("</head>", f'{BEFORE}<script src="axe.js"></script></head>')
        (folder / "driven.html").write_text(changed.replace("</body>", behind))
        command = [browser, "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom"]
        command += ["--virtual-time-budget=60000", "--window-size=1300,900", *options]
        url = f"{(folder / 'driven.html').as_uri()}#{address}"
        run = subprocess.run([*command, url], capture_output=True, text=True, timeout=300)
        told = re.search(r'<pre id="told">(.*?)</pre>', run.stdout, re.DOTALL)
        assert told, run.stderr[-2000:]
        return json.loads(html.unescape(told[1]))

    return opened


def test_a_reader_searches_sorts_opens_and_compares_neurons(use):
    told = use("neurons", "study=tiny")
    assert told["errors"] == [] and told["serious"] == [] and told["dialog"] == []
    assert told["title"].startswith("A study in little")
    shown, known = re.fullmatch(r"(\d+) of (\d+) neurons", told["status"]).groups()
    assert shown == known and 5 < told["drawn"] < int(known)  # rows in sight, and no others
    assert told["pictures"] == 5 * told["drawn"]
    assert told["places"][0].startswith("input · neuron 0")
    numbers = [int(place.rsplit(" ", 1)[1]) for place in told["places"]]
    assert numbers == sorted(numbers)
    assert told["found"] and int(told["counted"].split()[0]) < int(known)
    assert "q=red" in told["address"]
    assert int(told["sure"].split()[0]) < int(known)
    assert all(float(row.rsplit("q ", 1)[1]) <= 0.05 for row in told["doubtful"])
    assert told["active"] == "2" and told["opened"] == told["second"]
    assert {"soft wpmi", "q-value", "planted factor", "clarity", "redundancy"} <= {*told["facts"]}
    assert told["bars"] == 20 and told["nulls"] == [] and told["focus"] == "close"
    assert len(told["panes"]) == 2 and all("neurons" in status for status in told["panes"])
    assert len(told["layer"]) == 1
    again = use("link", told["link"].removeprefix("#"))
    assert again["opened"] == told["opened"] and again["errors"] == []


def test_a_model_that_comes_late_or_never_is_not_shown_as_another(use):
    told = use("late", "study=tiny&sort=place")
    assert told["errors"] == [] and told["same"] and told["left"] == 0


def test_layers_that_come_late_or_never_are_not_shown_as_another_model_s(use):
    told = use("late_layers", "study=tinyconvexity")
    assert told["errors"] == [] and told["meanwhile"] == told["left"] == 0
    assert told["same"] and told["back"]


def test_an_address_of_what_is_not_there_opens_the_first(use):
    told = use("neurons", "study=elsewhere&a=none&n=a99999&cat=none")
    assert told["errors"] == [] and told["title"].startswith("A study in little")


def test_a_reader_finds_concepts_and_neighbors_by_layer(use):
    told = use("layers", "study=tinyconvexity")
    assert told["errors"] == [] and told["serious"] == []
    assert told["captions"][0] == "Graph convexity of concept families, by layer"
    assert "Odd-one-out accuracy, by layer" in told["captions"]
    assert told["near"] and told["near"] % 6 == 0 and told["cells"] > 20
    assert "sort=gain" in told["address"] and len(told["sorted"]) > 2


def test_a_reader_sees_cuts_and_listens_to_neighbors(use, workflow):
    told = use("layers", "study=tinypruning", "--force-dark-mode")
    assert told["errors"] == [] and told["serious"] == []
    assert "What each criterion keeps, and the fine-tuned accuracy" in told["captions"]
    assert told["near"] > 6
    assert list(workflow.path("results/atlas/tinypruning").glob("sound*.wav"))


def test_the_page_loads_nothing_from_a_network(workflow):
    for file in workflow.path("results/atlas").glob("*.*"):
        found = re.findall(r"(?:https?:)?//[\w.-]+\.\w+", file.read_text())
        assert not [name for name in found if not name.startswith("//")], file
