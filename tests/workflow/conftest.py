"""Copies of the workflow: one in which the tiny study has run, and fresh ones."""

import re
from pathlib import Path

import pytest

from running import Workflow

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items):
    """Whole runs of the workflow: `pytest -m "not slow"` leaves them out."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker("slow")


def pytest_xdist_make_scheduler(config, log):
    """Side by side (`--dist loadfile`) run files; all that look at the tiny study's copy as one."""
    from xdist.scheduler import LoadScopeScheduling

    looking = re.compile(r"^def \w+\([^)]*\bworkflow\b", re.MULTILINE)
    of_copy = {path.name for path in HERE.glob("test_*.py") if looking.search(path.read_text())}

    class ByCopy(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file = Path(nodeid.partition("::")[0]).name
            return "the tiny study" if file in of_copy else file

    return ByCopy(config, log) if config.getvalue("dist") == "loadfile" else None


@pytest.fixture(scope="session")
def workflow(tmp_path_factory) -> Workflow:
    """A copy in which the tiny study has run to the paper."""
    copy = Workflow(tmp_path_factory.mktemp("workflow"))
    copy("--configfile", "tests/workflow/tiny.yaml")
    return copy


@pytest.fixture
def fresh(tmp_path) -> Workflow:
    """A copy in which nothing has run."""
    return Workflow(tmp_path)
