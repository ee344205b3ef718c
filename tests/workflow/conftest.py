"""Copies of the workflow: one in which the tiny study has run, and fresh ones."""

from pathlib import Path

import pytest

from running import Workflow


@pytest.hookimpl(tryfirst=True)  # before xdist looks at the groups
def pytest_collection_modifyitems(items):
    """Whole runs of the workflow: `pytest -m "not slow"` leaves them out.

    Side by side (`--dist loadgroup`) run files, all that look at the tiny study's copy as one.
    """
    ours = [item for item in items if Path(__file__).parent in item.path.parents]
    looking = {item.path for item in ours if "workflow" in item.fixturenames}
    for item in ours:
        item.add_marker("slow")
        item.add_marker(pytest.mark.xdist_group("tiny" if item.path in looking else item.path.stem))


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
